"""What an installation holds: a wheel is built, looked into, and used from an empty folder."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np
import pytest
from places import CONFIGS, ROOT

from mindrestore.commands.launch import launchers
from mindrestore.config import load_config
from mindrestore.config.shipped import found, shipped
from mindrestore.errors import UserError

OF_A_BUILD = (
    "src",
    "configs",
    "scripts",
    "pyproject.toml",
    "setup.py",
    "MANIFEST.in",
    "requirements.txt",
    "README.md",
    "LICENSE",
)
BUILD = """
import sys
from setuptools import build_meta
folder = sys.argv[1]  # which a build changes
print(build_meta.build_sdist(folder), build_meta.build_wheel(folder))
"""


def builds():
    """Why nothing can be built here, None where it can."""
    try:
        version = int(metadata.version("setuptools").split(".")[0])
        return None if version >= 70 or (version >= 64 and metadata.version("wheel")) else "setuptools is too old"
    except metadata.PackageNotFoundError as error:
        return f"{error.name} is not installed"


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """(source distribution, wheel), built from a copy of what they are built from, with a leftover of an earlier build."""
    if builds():
        pytest.skip(builds())
    folder = tmp_path_factory.mktemp("build")
    for name in OF_A_BUILD:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(source, folder)
    leftover = folder / "build" / "lib" / "mindrestore" / "configs" / "vrt" / "of_an_earlier_version.yaml"
    leftover.parent.mkdir(parents=True)
    leftover.touch()
    run = subprocess.run([sys.executable, "-c", BUILD, str(folder / "dist")], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return [folder / "dist" / name for name in run.stdout.split()[-2:]]


@pytest.fixture(scope="session")
def unpacked(built, tmp_path_factory):
    """The wheel as it lies in an installation."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(built[1]) as wheel:
        wheel.extractall(folder)
    return folder


@pytest.fixture
def installed(unpacked, tmp_path):
    """``installed(*words)`` runs a command of the unpacked wheel in an empty folder."""

    def run(*words):
        environment = {**os.environ, "PYTHONPATH": str(unpacked)}
        return subprocess.run(
            [sys.executable, "-m", "mindrestore", *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


def test_configurations_and_launchers_travel_in_the_wheel(unpacked):
    package = unpacked / "mindrestore"
    for name in ("configs", "scripts"):
        wanted = {
            path.relative_to(ROOT / name): path.read_bytes()
            for path in (ROOT / name).rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
        assert len(wanted) > 15
        assert {
            path.relative_to(package / name): path.read_bytes() for path in (package / name).rglob("*") if path.is_file()
        } == wanted
    assert not list(unpacked.rglob("__pycache__")) and not (unpacked / "tests").exists()


def test_a_source_distribution_holds_what_a_wheel_is_built_of(built):
    import tarfile

    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for name in ("configs", "scripts")
        for path in (ROOT / name).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert wanted | {"setup.py", "pyproject.toml", "requirements.txt", "src/mindrestore/native/tokens.cpp"} <= names


def test_a_command_finds_them_from_an_empty_folder(installed, unpacked):
    said = installed("train", "--config", "small_denoisy")
    assert said.returncode == 2 and said.stderr.startswith("mindrestore: error: small_denoisy: no such configuration file")
    said = installed("train", "--config", "001_videosr_bi_reds_6frames", "data.gtt=x")
    assert said.returncode == 2
    assert f"{unpacked}/mindrestore/configs/vrt/001_videosr_bi_reds_6frames.yaml: unknown key data.gtt" in said.stderr
    said = installed("data", "regroup-reds", "nowhere")
    assert said.returncode == 2 and "nowhere" in said.stderr


def test_launchers_start_what_is_installed(installed, unpacked):
    config = unpacked / "mindrestore/configs/revsci/small_cpu.yaml"
    said = installed("launch", "distribute_train_cpu", "small_cpu", "training.steps=2", "--dry-run")
    assert said.returncode == 0, said.stderr
    assert f"command: python -m mindrestore train --config {config} --device cpu training.steps=2" in said.stdout
    said = installed("launch", "eval_cpu", "small_denoise", "--sigma", "10", "--dry-run")
    assert "command: python -m mindrestore eval --config small_denoise --device cpu --sigma 10" in said.stdout
    said = installed("launch", "distribute_train_cpu", "--help")
    assert said.stdout.startswith("usage: mindrestore launch distribute_train_cpu CONFIG")
    assert installed("launch", "generate_rank_table", "--help").returncode == 0


@pytest.mark.long
def test_a_new_environment_evaluates_from_an_empty_folder(built, tmp_path):
    """Dependencies are those of this environment; the package, and its command, are what pip made of the wheel."""
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", built[1]], check=True)
    site = next((tmp_path / "venv" / "lib").glob("python*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for number in range(3):
        path = tmp_path / "empty" / "clip" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((64, 64, 3), 40 * number, np.uint8))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [python.with_name("mindrestore"), "eval", "--config", "small_denoise", "--gt", "clip", "--sigma", "10"]
    run = subprocess.run(command, cwd=tmp_path / "empty", env=environment, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stderr
    assert "PSNR" in run.stdout and list((tmp_path / "empty" / "results").rglob("results.json"))


# In a checkout


def test_names_of_configurations_are_unique():
    assert sorted(shipped()) == sorted(path.stem for path in CONFIGS.rglob("*.yaml"))


@pytest.mark.parametrize("word", ["small_sr", "small_sr.yaml", "vrt/small_sr", "configs/vrt/small_sr.yaml"])
def test_a_configuration_is_found_by_its_name_anywhere(word, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert found(word) == CONFIGS / "vrt" / "small_sr.yaml"
    assert load_config(word).name == load_config(CONFIGS / "vrt" / "small_sr.yaml").name


def test_a_file_comes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("small_sr").write_text("name: mine\nmodel: {name: revsci}\n")
    assert load_config("small_sr").name == "mine"


@pytest.mark.parametrize("word", ["small_sn", "revsci/small_sr", "elsewhere/small_sr.yaml", "mine/configs/vrt/small_sr.yaml"])
def test_another_path_is_refused_with_the_names_nearest_first(word):
    with pytest.raises(UserError, match=f"{word}: no such configuration file; .*that ships: small_sr, ") as caught:
        found(word)
    assert all(name in str(caught.value) for name in shipped())


def test_every_launcher_has_a_name():
    assert {path.name for path in launchers().values()} == {
        path.name for path in (ROOT / "scripts").iterdir() if path.is_file()
    }


# Completion


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion(shell, capsys):
    pytest.importorskip("shtab", reason="shtab, which writes completions, is not installed")
    from mindrestore.cli import main

    assert main(["completion", shell]) == 0
    said = capsys.readouterr().out
    assert "regroup-reds" in said and "small_denoise" in said and "--checkpoint" in said
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=said, text=True).returncode == 0


def test_completion_in_bash(capsys):
    pytest.importorskip("shtab", reason="shtab, which writes completions, is not installed")
    from mindrestore.cli import main

    main(["completion", "bash"])
    program = (
        capsys.readouterr().out
        + "\nCOMP_WORDS=(mindrestore eval --config small_den) COMP_CWORD=3\n"
        + ("_shtab_mindrestore mindrestore small_den --config; echo ${COMPREPLY[@]}")
    )
    run = subprocess.run(["bash", "-c", program], capture_output=True, text=True)
    assert run.stdout.split() == ["small_denoise"], run.stderr


def test_completion_without_shtab_says_what_to_install(monkeypatch, capsys):
    from mindrestore.cli import main

    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert 'pip install "shtab' in capsys.readouterr().err
