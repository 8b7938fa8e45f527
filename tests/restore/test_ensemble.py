"""Self-ensemble: the mean over mirror images and the reversal in time treats all of them alike."""

import itertools
import json

import cv2
import numpy as np
import pytest
from builders import TINY_VRT
from mindspore import Tensor

from mindrestore.cli import main
from mindrestore.models import create_model
from mindrestore.models.kind import VideoAbilities
from mindrestore.restore import restore_clip
from mindrestore.restore.calls import on_arrays
from mindrestore.restore.ensemble import ClipEnsemble, SnapshotEnsemble

pytestmark = pytest.mark.usefixtures("prepared")


class Lopsided:
    """A stand-in that treats no two views alike: weights rise along time, height and width."""

    abilities = VideoAbilities(("denoise",))

    def __init__(self):
        self.calls = 0

    def __call__(self, clip):
        self.calls += 1
        x = clip.numpy()
        ramps = [
            np.linspace(0.5, 1.5, x.shape[axis], dtype=np.float32).reshape([-1 if at == axis else 1 for at in range(5)])
            for axis in (1, 3, 4)
        ]
        return Tensor(x * ramps[0] * ramps[1] ** 2 * ramps[2] ** 3)


def views(axes):
    return [view for count in range(len(axes) + 1) for view in itertools.combinations(axes, count)]


@pytest.fixture
def clip():
    return np.random.default_rng(0).random((1, 4, 3, 16, 24), np.float32)


def test_every_view_is_restored_alike(clip):
    network = Lopsided()
    ensemble = ClipEnsemble(on_arrays(network))
    plain = ensemble(clip)
    assert network.calls == 8
    for view in views((1, 3, 4))[1:]:
        turned = np.ascontiguousarray(np.flip(clip, view))
        np.testing.assert_allclose(ensemble(turned), np.flip(plain, view), rtol=1e-6)
        alone = network(Tensor(turned)).numpy()
        assert abs(alone - np.flip(network(Tensor(clip)).numpy(), view)).max() > 0.1  # the stand-in by itself does not


def test_the_mean_is_that_of_all_views(clip):
    network = Lopsided()
    wanted = np.mean(
        [np.flip(network(Tensor(np.ascontiguousarray(np.flip(clip, view)))).numpy(), view) for view in views((1, 3, 4))], 0
    )
    np.testing.assert_allclose(ClipEnsemble(on_arrays(network))(clip), wanted, rtol=1e-6)


def test_a_single_frame_is_not_reversed(clip):
    network = Lopsided()
    ClipEnsemble(on_arrays(network))(clip[:, :1])
    assert network.calls == 4


def test_tiles_are_restored_so(clip):
    """Of one tile, that is the whole clip."""
    options = dict(tile=(0, 0, 0), overlap=(0, 0, 0))
    one = restore_clip(Lopsided(), clip[0], ensemble=True, **options)
    np.testing.assert_allclose(one, ClipEnsemble(on_arrays(Lopsided()))(clip)[0], rtol=1e-6)
    assert abs(one - restore_clip(Lopsided(), clip[0], **options)).max() > 0.1


def test_interpolation_gives_the_frame_in_the_middle_of_any_view(clip):
    class Interpolator(Lopsided):
        abilities = VideoAbilities(("interpolate",), interpolates=True)

        def __call__(self, clip):
            return Tensor(super().__call__(clip).numpy()[:, 1:2])

    wanted = restore_clip(Interpolator(), clip[0], ensemble=True, tile=(0, 0, 0), overlap=(0, 0, 0))
    turned = restore_clip(Interpolator(), np.flip(clip[0], (0, 2)), ensemble=True, tile=(0, 0, 0), overlap=(0, 0, 0))
    np.testing.assert_allclose(turned, np.flip(wanted, (0, 2)), rtol=1e-6)


@pytest.mark.parametrize("colour, axes, calls", [(False, (-3, -2, -1), 8), (True, (-3,), 2)])
def test_snapshots(colour, axes, calls):
    """A mask is turned with its measurement; behind a Bayer filter only time is reversed."""
    rng = np.random.default_rng(0)
    mask, measurement = rng.random((4, 6, 8), np.float32), rng.random((6, 8), np.float32)
    asked = []

    def reconstruct(measurement, mask):
        asked.append(mask)
        ramp = np.linspace(0.5, 1.5, 4 * 6 * 8, dtype=np.float32).reshape(4, 6, 8)
        return np.stack([ramp * mask * measurement] * 3) if colour else ramp * mask * measurement

    ensemble = SnapshotEnsemble(reconstruct, colour)
    wanted = ensemble(measurement, mask)
    assert wanted.shape == ((3, 4, 6, 8) if colour else (4, 6, 8)) and len(asked) == calls
    assert len({each.tobytes() for each in asked}) == calls
    for view in views(axes)[1:]:
        turned = np.flip(measurement, tuple(axis for axis in view if axis != -3))
        np.testing.assert_allclose(ensemble(turned, np.flip(mask, view)), np.flip(wanted, view), rtol=1e-6)


@pytest.mark.long  # compiles
def test_a_network_keeps_its_shape_and_symmetry():
    network = create_model("vrt", **TINY_VRT).set_train(False)
    clip = np.random.default_rng(0).random((2, 3, 64, 64), np.float32)
    restored = restore_clip(network, clip, tile=(0, 0, 0), overlap=(0, 0, 0), ensemble=True)
    assert restored.shape == (2, 3, 128, 128)
    turned = restore_clip(network, np.flip(clip, (0, 3)), tile=(0, 0, 0), overlap=(0, 0, 0), ensemble=True)
    np.testing.assert_allclose(turned, np.flip(restored, (0, 3)), atol=2e-5)


@pytest.mark.long
def test_it_gains_with_what_ships(tmp_path):
    """By command: the denoising network on the demonstration scenes, and a folder that is restored."""
    psnr = {}
    for name, options in (("plain", []), ("ensemble", ["--ensemble"])):
        assert (
            main(
                [
                    "eval",
                    "--config",
                    "small_denoise",
                    "--sigma",
                    "25",
                    "--output",
                    str(tmp_path / name),
                    *options,
                    "evaluation.frames=2",
                ]
            )
            == 0
        )
        psnr[name] = json.loads((tmp_path / name / "results.json").read_text())["mean"]["network"]["psnr"]
    assert psnr["ensemble"] > psnr["plain"] + 0.02
    assert "VRT+" in (tmp_path / "ensemble" / "results.txt").read_text()
    frames = tmp_path / "frames"
    frames.mkdir()
    for number in range(2):
        cv2.imwrite(str(frames / f"{number}.png"), np.random.default_rng(number).integers(0, 256, (64, 64, 3), np.uint8))
    for out in ("one", "two"):
        assert (
            main(
                [
                    "restore",
                    str(frames),
                    str(tmp_path / out),
                    "--task",
                    "denoise",
                    "--sigma",
                    "25",
                    *(["--ensemble"] if out == "two" else []),
                ]
            )
            == 0
        )
    one, two = (cv2.imread(str(tmp_path / out / "1.png")) for out in ("one", "two"))
    assert one.shape == two.shape and (one != two).any()
