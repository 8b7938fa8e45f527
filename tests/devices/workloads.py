"""What the package computes, in small, each piece as its command does it: ``workloads.py DEVICE NAME ...`` runs some.

``like-ascend`` and ``like-gpu`` run on the CPU, in the branches of those devices.

Prints a line of JSON for each: its name, what MindSpore refused, ``null`` if nothing, and how many processes ran it. Results do
not matter.
"""

import json
import sys
import tempfile
from functools import partial
from pathlib import Path

import mindspore as ms
import numpy as np
from mindspore import Tensor

from mindrestore.checkpoints.native import Metadata
from mindrestore.deploy import export_network
from mindrestore.errors import UserError
from mindrestore.models import create_model
from mindrestore.models.vrt.training import dropping_gradients
from mindrestore.restore.snapshots import Reconstructor
from mindrestore.restore.video import restore_video
from mindrestore.runtime import cluster, device as devices, precision as number_type, session
from mindrestore.training.average import Average
from mindrestore.training.flow_job import end_point_error
from mindrestore.training.gradients import GRADIENTS, whole_gradients
from mindrestore.training.loss_scale import needed_loss_scale
from mindrestore.training.losses import LOSSES
from mindrestore.training.optimizers import adam_updates
from mindrestore.training.step import TrainOneStep

SIZE = 8
REVSCI = {
    "two_way": dict(blocks=2, channels=8),
    "multi_group": dict(blocks=1, channels=8, groups=4, coupling="multi_group", colour=True, start="gap_tv"),
    "grey_estimate": dict(blocks=1, channels=8, start="gap_tv"),
    "colour": dict(blocks=1, channels=8, colour=True),
}
SMALL_VRT = dict(
    upscale=1,
    img_size=[2, 64, 64],
    window_size=[2, 8, 8],
    depths=[2] * 7 + [1, 1],
    indep_reconsts=[8],
    embed_dims=[8] * 9,
    num_heads=[2] * 9,
    pa_frames=2,
    deformable_groups=2,
    num_feat=8,
)
VRT = {
    "smallest": dict(SMALL_VRT, upscale=2, depths=[1, 1, 1, 2, 1, 1, 1, 1, 1]),
    "aligned": dict(SMALL_VRT, upscale=2),
    "far": dict(SMALL_VRT, upscale=3, img_size=[3, 64, 64], pa_frames=4, nonblind_denoising=True, qkv_bias=False),
    "interpolation": dict(SMALL_VRT, img_size=[4, 64, 64], pa_frames=0),
    "without_flows": dict(SMALL_VRT, pa_frames=0, mul_attn_ratio=0.0, nonblind_denoising=True),
}


def revsci_training(kind, mode):
    """Two parts of a batch, clipped, averaged."""
    settings = REVSCI[kind]
    network = create_model("revsci", **settings)
    measurement, mask = ones(2, SIZE, SIZE), ones(2, 2, SIZE, SIZE)
    target = ones(2, *((3,) if settings.get("colour") else ()), 2, SIZE, SIZE)
    estimate = (target,) if settings.get("start") == "gap_tv" else ()
    train(
        network,
        partial(GRADIENTS[mode], network, LOSSES["mse"]),
        (target, measurement, mask, *estimate),
        accumulation=2,
        clip_norm=0.1,
        sqrt_loss=True,
        average=Average(network, 0.9),
    )


def revsci_restoration(kind):
    """An odd size."""
    Reconstructor(create_model("revsci", **REVSCI[kind]))(
        np.ones((SIZE + 1, SIZE + 1), np.float32), np.ones((2, SIZE + 1, SIZE + 1), np.float32)
    )


def revsci_export(kind):
    """A file for every size, opened again and run."""
    network = create_model("revsci", **REVSCI[kind])
    with tempfile.TemporaryDirectory() as folder:
        try:
            export_network(network, Metadata("revsci", network.settings), Path(folder, "network.mindir"))
        except UserError as error:
            if "differs from the network" not in str(error):
                raise


def flow_training():
    """SpyNet alone."""
    network = create_model("spynet")
    image = ones(1, 3, 64, 64)
    train(network, partial(whole_gradients, network, end_point_error), (ones(1, 2, 64, 64), image, image))


def vrt_restoration(kind):
    """Tiles in space, blended."""
    settings = VRT[kind]
    frames = settings["img_size"][0]
    clip = np.ones((frames, 3, 64, 72), np.float32)
    sigma = 10 if settings.get("nonblind_denoising") else None
    list(restore_video(create_model("vrt", **settings).set_train(False), clip, (frames, 64, 64), (0, 8, 8), sigma=sigma))


def vrt_training(kind, precision):
    """One whole graph, with stochastic depth; some of it recomputed."""
    settings = dict(VRT[kind], depths=[2] + [1] * 6 + [2, 1])
    network = create_model("vrt", **settings)
    network.recompute_parts(attention=(0,), mlp=(1,))
    frames, upscale = settings["img_size"][0], settings["upscale"]
    lq = ones(1, frames, 3 + settings.get("nonblind_denoising", False), 64, 64)
    gt = ones(1, 1 if network.interpolates else frames, 3, 64 * upscale, 64 * upscale)
    number_type.use(precision)
    loss_scale = needed_loss_scale()
    gradients = partial(whole_gradients, network, LOSSES["charbonnier"], loss_scale=loss_scale)
    train(
        network, dropping_gradients(network, gradients), (gt, lq, ones(1, 2 * len(network.drop_rates))), loss_scale=loss_scale
    )


def train(network, gradients, batch, **options):
    """One step by Adam."""
    updates = adam_updates(network, [1e-4, 1e-4], (0.9, 0.99))
    TrainOneStep(gradients, updates, refuse=lambda *_: None, **options)(*batch)


def ones(*shape):
    return Tensor(np.ones(shape, np.float32))


WORKLOADS = {
    **{
        f"revsci_training {kind} {mode}": partial(revsci_training, kind, mode)
        for kind in REVSCI
        for mode in ("whole", "pieces")
    },
    **{f"revsci_restoration {kind}": partial(revsci_restoration, kind) for kind in REVSCI},
    **{f"revsci_export {kind}": partial(revsci_export, kind) for kind in REVSCI},
    "flow_training": flow_training,
    **{f"vrt_restoration {kind}": partial(vrt_restoration, kind) for kind in VRT},
    **{
        f"vrt_training {kind} {precision}": partial(vrt_training, kind, precision)
        for kind in VRT
        for precision in ("float32", "float16")
    },
}


def main(device, *names):
    if device.startswith("like-"):
        session.start("cpu")
        devices.name = lambda: device.partition("-")[2]
        ms.amp.all_finite = lambda gradients: ones()  # it asks MindSpore for the device and answers as on a CPU
    else:
        session.start(device)
    for name in names:
        refused = None
        try:
            WORKLOADS[name]()
            ms.runtime.synchronize()  # operators run later, and so may be refused later
        except Exception as error:
            refused = f"{type(error).__name__}: {error}"
        print(json.dumps({"workload": name, "refused": refused, "processes": cluster.size()}), flush=True)
    cluster.leave()


if __name__ == "__main__":
    main(*sys.argv[1:])
