"""One training step: gradients, accumulation, clipping, optimiser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn

from mindspore import Parameter, Tensor, nn, ops

from mindrestore.runtime import cluster, precision
from mindrestore.runtime.execution import compiled, global_norm, scaled
from mindrestore.training.average import Average
from mindrestore.training.gradients import Gradients
from mindrestore.training.loss_scale import LossScale
from mindrestore.training.optimizers import Update


class TrainOneStep(nn.Cell):
    """The cell that ``mindspore.Model`` trains.

    Args:
        gradients: of a list of parameters makes their ``Gradients``.
        updates: what each optimiser moves.
        accumulation: equal parts that a batch is split into, one computed after the other, so that memory is that of one.
        clip_norm: largest global norm of the gradients of what is trained, or ``None``.
        step: how many steps were taken before.
        average: of the weights, or ``None``.
        sqrt_loss, mean_over_ranks, loss_scale: see ``mindrestore.training.job.Job``.
        refuse: with a loss scale, ``refuse(step, reason)`` raises for a step (1, 2, ...) that overflows with every scale.
    """

    def __init__(
        self,
        gradients: Callable[[Sequence[Parameter]], Gradients],
        updates: Sequence[Update],
        *,
        accumulation: int = 1,
        clip_norm: float | None = None,
        step: int = 0,
        average: Average | None = None,
        sqrt_loss: bool = False,
        mean_over_ranks: bool = False,
        loss_scale: LossScale | None = None,
        refuse: Callable[[int, str], NoReturn] | None = None,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.gradients = gradients
        self._gradients_by_count = {}  # ``Gradients`` by how many of the updates have begun
        self.updates = updates
        self.accumulation = accumulation
        self.clip = compiled(_clip_function(clip_norm)) if clip_norm else None
        self.step = step
        self.average = average
        self.sqrt_loss, self.mean_over_ranks, self.loss_scale, self.refuse = sqrt_loss, mean_over_ranks, loss_scale, refuse
        self.set_train()

    def construct(self, *batch: Tensor) -> Tensor:
        """Train on a batch, (target, *inputs), each (B, ...); return its loss.

        Of several processes each gives its share of the batch, of equal size; all return the loss of the whole.
        """
        running = [update for update in self.updates if self.step >= update.first]
        loss, gradients, finite = self._over_ranks(self._gradients_of(running), batch)
        while self.loss_scale and self.loss_scale.must_repeat(finite):
            loss, gradients, finite = self._over_ranks(self._gradients_of(running), batch)
        if not finite:
            self.refuse(self.step + 1, "gradients overflow at every loss scale")
        if self.sqrt_loss:
            loss = ops.sqrt(loss)
            gradients = [gradient / (2 * loss) for gradient in gradients]
        if self.clip:
            gradients = self.clip(*gradients)
        start = 0
        for update in running:
            end = start + len(update.parameters)
            update.optimizer(tuple(gradients[start:end]))
            start = end
        self.step += 1
        if self.average:
            self.average.update()
        return loss

    def _gradients_of(self, running: Sequence[Update]) -> Gradients:
        """Return the ``Gradients`` of the parameters that are trained now; nothing is computed for frozen ones."""
        if len(running) not in self._gradients_by_count:
            parameters = [parameter for update in running for parameter in update.parameters]
            self._gradients_by_count[len(running)] = self.gradients(parameters)
        return self._gradients_by_count[len(running)]

    def _over_ranks(self, gradients_of: Gradients, batch: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor], bool]:
        """Return (loss, gradients, whether nothing overflowed) of all processes; without a loss scale that is not checked."""
        if self.loss_scale:
            precision.forget_overflow()
        loss, gradients = self._accumulated(gradients_of, batch)
        # before the mean, in each process: where float16 has no infinity a mean does not show that one of them overflowed
        flags = [precision.none_overflowed(gradients)] if self.loss_scale else []
        if self.mean_over_ranks:
            flags = cluster.mean(flags) if flags else flags
        else:
            loss, *means = cluster.mean([loss, *gradients, *flags])
            gradients, flags = means[: len(gradients)], means[len(gradients) :]
        return loss, gradients, all(flag.numpy() == 1 for flag in flags)

    def _accumulated(self, gradients_of: Gradients, batch: Sequence[Tensor]) -> tuple[Tensor, Sequence[Tensor]]:
        """Return loss and gradients of a batch: means over its ``accumulation`` parts."""
        size = batch[0].shape[0] // self.accumulation
        total_loss, totals = None, None
        for start in range(0, batch[0].shape[0], size):
            loss, gradients = gradients_of(*(x[start : start + size] for x in batch))
            total_loss = loss if total_loss is None else total_loss + loss
            totals = gradients if totals is None else [a + b for a, b in zip(totals, gradients)]
        if self.accumulation == 1:
            return total_loss, totals
        return total_loss / self.accumulation, tuple(total / self.accumulation for total in totals)


def _clip_function(norm: float) -> Callable[..., Sequence[Tensor]]:
    def clip(*gradients: Tensor) -> Sequence[Tensor]:
        """Scale all gradients alike so that their global norm is ``norm`` at most."""
        return scaled(norm / ops.clamp(global_norm(gradients), norm), gradients)

    return clip
