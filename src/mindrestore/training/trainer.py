"""Train a network as a configuration says: run, validate, save, resume."""
import contextlib
import shutil
from pathlib import Path

import numpy as np
import yaml
from mindspore import Model

from mindrestore.checkpoints import native
from mindrestore.config.sections import Common
from mindrestore.errors import Stopped, UserError
from mindrestore.files import replacing, write_text
from mindrestore.runtime import cluster
from mindrestore.runtime.dataset import batches
from mindrestore.training.callbacks import Failures, Progress, Save, Validate
from mindrestore.training.flow_job import flow_job
from mindrestore.training.log import SilentLog, TrainingLog
from mindrestore.training.snapshot_job import snapshot_job
from mindrestore.training.state import digest_of_state, restore_state, save_state
from mindrestore.training.step import TrainOneStep
from mindrestore.training.video_job import video_job

JOBS = {"snapshot": snapshot_job, "video": video_job, "flow": flow_job}
"""By problem: what makes a ``Job`` of a configuration."""


def train(config: Common, resume: bool = False) -> Path:
    """Train; write ``last_state.ckpt`` (to resume from), ``last.ckpt``, ``best.ckpt``, ``log.jsonl`` and ``config.yaml``.

    Of several processes (``mindrestore.runtime.cluster``) each trains on its share of every batch; the main one writes.

    Args:
        config: ``mindrestore.config.SnapshotConfig``, ``VideoConfig`` or ``FlowConfig``.
        resume: go on from the state in the output folder, exactly as if the run had never stopped.

    Returns:
        The output folder.

    Raises:
        UserError: settings that do not fit each other, or a folder that holds a run while ``resume`` is false.
        Stopped: a signal ended the run early, its state saved; the status tells a launcher which of several got it.
    """
    settings = config.training
    folder = Path(config.output or f"runs/{config.name}")
    state = folder / "last_state.ckpt"
    if state.exists() and not resume:
        raise UserError(f"{folder}: holds a training run; go on with --resume, or choose another folder with output=...")
    if resume and not state.exists():
        raise UserError(f"{state}: no such training state to resume; train without --resume first.")

    if settings.batch_size % (cluster.size() * settings.accumulation):
        raise UserError(f"training.batch_size is {settings.batch_size}, the total over all devices: {cluster.size()} devices "
                        f"times {settings.accumulation} parts (training.accumulation) do not divide it.")

    job = JOBS[config.problem](config)
    progress = restore_state(state, job.network, job.updates, job.average) if resume else {"step": 0, "best": None}
    first, last = progress["step"], job.steps
    if first >= last:
        raise UserError(f"{folder}: this run has already done its {last} steps; set training.steps higher to go on.")

    if job.loss_scale and progress.get("loss_scale"):
        job.loss_scale.state = progress["loss_scale"]
    _check_alike(job, progress)
    if cluster.is_main():
        write_text(folder / "config.yaml", yaml.safe_dump(config.model_dump(), sort_keys=False))
    log = TrainingLog(folder, last, first) if cluster.is_main() else SilentLog()
    failures = Failures(job.samples, settings.batch_size, state)
    step_cell = TrainOneStep(
        job.gradients, job.updates, accumulation=settings.accumulation, clip_norm=settings.clip_norm, step=first,
        average=job.average, sqrt_loss=job.sqrt_loss, mean_over_ranks=job.mean_over_ranks, loss_scale=job.loss_scale,
        refuse=failures.refuse)

    def averaged():
        return job.average.applied() if job.average else contextlib.nullcontext()

    def save_network(path, step, psnr=None):
        native.save_network(path, job.network, job.kind, job.network.settings, job.mask,
                            {"name": config.name, "step": step, "validation_psnr": psnr})

    def save(step):
        failures.check_weights(job.network, step)
        if not cluster.is_main():
            return
        with averaged():
            save_network(folder / "last.ckpt", step)
        if settings.keep:
            keep_copy(folder / "last.ckpt", step, settings.keep)
        save_state(state, job.network, job.updates, job.average,
                   {"step": step, "best": best.best, "loss_scale": job.loss_scale.state if job.loss_scale else None})

    def validate():
        failures.check_weights(job.network, counter.step)
        with averaged():
            return job.validate()

    def save_best(step, psnr):
        if not cluster.is_main():
            return
        with averaged():
            save_network(folder / "best.ckpt", step, psnr)

    counter = Progress(log, job.rates, first, settings.log_every, failures.refuse)
    best = Validate(log, counter, validate, save_best, settings.validate_every, last, progress["best"])
    callbacks = [counter, best] if job.validate else [counter]
    data = batches(job.samples, first * settings.batch_size, last - first, settings.batch_size, cluster.rank(), cluster.size(),
                   settings.workers)
    try:
        with data as dataset, Save(log, counter, save, settings.save_every, last) as saving:
            Model(step_cell).train(1, dataset, callbacks=[*callbacks, saving], dataset_sink_mode=False)
    finally:
        log.close()
    cluster.gathered([0])  # nobody leaves while the main process still writes: a launcher would take it for a failure
    if saving.stopped:
        raise Stopped(128 + saving.interrupted if saving.interrupted else 0)
    return folder


def keep_copy(path, step, count):
    """Copy a checkpoint to ``step_N.ckpt`` beside it and delete all such copies but the last ``count``."""
    with replacing(path.with_name(f"step_{step}.ckpt")) as copy:
        shutil.copyfile(path, copy)
    copies = sorted(path.parent.glob("step_*.ckpt"), key=lambda copy: int(copy.stem.partition("_")[2]))
    for old in copies[:-count]:
        old.unlink()


def _check_alike(job, progress):
    """Raise ``UserError`` unless all processes begin from the same weights, moments and step."""
    digest = digest_of_state(job.network, job.updates, job.average, progress)
    for rank, row in enumerate(cluster.gathered(np.frombuffer(digest, np.float64))):
        if row.tobytes() != digest:
            raise UserError(f"rank {rank} begins from another state than rank {cluster.rank()}; give all servers the same "
                            "version of mindrestore, and an output folder and weights on storage that they share.")
