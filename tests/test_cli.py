"""The command line: one sentence and exit status 2 for a user's mistake, in real processes."""

import io
import os
import subprocess
import sys

import pytest
from places import ROOT

from mindrestore.cli import main

SMALL = str(ROOT / "configs" / "revsci" / "small_cpu.yaml")
SMALL_SR = str(ROOT / "configs" / "vrt" / "small_sr.yaml")
DEBLUR = str(ROOT / "configs" / "vrt" / "small_deblur.yaml")
FLOW = str(ROOT / "configs" / "vrt" / "small_flow.yaml")
REDS4 = str(ROOT / "configs" / "vrt" / "001_videosr_bi_reds_6frames.yaml")


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["train", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["train", "--config", SMALL, "training.stepz=3"], "did you mean steps"),
        (["train", "--config", SMALL, "training.batch_size=0"], "training.batch_size is 0"),
        (["train", "--config", SMALL, "training.steps"], "key=value"),
        (["train", "--config", SMALL, "--resume", "output=nowhere"], "no such training state"),
        (["eval", "--checkpoint", "nowhere.ckpt"], "nowhere.ckpt"),
        (["eval", "--checkpoint", str(ROOT / "README.md")], "no checkpoint"),
        (["eval", "--scenes", "nowhere"], "nowhere"),
        (["eval", "--captures", "nowhere"], "mask.path"),
        (["eval", "--mask", "nowhere.mat"], "nowhere.mat"),
        (["eval", "--config", SMALL, "--checkpoint", str(ROOT / "tests/golden/revsci_two_way.pth")], "another network"),
        (["eval", "--device", "ascend"], "ascend"),
        (["eval", "--gt", "nowhere"], "--config"),
        (["eval", "--config", SMALL, "--gt", "nowhere"], "unknown key evaluation.gt"),
        (["eval", "--config", DEBLUR], "give --gt and --lq"),
        (["eval", "--config", FLOW], "SpyNet is trained by itself but used as a part of VRT"),
        (["export", "--config", FLOW], "SpyNet is trained by itself but used as a part of VRT"),
        (["eval", "--config", SMALL_SR, "--gt", "nowhere"], "nowhere: no such folder of frames"),
        (["eval", "--config", SMALL_SR, "--gt", str(ROOT / "docs"), "--sigma", "10"], "sigma is for denoising"),
        (["eval", "--config", SMALL_SR, "--gt", str(ROOT / "docs"), "--checkpoint", "nowhere.ckpt"], "nowhere.ckpt"),
        (["eval", "--config", SMALL_SR, "--gt", str(ROOT / "docs"), "--mask", "x"], "unknown key mask"),
        (["train", "--config", DEBLUR], "no data to train on"),
        (["train", "--config", SMALL_SR, "training.initial_flow=nowhere.ckpt"], "nowhere.ckpt: no such"),
        (["export", "--config", DEBLUR], "no weights to export"),
        (["eval", "--config", REDS4], "data/REDS4: no such folder of reds4"),
        (["convert", "nowhere.pth", "out.ckpt"], "nowhere.pth"),
        (["export", "--format", "air"], "Ascend"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, named, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("mindrestore: error: ") and named in error
    assert not list(tmp_path.iterdir())


def test_a_real_process_prints_no_traceback(tmp_path):
    run = subprocess.run(
        [sys.executable, str(ROOT / "eval.py"), "--checkpoint", "nowhere.ckpt"], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 2
    assert "Traceback" not in run.stderr and "nowhere.ckpt" in run.stderr
    assert not list(tmp_path.iterdir())


def test_a_reader_that_leaves_ends_the_command_in_silence(tmp_path):
    """As ``mindrestore weights list | head -1`` does."""
    command = [sys.executable, "-m", "mindrestore", "weights", "list"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait(60) == 141


def test_a_terminal_of_ascii_is_printed_to(tmp_path):
    """Help holds an ellipsis; a name may hold anything."""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    for arguments, status in ((["restore", "--help"], 0), (["convert", "Größe.pth", "\u7a7a.ckpt"], 2)):
        command = [sys.executable, "-m", "mindrestore", *arguments]
        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True)
        assert run.returncode == status and b"Traceback" not in run.stderr, run.stderr.decode()
        assert (run.stdout if status == 0 else run.stderr).isascii()


def test_what_ascii_lacks_is_printed_as_its_escape(monkeypatch):
    for encoding, errors in (("ascii", "strict"), ("ascii", "surrogateescape"), ("utf-8", "strict")):
        stream = io.TextIOWrapper(io.BytesIO(), encoding, errors)
        monkeypatch.setattr(sys, "stdout", stream)
        with pytest.raises(SystemExit):
            main(["--version"])
        print("é \udcff")
        stream.flush()
        assert stream.buffer.getvalue().endswith(b"\\udcff\n")


def test_the_three_entry_points_are_the_commands():
    for command in ("train", "eval", "export"):
        run = subprocess.run([sys.executable, str(ROOT / f"{command}.py"), "--help"], capture_output=True, text=True)
        assert run.returncode == 0 and f"mindrestore {command}" in run.stdout


@pytest.mark.long
def test_the_shipped_network_beats_gap_tv_on_the_demonstration_scenes(tmp_path):
    import json

    run = subprocess.run([sys.executable, str(ROOT / "eval.py"), "--output", str(tmp_path)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    mean = json.loads((tmp_path / "results.json").read_text())["mean"]
    assert mean["network"]["psnr"] > mean["gap_tv"]["psnr"] + 0.9  # 1.05 when it was shipped
