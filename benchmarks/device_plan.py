"""What ``devices.py`` measures: its cases in order of worth, how long each may take, and what is published of it.

Seconds are estimates that a budget is laid out by, process start and compilation included. Of an accelerator's those were
measured that devices_gpu.jsonl holds, on an H200; of a CPU's those of golden networks, scores and RevSCI's calls, its others
follow from figures of README.md in this folder; small ones all were.
"""

from typing import Any, NamedTuple

VRT_001, REVSCI_50 = "configs/vrt/001_videosr_bi_reds_6frames.yaml", "configs/revsci/two_way_50.yaml"
SHIPPED_FLOW = "training.initial_flow=src/mindrestore/assets/vrt_small_sr.ckpt"  # its SpyNet
LEAST_LIMIT = 120
LIMIT = 2.5  # times the estimate is when a case is ended

TINY_VRT = [
    f"model.{setting}"
    for setting in (
        "upscale=4",
        "img_size=[2,64,64]",
        "window_size=[2,8,8]",
        "depths=[1,1,1,1,1,1,1,1]",
        "indep_reconsts=[]",
        "embed_dims=[8,8,8,8,8,8,8,8]",
        "num_heads=[2,2,2,2,2,2,2,2]",
        "deformable_groups=2",
        "num_feat=8",
    )
]
TINY_REVSCI = ["model.blocks=2", "model.channels=8"]


class Seconds(NamedTuple):
    """Estimates; None where a case is not for such a device: a graph of published size needs more memory than a CPU's
    machine has.
    """

    accelerator: float
    cpu: float | None
    small: float


class Case(NamedTuple):
    """One process.

    Attributes:
        name: by which it is called for and found again.
        measure: the function that measures it, as ``module.function`` of this folder.
        settings: what the function reads, JSON values.
        seconds: estimates.
        published: what it is measured against, with its source's device.
    """

    name: str
    measure: str
    settings: dict[str, Any]
    seconds: Seconds
    published: str = ""

    def estimate(self, device, small):
        return self.seconds.small if small else self.seconds.cpu if device == "cpu" else self.seconds.accelerator

    def limit(self, device, small):
        return max(LEAST_LIMIT, LIMIT * self.estimate(device, small))


def cases(small=False):
    """Return all cases, the worthiest first; ``small`` ones are shapes that a CPU rehearses, of networks as small."""
    return [
        *_golden(small),
        *_evaluations(small),
        *_calls(small),
        *_steps(small),
        *_trainings(small),
        *_uses(small),
        *_torch(small),
    ]


def _golden(small):
    revsci = ["revsci_multi_group_2"] if small else ["revsci_two_way", "revsci_multi_group_2", "revsci_colour"]
    vrt = ["vrt_interpolation"] + ([] if small else ["vrt_sr_2frames", "vrt_denoise_nonblind"])
    for rounding in ("exact", "as it comes"):  # a GPU convolves in TF32 unless told not to
        for kind, names, seconds in (("revsci", revsci, Seconds(25, 40, 15)), ("vrt", vrt, Seconds(150, 100, 20))):
            yield Case(
                f"golden {kind}, {rounding}", f"device_golden.{kind}", dict(names=names, exact=rounding == "exact"), seconds
            )


def _evaluations(small):
    fewer = ["evaluation.frames=2"] * small
    yield Case("evaluate sci", "device_commands.evaluate", dict(arguments=[], score="psnr"), Seconds(30, 60, 60))
    for task, score, extra in (("denoise", "psnr", ["--sigma", "25"]), ("sr", "psnr_y", [])):
        arguments = ["--config", f"configs/vrt/small_{task}.yaml", *extra, *fewer]
        yield Case(f"evaluate {task}", "device_commands.evaluate", dict(arguments=arguments, score=score), Seconds(40, 45, 30))


def _calls(small):
    tiny, clip = (TINY_VRT, [2, 64, 64]) if small else ([], [40, 180, 320])
    published = "12.82 s on an A100, 18.12 s on an Ascend 910"
    settings = dict(config=VRT_001, overrides=tiny, clip=clip, repeats=2)
    tile, overlap = ([2, 64, 64], [0, 8, 8]) if small else ([40, 128, 128], [2, 20, 20])
    snapshot = dict(
        config=REVSCI_50, overrides=TINY_REVSCI if small else [], repeats=3, clip=[4, 32, 32] if small else [8, 256, 256]
    )
    yield Case(
        "call of 001, piecewise", "device_speed.vrt_call", dict(settings, way="pieces"), Seconds(120, 6000, 30), published
    )
    yield Case(
        "call of RevSCI 50, piecewise",
        "device_speed.revsci_call",
        dict(snapshot, way="pieces"),
        Seconds(15, 90, 20),
        "0.20 s on a 3090",
    )
    yield Case(
        "call of 001, tiled",
        "device_speed.vrt_call",
        dict(settings, way="pieces", tile=tile, overlap=overlap),
        Seconds(120, 9000, 30),
        published,
    )
    yield Case(
        "call of RevSCI 50, one graph",
        "device_speed.revsci_call",
        dict(snapshot, way="whole"),
        Seconds(15, 150, 25),
        "0.20 s on a 3090",
    )
    yield Case(
        "call of 001, one graph", "device_speed.vrt_call", dict(settings, way="whole"), Seconds(180, None, 60), published
    )


def _steps(small):
    tiny = [*TINY_VRT, "data.frames=2", "data.patch=256"] if small else ["data.patch=256"]
    published = "2.65 s/step and 29.6 GB on each of 8 A100, 5.60 s/step on 8 Ascend 910"
    vrt = dict(
        config=VRT_001,
        repeats=3,
        most=1,
        overrides=[
            *tiny,
            "data.kind=rendered",
            "data.held_out=none",
            "evaluation.set=demo",
            "evaluation.path=null",
            "training.flow_frozen_steps=0",
        ],
    )
    for way, execution, precision, seconds in (
        ("piecewise", "pieces", "float32", Seconds(120, 1200, 60)),
        ("piecewise", "pieces", "float16", Seconds(120, None, 120)),
        ("one graph", "whole", "float32", Seconds(420, None, 120)),
        ("one graph", "whole", "float16", Seconds(420, None, 120)),
    ):
        settings = dict(vrt, precision=precision, overrides=[*vrt["overrides"], f"training.execution={execution}"])
        yield Case(f"step of 001, {way}, {precision}", "device_speed.step", settings, seconds, published)
    for mode, seconds in (("reversible", Seconds(90, 250, 25)), ("plain", Seconds(120, None, 25))):
        tiny = [*TINY_REVSCI, "data.size=32", "data.frames=4"] if small else []
        yield Case(
            f"step of RevSCI 50, {mode}",
            "device_speed.step",
            dict(
                config=REVSCI_50,
                repeats=3,
                most=2 if small else 64,
                precision="float32",
                overrides=[
                    *tiny,
                    "data.kind=rendered",
                    "data.path=null",
                    "data.view=scaled",
                    "mask.path=null",
                    "evaluation.kind=demo",
                    "evaluation.path=null",
                    f"training.mode={mode}",
                ],
            ),
            seconds,
        )


def _trainings(small):
    steps = 4 if small else 200
    shared = [
        f"training.steps={steps}",
        f"training.validate_every={steps // 2}",
        f"training.save_every={steps // 4}",
        f"training.log_every={max(1, steps // 20)}",
    ]
    revsci, vrt = (
        (
            ["model.blocks=1", "model.channels=8", "data.size=32", "evaluation.gap_tv=false"],
            ["data.patch=128", "data.frames=2", "evaluation.frames=2", *TINY_VRT, SHIPPED_FLOW],
        )
        if small
        else ([], [SHIPPED_FLOW])
    )
    yield Case(
        "train small_cpu",
        "device_commands.train",
        dict(config="configs/revsci/small_cpu.yaml", steps=steps, overrides=[*shared, *revsci]),
        Seconds(60, 1500, 90),
    )
    yield Case(
        "train small_sr",
        "device_commands.train",
        dict(config="configs/vrt/small_sr.yaml", steps=steps, overrides=[*shared, *vrt]),
        Seconds(300, 3600, 150),
    )


def _uses(small):
    for task, options in (("denoise", dict(sigma=25)), ("sr", {})):
        yield Case(
            f"restore, {task}",
            "device_commands.restore_frames",
            dict(task=task, frames=2 if small else 20, side=64 if small else 256, options=options),
            Seconds(60, 200, 60),
        )
    yield Case("export and run", "device_commands.export", dict(frames=8, side=32 if small else 256), Seconds(20, 180, 90))


def _torch(small):
    clip, size = ([2, 64, 64], [2, 64, 64]) if small else ([40, 184, 320], [6, 64, 64])  # 180 rows, padded as ours pads them
    blocks, channels, snapshot = (2, 8, [4, 32, 32]) if small else (50, 64, [8, 256, 256])
    revsci = dict(blocks=blocks, channels=channels, clip=snapshot)
    yield Case("PyTorch, call of 001", "device_torch.vrt_call", dict(tiny=small, clip=clip, repeats=2), Seconds(60, 6000, 20))
    yield Case("PyTorch, step of 001", "device_torch.vrt_step", dict(tiny=small, clip=size, repeats=3), Seconds(60, None, 20))
    yield Case("PyTorch, call of RevSCI 50", "device_torch.revsci_call", dict(revsci, repeats=3), Seconds(30, 60, 15))
    for mode, cpu in (("reversible", 200), ("plain", None)):
        yield Case(
            f"PyTorch, step of RevSCI 50, {mode}",
            "device_torch.revsci_step",
            dict(revsci, mode=mode, repeats=3, most=2 if small else 64),
            Seconds(45, cpu, 15),
        )
