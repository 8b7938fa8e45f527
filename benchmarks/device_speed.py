"""Calls and training steps of published size on one device, for ``devices.py``: seconds, peak memory."""

import resource
import statistics
import sys
import time

import numpy as np
from device_errors import lines_of
from values import fill_mindspore

GB = 1e9


def begin(report, device, precision="float32", exact=False):
    """Select the device and say what it is; with ``exact`` a GPU rounds nothing to TF32."""
    import mindspore as ms

    from mindrestore.runtime import session

    selected = session.start(device, precision=precision)
    if selected == "gpu" and exact:
        ms.device_context.gpu.op_precision.conv_allow_tf32(False)
        ms.device_context.gpu.op_precision.matmul_allow_tf32(False)
    report("about", version=f"MindSpore {ms.__version__}", device=selected)
    return Memory(selected)


class Memory:
    """The most memory taken: of the device's as MindSpore has counted it, of a CPU's what the process holds above its start."""

    def __init__(self, device):
        self.device, self.start = device, _held_at_most()

    def peak(self):
        """Return GB."""
        import mindspore as ms

        taken = _held_at_most() - self.start if self.device == "cpu" else ms.runtime.max_memory_allocated()
        return round(taken / GB, 3)


def _held_at_most():
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else 1024 * held


def timed(report, part, what, run, repeats, peak):
    """Call ``run`` once and ``repeats`` times more; ``what`` is ``s_call`` or ``s_step``.

    The first time, which compiles, is reported by itself at once: what fails later leaves it known.
    """
    began = time.perf_counter()
    values = run()
    first = time.perf_counter() - began
    report(part, first_s=round(first, 3), peak_gb=peak(), **values)
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    report(part, **{what: round(statistics.median(seconds), 4)}, all_s=[round(each, 4) for each in seconds], peak_gb=peak())


def values_of(array):
    if not np.isfinite(array).all():
        raise ArithmeticError(f"the result holds {int((~np.isfinite(array)).sum())} numbers that are not finite")
    return dict(mean=float(array.mean()), deviation=float(array.std()))


def _network(case):
    """Return the network of a configuration, its weights those that PyTorch's is given."""
    from mindrestore.config import load_config
    from mindrestore.models import network_of

    network = network_of(load_config(case["config"], case["overrides"]).model, 0)
    fill_mindspore(network)
    return network.set_train(False)


def _run_by(way, network):
    from mindrestore.executor import Piecewise
    from mindrestore.runtime.execution import compiled

    def call(*inputs):
        return network(*inputs)

    return Piecewise(network) if way == "pieces" else compiled(call)


def vrt_call(report, case):
    """One clip of low quality, (frames, height, width): at once, or with ``tile`` and ``overlap``."""
    import mindspore as ms

    memory = begin(report, case["device"])
    network = _network(case)
    frames, height, width = case["clip"]
    clip = np.random.default_rng(0).random((frames, 3, height, width), np.float32)
    if "tile" in case:
        from mindrestore.restore import restore_clip

        def run():
            return values_of(restore_clip(network, clip, tile=case["tile"], overlap=case["overlap"]))
    else:
        call = _run_by(case["way"], network)

        def run():
            return values_of(call(ms.Tensor(clip[None])).asnumpy())

    timed(report, "x".join(map(str, case["clip"])), "s_call", run, case["repeats"], memory.peak)


def revsci_call(report, case):
    """One measurement of a clip (frames, height, width)."""
    import mindspore as ms
    from revsci_steps import random_inputs

    memory = begin(report, case["device"])
    network = _network(case)
    frames, size, _ = case["clip"]
    _, measurement, mask = map(ms.Tensor, random_inputs(dict(batch=1, frames=frames, size=size)))
    call = _run_by(case["way"], network)
    timed(
        report,
        "x".join(map(str, case["clip"])),
        "s_call",
        lambda: values_of(call(measurement, mask).asnumpy()),
        case["repeats"],
        memory.peak,
    )


def step(report, case):
    """Training steps of a configuration, optimiser included; the batch doubles from 1 to ``most`` while it fits."""
    import mindspore as ms

    from mindrestore.config import load_config
    from mindrestore.training.step import TrainOneStep
    from mindrestore.training.trainer import JOBS

    memory = begin(report, case["device"], case["precision"])
    config = load_config(case["config"], [*case["overrides"], "training.batch_size=1"])
    job = JOBS[config.problem](config)
    train = TrainOneStep(
        job.gradients,
        job.updates,
        clip_norm=config.training.clip_norm,
        sqrt_loss=job.sqrt_loss,
        mean_over_ranks=job.mean_over_ranks,
        loss_scale=job.loss_scale,
        refuse=_refuse,
    )

    def run(batch):
        loss = float(train(*batch).asnumpy())
        if memory.device != "cpu":  # which has launched everything and returned
            ms.runtime.synchronize()  # the optimiser has moved the weights
        if not np.isfinite(loss):
            raise ArithmeticError(f"the loss is {loss}")
        return dict(loss=loss)

    def measure(size):
        batch = [
            ms.Tensor(np.stack(parts))
            for parts in zip(*(job.samples[number] for number in range(size)))
            if parts[0] is not None
        ]
        timed(report, f"batch {size}", "s_step", lambda: run(batch), case["repeats"], memory.peak)

    doubling(report, measure, case["most"])


def doubling(report, measure, most):
    """Measure batches of 1, 2, 4, ... up to ``most``; a later one that fails ends it, and is no failure of the case."""
    size = 1
    while size <= most:
        try:
            measure(size)
        except (RuntimeError, MemoryError) as error:
            if size == 1:
                raise
            report(f"batch {size}", does_not_fit=lines_of(error)[:4])
            return
        size *= 2


def _refuse(step, what):
    raise ArithmeticError(f"step {step}: {what}")
