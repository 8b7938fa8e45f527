"""The networks."""
from mindrestore.errors import UserError

NAMES = ("revsci",)


def create_model(name, **settings):
    """Build a network by name.

    Args:
        name: ``"revsci"``.
        **settings: of the network; see its class.

    Raises:
        UserError: an unknown name or setting, or a value that cannot be.
    """
    if name not in NAMES:
        raise UserError(f"model {name!r}: unknown, choose one of {', '.join(NAMES)}.")
    from mindrestore.models.revsci import RevSCI
    known = RevSCI.__init__.__code__.co_varnames[1:RevSCI.__init__.__code__.co_argcount]
    for key in settings:
        if key not in known:
            raise UserError(f"model {name}: unknown setting {key!r}, it has {', '.join(known)}.")
    return RevSCI(**settings)
