"""What to say of a step after which a run cannot go on."""
import numpy as np

from mindrestore.checkpoints.native import load_arrays
from mindrestore.errors import UserError


class Failures:
    """Stops a run and names the step, what its batch held, and the last good checkpoint.

    Args:
        samples: see ``mindrestore.training.job.Job``.
        batch_size: of all processes together.
        state: path of the state that the run is saved in.
    """

    def __init__(self, samples, batch_size, state):
        self.samples, self.batch_size, self.state = samples, batch_size, state

    def refuse(self, step, what):
        """Raise ``UserError`` for ``step`` (1, 2, ...), of which ``what`` says what is wrong."""
        numbers = range((step - 1) * self.batch_size, step * self.batch_size)
        raise UserError(f"step {step}: {what}; its batch held {', '.join(map(self._described, numbers))}; "
                        f"mend or leave out samples that are not finite, or else {self._way_on()}.")

    def check_weights(self, network, step):
        """Refuse the step if it has left weights that are not finite, so that they are not saved."""
        bad = [parameter.name for parameter in network.trainable_params() if not np.isfinite(parameter.numpy()).all()]
        if bad:
            self.refuse(step, f"{len(bad)} weights are not finite after it, the first is {bad[0]}")

    def _described(self, number):
        finite = all(np.isfinite(part).all() for part in self.samples[number] if part is not None)
        return f"sample {number} ({self.samples.name(number)}{'' if finite else ', which holds values that are not finite'})"

    def _way_on(self):
        gentler = "a smaller training.learning_rate or training.clip_norm"
        if not self.state.exists():
            return f"begin again, as nothing was saved yet, with {gentler}"
        return f"go on with --resume from {self.state}, after step {load_arrays(self.state)[1]['step']}, with {gentler}"
