"""Train a network as a configuration says: run, validate, save, resume."""

from __future__ import annotations

import contextlib
import functools
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from mindspore import Model

from mindrestore.checkpoints import native
from mindrestore.config.sections import Common
from mindrestore.errors import Stopped, UserError
from mindrestore.files import check_writable, replacing, write_text
from mindrestore.locks import held
from mindrestore.runtime import cluster
from mindrestore.runtime.dataset import batches
from mindrestore.training.callbacks import Failures, Progress, Save, Validate
from mindrestore.training.flow_job import flow_job
from mindrestore.training.job import Job
from mindrestore.training.log import SilentLog, TrainingLog
from mindrestore.training.snapshot_job import snapshot_job
from mindrestore.training.state import (
    SavedState,
    digest_of_state,
    is_saved,
    read_state,
    restore_state,
    run_folder,
    save_state,
    size_of_state,
    state_path,
)
from mindrestore.training.step import TrainOneStep
from mindrestore.training.video_job import video_job

JOBS: dict[str, Callable[[Any], Job]] = {"snapshot": snapshot_job, "video": video_job, "flow": flow_job}
"""By the problem of a configuration: what makes its ``Job``."""


def train(config: Common, resume: bool = False) -> Path:
    """Train; write ``last_state.ckpt`` (to resume from), ``previous_state.ckpt`` (should that one be damaged), ``last.ckpt``,
    ``best.ckpt``, ``log.jsonl`` and ``config.yaml``.

    Several processes (``mindrestore.runtime.cluster``) each train on a share of every batch; the main one writes the files.

    Args:
        config: ``mindrestore.config.SnapshotConfig``, ``VideoConfig`` or ``FlowConfig``.
        resume: go on from the state in the output folder, exactly as if the run had never stopped.

    Returns:
        The output folder.

    Raises:
        UserError: settings that do not fit each other, a folder that holds a run while ``resume`` is false, that another run
            is in, or that cannot be written.
        Stopped: a signal ended the run early, its state saved. Its status is 128 + the signal in the process that received
            it, 0 in others.
    """
    folder = run_folder(config)
    with held(folder, folder / ".lock") if cluster.is_main() else contextlib.nullcontext():
        saving = _trained(config, resume)
    if saving.stopped:
        raise Stopped(128 + saving.interrupted if saving.interrupted else 0)
    return folder


def _trained(config: Common, resume: bool) -> Save:
    """Train in a folder that this run has to itself; return the callback that knows whether a signal came."""
    folder, state = run_folder(config), state_path(config)
    _check_before(config, resume)
    job = JOBS[config.problem](config)
    saved = read_state(state) if resume else None
    progress = restore_state(saved, job.network, job.updates, job.average) if saved else {"step": 0, "best": None}
    if progress["step"] >= job.steps:
        raise UserError(f"{folder}: this run has already done its {job.steps} steps; set training.steps higher to go on.")
    if job.loss_scale and progress.get("loss_scale"):
        job.loss_scale.state = progress["loss_scale"]
    _check_alike(job, progress)
    if cluster.is_main():
        _check_room(config, job)
        if saved and saved.fault:
            _set_aside(state, saved)
        write_text(folder / "config.yaml", yaml.safe_dump(config.model_dump(), sort_keys=False))
    saving = _Run(config, job, progress).execute()
    cluster.gathered([0])  # all wait for the main process, which still writes: a launcher takes an early exit for a failure
    return saving


def _check_before(config: Common, resume: bool) -> None:
    """Raise ``UserError`` for what can be refused before a network is built."""
    settings, state = config.training, state_path(config)
    if is_saved(state) and not resume:
        raise UserError(f"{state.parent}: holds a training run; go on with --resume, or choose another folder with output=...")
    if resume and not is_saved(state):
        raise UserError(f"{state}: no such training state to resume; train without --resume first.")
    if settings.batch_size % (cluster.size() * settings.accumulation):
        raise UserError(
            f"training.batch_size is {settings.batch_size}, the total over all devices: {cluster.size()} devices "
            f"times {settings.accumulation} parts (training.accumulation) do not divide it."
        )


def _check_room(config: Common, job: Job) -> None:
    """Raise ``UserError`` if the disk has no room for what the run keeps: states, of which one more is there while it is
    written, and networks.
    """
    folder = run_folder(config)
    state, network = size_of_state(job.network, job.updates, job.average), sum(p.nbytes for p in job.network.get_parameters())
    kept = sum(path.stat().st_size for path in folder.glob("*.ckpt"))
    check_writable(state_path(config), max(2 * state + (2 + config.training.keep) * network - kept, 0) + state)


def _set_aside(state: Path, saved: SavedState) -> None:
    """Say that the last state is damaged, and move it away, so that the next one does not put it in the place of ``saved``."""
    if state.exists():
        state.replace(state.with_name("damaged_state.ckpt"))
    print(
        f"mindrestore: warning: {saved.fault} Going on from {saved.path}, after step {saved.progress['step']}.", file=sys.stderr
    )


class _Run:
    """A job in its folder, from the step on that ``progress`` says: its callbacks, and what they save and validate."""

    def __init__(self, config: Common, job: Job, progress: Mapping[str, Any]) -> None:
        self.config, self.job, self.folder = config, job, run_folder(config)
        self.first, self.last = progress["step"], job.steps
        settings = config.training
        self.log = TrainingLog(self.folder, self.last, self.first) if cluster.is_main() else SilentLog()
        self.failures = Failures(job.samples, settings.batch_size, state_path(config))
        self.counter = Progress(
            self.log, rates=job.rates, first=self.first, every=settings.log_every, refuse=self.failures.refuse
        )
        self.validation = Validate(
            self.log,
            self.counter,
            validate=self.validate,
            on_best=self.save_best,
            every=settings.validate_every,
            last=self.last,
            best=progress["best"],
        )
        self.saving = Save(self.log, self.counter, save=self.save, every=settings.save_every, last=self.last)

    def execute(self) -> Save:
        """Do all steps, or those until a signal; return the callback that knows whether one came."""
        job, settings = self.job, self.config.training
        step_cell = TrainOneStep(
            job.gradients,
            job.updates,
            accumulation=settings.accumulation,
            clip_norm=settings.clip_norm,
            step=self.first,
            average=job.average,
            sqrt_loss=job.sqrt_loss,
            mean_over_ranks=job.mean_over_ranks,
            loss_scale=job.loss_scale,
            refuse=self.failures.refuse,
        )
        callbacks = [self.counter, *([self.validation] if job.validate else []), self.saving]
        data = batches(
            job.samples,
            self.first * settings.batch_size,
            self.last - self.first,
            batch_size=settings.batch_size,
            rank=cluster.rank(),
            ranks=cluster.size(),
            workers=settings.workers,
        )
        try:
            with data as dataset, self.saving:
                Model(step_cell).train(1, dataset, callbacks=callbacks, dataset_sink_mode=False)
        finally:
            self.log.close()
        return self.saving

    def validate(self) -> float:
        """Return the PSNR in dB of the job's validation, with averaged weights where there are any."""
        self.failures.check_weights(self.job.network, self.counter.step)
        with self._averaged():
            return self.job.validate(functools.partial(self.log.picture, self.counter.step))

    def save(self, step: int) -> None:
        """Write the network after ``step`` and the state to resume from, in the main process."""
        job, settings, last = self.job, self.config.training, self.folder / "last.ckpt"
        self.failures.check_weights(job.network, step)
        if not cluster.is_main():
            return
        self._save_network(last, step)
        if settings.keep:
            keep_copy(last, step, settings.keep)
        scale = job.loss_scale.state if job.loss_scale else None
        save_state(
            state_path(self.config),
            job.network,
            job.updates,
            job.average,
            progress={"step": step, "best": self.validation.best, "loss_scale": scale},
        )

    def save_best(self, step: int, psnr: float) -> None:
        """Write the network after ``step``, the best so far, in the main process."""
        if cluster.is_main():
            self._save_network(self.folder / "best.ckpt", step, psnr)

    def _save_network(self, path: Path, step: int, psnr: float | None = None) -> None:
        job, training = self.job, {"name": self.config.name, "step": step, "validation_psnr": psnr}
        with self._averaged():
            native.save_network(path, job.network, job.kind, job.network.settings, mask=job.mask, extra=training)

    def _averaged(self) -> contextlib.AbstractContextManager[None]:
        return self.job.average.applied() if self.job.average else contextlib.nullcontext()


def keep_copy(path: Path, step: int, count: int) -> None:
    """Copy a checkpoint to ``step_N.ckpt`` beside it; of such copies keep the last ``count``."""
    with replacing(path.with_name(f"step_{step}.ckpt")) as copy:
        shutil.copyfile(path, copy)
    copies = sorted(path.parent.glob("step_*.ckpt"), key=lambda copy: int(copy.stem.partition("_")[2]))
    for old in copies[:-count]:
        old.unlink()


def _check_alike(job: Job, progress: Mapping[str, Any]) -> None:
    """Raise ``UserError`` unless all processes begin from the same weights, moments of the optimisers and step."""
    digest = digest_of_state(job.network, job.updates, job.average, progress)
    for rank, row in enumerate(cluster.gathered(np.frombuffer(digest, np.float64))):
        if row.tobytes() != digest:
            raise UserError(
                f"rank {rank} begins from another state than rank {cluster.rank()}; give all servers the same "
                "version of mindrestore, and an output folder and weights on storage that they share."
            )
