"""A colour clip through the whole program: rendered, measured behind a Bayer filter, reconstructed, scored; trust maps."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from mindrestore.checkpoints import save_network
from mindrestore.cli import main
from mindrestore.data.frames import read_clip
from mindrestore.data.measurements import load_measurements
from mindrestore.data.rendered import render_clip
from mindrestore.media.pixels import to_image
from mindrestore.media.writing import write_clip
from mindrestore.metrics import psnr
from mindrestore.models import create_model
from mindrestore.restore.snapshots import Reconstructor
from mindrestore.sensing import SnapshotImaging

SIDE, FRAMES = 32, 8


@pytest.fixture
def inside(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def rendered(colour):
    """Write a clip of two measurements as in/ and measure it as coded.mat; return it as measured."""
    clip = render_clip(11, 2 * FRAMES, SIDE, SIDE, speed=0.5, colour=colour)
    write_clip("in", [to_image(clip[..., index, :, :]) for index in range(2 * FRAMES)], 2 * FRAMES)
    assert main(["simulate", "in", "coded.mat", "--mask-kind", "shifted", *["--colour"] * colour]) == 0
    return read_clip("in", colour=colour)


def tiny(colour):
    """A network that has learnt nothing: it corrects the estimate of GAP-TV by little."""
    network = create_model("revsci", blocks=2, channels=8, colour=colour, start="gap_tv", seed=0).set_train(False)
    save_network("tiny.ckpt", network, "revsci", network.settings, mask="random")
    return network


@pytest.mark.parametrize("colour", [True, False], ids=["colour", "grey"])
def test_simulate_restore_and_evaluate(colour, inside, prepared, capsys):
    truth, network = rendered(colour), tiny(colour)
    assert main(["restore", "coded.mat", "out", "--task", "sci", "--checkpoint", "tiny.ckpt", "--trust", "trust.png"]) == 0
    said, restored, file = capsys.readouterr().out, read_clip("out", colour=colour), load_measurements("coded.mat")
    expected = np.concatenate([Reconstructor(network)(each, file.mask) for each in file.measurements], -3)
    np.testing.assert_allclose(restored, expected, atol=0.51 / 255)
    axis = 0 if colour else None
    quality = psnr(restored, truth, channel_axis=axis)
    assert quality > 20
    assert not colour or quality > psnr(restored[::-1], truth, channel_axis=0) + 1  # red is red, not blue

    camera = SnapshotImaging(file.mask, colour)
    parts = [restored[..., start : start + FRAMES, :, :] for start in (0, FRAMES)]
    maps = [np.abs(measured - camera.A(part)) for measured, part in zip(file.measurements, parts)]
    assert f"|y - sum M x| is {255 * np.mean(maps):.2f} a pixel on average" in said
    sheet = cv2.imread("trust.png")
    assert sheet.shape == (SIDE + 22, 2 * 250 + 6, 3)
    shown = sheet[22:, :SIDE].astype(int).sum(-1)  # brightness grows with the value
    order = np.argsort(maps[0].ravel())
    assert (np.diff(shown.ravel()[order]) >= -12).all() and shown.max() > 400 and shown.min() < 100

    assert (
        main(
            [
                "eval",
                "--scenes",
                "coded.mat",
                "--mask",
                "stored",
                "--checkpoint",
                "tiny.ckpt",
                "--gap-tv",
                "--report",
                "--output",
                "scores",
                "evaluation.gap_tv_iterations=25",
            ]
        )
        == 0
    )
    scores = json.loads(Path("scores/results.json").read_text())["scenes"]["coded"]
    assert scores["network"]["measurements"] == 2
    assert scores["network"]["psnr"] == pytest.approx(
        np.mean(
            [
                psnr(expected[..., start : start + FRAMES, :, :], truth[..., start : start + FRAMES, :, :], channel_axis=axis)
                for start in (0, FRAMES)
            ]
        ),
        abs=0.02,
    )
    assert scores["network"]["residual"] == pytest.approx(
        255
        * np.mean(
            [
                camera.residual(expected[..., start : start + FRAMES, :, :], measured).mean()
                for start, measured in zip((0, FRAMES), file.measurements)
            ]
        ),
        rel=0.01,
        abs=0.001,
    )
    assert scores["gap_tv"]["residual"] > 0
    assert "residual" in Path("scores/results.txt").read_text() and "<h3>trust</h3>" in Path("scores/report.html").read_text()
    assert cv2.imread("scores/coded_trust.png").shape == (2 * (SIDE + 22) + 6, 2 * 250 + 6, 3)


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["coded.mat", "out", "--task", "sci", "--trust", "trust.mp4"], "--trust trust.mp4: a picture is written"),
        (["in", "out", "--task", "sr", "--trust", "trust.png"], "--trust: has no meaning for --task sr"),
        (["coded.mat", "out", "--task", "sci", "--trust", "coded.mat"], "coded.mat: is the input itself"),
        (["coded.mat", "out", "--task", "sci", "--trust", "mine.png"], "mine.png: is there already; add --overwrite"),
        (["coded.mat", "out", "--task", "sci", "--mask", "mine.png", "--trust", "link.png"], "link.png: is the mask itself"),
        (
            ["coded.mat", "out", "--task", "sci", "--model", "mine.png", "--trust", "link.png"],
            "link.png: is the network itself",
        ),
        (
            ["coded.mat", "out.mp4", "--task", "sci", "--preview", "--trust", "out_preview.png"],
            "out_preview.png: two results would be written there",
        ),
    ],
)
def test_trust_maps_that_cannot_be(arguments, named, inside, prepared, capsys):
    rendered(False)
    Path("mine.png").write_text("mine")
    Path("link.png").symlink_to("mine.png")
    assert main(["restore", *arguments]) == 2
    assert named in capsys.readouterr().err and not Path("out").exists()
    assert Path("mine.png").read_text() == "mine"


def test_a_kind_of_mask_and_a_mask_exclude_each_other(inside, capsys):
    rendered(False)
    np.save("mask.npy", np.ones((8, SIDE, SIDE), np.float32))
    assert main(["simulate", "in", "other.mat", "--mask-kind", "grey", "--mask", "mask.npy"]) == 2
    assert "--mask-kind grey: says which mask to draw and --mask gives one" in capsys.readouterr().err
    assert main(["simulate", "in", "other.mat", "--mask-kind", "round"]) == 2
    assert "'round': no such kind of mask" in capsys.readouterr().err
    assert not Path("other.mat").exists()
