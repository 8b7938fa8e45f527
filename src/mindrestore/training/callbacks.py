"""What happens between training steps: log, validate, save, stop on a signal, and refuse a step that failed."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

import numpy as np
from mindspore import nn
from mindspore.train import Callback, RunContext

from mindrestore.errors import UserError
from mindrestore.runtime import cluster
from mindrestore.training.job import Samples
from mindrestore.training.log import SilentLog, TrainingLog
from mindrestore.training.state import is_saved, read_state

Refuse = Callable[[int, str], NoReturn]  # (step, reason): raises ``UserError``, see ``Failures.refuse``


class Progress(Callback):
    """Count and log steps, announce compilation, refuse a loss that is not finite.

    Args:
        log: of the run.
        rates: learning rate of each step.
        first: steps taken before.
        every: steps from one line of metrics to the next.
        refuse: called with the step, 1 or more, and the reason.

    Attributes:
        step: steps taken so far.
    """

    def __init__(self, log: TrainingLog | SilentLog, *, rates: Sequence[float], first: int, every: int, refuse: Refuse) -> None:
        super().__init__()
        self.log, self.rates, self.first, self.every, self.refuse = log, rates, first, every, refuse
        self.step = first
        self._losses, self._began = [], None

    def on_train_step_begin(self, run_context: RunContext) -> None:
        if self.step == self.first:
            self._began = time.perf_counter()
            self.log.say("Compiling the training step; this happens once and takes from seconds to a few minutes ...")

    def on_train_step_end(self, run_context: RunContext) -> None:
        self.step += 1
        loss = float(run_context.original_args().net_outputs.numpy())
        if self.step == self.first + 1:
            self.log.say(f"... compiled and first step done in {time.perf_counter() - self._began:.1f} s.")
        if not math.isfinite(loss):
            self.refuse(self.step, f"the loss is {loss}")
        self.log.advance(loss)
        self._losses.append(loss)
        if self.step % self.every == 0:
            self.log.metrics(self.step, loss=sum(self._losses) / len(self._losses), learning_rate=self.rates[self.step - 1])
            self._losses = []


class Validate(Callback):
    """Every ``every`` steps and at the last one call ``validate() -> PSNR in dB``, and ``on_best(step, PSNR)`` for a new best.

    ``best`` is the best PSNR so far, None before the first validation.
    """

    def __init__(
        self,
        log: TrainingLog | SilentLog,
        progress: Progress,
        *,
        validate: Callable[[], float],
        on_best: Callable[[int, float], None],
        every: int,
        last: int,
        best: float | None = None,
    ) -> None:
        super().__init__()
        self.log, self.progress, self.validate, self.on_best = log, progress, validate, on_best
        self.every, self.last, self.best = every, last, best

    def on_train_step_end(self, run_context: RunContext) -> None:
        step = self.progress.step
        if step % self.every and step != self.last:
            return
        psnr = self.validate()
        self.log.metrics(step, validation_psnr=psnr)
        self.log.say(f"step {step}: validation PSNR {psnr:.3f} dB")
        if self.best is None or psnr > self.best:
            self.best = psnr
            self.on_best(step, psnr)


class Save(Callback):
    """Every ``every`` steps, at the last one and after SIGTERM or Ctrl-C call ``save(step)``; after a signal stop training.

    A signal to any of several processes stops all of them after the same step.

    Attributes:
        interrupted: number of the signal that this process received, None before.
        stopped: number of the signal that stopped training, whichever process received it; None before.
    """

    def __init__(
        self, log: TrainingLog | SilentLog, progress: Progress, *, save: Callable[[int], None], every: int, last: int
    ) -> None:
        super().__init__()
        self.log, self.progress, self.save, self.every, self.last = log, progress, save, every, last
        self.interrupted = self.stopped = None
        self._former = {}

    def __enter__(self) -> Save:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._former[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def on_train_step_end(self, run_context: RunContext) -> None:
        step = self.progress.step
        stop = int(cluster.gathered([self.interrupted or 0]).max())
        if stop or step % self.every == 0 or step == self.last:
            self.save(step)
        if stop:
            self.stopped = stop
            self.log.say(f"Stopped by {signal.Signals(stop).name} after step {step}; the state is saved, go on with --resume.")
            run_context.request_stop()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self.interrupted = number


class Failures:
    """Stops a run that cannot go on: names the step, the samples of its batch, and the last good checkpoint.

    Args:
        samples: trained on.
        batch_size: of all processes together.
        state: path of the state that the run is saved in.
    """

    def __init__(self, samples: Samples, batch_size: int, state: Path) -> None:
        self.samples, self.batch_size, self.state = samples, batch_size, state

    def refuse(self, step: int, reason: str) -> NoReturn:
        """Raise ``UserError`` for ``step`` (1, 2, ...)."""
        numbers = range((step - 1) * self.batch_size, step * self.batch_size)
        raise UserError(
            f"step {step}: {reason}; its batch held {', '.join(map(self._described, numbers))}; "
            f"mend or leave out samples that are not finite, or else {self._way_on()}."
        )

    def check_weights(self, network: nn.Cell, step: int) -> None:
        """Refuse the step if it left weights that are not finite, so that these are not saved."""
        bad = [parameter.name for parameter in network.trainable_params() if not np.isfinite(parameter.numpy()).all()]
        if bad:
            self.refuse(step, f"{len(bad)} weights are not finite after it, the first is {bad[0]}")

    def _described(self, number: int) -> str:
        finite = all(np.isfinite(array).all() for array in self.samples[number] if array is not None)
        return f"sample {number} ({self.samples.name(number)}{'' if finite else ', which holds values that are not finite'})"

    def _way_on(self) -> str:
        gentler = "a smaller training.learning_rate or training.clip_norm"
        if not is_saved(self.state):
            return f"begin again, as nothing was saved yet, with {gentler}"
        saved = read_state(self.state)
        return f"go on with --resume from {saved.path}, after step {saved.progress['step']}, with {gentler}"
