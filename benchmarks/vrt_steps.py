"""One forward pass of a part of VRT in either library, for ``worker.py``. A case says ``what`` ("block" | "mutual block" |
"stage" | "network"), ``size`` (frames, height, width) and ``threads`` (or null). Widths are those of published task 001.
"""
import os

import numpy as np
from values import fill_mindspore, fill_torch

CHANNELS, DEPTH, HEADS, WINDOW, GROUPS = 120, 8, 6, (6, 8, 8), 12


def build_mindrestore(case):
    """Return (about, step); ``step()`` waits for the result and returns a function that gives its values."""
    import mindspore as ms

    from mindrestore.runtime import session

    session.start("cpu", threads=case["threads"])
    run, cell = _ours(case["what"])
    fill_mindspore(cell)
    inputs = [ms.Tensor(array) for array in random_inputs(case)]

    def step():
        result = run(*inputs).asnumpy()  # waits for it
        return lambda: values_of(result)
    return dict(version=f"MindSpore {ms.__version__}", threads=case["threads"] or os.cpu_count()), step


def _ours(what):
    """Return what runs a part, and the cell that has its weights."""
    from mindrestore.executor import Piecewise
    from mindrestore.models import create_model
    from mindrestore.models.vrt.attention import Block
    from mindrestore.models.vrt.settings import Options
    from mindrestore.models.vrt.stage import Stage

    if what == "network":
        network = create_model("vrt", deformable_groups=GROUPS)
        return Piecewise(network), network
    rng, options = np.random.default_rng(0), Options(0.75, 2.0, True, None)
    if what == "stage":
        stage = Stage(CHANNELS, CHANNELS, "same", DEPTH, HEADS, WINDOW, [0.0] * DEPTH, 1, GROUPS, 1, options, rng)
        return Piecewise(stage), stage
    mutual = what == "mutual block"
    block = Block(CHANNELS, HEADS, (2, *WINDOW[1:]) if mutual else WINDOW, True, mutual, 0.0, options, rng)
    return Piecewise(block), block


def build_torch(case):
    """As ``build_mindrestore``."""
    import torch
    import torch_vrt
    import torch_vrt_network

    from mindrestore.ops.windows import sine_positions

    if case["threads"]:
        torch.set_num_threads(case["threads"])
    positions = torch.from_numpy(sine_positions(*WINDOW[1:], CHANNELS))[None]
    mutual = case["what"] == "mutual block"
    if case["what"] == "network":
        cell = torch_vrt_network.VRT(positions, 4, WINDOW, [8] * 7 + [4] * 6, [11, 12], [CHANNELS] * 7 + [180] * 6,
                                     [HEADS] * 13, GROUPS)
    elif case["what"] == "stage":
        cell = torch_vrt.Stage(CHANNELS, DEPTH, HEADS, WINDOW, GROUPS, positions)
    else:
        cell = torch_vrt.Block(CHANNELS, HEADS, (2, *WINDOW[1:]) if mutual else WINDOW, True, mutual, positions)
    fill_torch(cell)
    inputs = [torch.from_numpy(array) for array in random_inputs(case)]

    def step():
        with torch.inference_mode():
            result = cell(*inputs)
        return lambda: values_of(result.numpy())
    return dict(version=f"PyTorch {torch.__version__}", threads=torch.get_num_threads()), step


BUILDERS = {"mindrestore": build_mindrestore, "torch": build_torch}


def random_inputs(case):
    """Return a clip (1, D, 3, H, W) for the network, features (1, D, H, W, C) for a part, for a stage flows too."""
    frames, height, width = case["size"]
    rng = np.random.default_rng(0)
    if case["what"] == "network":
        return [rng.random((1, frames, 3, height, width), np.float32)]
    features = rng.standard_normal((1, frames, height, width, CHANNELS), np.float32)
    flows = 2 * rng.standard_normal((2, 1, frames - 1, 2, height, width), np.float32)
    return [features, *flows] if case["what"] == "stage" else [features]


def values_of(result):
    return dict(mean=float(np.abs(result).mean()), deviation=float(result.std()))
