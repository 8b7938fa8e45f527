"""What rounding does to a VRT that aligns: how far golden outputs and gradients can be met by anybody.

    python benchmarks/rounding.py [vrt_sr_2frames] [vrt_denoise_nonblind]
    python benchmarks/rounding.py vrt_sr_2frames --reference tests/golden/vrt_sr_2frames_halved.npz

Runs the network of a golden file (``tests/golden``) in PyTorch, written anew from the paper (``torch_vrt_network.py``): in
float64, in float32, and in float32 with the last bits of its input changed; and ours. Prints how far the outputs and the
gradients' norms are from the golden ones, which the published code computed in float32. ``--reference`` writes the float64
gradients' norms for weights half as large, through which rounding errors do not grow.
"""

import argparse
import ast
import sys
from pathlib import Path

import numpy as np
import torch
from torch_vrt_network import VRT

TESTS = Path(__file__).resolve().parent.parent / "tests"
LAST_BIT = 2.0**-24
NAMED = (
    "upscale",
    "window_size",
    "depths",
    "indep_reconsts",
    "embed_dims",
    "num_heads",
    "deformable_groups",
    "nonblind_denoising",
)


def main(names):
    for name in names:
        golden, settings = read(name)
        x = golden["input"]
        nudged = (x + np.random.default_rng(0).choice([-1, 1], x.shape) * x * LAST_BIT).astype(np.float32)
        target = target_of(golden)
        single, moved = in_torch(settings, x, target, torch.float32), in_torch(settings, nudged, target, torch.float32)
        norms = dict(zip(golden["grad_names"].tolist(), golden["grad_norms"]))
        print(
            f"{name}: distance from the golden output, largest and mean; of the gradients' norms, relative, median and largest"
        )
        for which, (output, found) in {
            "PyTorch, float64": in_torch(settings, x, target, torch.float64),
            "PyTorch, float32": single,
            "ours, float32": ours(settings, x, target),
        }.items():
            print(f"  {which:18} {distance(strided(output), golden['output_strided'])}; {distance_of_norms(found, norms)}")
        print(
            "  PyTorch, float32: the input's last bits change the output by "
            f"{distance(moved[0], single[0])}, the norms by {distance_of_norms(moved[1], single[1])}"
        )


def write_reference(name, path):
    golden, settings = read(name)
    _, norms = in_torch(settings, golden["input"], target_of(golden), torch.float64, shrink=0.5)
    np.savez_compressed(path, grad_names=np.array(list(norms)), grad_norms=np.array(list(norms.values())))


def read(name):
    golden = np.load(TESTS / "golden" / f"{name}.npz")
    return golden, ast.literal_eval(str(golden["config"]))


def target_of(golden):
    return np.random.default_rng(int(golden["target_seed"])).random(golden["output_shape"]).astype(np.float32)


def strided(output):
    return output[..., 1::4, 2::4]


def distance(one, other):
    difference = np.abs(one.astype(np.float64) - other)
    return f"{difference.max():.1e} {difference.mean():.1e}"


def distance_of_norms(found, expected):
    relative = np.array([abs(found[name] - norm) / norm for name, norm in expected.items()])
    return f"{np.median(relative):.1e} {relative.max():.1e}"


def in_torch(settings, x, target, dtype, shrink=1):
    """Return the output and, by parameter, the norm of the Charbonnier loss's gradient; matrices are times ``shrink``."""
    from golden.golden_weights import golden_array

    from mindrestore.ops.windows import sine_positions

    positions = torch.from_numpy(sine_positions(*settings["window_size"][1:], settings["embed_dims"][0]))[None]
    network = VRT(positions, **{key: settings[key] for key in NAMED if key in settings})
    for key, parameter in network.named_parameters():
        value = golden_array(key, tuple(parameter.shape))
        parameter.data = torch.from_numpy(value * np.float32(shrink) if value.ndim > 1 else value)
    network, x, target = network.to(dtype), *(torch.from_numpy(each).to(dtype) for each in (x, target))
    output = network(x)
    ((output - target).square() + 1e-9).sqrt().mean().backward()
    return output.detach().numpy(), {key: float(each.grad.norm()) for key, each in network.named_parameters()}


def ours(settings, x, target):
    import mindspore as ms
    from golden.golden_weights import golden_array

    from mindrestore.executor import Piecewise
    from mindrestore.models import create_model
    from mindrestore.runtime import session
    from mindrestore.training.losses import LOSSES

    session.start("cpu", "pynative")
    network = create_model("vrt", **settings)
    for parameter in network.get_parameters():
        parameter.set_data(ms.Tensor(golden_array(parameter.name, parameter.shape)))
    parameters, target = list(network.trainable_params()), ms.Tensor(target)
    gradients = ms.value_and_grad(lambda clip: LOSSES["charbonnier"](network(clip), target), None, parameters)(ms.Tensor(x))[1]
    norms = {parameter.name: np.linalg.norm(each.asnumpy()) for parameter, each in zip(parameters, gradients)}
    return Piecewise(network)(ms.Tensor(x)).asnumpy(), norms


if __name__ == "__main__":
    sys.path.insert(0, str(TESTS))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", default=["vrt_sr_2frames", "vrt_denoise_nonblind"])
    parser.add_argument("--reference", metavar="FILE", help="write the norms for weights half as large, of one name")
    options = parser.parse_args()
    if options.reference:
        write_reference(options.names[0], options.reference)
    else:
        main(options.names)
