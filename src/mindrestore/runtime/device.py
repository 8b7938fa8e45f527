"""Which device this process computes on. Asked by ``ops`` and the entry points; never by a model."""
import mindspore as ms

from mindrestore.errors import UserError

CHOICES = ("auto", "cpu", "gpu", "ascend")
TARGETS = {"cpu": "CPU", "gpu": "GPU", "ascend": "Ascend"}


def name():
    """Return ``"cpu"``, ``"gpu"`` or ``"ascend"``: what MindSpore has been told to compute on."""
    return ms.get_context("device_target").lower()


def convolves_in_float16():
    """Return whether the device's 3-D convolutions take float16 only (Ascend, from its documents; untested)."""
    return name() == "ascend"


def select(choice="auto", number=0):
    """Make MindSpore compute on ``choice``, device ``number`` of its kind, and return the name of what was selected.

    ``auto`` takes Ascend, then GPU, then CPU, whichever is there. Raises ``UserError`` for a device that is not.
    """
    if choice not in CHOICES:
        raise UserError(f"--device {choice}: unknown device, choose one of {', '.join(CHOICES)}.")
    candidates = ("ascend", "gpu", "cpu") if choice == "auto" else (choice,)
    for candidate in candidates:
        if candidate == "cpu" or _count(candidate) > number:
            if candidate != "cpu" or name() != "cpu":  # MindSpore refuses to set a device again once it has computed
                ms.set_device(TARGETS[candidate], number if candidate != "cpu" else 0)
            return candidate
    raise UserError(f"--device {choice}: MindSpore sees no such device {number} on this machine; "
                    "choose --device cpu, or check the driver.")


def _count(kind):
    try:
        return ms.runtime.device_count(TARGETS[kind])
    except (RuntimeError, ValueError, AttributeError):  # no plug-in for that kind is installed
        return 0
