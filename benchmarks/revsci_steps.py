"""One step of RevSCI in either library, for ``worker.py``. A case says ``mode`` ("forward" | "plain" | "reversible"),
``blocks``, ``channels``, ``frames``, ``size``, ``batch``, ``threads`` (or null) and ``fusion``: whether MindSpore fuses graph
kernels.
"""

import os

import numpy as np
from values import fill_mindspore, fill_torch, norm


def build_mindrestore(case):
    """Return (about, step); ``step()`` waits for the result and returns a function that gives its values."""
    clip, measurement, mask = random_inputs(case)
    import mindspore as ms

    from mindrestore.executor import Piecewise
    from mindrestore.models import create_model
    from mindrestore.runtime import session
    from mindrestore.training.gradients import GRADIENTS
    from mindrestore.training.losses import mse

    session.start("cpu", threads=case["threads"])
    if case["fusion"]:
        ms.set_context(enable_graph_kernel=True)
    network = create_model("revsci", blocks=case["blocks"], channels=case["channels"])
    fill_mindspore(network)
    clip, measurement, mask = ms.Tensor(clip), ms.Tensor(measurement), ms.Tensor(mask)
    if case["mode"] == "forward":
        reconstruct = Piecewise(network)

        def step():
            result = reconstruct(measurement, mask).asnumpy()  # waits for it
            return lambda: dict(mean=float(result.mean()))
    else:
        gradients_of = GRADIENTS[{"plain": "whole", "reversible": "pieces"}[case["mode"]]](network, mse)

        def step():
            loss, gradients = gradients_of(clip, measurement, mask)
            loss, gradients = loss.asnumpy(), [gradient.asnumpy() for gradient in gradients]  # waits for them
            return lambda: dict(loss=float(loss), norm=norm(gradients))

    threads = case["threads"] or os.cpu_count()
    return dict(version=f"MindSpore {ms.__version__}", threads=threads), step


def build_torch(case):
    """As ``build_mindrestore``."""
    import torch
    import torch_revsci

    clip, measurement, mask = random_inputs(case)
    if case["threads"]:
        torch.set_num_threads(case["threads"])
    network = torch_revsci.RevSCI(case["blocks"], case["channels"])
    fill_torch(network)
    clip, measurement, mask = torch.from_numpy(clip), torch.from_numpy(measurement), torch.from_numpy(mask)
    if case["mode"] == "forward":

        def step():
            with torch.inference_mode():
                result = network(measurement, mask)
            return lambda: dict(mean=float(result.mean()))
    else:
        take = torch_revsci.STEPS[case["mode"]]

        def step():
            loss = take(network, torch.nn.functional.mse_loss, clip, measurement, mask)
            return lambda: dict(loss=float(loss), norm=norm(p.grad.numpy() for p in network.parameters()))

    return dict(version=f"PyTorch {torch.__version__}", threads=torch.get_num_threads()), step


BUILDERS = {"mindrestore": build_mindrestore, "torch": build_torch}


def random_inputs(case):
    """Return clip (B, T, H, W), its measurement (B, H, W) and mask (T, H, W), the same in every process."""
    rng = np.random.default_rng(0)
    image = (case["size"], case["size"])
    clip = rng.random((case["batch"], case["frames"], *image), dtype=np.float32)
    mask = (rng.random((case["frames"], *image)) < 0.5).astype(np.float32)
    return clip, (clip * mask).sum(1), mask
