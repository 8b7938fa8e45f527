"""The documentation: every command in it runs, or is read by the program that it is for; links lead somewhere; error
messages are those of the code; the Chinese page says what the English one does.
"""
import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
from documents import CHINESE, DOCUMENTS, KINDS, ROOT, anchors, blocks, commands_of, headings, inline, links, prose
from test_launchers import HCCN_TOOL

from mindrestore import cli
from mindrestore.config import FlowConfig, SnapshotConfig, VideoConfig, load_config, make_config
from mindrestore.config.sections import Section
from mindrestore.inference.shipped import NAMES
from mindrestore.media.writing import kind_of
from mindrestore.restore.tasks import PARTS

ENGLISH = ROOT / "README.md"
IDS = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]
TINY_VRT = dict(upscale=4, img_size=[2, 64, 64], window_size=[2, 8, 8], depths=[1] * 8, indep_reconsts=[], embed_dims=[8] * 8,
                num_heads=[2] * 8, pa_frames=2, deformable_groups=2, num_feat=8)
ONLY_NAMED = ("WEIGHTS.pth", "006_VRT_videodeblurring_GoPro.pth", "runs/sr_x2/best.ckpt", "runs/jpeg/best.ckpt", "GT.lmdb",
              "LQ.lmdb", "revsci.mindir", "camera_mask.mat", "SCENES/kobe.mat", "CAPTURES/one_cr_8.mat", "DAVIS/one/0.jpg",
              "REDS4/GT/000/0.png", "server1.json", "mine/jpeg/beach/0.png", "runs/revsci_small/best.ckpt")
"""Files of the documents' examples of which only the name matters, as no command that runs here opens them."""


def write_frames(folder, count, size=(32, 32)):
    folder.mkdir(parents=True, exist_ok=True)
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    for number in range(count):
        cv2.imwrite(str(folder / f"{number:08d}.png"), np.roll(frame, number, 1))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder where every example has what it names, tiny, beside the repository's own files."""
    folder = tmp_path_factory.mktemp("documentation")
    for name in ("configs", "scripts", "src", "train.py", "eval.py", "export.py", "pyproject.toml"):
        (folder / name).symlink_to(ROOT / name)
    for name in ONLY_NAMED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    for clip in ("frames", "FRAMES/one", "CLEAN/one", "mine/gt/beach", "mine/gt/street", "mine/lq/beach", "mine/lq/street"):
        write_frames(folder / clip, 9)
    for clip in ("train/train_sharp/000", "train/train_sharp/001", "val/val_sharp/000"):
        write_frames(folder / "REDS" / clip, 100, (8, 8))
    video = cv2.VideoWriter(str(folder / "holiday.mp4"), cv2.VideoWriter_fourcc(*"mp4v"), 25, (32, 32))
    for path in sorted((folder / "frames").iterdir()):
        video.write(cv2.imread(str(path)))
    video.release()
    (folder / "VIDEOS").mkdir()
    shutil.copy(folder / "holiday.mp4", folder / "VIDEOS")
    shutil.copy(folder / "frames" / "00000000.png", folder / "scan.tif")
    shutil.copy(ROOT / "configs" / "revsci" / "small_cpu.yaml", folder / "CONFIG")
    shutil.copy(ROOT / "tests" / "golden" / "revsci_two_way.pth", folder / "revsci.pth")
    scipy.io.savemat(folder / "mask.mat", {"mask": np.random.default_rng(0).integers(0, 2, (32, 32, 8)).astype(float)})
    for document in DOCUMENTS:
        for block in blocks(document):
            if block.kind == "yaml":
                name = re.match(r"# (\S+\.yaml)\n", block.text)
                assert name, f"{document.name}, line {block.line}: the first line of a configuration names its file"
                (folder / name[1]).write_text(block.text, encoding="utf-8")
                load_config(folder / name[1])
    return folder


@pytest.fixture
def inside(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


# How commands are run


def in_a_process(words, folder):
    """As typed, where Python is this one and an Ascend server's tool is there."""
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    tool = programs / "hccn_tool"
    tool.write_text(HCCN_TOOL)
    tool.chmod(0o755)
    environment = {**os.environ, "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
                   "PYTHONPATH": str(ROOT / "src")}
    run = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr


def dry(words, folder):
    """A launcher, which says what it would start."""
    in_a_process(words if "--dry-run" in words or "--help" in words else [*words, "--dry-run"], folder)
    if not words[2].startswith("-"):
        config = load_config(words[2], [word for word in words if re.match(r"[a-z_.]+=", word)])
        assert not isinstance(config, VideoConfig) or config.data, "no data to train on"


def here(words, folder):
    """A command of mindrestore, in this process."""
    assert cli.main(words[1:]) == 0


# How commands are checked


def parsed(words):
    """Options as the program itself reads them."""
    arguments = words[1:] if words[0] == "mindrestore" else [Path(words[1]).stem, *words[2:]]
    try:
        return cli._parser().parse_args(arguments)
    except SystemExit as end:
        assert end.code == 0 and "--help" in arguments, f"{' '.join(words)}: refused"


def there(*paths):
    for path in filter(None, paths):
        assert Path(path).exists(), f"{path}: named in the documentation, and not there"


def settings_there(overrides):
    """The files that ``key=value`` names are there."""
    for override in overrides:
        key, _, value = override.partition("=")
        if key.split(".")[-1] in ("path", "gt", "lq", "list", "initial", "initial_flow") and value != "null":
            there(value)


def a_training(words, folder):
    options = parsed(words)
    config = load_config(options.config, cli._overrides(options))
    settings_there(options.overrides)
    assert not isinstance(config, VideoConfig) or config.data, "no data to train on"


def an_evaluation(words, folder):
    options = parsed(words)
    overrides = cli._overrides(options) + cli._evaluation_overrides(options)
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
    there(options.input, options.mask, *options.checkpoint, *options.model)
    kind_of(options.output)
    parts = PARTS.get(options.task, (options.task,))
    assert options.checkpoint or options.model or all(part in NAMES for part in parts), "nothing ships for this task"
    assert (options.task == "denoise") == (options.sigma is not None)


def an_installation(words, folder):
    """What is installed is what the project asks for, by itself or by a message."""
    asked = (ROOT / "requirements.txt").read_text() + (ROOT / "pyproject.toml").read_text()
    asked += (ROOT / "src/mindrestore/exit_status.py").read_text()
    for word in words[2:]:
        if word.startswith("."):
            for extra in re.findall(r"\w+", word):
                assert re.search(rf"^{extra} = \[", asked, re.MULTILINE), f"no extra is called {extra}"
        elif not word.startswith("-"):
            assert re.search(rf"(^|['\"]){re.escape(word)}", asked, re.MULTILINE), f"{word} is not what is asked for"


def markers(words, folder):
    if "-m" in words:
        assert f'"{words[words.index("-m") + 1]}:' in (ROOT / "pyproject.toml").read_text()


def only_parsed(words, folder):
    parsed(words)


def nothing(words, folder):
    """There is nothing to check."""


RUN = {
    "mindrestore simulate": here,
    "mindrestore convert": here,
    "mindrestore restore coded.mat back.mp4 --task sci": here,
    "python src/scripts/create_lmdb.py": in_a_process,
    "python src/scripts/regroup_reds_dataset.py": in_a_process,
    "python scripts/generate_rank_table.py": in_a_process,
    "bash scripts/": dry,
}
"""Commands that run, by how they begin."""

CHECKED = {
    "mindrestore restore": (a_restoration, "minutes, and networks that are only named; test_restore.py runs it"),
    "mindrestore restore coded.mat back.mp4 --task sci --model": (a_restoration, "compiles; test_restore_exported.py runs it"),
    "mindrestore doctor": (only_parsed, "computes for seconds; test_doctor.py runs it"),
    "python train.py": (a_training, "hours; test_training.py and test_video_training.py train tiny networks"),
    "python eval.py": (an_evaluation, "minutes, and data sets that are only named; test_evaluation.py runs it"),
    "python export.py": (an_export, "compiles twice; test_export.py and test_export_onnx.py run it"),
    "pip install": (an_installation, "would change the installation that tests run in; .ci/run runs the README's"),
    "pytest": (markers, "is what runs this"),
    "unset": (nothing, "a shell's own"),
}
"""Commands that the program itself reads, but does not carry out, by how they begin; and why."""


def how(words):
    """The longest beginning that fits a command, and what is done with it."""
    line = " ".join(words)
    table = {**RUN, **{beginning: check for beginning, (check, _) in CHECKED.items()}}
    fitting = [beginning for beginning in table if line == beginning or line.startswith(
        beginning if beginning.endswith("/") else beginning + " ")]
    assert fitting, f"{line}: say in this test how it runs, or why it is only checked"
    return table[max(fitting, key=len)]


_done = set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_commands(document, inside, prepared, in_pynative):
    for words in commands_of(document):
        if tuple(words) not in _done:
            print("$", *words)
            how(words)(words, inside)
            _done.add(tuple(words))


@pytest.fixture
def in_pynative(monkeypatch):
    """Compiling takes longer than all that the examples compute."""
    from mindrestore.runtime import execution
    use = execution.use
    monkeypatch.setattr(execution, "use", lambda mode: use("pynative"))
    use("pynative")
    yield
    use("graph")


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if any(block.kind == "python" for block in blocks(path))],
                         ids=lambda path: path.stem)
def test_programs(document, inside, prepared, in_pynative):
    from mindrestore.checkpoints import save_network
    from mindrestore.models import create_model
    network = create_model("vrt", **TINY_VRT)
    save_network(inside / "runs" / "mine" / "best.ckpt", network, "vrt", network.settings)
    names = {}
    for block in blocks(document):
        if block.kind == "python":
            exec(compile("\n" * block.line + block.text, str(document), "exec"), names)


def test_blocks_say_what_they_are():
    for document in DOCUMENTS:
        for block in blocks(document):
            assert block.kind in KINDS, f"{document.name}, line {block.line}"


# Names


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_links_lead_somewhere(document):
    for link in links(document):
        if not link.startswith("http"):
            path, _, anchor = link.partition("#")
            target = (document.parent / path).resolve() if path else document
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_every_page_is_linked_from_the_first():
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links(ENGLISH)}
    assert set(DOCUMENTS) - {ENGLISH} <= linked


@pytest.mark.parametrize("document", DOCUMENTS, ids=IDS)
def test_files_settings_and_options_that_are_named_exist(document):
    options = set(re.findall(r"--[a-z][a-z-]+", "".join(
        path.read_text(encoding="utf-8") for folder in ("src", "scripts") for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".py", ".sh"))))
    for code in inline(document):
        word = code.split()[0]
        if re.fullmatch(r"(configs|docs|scripts|src|tests|benchmarks)/[\w./-]*[\w-]", word):
            assert (ROOT / word).exists(), code
        key = re.fullmatch(r"'?((?:training|data|model|mask|measure|evaluation|tiling|runtime|interpolation)(?:\.[a-z_]+)+)(=.*)?",
                           word)
        if key and not word.endswith((".mat", ".mdb", ".py")):
            assert any(_has(config, key[1].split(".")) for config in (SnapshotConfig, VideoConfig, FlowConfig)), code
        if not code.startswith(("pip ", "pytest ")):
            for option in re.findall(r"(?<!\S)--[a-z][a-z-]+", code):
                assert option in options, code


def _has(config, parts):
    for part in parts:
        if part not in config.model_fields:
            return False
        kinds = [config.model_fields[part].annotation, *getattr(config.model_fields[part].annotation, "__args__", ())]
        config = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)
    return True


def test_python_names_exist():
    for code in inline(ROOT / "docs" / "library.md"):
        name = re.match(r"(mindrestore(?:\.\w+)+)", code)
        if name:
            module, _, attribute = name[1].rpartition(".")
            found = importlib.util.find_spec(name[1]) if importlib.util.find_spec(module).submodule_search_locations else None
            assert found or hasattr(importlib.import_module(module), attribute), code


# Error messages


def test_messages_are_those_of_the_code():
    page = prose(ROOT / "docs" / "troubleshooting.md").partition("\n## Not from mindrestore")[0]
    messages = re.findall(r"^### `(.*)`$", page, re.MULTILINE)
    assert len(messages) > 40
    texts = _texts_of_the_code()
    for message in messages:
        pattern = re.compile(".*".join(map(re.escape, re.split("…+", message))), re.DOTALL)
        assert any(pattern.search(text) for text in texts), message


def _texts_of_the_code():
    """All strings of the sources, with … where a value goes."""
    texts = []
    for path in (*(ROOT / "src").rglob("*.py"), *(ROOT / "scripts").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    for line in (ROOT / "scripts" / "lib" / "launch.sh").read_text(encoding="utf-8").splitlines():
        texts.append(re.sub(r"\$\w+|\$\{[^}]*\}", "…", line))
    return texts


# Two languages


def test_both_languages_have_the_same_commands_links_and_figures():
    assert [(block.kind, _uncommented(block.text)) for block in blocks(CHINESE)] == [
        (block.kind, _uncommented(block.text)) for block in blocks(ENGLISH)]
    assert [link for link in links(CHINESE) if link != ENGLISH.name] == [link for link in links(ENGLISH) if link != CHINESE.name]
    assert [depth for depth, _ in headings(CHINESE)] == [depth for depth, _ in headings(ENGLISH)]
    assert sorted(_figures(CHINESE)) == sorted(_figures(ENGLISH))
    assert sorted(set(inline(CHINESE))) == sorted(set(inline(ENGLISH)))


def _uncommented(text):
    return [re.sub(r"\s+# .*", "", line).rstrip() for line in text.splitlines()]


def _figures(path):
    return re.findall(r"\d*\.\d+", prose(path))
