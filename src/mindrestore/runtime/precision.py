"""Which number type this process multiplies and convolves in. Asked by ``ops`` and ``execution``; never by a model."""
CHOICES = ("float32", "float16")
_chosen = "float32"


def use(choice):
    """Multiply and convolve in ``choice``, one of ``CHOICES``, from now on; what is compiled already stays as it is."""
    global _chosen
    _chosen = choice


def chosen():
    """Return ``"float32"`` or ``"float16"``."""
    return _chosen
