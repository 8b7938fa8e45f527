"""How the PyTorch files beside this script were made, so that tests can read them where PyTorch is not installed.

    pip install torch && python tests/golden/torch_files/make.py

Written with PyTorch 2.13 and NumPy 1.26. Every tensor holds ``golden_array(name, shape)`` unless said otherwise.
"""

import importlib
import pickle
import sys
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch._sources import get_source_lines_and_file

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from golden_weights import golden_array  # noqa: E402

OLDER = {"_use_new_zipfile_serialization": False}  # the format before PyTorch 1.6

NETWORK = """
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 1, bias=False)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Sequential(nn.Conv2d(1, 2, 3), nn.LeakyReLU(0.01))
        self.blocks = nn.ModuleList([Block(), Block()])
        self.scale = nn.Parameter(torch.zeros(2))
        self.register_parameter("nothing", None)
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("window", torch.zeros(4), persistent=False)
        self.size = torch.Size([1, 2])
        self.device = torch.device("cuda", 0)
        self.kind = torch.float16
"""


def network():
    """Return a small network of classes ``models.network.Net`` and ``Block``, filled by the golden rule."""
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder, "models")
        package.mkdir()
        (package / "__init__.py").touch()
        (package / "network.py").write_text(NETWORK)
        sys.path.insert(0, folder)
        net = importlib.import_module("models.network").Net()
        filled = {name: golden(name, value.shape) for name, value in net.state_dict().items()}
        net.load_state_dict(filled)
        with mock.patch.object(torch.serialization, "get_source_lines_and_file", source_of_ours):
            torch.save(net, HERE / "module_older.pth", **OLDER)  # this format holds the classes' source code
        sys.path.remove(folder)
    return net


def source_of_ours(thing):
    """Find no source code of PyTorch's own classes: it need not be in this repository."""
    if not thing.__module__.startswith("models."):
        raise OSError("left out")
    return get_source_lines_and_file(thing)


def golden(name, shape):
    return torch.from_numpy(golden_array(name, tuple(shape)).copy())


def main():
    net = network()
    weights = net.state_dict()

    def save(value, name, **settings):
        torch.save(value, HERE / name, **settings)

    save(net, "module.pth")
    save(weights, "state_dict.pth")
    save(weights, "state_dict_older.pth", **OLDER)
    save(weights, "state_dict_protocol_4.pth", pickle_protocol=4)
    save({f"module.{name}": value for name, value in weights.items()}, "data_parallel.pth")
    save({"params": weights, "epoch": 3}, "params.pth")
    optimizer = torch.optim.Adam(net.parameters())
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 4])  # its state has a collections.Counter
    save(
        {
            "epoch": 3,
            "best_psnr": np.float64(33.5),
            "state_dict": weights,
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "noise": np.arange(6.0).reshape(2, 3),
        },
        "training.pth.tar",
    )
    save({name: value.half() for name, value in weights.items()}, "half.pth")
    save({name: value.bfloat16() for name, value in weights.items()}, "bfloat16.pth")  # rounded to the nearest
    save({name: value.bfloat16() for name, value in weights.items()}, "bfloat16_older.pth", **OLDER)
    whole = golden("whole", (4, 6))
    views = {
        "whole": whole,
        "transposed": whole.t(),
        "inside": whole[1:3, ::2],
        "row": whole[2],
        "number": whole[3, 5],
        "repeated": whole[0, 0].expand(3, 2),
        "empty": whole[:0],
    }
    save(views, "views.pth")
    save(views, "views_older.pth", **OLDER)
    kinds = [
        "bool",
        "uint8",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "bfloat16",
        "float32",
        "float64",
        "complex64",
        "complex128",
    ]
    save({kind: torch.tensor([0, 1, 100]).to(getattr(torch, kind)) for kind in kinds}, "kinds.pth")
    with open(HERE / "plain_pickle.pkl", "wb") as file:
        pickle.dump({"tensor": golden("tensor", (2, 3)), "array": golden_array("array", (2, 3))}, file, protocol=4)


if __name__ == "__main__":
    main()
