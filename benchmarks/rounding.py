"""What rounding does to a VRT that aligns: how far the golden outputs can be met by anybody.

    python benchmarks/rounding.py [vrt_sr_2frames] [vrt_denoise_nonblind]

Runs the network of a golden file (``tests/golden``) in PyTorch, written anew from the paper (``torch_vrt_network.py``): in
float64, in float32, and in float32 with the last bits of its input changed; and ours. Prints how far each is from the golden
output, which the published code computed in float32.
"""
import argparse
import ast
import sys
from pathlib import Path

import numpy as np
import torch
from torch_vrt_network import VRT

TESTS = Path(__file__).resolve().parent.parent / "tests"
LAST_BIT = 2.0 ** -24
NAMED = ("upscale", "window_size", "depths", "indep_reconsts", "embed_dims", "num_heads", "deformable_groups",
         "nonblind_denoising")


def main(names):
    sys.path.insert(0, str(TESTS))
    for name in names:
        golden = np.load(TESTS / "golden" / f"{name}.npz")
        settings = ast.literal_eval(str(golden["config"]))
        x = golden["input"]
        nudged = x + np.random.default_rng(0).choice([-1, 1], x.shape) * x * LAST_BIT
        single = in_torch(settings, x, torch.float32)
        outputs = {"PyTorch, float64": in_torch(settings, x, torch.float64), "PyTorch, float32": single,
                   "ours, float32": ours(settings, x)}
        print(f"{name}: distance from the golden output, largest and mean")
        for which, output in outputs.items():
            print(f"  {which:18} {distance(output[..., 1::4, 2::4], golden['output_strided'])}")
        moved = in_torch(settings, nudged.astype(np.float32), torch.float32)
        print(f"  PyTorch, float32: the input's last bits change the output by {distance(moved, single)}")


def distance(one, other):
    difference = np.abs(one.astype(np.float64) - other)
    return f"{difference.max():.1e} {difference.mean():.1e}"


def in_torch(settings, x, dtype):
    from golden.golden_weights import golden_array
    from mindrestore.ops.windows import sine_positions
    positions = torch.from_numpy(sine_positions(*settings["window_size"][1:], settings["embed_dims"][0]))[None]
    network = VRT(positions, **{key: settings[key] for key in NAMED if key in settings})
    for key, parameter in network.named_parameters():
        parameter.data = torch.from_numpy(golden_array(key, tuple(parameter.shape)))
    with torch.inference_mode():
        return network.to(dtype)(torch.from_numpy(x).to(dtype)).numpy()


def ours(settings, x):
    import mindspore as ms
    from golden.golden_weights import golden_array
    from mindrestore.models import create_model
    from mindrestore.models.vrt.segments import Segments
    from mindrestore.runtime import session
    session.start("cpu")
    network = create_model("vrt", **settings)
    for parameter in network.get_parameters():
        parameter.set_data(ms.Tensor(golden_array(parameter.name, parameter.shape)))
    return Segments(network)(ms.Tensor(x)).asnumpy()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", default=["vrt_sr_2frames", "vrt_denoise_nonblind"])
    main(parser.parse_args().names)
