"""Which device this process computes on. Asked by ``ops`` and the entry points; never by a model."""

from __future__ import annotations

from mindrestore.errors import UserError

CHOICES = ("auto", "cpu", "gpu", "ascend")
TARGETS = {"cpu": "CPU", "gpu": "GPU", "ascend": "Ascend"}
FASTEST_FIRST = ("ascend", "gpu", "cpu")


def name() -> str:
    """Return ``"cpu"``, ``"gpu"`` or ``"ascend"``: what MindSpore has been told to compute on."""
    import mindspore as ms

    return ms.get_current_device().device_target.lower()


def convolves_in_float16() -> bool:
    """Return whether 3-D convolutions of the device take float16 only; gradients through them need a loss scale.

    Those of Ascend do, and a 910, unlike a 910B, computes all convolutions and matrix products in float16, whatever they
    are given (from its documents, untested).
    """
    return name() == "ascend"


def count(kind: str) -> int:
    """Return how many devices of a kind this process may use; ``CUDA_VISIBLE_DEVICES`` and its like count."""
    if kind == "cpu":
        return 1
    import mindspore as ms

    context = ms.device_context.ascend if kind == "ascend" else ms.device_context.gpu
    try:
        return context.device_count()
    except RuntimeError:  # there is none, or its libraries cannot be loaded
        return 0


def select(choice: str = "auto", number: int = 0) -> str:
    """Make MindSpore compute on ``choice``, device ``number`` of its kind, and return the name of what was selected.

    ``auto`` takes Ascend, then GPU, then CPU, whichever is there. Of the CPU there is one, whatever the number.

    Raises:
        UserError: a device that is not there; ``auto`` does not go on to the CPU where a number is beyond the last device.
    """
    if choice not in CHOICES:
        raise UserError(f"--device {choice}: unknown device, choose one of {', '.join(CHOICES)}.")
    kind = next(kind for kind in FASTEST_FIRST if count(kind)) if choice == "auto" else choice
    devices = count(kind)
    if not devices:
        raise UserError(
            f"--device {kind}: MindSpore finds no such device on this machine; choose --device cpu, or run "
            "`mindrestore doctor`, which says what is missing."
        )
    if kind == "cpu":
        number = 0
    if not 0 <= number < devices:
        raise UserError(
            f"DEVICE_ID={number}: this process may use {devices} {TARGETS[kind]} device{'s' * (devices > 1)}; give "
            f"DEVICE_ID, or --device-id of the launchers, a number from 0 to {devices - 1}."
        )
    if (name(), kind) != ("cpu", "cpu"):  # MindSpore refuses to set a device again once it has computed
        import mindspore as ms

        ms.set_device(TARGETS[kind], number)
    return kind
