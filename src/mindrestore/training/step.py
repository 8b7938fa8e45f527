"""One training step: gradients, accumulation, clipping, optimiser."""
from mindspore import nn, ops

from mindrestore.runtime import cluster, many, precision
from mindrestore.runtime.execution import compiled


class TrainOneStep(nn.Cell):
    """The cell that ``mindspore.Model`` trains.

    Args:
        gradients: of a list of parameters makes ``(target, *inputs) -> (loss, gradients)``, see
            ``mindrestore.training.gradients``.
        updates: what each optimiser moves (``mindrestore.training.optimizers``).
        accumulation: equal parts that a batch is worked off in, so that memory is that of one part.
        clip_norm: largest global norm of the gradients of what is trained, or ``None``.
        step: how many steps were taken before.
        average: ``mindrestore.training.average.Average`` of the weights, or ``None``.
        sqrt_loss, mean_over_ranks, loss_scale: see ``mindrestore.training.job.Job``.
        refuse: with a loss scale, ``refuse(step, what)`` raises for a step (1, 2, ...) that overflows with every scale.
    """

    def __init__(self, gradients, updates, accumulation=1, clip_norm=None, step=0, average=None, sqrt_loss=False,
                 mean_over_ranks=False, loss_scale=None, refuse=None):
        super().__init__(auto_prefix=False)
        self.gradients = gradients
        self._of_running = {}  # callables by how many of the updates run
        self.updates = updates
        self.accumulation = accumulation
        self.clip = compiled(_clip_function(clip_norm)) if clip_norm else None
        self.step = step
        self.average = average
        self.sqrt_loss, self.mean_over_ranks, self.loss_scale, self.refuse = sqrt_loss, mean_over_ranks, loss_scale, refuse
        self.set_train()

    def construct(self, *batch):
        """Train on a batch, (target, *inputs), each (B, ...); return its loss.

        Of several processes each gives its share of the batch, of equal size; all return the loss of the whole.
        """
        running = [update for update in self.updates if self.step >= update.first]
        loss, gradients, fine = self._of_all(self._gradients_of(running), batch)
        while self.loss_scale and self.loss_scale.must_repeat(fine):
            loss, gradients, fine = self._of_all(self._gradients_of(running), batch)
        if not fine:
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

    def _gradients_of(self, running):
        """Return what computes the gradients of what is trained now, and nothing for what is frozen."""
        if len(running) not in self._of_running:
            self._of_running[len(running)] = self.gradients([each for update in running for each in update.parameters])
        return self._of_running[len(running)]

    def _of_all(self, gradients_of, batch):
        """Return loss and gradients of all processes together, and whether these are fine, asked with a loss scale only."""
        if self.loss_scale:
            precision.forget_overflow()
        loss, gradients = self._accumulated(gradients_of, batch)
        # asked before the mean, in each process: where float16 has no infinity a mean does not show what overflowed in one
        fine = [precision.none_overflowed(gradients)] if self.loss_scale else []
        if self.mean_over_ranks:
            fine = cluster.mean(fine) if fine else fine
        else:
            loss, *means = cluster.mean([loss, *gradients, *fine])
            gradients, fine = means[:len(gradients)], means[len(gradients):]
        return loss, gradients, all(flag.numpy() == 1 for flag in fine)

    def _accumulated(self, gradients_of, batch):
        part = batch[0].shape[0] // self.accumulation
        total_loss, total = 0.0, None
        for start in range(0, batch[0].shape[0], part):
            loss, gradients = gradients_of(*(x[start:start + part] for x in batch))
            total_loss = total_loss + loss
            total = gradients if total is None else [a + b for a, b in zip(total, gradients)]
        if self.accumulation == 1:
            return total_loss, total
        return total_loss / self.accumulation, tuple(gradient / self.accumulation for gradient in total)


def _clip_function(norm):
    def clip(*gradients):
        """Scale all gradients alike so that their global norm is ``norm`` at most."""
        total = ops.clamp(many.global_norm(gradients), norm)
        return many.scaled(norm / total, gradients)
    return clip
