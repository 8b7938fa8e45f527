"""What the trainer needs to know of whatever it trains."""
from typing import Any, Callable, List, NamedTuple, Optional

from mindrestore.training.optimizers import Update


class Job(NamedTuple):
    """A network and how it is trained.

    Attributes:
        kind: of the network, as ``create_model`` names it.
        network: with its first weights.
        samples: endless sequence of tuples, the target first; ``columns`` names their parts, ``name(number)`` says what one is
            cut out of, ``len()`` is a pass.
        steps: of the whole run.
        rates: learning rate of each step.
        updates: what each optimiser moves.
        gradients: of a list of parameters makes ``(target, *inputs) -> (loss, gradients)``.
        validate: gives the mean PSNR in dB, ``None`` where there is nothing to score.
        mask: what a checkpoint records of the mask trained with.
        average: ``Average`` of the weights or ``None``.
        sqrt_loss: the loss is the square root of what ``gradients`` is of, taken of the whole batch.
        mean_over_ranks: ``gradients`` gives means over all processes already.
        loss_scale: ``LossScale`` that ``gradients`` uses, or ``None``; a step whose gradients overflow is repeated with a
            smaller one.
    """

    kind: str
    network: Any
    samples: Any
    steps: int
    rates: List[float]
    updates: List[Update]
    gradients: Callable
    validate: Optional[Callable]
    mask: Optional[str] = None
    average: Any = None
    sqrt_loss: bool = False
    mean_over_ranks: bool = False
    loss_scale: Any = None
