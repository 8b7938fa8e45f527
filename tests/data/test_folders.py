"""The rules by which folders are looked through (docs/data.md), by everyone who looks through them."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from builders import video_config, write_frames
from places import ROOT

from mindrestore.data import folders
from mindrestore.data.clip_lists import ListedClip, read_list, write_list
from mindrestore.data.folders import (
    VIDEO_SUFFIXES,
    files_ending,
    find_clips,
    frame_files,
    frame_numbers,
    gap_sentence,
    identity,
    natural_order,
    runs,
)
from mindrestore.data.frame_stores import FolderStore, LmdbStore, training_stores
from mindrestore.data.lmdb_writer import create_lmdb
from mindrestore.data.providers import DavisClips
from mindrestore.data.scenes import find_benchmark_scenes, load_scene, scene_paths
from mindrestore.data.subclips import StoredSubclips
from mindrestore.data.video_sets import evaluation_clips
from mindrestore.errors import UserError
from mindrestore.evaluation.video import video_cases
from mindrestore.media.clips import open_clip
from mindrestore.restore.simulation import simulate
from mindrestore.training import video_job

FRAMES = tuple(f"{number:08d}.png" for number in range(4))


def evaluated(gt, lq=None):
    """The clips that an evaluation takes."""
    return evaluation_clips(SimpleNamespace(set="folder", path=None, gt=gt, lq=lq, clips=None), None)


def stored(root):
    """{clip: names of its frames} that an LMDB of a folder holds."""
    create_lmdb(root, root.with_name("made.lmdb"), workers=1)
    return LmdbStore(root.with_name("made.lmdb")).clips


READERS = {  # who looks through a folder of clips -> the names that it finds there
    "training": lambda root: list(FolderStore(root).clips),
    "evaluation": lambda root: [clip.name for clip in evaluated(root)],
    "snapshots": lambda root: [path.relative_to(root).as_posix() for path in scene_paths(root)],
    "DAVIS": lambda root: list(
        dict.fromkeys(
            DavisClips(root, 4)._groups[index][0].relative_to(root).as_posix() for index in range(len(DavisClips(root, 4)))
        )
    ),
    "LMDB": lambda root: list(stored(root)),
}


@pytest.fixture(params=READERS)
def clips_found(request):
    return READERS[request.param]


@pytest.fixture
def clips(tmp_path):
    """A folder of two clips of four frames."""
    for name in ("000", "001"):
        write_frames(tmp_path / "clips" / name, FRAMES)
    return tmp_path / "clips"


# Which files and folders are taken


def test_clips_are_folders_of_pictures_at_any_depth_in_natural_order(clips, clips_found):
    write_frames(clips / "a10", FRAMES), write_frames(clips / "a9" / "deep", FRAMES)
    (clips / "empty").mkdir()
    (clips / "notes.txt").touch()
    assert clips_found(clips) == ["000", "001", "a9/deep", "a10"]


def test_what_is_hidden_and_what_systems_put_there_is_left_out(clips, clips_found):
    for name in (".thumbnails", ".cache/deep", "__MACOSX/000", "000/@eaDir/00000000.png"):
        write_frames(clips / name, FRAMES)
    for name in ("._mosaic.png", "000/._00000000.png", "000/.DS_Store", "._notes.mat", "._film.mp4"):
        (clips / name).write_bytes(b"Mac OS X")
    assert clips_found(clips) == ["000", "001"]
    assert [path.name for path in frame_files(clips / "000")] == list(FRAMES)
    assert open_clip(clips / "000").count == 4


def test_a_link_to_its_own_folder_adds_nothing(clips, clips_found):
    (clips / "000" / "self").symlink_to(".")
    (clips / "up").symlink_to("..")
    (clips / "nothing").symlink_to("nothing")
    assert clips_found(clips / "..") == ["clips/000", "clips/001"]


def test_linked_clips_are_followed_once(clips, clips_found, tmp_path):
    write_frames(tmp_path / "elsewhere" / "b", FRAMES)
    (clips / "240").symlink_to(tmp_path / "elsewhere" / "b")
    (clips / "241").symlink_to(tmp_path / "elsewhere" / "b")
    (clips / "0").symlink_to("001")  # comes first, but 001 is the clip's own name
    assert clips_found(clips) == ["000", "001", "240"]


def test_folders_that_link_to_each_other_end(tmp_path):
    names = [f"{number:02d}" for number in range(12)]
    for name in names:
        write_frames(tmp_path / name, FRAMES)
        for other in names:
            (tmp_path / name / f"to_{other}").symlink_to(tmp_path / other)
    assert list(find_clips(tmp_path)) == names  # 12! paths lead through them


def test_pictures_beside_clips_are_refused(clips, clips_found):
    write_frames(clips, ["mosaic.png"])
    with pytest.raises(UserError, match=r"clips: holds pictures, such as mosaic\.png, beside the clip .*000; move"):
        clips_found(clips)


@pytest.mark.parametrize("reader", ["evaluation", "snapshots"])
def test_pictures_beside_videos_are_refused(tmp_path, reader):
    (tmp_path / "film.mp4").touch()
    write_frames(tmp_path, ["cover.png"])
    with pytest.raises(UserError, match=r"holds pictures, such as cover\.png, beside the clip .*film\.mp4"):
        READERS[reader](tmp_path)


def test_restoring_takes_the_named_folder_alone(clips):
    write_frames(clips, ["mosaic.png"])
    assert open_clip(clips).count == 1


def test_videos_are_clips_where_they_can_be_read(clips):
    (clips / "film.MP4").touch()
    write_frames(clips / "b.mkv", FRAMES)  # a folder, whatever it is called
    (clips / "one.mat").touch()
    assert READERS["evaluation"](clips) == ["000", "001", "b.mkv", "film"]
    assert READERS["snapshots"](clips) == ["000", "001", "b.mkv", "film.MP4", "one.mat"]
    assert READERS["training"](clips) == ["000", "001", "b.mkv"]


# Two of one name


@pytest.mark.parametrize("second", ["00000002.jpg", "00000002.PNG"])
def test_frames_that_differ_in_their_suffix_alone_are_refused(clips, clips_found, second):
    write_frames(clips / "001", [second])
    words = f"001: both {' and '.join(sorted([second, '00000002.png']))} are frame 00000002; remove one of them"
    for read in (clips_found, lambda root: open_clip(root / "001")):
        with pytest.raises(UserError, match=words):
            read(clips)


@pytest.mark.parametrize("first, second", [("film.mp4", "film.avi"), ("000.mp4", None), ("x/film.mp4", "x/film.gif")])
def test_videos_of_one_name_are_refused(clips, first, second):
    for name in filter(None, (first, second)):
        (clips / name).parent.mkdir(exist_ok=True)
        (clips / name).touch()
    name = first.rpartition(".")[0]
    with pytest.raises(UserError, match=f"beside it is clip {name} too; rename one of them"):
        evaluated(clips)


def test_clips_whose_results_would_have_one_name_are_refused(tmp_path):
    write_frames(tmp_path / "a_b", FRAMES), write_frames(tmp_path / "a" / "b", FRAMES)
    with pytest.raises(UserError, match="clips a/b and a_b: their results would have one name"):
        evaluated(tmp_path)


# What is no file


@pytest.mark.parametrize(
    "put, words",
    [
        (lambda path: path.mkdir(), "is a folder"),
        (os.mkfifo, "is a pipe"),
        (lambda path: path.symlink_to("nowhere.png"), "is a link that leads nowhere"),
        (lambda path: path.symlink_to("9.png"), "is a link that leads nowhere"),
    ],
    ids=["folder", "pipe", "broken link", "link to itself"],
)
def test_what_is_called_like_a_picture_and_is_none_is_refused(clips, clips_found, put, words):
    put(clips / "000" / "9.png")
    for read in (clips_found, lambda root: open_clip(root / "000")):
        with pytest.raises(UserError, match=rf"000.9\.png: {words} where its name says a file"):
            read(clips)


def test_folders_called_like_pictures_are_clips(tmp_path, clips_found):
    write_frames(tmp_path / "clips" / "9.png", FRAMES)
    assert clips_found(tmp_path / "clips") == ["9.png"]


def test_a_pipe_called_like_a_video_is_refused(clips):
    os.mkfifo(clips / "film.mp4")
    with pytest.raises(UserError, match=r"film\.mp4: is a pipe"):
        evaluated(clips)


def test_a_folder_that_cannot_be_listed_is_named(clips, clips_found, monkeypatch):
    """Whoever runs the tests may be allowed everything: the system's refusal is imitated."""
    scandir = os.scandir

    def refusing(path):
        if Path(path).name == "001":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(folders.os, "scandir", refusing)
    with pytest.raises(UserError, match="001: this folder cannot be read .Permission denied."):
        clips_found(clips)


NOT_UTF8 = os.fsdecode(b"\x83e\x83X")


@pytest.mark.parametrize("name", [f"{NOT_UTF8}/00000000.png", f"002/{NOT_UTF8}_0.png"], ids=["clip", "frame"])
def test_names_that_are_not_utf8_are_refused(clips, clips_found, name):
    (clips / name).parent.mkdir()
    try:
        (clips / name).touch()
    except OSError:
        pytest.skip("this file system takes UTF-8 names alone")
    with pytest.raises(UserError, match="is not UTF-8; rename it") as caught:
        clips_found(clips)
    str(caught.value).encode()  # can be printed


def test_a_frame_that_is_gone_is_named(clips):
    store = FolderStore(clips)
    (clips / "000" / FRAMES[2]).unlink()
    with pytest.raises(UserError, match=r"00000002\.png: this frame cannot be read .No such file"):
        store.read("000", "00000002")


def test_files_of_scenes_and_captures_are_found_by_the_same_rules(tmp_path):
    for name in ("._kobe32_cacti.mat", "kobe32_cacti.MAT", "a_cr_4.MAT", "._b_cr_4.mat"):
        (tmp_path / name).touch()
    (tmp_path / "folder.mat").mkdir()
    assert [path.name for path in files_ending(tmp_path, ".mat")] == ["a_cr_4.MAT", "kobe32_cacti.MAT"]
    assert find_benchmark_scenes(tmp_path)["Kobe"].name == "kobe32_cacti.MAT"
    (tmp_path / "a_cr_4.mat").touch()
    with pytest.raises(UserError, match=r"both a_cr_4\.MAT and a_cr_4\.mat are called a_cr_4; rename one"):
        files_ending(tmp_path, ".mat")


# Neighbours of all these cases

NAMES = (
    "0.png",
    "1.png",
    "1.jpg",
    "2.PNG",
    "._0.png",
    ".hidden",
    "a",
    "b",
    "b10",
    "__MACOSX",
    "notes.txt",
    "Thumbs.db",
    "9.png",
    "x.tif",
    NOT_UTF8,
)


def grow(folder, rng, depth=0):
    """Fill a folder with files, folders, pipes and links, mostly to folders that are there."""
    folder.mkdir()
    for name in rng.choice(NAMES, rng.integers(1, 6), replace=False):
        path, kind = folder / name, rng.random()
        if kind < 0.3 and depth < 3:
            grow(path, rng, depth + 1)
        elif kind < 0.45:
            path.symlink_to(rng.choice([".", "..", "../a", "../../b", "0.png", "nowhere"]))
        elif kind < 0.47:
            os.mkfifo(path)
        else:
            path.touch()


def outcome(read, root):
    try:
        return sorted(read(root))
    except UserError as error:
        assert "\n" not in str(error)
        return f"refused: {str(error).partition(':')[2][:20]}"


def compare_readers(tmp_path, trees, seed):
    """Return how many of random trees were read, refused and without clips; all who read folders must agree."""
    rng, counts = np.random.default_rng(seed), {"read": 0, "refused": 0, "empty": 0}
    readers = {
        "training": READERS["training"],
        "evaluation": lambda root: ["." if clip.name == root.name else clip.name for clip in evaluated(root)],
        "snapshots": READERS["snapshots"],
        "DAVIS": lambda root: {folder.relative_to(root).as_posix() for folder, _ in DavisClips(root, 1)._groups},
    }
    for tree in range(trees):
        root = tmp_path / f"tree{tree}"
        grow(root, rng)
        outcomes = {name: outcome(read, root) for name, read in readers.items()}
        if all(isinstance(each, str) for each in outcomes.values()):
            refused = set(outcomes.values())
            empty = all(" no " in each for each in refused)
            assert empty or len(refused) == 1, (root, outcomes)
            counts["empty" if empty else "refused"] += 1
        else:
            assert len(set(map(str, outcomes.values()))) == 1, (root, outcomes)
            counts["read"] += 1
    return counts


def test_all_readers_agree_on_random_trees(tmp_path):
    counts = compare_readers(tmp_path, 150, seed=0)
    print(f"folders: {counts} of 150 trees")
    assert min(counts.values()) > 10


@pytest.mark.long
def test_all_readers_agree_on_many_random_trees(tmp_path):
    counts = compare_readers(tmp_path, 5000, seed=1)
    print(f"folders: {counts} of 5000 trees")
    assert min(counts.values()) > 300


# Order and numbers


def test_natural_order():
    names = ["title", "im10", "im9", "10", "9", "01", "1", "9" * 5000, "²", "b2a10", "b2a9"]
    assert sorted(sorted(names), key=natural_order) == [
        "01",
        "1",
        "9",
        "10",
        "9" * 5000,
        "b2a9",
        "b2a10",
        "im9",
        "im10",
        "title",
        "²",
    ]
    assert [str(number)[:6] for number in frame_numbers(["9" * 5000, "²"])] == ["999999", "None"]


@pytest.mark.parametrize(
    "names, lengths",
    [
        ("0 1 2 3 44 45 46 47", [4, 4]),
        ("0 5 10 15", [4]),  # every fifth frame
        ("0 5 15 20", [2, 2]),
        ("t033 t067 t100 t167 t200", [3, 2]),  # times, a frame lost
        ("00000000x4 00000001x4 00000002x4", [3]),
        ("00000000x4 00000001x4 00000005x4", [2, 1]),
        ("0001_exp33 0002_exp41 0003_exp7", [3]),
        ("2024-01-31_8 2024-01-31_9 2024-01-31_12", [2, 1]),
        ("a_1 a_2 b_1 b_2", [2, 2]),
        ("seq1_8 seq1_9 seq2_0 seq2_1", [2, 2]),
        ("1 01 2", [1, 2]),
        ("one three two", [3]),
        ("title 0 1 2", [1, 3]),
        ("7", [1]),
        ("", []),
    ],
)
def test_runs(names, lengths):
    found = runs(names.split())
    assert [len(run) for run in found] == lengths
    assert [place for run in found for place in run] == list(range(sum(lengths)))


GAP = tuple(f"{number:08d}.png" for number in (0, 1, 2, 3, 44, 45, 46, 47))
WORDS = "frames are missing between 00000003 and 00000044"


@pytest.fixture
def with_gap(tmp_path):
    return write_frames(tmp_path / "clips" / "000", GAP, (16, 16)).parent


def test_training_makes_no_window_across_a_gap(with_gap):
    subclips = StoredSubclips(FolderStore(with_gap), frames=3, patch=16)
    assert [subclips.name(index)[-2:] for index in range(len(subclips))] == ["00", "01", "44", "45"]
    assert subclips.notes == [f"{with_gap}, clip 000: {WORDS}"]
    for index in range(len(subclips)):
        grey = np.rint(255 * subclips.subclip(index, np.random.default_rng(0)).gt[:, 0, 0, 0])
        assert grey.max() <= 30 or grey.min() >= 40
    with pytest.raises(UserError, match=f"no clip of 5 frames.*{WORDS}"):
        StoredSubclips(FolderStore(with_gap), frames=5, patch=16)
    groups = DavisClips(with_gap, 3, 16, 16)
    assert [groups._groups[index][1] for index in range(len(groups))] == [0, 4]
    assert groups.notes == [f"{with_gap / '000'}: {WORDS}"]


def test_evaluation_says_that_there_is_a_gap(with_gap, clips):
    (clip,) = (clip for clip in evaluated(with_gap) if clip.name == "000")
    assert clip.gap() == f"clip 000, {with_gap / '000'}: {WORDS}"
    assert evaluated(clips / "001")[0].gap() is None
    assert gap_sentence("x", ["0", "1", "5", "6", "9"]) == "x: frames are missing between 1 and 5, the first of 2 gaps"


def test_commands_say_that_there_is_a_gap(with_gap, capsys):
    options = (f"data.gt={with_gap}", "data.frames=3", "data.patch=16")
    video_job._samples(video_config("deblur", "data.kind=stored", *options))
    assert f"clip 000: {WORDS}; no subclip goes across." in capsys.readouterr().out
    video_cases(video_config("deblur", gt=str(with_gap)))
    assert f"{WORDS}; they are taken as if they followed one another." in capsys.readouterr().out


@pytest.mark.parametrize(
    "use, words",
    [
        (lambda folder: create_lmdb(folder.parent, folder.parents[1] / "made.lmdb", workers=1), "clip 000 has no frame 4"),
        (load_scene, f"000: {WORDS}; give a folder for each part"),
        (
            lambda folder: simulate(folder, folder.parents[1] / "made.mat", ratio=4),
            f"000: {WORDS}; give a folder for each part",
        ),
    ],
    ids=["LMDB", "scene", "simulate"],
)
def test_who_needs_every_frame_refuses_a_gap(with_gap, use, words):
    with pytest.raises(UserError, match=words):
        use(with_gap / "000")


def test_numbers_that_do_not_rise_are_refused_by_an_lmdb(tmp_path):
    write_frames(tmp_path / "clips" / "a", ["1.png", "01.png", "2.png"])
    with pytest.raises(UserError, match="clip a: the numbers of frames 01 and 1 do not rise"):
        stored(tmp_path / "clips")


# Ground truth and low quality


def pair(root, lq_names):
    return (
        write_frames(root / "gt" / "000", FRAMES, (16, 16)).parent,
        write_frames(root / "lq" / "000", lq_names, (16, 16)).parent,
    )


@pytest.mark.parametrize(
    "lq_names",
    [
        [f"{number:08d}.jpg" for number in range(4)],
        [f"{number:08d}x4.png" for number in range(4)],
        [f"frame{number}.png" for number in range(4)],
    ],
)
def test_frames_belong_together_by_name_or_number(tmp_path, lq_names):
    gt, lq = pair(tmp_path, lq_names)
    assert [clip.name for clip in evaluated(gt, lq)] == ["000"]
    subclips = StoredSubclips(*training_stores(gt, lq), frames=3, patch=16)
    subclip = subclips.subclip(1, np.random.default_rng(0))
    np.testing.assert_allclose(subclip.gt[:, 0, 0, 0], subclip.lq[:, 0, 0, 0], atol=2 / 255)


@pytest.mark.parametrize(
    "lq_names, words",
    [
        (
            [f"{number:08d}.png" for number in range(1, 5)],
            "frame 00000000 of .*gt.* has no counterpart in .*lq",
        ),  # shifted by one
        ([*FRAMES[:2], "00000009.png", FRAMES[3]], "frame 00000002 of .*gt.* has no counterpart in .*lq"),
        (["a.png", "b.png", "c.png", "d.png"], "frame 00000000 of .*gt.* has no counterpart in .*lq"),
    ],
)
def test_the_first_frame_without_counterpart_is_named(tmp_path, lq_names, words):
    gt, lq = pair(tmp_path, lq_names)
    for read in (evaluated, lambda gt, lq: StoredSubclips(*training_stores(gt, lq), frames=2, patch=16)):
        with pytest.raises(UserError, match=f"clip 000: {words}"):
            read(gt, lq)


# Names in lists


SPACED = ["my clip 1", "my clip", "a  b", "été (2)", "12 (3,4,5) 6"]


def test_clips_with_spaces_come_back_from_lmdbs_and_lists(tmp_path):
    for name in SPACED:
        write_frames(tmp_path / "clips" / name, [f"a frame {number}.png" for number in range(3)])
    script = ROOT / "src/scripts/create_lmdb.py"
    subprocess.run(
        [
            sys.executable,
            str(script),
            str(tmp_path / "clips"),
            str(tmp_path / "all.lmdb"),
            "--write-list",
            str(tmp_path / "list.txt"),
            "--workers",
            "1",
        ],
        check=True,
        capture_output=True,
    )
    store = LmdbStore(tmp_path / "all.lmdb")
    assert store.clips == FolderStore(tmp_path / "clips").clips and set(store.clips) == set(SPACED)
    assert store.read("my clip 1", "a frame 2")[0, 0, 0] == 20
    assert [(clip.name, clip.frames, clip.first) for clip in read_list(tmp_path / "list.txt")] == [
        (name, 3, 0) for name in store.clips
    ]


@pytest.mark.parametrize("name", ["two\nlines", " before", "behind ", "tab\t", "return\r", "escape\x1b[2J"])
def test_names_that_lines_cannot_hold_are_refused_before_the_work(tmp_path, name):
    write_frames(tmp_path / "clips" / name, FRAMES)
    with pytest.raises(UserError, match="a list cannot hold this name"):
        create_lmdb(tmp_path / "clips", tmp_path / "out.lmdb", workers=1)
    assert not list(tmp_path.glob("out*"))
    with pytest.raises(UserError, match="a list cannot hold this name"):
        write_list(tmp_path / "list.txt", [ListedClip(name, 1, (8, 8, 3), 0)])
    assert not (tmp_path / "list.txt").exists()


def test_names_too_long_for_a_key_are_refused_before_the_work(tmp_path):
    write_frames(tmp_path / "clips" / ("a" * 200) / ("b" * 200) / ("c" * 200), FRAMES)
    with pytest.raises(UserError, match="more than the 511 bytes of an LMDB's key"):
        create_lmdb(tmp_path / "clips", tmp_path / "out.lmdb", workers=1)
    assert not list(tmp_path.glob("out*"))


TEXTS = {
    "mark": ("000 4 (8,12,3) 0\n", "utf-8-sig", None),
    "UTF-16": ("000\n", "utf-16", "is not UTF-8 text"),
    "GBK": ("片段\n", "gbk", "is not UTF-8 text"),
    "Windows": ("000\r\n001\r\n", "utf-8", None),
    "separator": ("a\u2028b 4 (8,12,3) 0\n", "utf-8", None),
}


@pytest.mark.parametrize("kind", TEXTS)
def test_lists_in_other_encodings(tmp_path, kind):
    text, encoding, words = TEXTS[kind]
    (tmp_path / "list.txt").write_bytes(text.encode(encoding))
    if words:
        with pytest.raises(UserError, match=words):
            read_list(tmp_path / "list.txt")
    else:
        assert read_list(tmp_path / "list.txt")[0].name == ("a\u2028b" if kind == "separator" else "000")


@pytest.mark.parametrize("line", ["my clip", "my clip 1", f"000 {'9' * 5000}", f"000 4 ({'9' * 5000},1,3) 0", "000 4 (1,2)"])
def test_lines_that_are_none_are_named(tmp_path, line):
    (tmp_path / "list.txt").write_text(f"{line}\n")
    with pytest.raises(UserError, match="line 1: .* is no clip") as caught:
        read_list(tmp_path / "list.txt")
    assert len(str(caught.value)) < 400


# Whether a folder is still the same


def test_a_folder_is_another_when_a_frame_of_it_is(clips):
    folder = clips / "000"
    before = identity(folder)
    assert identity(folder) == before == identity(os.path.relpath(folder))
    (folder / "notes.txt").touch()
    assert identity(folder) == before
    image = np.full((8, 12, 3), 200, np.uint8)
    cv2.imwrite(str(folder / FRAMES[1]), image)  # in place: the folder's own time stays
    assert identity(folder) != before
    assert identity(folder / FRAMES[1]) != identity(folder / FRAMES[0])


def test_videos_suffixes_are_in_lower_case():
    assert all(suffix == suffix.lower() for suffix in (*VIDEO_SUFFIXES, *folders.IMAGE_SUFFIXES))
