"""PyTorch's side of calls and steps on the same device, for ``devices.py``, where it is installed and sees the device."""

import importlib.util

import numpy as np
from device_errors import Skipped
from device_speed import doubling, timed, values_of

GB = 1e9


def begin(report, case):
    """Return PyTorch and what it calls the device; raise ``Skipped`` where it cannot compute there."""
    if not importlib.util.find_spec("torch"):
        raise Skipped("PyTorch is not installed")
    import torch

    kind = {"cpu": "cpu", "gpu": "cuda"}.get(case["device"])
    if kind is None or kind == "cuda" and not torch.cuda.is_available():
        raise Skipped(f"PyTorch finds no {case['device']}")
    report("about", version=f"PyTorch {torch.__version__}", device=case["device"])
    return torch, kind


def vrt_call(report, case):
    torch, kind = begin(report, case)
    network, shape = _vrt(torch, kind, case["tiny"]), case["clip"]
    frames, height, width = shape
    clip = _to(torch, kind, np.random.default_rng(0).random((1, frames, 3, height, width), np.float32))

    def run():
        with torch.inference_mode():
            return values_of(network(clip).cpu().numpy())

    timed(report, _name(shape), "s_call", run, case["repeats"], lambda: _peak(torch, kind))


def vrt_step(report, case):
    torch, kind = begin(report, case)
    network, (frames, height, width) = _vrt(torch, kind, case["tiny"]), case["clip"]
    rng = np.random.default_rng(0)
    clip, target = (_to(torch, kind, rng.random((1, frames, 3, scale * height, scale * width), np.float32)) for scale in (1, 4))
    adam = torch.optim.Adam(network.parameters(), 1e-4)

    def run():
        adam.zero_grad()
        loss = torch.sqrt((network(clip) - target).square() + 1e-9).mean()
        loss.backward()
        adam.step()
        return dict(loss=float(loss.detach().cpu()))

    _timed_steps(report, "batch 1", run, case, torch, kind)


def revsci_call(report, case):
    torch, kind = begin(report, case)
    network, batch = _revsci(torch, kind, case)
    _, measurement, mask = batch(1)

    def run():
        with torch.inference_mode():
            return values_of(network(measurement, mask).cpu().numpy())

    timed(report, _name(case["clip"]), "s_call", run, case["repeats"], lambda: _peak(torch, kind))


def revsci_step(report, case):
    torch, kind = begin(report, case)
    import torch_revsci

    network, batch = _revsci(torch, kind, case)
    adam, take = torch.optim.Adam(network.parameters(), 1e-4), torch_revsci.STEPS[case["mode"]]

    def measure(size):
        clip, measurement, mask = batch(size)

        def run():
            loss = take(network, torch.nn.functional.mse_loss, clip, measurement, mask)
            adam.step()
            return dict(loss=float(loss.cpu()))

        _timed_steps(report, f"batch {size}", run, case, torch, kind)

    doubling(report, measure, case["most"])


def _timed_steps(report, part, run, case, torch, kind):
    def step():
        values = run()
        if kind == "cuda":
            torch.cuda.synchronize()
        return values

    timed(report, part, "s_step", step, case["repeats"], lambda: _peak(torch, kind))


def _vrt(torch, kind, tiny):
    import torch_vrt_network
    from values import fill_torch

    from mindrestore.ops.windows import sine_positions

    if kind != "cpu":  # where its forward pass makes new tensors; not elsewhere, for it costs time at every call
        torch.set_default_device(kind)
    window, channels = ((2, 8, 8), 8) if tiny else ((6, 8, 8), 120)
    positions = _to(torch, kind, sine_positions(*window[1:], channels))[None]
    settings = (
        dict(depths=[1] * 8, indep_reconsts=[], embed_dims=[8] * 8, num_heads=[2] * 8, deformable_groups=2, num_feat=8)
        if tiny
        else dict(
            depths=[8] * 7 + [4] * 6,
            indep_reconsts=[11, 12],
            embed_dims=[120] * 7 + [180] * 6,
            num_heads=[6] * 13,
            deformable_groups=12,
        )
    )
    network = torch_vrt_network.VRT(positions, 4, window, **settings)
    fill_torch(network)
    return network.to(kind)


def _revsci(torch, kind, case):
    """Return the network and what makes a batch of a size."""
    import torch_revsci
    from revsci_steps import random_inputs
    from values import fill_torch

    network = torch_revsci.RevSCI(case["blocks"], case["channels"])
    fill_torch(network)
    frames, size, _ = case["clip"]
    return network.to(kind), lambda count: [
        _to(torch, kind, array) for array in random_inputs(dict(batch=count, frames=frames, size=size))
    ]


def _to(torch, kind, array):
    return torch.from_numpy(np.ascontiguousarray(array)).to(kind)


def _name(clip):
    return "x".join(map(str, clip))


def _peak(torch, kind):
    """Return GB of the device's memory; of a CPU's nothing is known that compares."""
    return round(torch.cuda.max_memory_allocated() / GB, 3) if kind == "cuda" else None
