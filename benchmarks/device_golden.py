"""Golden networks on one device, for ``devices.py``: how far outputs and norms of gradients are from the published code's.

The limits of ``fine`` are those that the tests hold a CPU to, in float32; TF32 is expected to miss them.
"""

import ast
from pathlib import Path

import numpy as np
from device_speed import begin
from golden_weights import golden_array

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "golden"
OUTPUT, NORMS = 1e-4, 1e-3  # largest difference, largest relative one
ALIGNED = dict(output=1e-2, norms=0.2)  # alignment along flows winds rounding errors up (rounding.py)


def revsci(report, case):
    """Blocks one by one and in one graph."""
    import mindspore as ms

    from mindrestore.executor import Piecewise
    from mindrestore.models import create_model
    from mindrestore.training.losses import mse

    begin(report, case["device"], exact=case["exact"])
    for name in case["names"]:
        golden = np.load(GOLDEN / f"{name}.npz")
        mask = golden["mask"]
        settings = dict(blocks=int(golden["blocks"]), colour=golden["clip"].ndim == 5)
        if "groups" in golden:
            settings.update(coupling="multi_group", groups=int(golden["groups"]))
        network = _with_golden_weights(create_model("revsci", **settings))
        inputs = ms.Tensor(golden["measurement"].reshape(1, *mask.shape[-2:])), ms.Tensor(mask)
        _output(report, name, Piecewise(network)(*inputs).asnumpy(), golden["output"], OUTPUT)
        for way in ("pieces", "whole"):
            _gradients(report, name, way, network, mse, (ms.Tensor(golden["clip"]), *inputs), golden, golden["mse"], NORMS)


def vrt(report, case):
    """Piece by piece; whole graphs are what calls and steps take."""
    import mindspore as ms

    from mindrestore.executor import Piecewise
    from mindrestore.models import create_model
    from mindrestore.training.losses import LOSSES

    begin(report, case["device"], exact=case["exact"])
    for name in case["names"]:
        golden = np.load(GOLDEN / f"{name}.npz")
        settings = ast.literal_eval(str(golden["config"]))
        network = _with_golden_weights(create_model("vrt", **settings))
        limits = ALIGNED if settings["pa_frames"] else dict(output=OUTPUT, norms=NORMS)
        clip = ms.Tensor(golden["input"])
        _output(report, name, Piecewise(network)(clip).asnumpy()[..., 1::4, 2::4], golden["output_strided"], limits["output"])
        target = np.random.default_rng(int(golden["target_seed"])).random(golden["output_shape"]).astype(np.float32)
        _gradients(
            report,
            name,
            "pieces",
            network,
            LOSSES["charbonnier"],
            (ms.Tensor(target), clip),
            golden,
            golden["loss"],
            limits["norms"],
        )


def _with_golden_weights(network):
    import mindspore as ms

    for parameter in network.get_parameters():
        parameter.set_data(ms.Tensor(golden_array(parameter.name, parameter.shape)))
    return network.set_train(False)


def _output(report, name, found, expected, limit):
    difference = np.abs(found - expected)
    report(
        f"{name}, output", largest=float(difference.max()), mean=float(difference.mean()), fine=bool(difference.max() < limit)
    )


def _gradients(report, name, way, network, loss, batch, golden, expected_loss, limit):
    from mindrestore.training.gradients import GRADIENTS

    value, gradients = GRADIENTS[way](network, loss)(*batch)
    norms = {
        parameter.name: float(np.linalg.norm(gradient.asnumpy()))
        for parameter, gradient in zip(network.trainable_params(), gradients)
    }
    errors = [
        abs(norms[parameter] - norm) / max(norm, 1e-6)
        for parameter, norm in zip(golden["grad_names"].tolist(), golden["grad_norms"])
    ]
    report(
        f"{name}, gradients, {way}",
        loss_off=abs(float(value.asnumpy()) / float(expected_loss) - 1),
        largest=float(np.max(errors)),
        median=float(np.median(errors)),
        fine=bool(np.max(errors) < limit),
    )
