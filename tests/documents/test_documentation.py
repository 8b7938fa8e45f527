"""The documentation: every command in it runs, or is read by the program that it is for; links lead somewhere; error
messages are those of the code. That Chinese pages say what English ones do is in test_translations.py: what is tried of the
English ones is not tried again.
"""

import ast
import pkgutil
import re
import shutil

import cv2
import numpy as np
import pytest
import scipy.io
from builders import INTERPOLATING
from documented_commands import CHECKED, RUN, beginning_of, in_a_process, tried
from pages import CHANGELOG, DOCUMENTS, ENGLISH, KINDS, NOTEBOOKS, README, anchors, blocks, commands_of, inline, links, prose
from places import CONFIGS, GOLDEN, ROOT

from mindrestore import cli
from mindrestore.config import configuration_of, load_config
from mindrestore.config.sections import Section
from mindrestore.models import BUILT_IN, kind_of


def name_of(path):
    return path.relative_to(ROOT).as_posix()


SECTIONS = "training|data|model|mask|measure|evaluation|tiling|runtime|interpolation"
ONLY_NAMED = (
    "WEIGHTS.pth",
    "006_VRT_videodeblurring_GoPro.pth",
    "runs/sr_x2/best.ckpt",
    "runs/jpeg/best.ckpt",
    "GT.lmdb",
    "LQ.lmdb",
    "revsci.mindir",
    "denoise.onnx",
    "camera_mask.mat",
    "SCENES/kobe.mat",
    "CAPTURES/one_cr_8.mat",
    "DAVIS/one/0.jpg",
    "spynet_sintel_final-3d2a1287.pth",
    "GoPro/train/one/sharp/0.png",
    "vimeo_septuplet/sep_trainlist.txt",
    "REDS4/GT/000/0.png",
    "mine/jpeg/beach/0.png",
    "runs/revsci_small/best.ckpt",
    "runs/mine/best.ckpt",
    "white.mat",
    "scene.mat",
    "real.mat",
)
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
    for name in ("configs", "docs", "scripts", "src", "train.py", "eval.py", "export.py", "pyproject.toml"):
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
    shutil.copy(CONFIGS / "revsci" / "small_cpu.yaml", folder / "CONFIG")
    shutil.copy(GOLDEN / "revsci_two_way.pth", folder / "revsci.pth")
    scipy.io.savemat(folder / "mask.mat", {"mask": np.random.default_rng(0).integers(0, 2, (32, 32, 8)).astype(float)})
    (folder / "other.conf").write_text("".join(f"address_{number}=192.168.200.{number + 1}\n" for number in range(8)))
    in_a_process(
        [
            "python",
            "scripts/generate_rank_table.py",
            "--server",
            "10.0.0.2",
            "--conf",
            "other.conf",
            "--output",
            "server1.json",
        ],
        folder,
    )
    for document in ENGLISH:
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


_done = set()


@pytest.mark.parametrize("document", ENGLISH, ids=name_of)
def test_commands(document, inside, prepared, in_pynative):
    for words in commands_of(document):
        if tuple(words) not in _done:
            print("$", *words)
            tried(words, inside)
            _done.add(tuple(words))


def test_no_way_to_try_a_command_is_left_over():
    """What no document needs any more has no place in the tables."""
    used = {beginning_of(words) for document in ENGLISH for words in commands_of(document)}
    assert used == {*RUN, *CHECKED}


@pytest.fixture
def in_pynative(monkeypatch):
    """Compiling takes longer than all that the examples compute."""
    from mindrestore.runtime import execution

    use = execution.use
    monkeypatch.setattr(execution, "use", lambda mode: use("pynative"))
    use("pynative")
    yield
    use("graph")


@pytest.mark.parametrize(
    "document",
    [path for path in ENGLISH if any(block.kind == "python" for block in blocks(path))],
    ids=lambda path: path.stem,
)
def test_programs(document, inside, prepared, in_pynative, monkeypatch):
    from mindrestore.checkpoints import save_network
    from mindrestore.data import named_sets
    from mindrestore.executor import Piecewise
    from mindrestore.models import create_model
    from mindrestore.models.vrt import VRT

    call = Piecewise.__call__
    monkeypatch.setattr(
        Piecewise,
        "__call__",
        lambda self, *inputs: (  # a minute with a VRT; test_vrt.py runs it
            inputs[0][:, 1:2] if isinstance(self.network, VRT) else call(self, *inputs)
        ),
    )
    monkeypatch.setattr(named_sets, "SETS", dict(named_sets.SETS))  # which one page adds to
    network = create_model("vrt", **dict(INTERPOLATING, depths=[1] * 8))
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


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document):
    for link in links(document):
        if not link.startswith("http"):
            path, _, anchor = link.partition("#")
            target = (document.parent / path).resolve() if path else document
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


def test_every_page_is_linked_from_the_first():
    linked = {(ROOT / link.partition("#")[0]).resolve() for link in links(README)}
    assert {*ENGLISH, *NOTEBOOKS} - {README} <= linked


@pytest.mark.parametrize("document", [path for path in ENGLISH if path != CHANGELOG], ids=lambda path: path.stem)
def test_files_settings_and_options_that_are_named_exist(document):
    programs = [
        path
        for folder in ("src", "scripts", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".py", ".sh")
    ]
    options = set(re.findall(r"--[a-z][a-z-]+", "".join(path.read_text(encoding="utf-8") for path in programs)))
    subcommands = next(action.choices for action in cli.parser()._actions if action.dest == "command")
    for code in inline(document):
        word = code.split()[0]
        assert not code.startswith("mindrestore ") or code.split()[1] in subcommands, code
        if re.fullmatch(r"(configs|docs|scripts|src|tests|benchmarks)/[\w./-]*[\w-]", word):
            assert (ROOT / word).exists(), code
        key = re.fullmatch(rf"'?((?:{SECTIONS})(?:\.[a-z_]+)+)(=.*)?", word)
        if key and not word.endswith((".mat", ".mdb", ".py")):
            assert any(_has(configuration_of(kind_of(name)), key[1].split(".")) for name in BUILT_IN), code
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


def test_python_names_exist(prepared):
    for code in inline(ROOT / "docs" / "library.md"):
        name = re.match(r"(mindrestore(?:\.\w+)+)", code)
        if name:
            pkgutil.resolve_name(name[1])


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
    for path in (ROOT / "scripts" / "lib").glob("*.sh"):
        for line in path.read_text(encoding="utf-8").splitlines():
            texts.append(re.sub(r"\$\w+|\$\{[^}]*\}", "…", line))
    return texts
