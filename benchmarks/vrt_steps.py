"""A step of VRT in either library, for ``worker.py``: one forward pass, or loss and gradients, of the network or a part of it.

A case says ``what`` ("block" | "mutual block" | "stage" | "network" | "step" | "small step"), ``size`` (frames, height, width),
``threads`` (or null) and, for steps, ``execution`` (as ``training.execution``) and ``checkpointing``, whether PyTorch computes
blocks a second time on the way back. Widths are those of published task 001, of a small step those of
configs/vrt/small_sr.yaml.
"""

import os
from functools import partial

import numpy as np
from values import fill_mindspore, fill_torch, norm

CHANNELS, DEPTH, HEADS, WINDOW, GROUPS = 120, 8, 6, (6, 8, 8), 12
SMALL = dict(
    img_size=[4, 64, 64],
    window_size=[4, 8, 8],
    depths=[2] * 7 + [1],
    indep_reconsts=[],
    embed_dims=[24] * 8,
    num_heads=[2] * 8,
    mul_attn_ratio=0.5,
    deformable_groups=2,
    num_feat=16,
)
STEPS = {"step": {}, "small step": SMALL}
FROZEN = "spynet"  # begins the names of what is not trained at first


def build_mindrestore(case):
    """Return (about, step); ``step()`` waits for the result and returns a function that gives its values."""
    import mindspore as ms

    from mindrestore.runtime import session

    session.start("cpu", threads=case["threads"])
    build = _our_step if case["what"] in STEPS else _our_pass
    return dict(version=f"MindSpore {ms.__version__}", threads=case["threads"] or os.cpu_count()), build(case)


def _our_pass(case):
    import mindspore as ms

    run, cell = _ours(case["what"])
    fill_mindspore(cell)
    inputs = [ms.Tensor(array) for array in random_inputs(case)]

    def step():
        result = run(*inputs).asnumpy()  # waits for it
        return lambda: values_of(result)

    return step


def _our_step(case):
    import mindspore as ms

    from mindrestore.models import create_model
    from mindrestore.training.gradients import GRADIENTS
    from mindrestore.training.losses import LOSSES

    network = create_model("vrt", **{"deformable_groups": GROUPS, "drop_path_rate": 0.0, **STEPS[case["what"]]})
    fill_mindspore(network)
    clip, target = (ms.Tensor(array) for array in random_inputs(case))
    trained = [parameter for parameter in network.trainable_params() if not parameter.name.startswith(FROZEN)]
    gradients_of = GRADIENTS[case["execution"]](network, LOSSES["charbonnier"], trained)

    def step():
        loss, gradients = gradients_of(target, clip)
        loss, gradients = loss.asnumpy(), [gradient.asnumpy() for gradient in gradients]  # waits for them
        return lambda: dict(loss=float(loss), norm=norm(gradients))

    return step


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
        stage = Stage(
            CHANNELS,
            CHANNELS,
            "same",
            depth=DEPTH,
            heads=HEADS,
            window=WINDOW,
            drop_rates=[0.0] * DEPTH,
            neighbours=1,
            deformable_groups=GROUPS,
            scale=1,
            options=options,
            rng=rng,
        )
        return Piecewise(stage), stage
    mutual = what == "mutual block"
    block = Block(
        CHANNELS,
        heads=HEADS,
        window=(2, *WINDOW[1:]) if mutual else WINDOW,
        shifted=True,
        mutual=mutual,
        drop_rate=0.0,
        options=options,
        rng=rng,
    )
    return Piecewise(block), block


def build_torch(case):
    """As ``build_mindrestore``."""
    import torch

    if case["threads"]:
        torch.set_num_threads(case["threads"])
    cell = _theirs(case["what"])
    fill_torch(cell)
    inputs = [torch.from_numpy(array) for array in random_inputs(case)]
    build = _their_step if case["what"] in STEPS else _their_pass
    return dict(version=f"PyTorch {torch.__version__}", threads=torch.get_num_threads()), build(case, cell, inputs)


def _their_pass(case, cell, inputs):
    import torch

    def step():
        with torch.inference_mode():
            result = cell(*inputs)
        return lambda: values_of(result.numpy())

    return step


def _their_step(case, cell, inputs):
    import torch
    import torch_vrt
    from torch.utils.checkpoint import checkpoint

    for name, parameter in cell.named_parameters():
        parameter.requires_grad = not name.startswith(FROZEN)
    if case["checkpointing"]:
        for module in cell.modules():
            if isinstance(module, torch_vrt.Block):
                module.forward = partial(checkpoint, module.forward, use_reentrant=False)
    clip, target = inputs

    def step():
        cell.zero_grad()
        loss = torch.sqrt((cell(clip) - target).square() + 1e-9).mean()
        loss.backward()
        gradients = [parameter.grad.numpy() for parameter in cell.parameters() if parameter.requires_grad]
        return lambda: dict(loss=loss.item(), norm=norm(gradients))

    return step


def _theirs(what):
    import torch
    import torch_vrt
    import torch_vrt_network

    from mindrestore.ops.windows import sine_positions

    def positions(channels):
        return torch.from_numpy(sine_positions(*WINDOW[1:], channels))[None]

    if what == "stage":
        return torch_vrt.Stage(CHANNELS, DEPTH, HEADS, WINDOW, GROUPS, positions(CHANNELS))
    if what in ("block", "mutual block"):
        mutual = what == "mutual block"
        return torch_vrt.Block(CHANNELS, HEADS, (2, *WINDOW[1:]) if mutual else WINDOW, True, mutual, positions(CHANNELS))
    settings = dict(
        window_size=WINDOW,
        depths=[8] * 7 + [4] * 6,
        indep_reconsts=[11, 12],
        embed_dims=[CHANNELS] * 7 + [180] * 6,
        num_heads=[HEADS] * 13,
        deformable_groups=GROUPS,
    )
    settings.update((key, value) for key, value in STEPS.get(what, {}).items() if key not in ("img_size", "mul_attn_ratio"))
    return torch_vrt_network.VRT(positions(settings["embed_dims"][0]), 4, **settings)


BUILDERS = {"mindrestore": build_mindrestore, "torch": build_torch}


def random_inputs(case):
    """Return a clip (1, D, 3, H, W) for the network, what it is to become beside it for a step, features (1, D, H, W, C) for a
    part, for a stage flows too.
    """
    frames, height, width = case["size"]
    rng = np.random.default_rng(0)
    if case["what"] == "network" or case["what"] in STEPS:
        shapes = [(height, width)] + [(4 * height, 4 * width)] * (case["what"] in STEPS)
        return [rng.random((1, frames, 3, *shape), np.float32) for shape in shapes]
    features = rng.standard_normal((1, frames, height, width, CHANNELS), np.float32)
    flows = 2 * rng.standard_normal((2, 1, frames - 1, 2, height, width), np.float32)
    return [features, *flows] if case["what"] == "stage" else [features]


def values_of(result):
    return dict(mean=float(np.abs(result).mean()), deviation=float(result.std()))
