"""How each command of the documentation is tried: it runs, or the program that it is for reads it; and why not more."""

import os
import re
import subprocess
import sys
from pathlib import Path

from places import HCCN_TOOL, ROOT, module_at

from mindrestore import cli
from mindrestore.checkpoints.loading import shipped
from mindrestore.checkpoints.named import published_files
from mindrestore.commands.evaluate import settings_of
from mindrestore.commands.shared import overrides_of
from mindrestore.config import VideoConfig, load_config, make_config
from mindrestore.media.writing import kind_of
from mindrestore.restore.tasks import STEPS
from mindrestore.sensing.masks import check_suffix

# How commands are run


def in_a_process(words, folder):
    """As typed, where Python is this one and an Ascend server's tool is there."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    tool = programs / "hccn_tool"
    tool.write_text(HCCN_TOOL.read_text())
    tool.chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT / "src"),
    }
    run = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr


def dry(words, folder):
    """A launcher, which says what it would start."""
    in_a_process(words if "--dry-run" in words or "--help" in words else [*words, "--dry-run"], folder)
    if not words[2].startswith("-"):
        config = load_config(words[2], [word for word in words if re.match(r"[a-z_.]+=", word)])
        assert not isinstance(config, VideoConfig) or config.data.gt or config.data.kind != "stored", "no data to train on"
        assert "train" not in words[1] or flow_given(config), "it freezes SpyNet untrained"


def here(words, folder):
    """A command of mindrestore, in this process."""
    assert cli.main(words[1:]) == 0


# How commands are checked


def parsed(words):
    """Options as the program itself reads them."""
    arguments = words[1:] if words[0] == "mindrestore" else [Path(words[1]).stem, *words[2:]]
    try:
        return cli.parser().parse_args(arguments)
    except SystemExit as end:
        assert end.code == 0 and "--help" in arguments, f"{' '.join(words)}: refused"


def there(*paths):
    words = {file.name for _, file in published_files()}
    for path in filter(None, paths):
        assert path in words or Path(path).exists(), f"{path}: named in the documentation, and not there"


def settings_there(overrides):
    """The files that ``key=value`` names are there."""
    for override in overrides:
        key, _, value = override.partition("=")
        if key.split(".")[-1] in ("path", "gt", "lq", "list", "initial", "initial_flow") and value != "null":
            there(value)


def flow_given(config):
    """Whether weights are named for what is frozen at first."""
    if not isinstance(config, VideoConfig) or not config.model.pa_frames:
        return True
    training = config.training
    frozen = training.flow_frozen_steps or "spynet" in training.frozen
    return not frozen or training.initial or training.initial_flow


def a_training(words, folder):
    options = parsed(words)
    config = load_config(options.config, overrides_of(options))
    settings_there(options.overrides)
    assert not isinstance(config, VideoConfig) or config.data, "no data to train on"
    assert flow_given(config), "it freezes SpyNet untrained"


def an_evaluation(words, folder):
    options = parsed(words)
    overrides = overrides_of(options) + settings_of(options)
    if options.config:
        load_config(options.config, overrides)
    else:
        assert not (options.gt or options.lq)
        make_config({"name": "eval"}, overrides)
    settings_there(options.overrides)
    there(options.checkpoint, options.gt, options.lq, options.scenes, options.captures)
    there(options.mask if options.mask != "stored" else None)


def an_export(words, folder):
    options = parsed(words)
    assert not options.output or Path(options.output).suffix == f".{options.format}"
    there(options.config, options.checkpoint)


def a_restoration(words, folder):
    options = parsed(words)
    if options is None:  # --help
        return
    there(*options.input, options.mask, *options.checkpoint, *options.model)
    kind_of(options.output)
    parts = STEPS.get(options.task, (options.task,))
    assert options.checkpoint or options.model or all(shipped(part) for part in parts), "nothing ships for this task"
    assert (options.task == "denoise") == (options.sigma is not None)


def a_calibration(words, folder):
    options = parsed(words)
    there(options.mask, options.snapshots)
    check_suffix(options.output)


def an_installation(words, folder):
    """What is installed is what the project asks for, by itself or by an extra."""
    asked = (ROOT / "requirements.txt").read_text() + (ROOT / "pyproject.toml").read_text()
    for word in words[2:]:
        if word.startswith("."):
            for extra in re.findall(r"\w+", word):
                assert re.search(rf"^{extra} = \[", asked, re.MULTILINE), f"no extra is called {extra}"
        elif not word.startswith("-"):
            assert re.search(rf"(^|['\"]){re.escape(word)}", asked, re.MULTILINE), f"{word} is not what is asked for"


def markers(words, folder):
    there(*(ROOT / word for word in words if word.startswith("tests/")))
    if "-m" in words:
        assert f'"{words[words.index("-m") + 1]}:' in (ROOT / "pyproject.toml").read_text()


def a_measurement(words, folder):
    """The case list of the device is what the script says of the command."""
    in_a_process(["python", str(ROOT / words[1]), *words[2:], "--list"], folder)


def a_benchmark(words, folder):
    """Its own parser reads it, which looks into the pages that it is to write."""
    module_at(ROOT / words[1]).parse(words[2:])


def an_image(words, folder):
    """The description of the image is there, and is built of files that are."""
    if words[1] == "build":
        path = ROOT / (words[words.index("-f") + 1] if "-f" in words else "Dockerfile")
        sources = re.findall(r"^COPY (?!--from)(.*) \S+$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert len(sources) > 3
        there(*(ROOT / name for line in sources for name in line.split()))


def only_parsed(words, folder):
    parsed(words)


def nothing(words, folder):
    """There is nothing to check."""


RUN = {
    "mindrestore simulate": here,
    "mindrestore mask": here,
    "mindrestore convert": here,
    "mindrestore restore coded.mat back.mp4 --task sci": here,
    "mindrestore data": here,
    "python src/scripts/create_lmdb.py": in_a_process,
    "python scripts/generate_rank_table.py": in_a_process,
    "bash scripts/": dry,
}
"""Commands that run, by how they begin."""

CHECKED = {
    "mindrestore restore": (a_restoration, "minutes, and networks that are only named; test_restore.py runs it"),
    "mindrestore restore coded.mat back.mp4 --task sci --model": (a_restoration, "compiles; test_restore_exported.py runs it"),
    "mindrestore weights": (only_parsed, "fetches over the network; test_named_weights.py runs it against a server of its own"),
    "mindrestore mask calibrate": (a_calibration, "wants snapshots through the mask; test_mask.py runs it"),
    "mindrestore serve": (only_parsed, "runs until it is stopped, and wants Gradio; test_serve.py runs it"),
    "mindrestore plot": (only_parsed, "wants runs that were trained; test_plot.py runs it"),
    "mindrestore doctor": (only_parsed, "computes for seconds; test_doctor.py runs it"),
    "python train.py": (a_training, "hours; test_training.py and test_video_training.py train tiny networks"),
    "python eval.py": (an_evaluation, "minutes, and data sets that are only named; test_evaluation.py runs it"),
    "python export.py": (an_export, "compiles twice; test_export.py and test_export_onnx.py run it"),
    "python benchmarks/devices.py": (a_measurement, "wants the device; test_devices_benchmark.py runs it on a CPU"),
    "python benchmarks/performance.py": (a_benchmark, "half an hour; test_performance.py writes a page"),
    "pip install": (an_installation, "would change the installation that tests run in; .ci/run runs the README's"),
    "pre-commit": (nothing, "changes the checkout; .ci/run runs its hooks"),
    "pytest": (markers, "is what runs this"),
    "python docs/draw_rooms.py": (nothing, "writes into the documents; test_architecture.py draws"),
    "mindrestore launch": (only_parsed, "test_packaging.py runs it"),
    "mindrestore completion": (only_parsed, "test_packaging.py runs it"),
    "git clone": (nothing, "needs the address of a repository"),
    "cd": (nothing, "a shell's own"),
    "docker": (an_image, "would build or run an image, for which nothing is here"),
    "unset": (nothing, "a shell's own"),
}
"""Commands that the program itself reads, but does not carry out, by how they begin; and why."""


def beginning_of(words):
    """The longest beginning in either table that fits a command."""
    line = " ".join(words)
    fitting = [
        beginning
        for beginning in (*RUN, *CHECKED)
        if line == beginning or line.startswith(beginning if beginning.endswith("/") else beginning + " ")
    ]
    assert fitting, f"{line}: say in this file how it runs, or why it is only checked"
    return max(fitting, key=len)


def tried(words, folder):
    """Run a command or check it, as the tables say, in ``folder``, which is the working directory."""
    beginning = beginning_of(words)
    (RUN[beginning] if beginning in RUN else CHECKED[beginning][0])(words, folder)
