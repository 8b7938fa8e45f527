"""From unpacked archives to databases: regrouping REDS, lists of clips, LMDBs made, killed, gone on with and read."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time

import cv2
import lmdb
import numpy as np
import pytest
from places import ROOT

from mindrestore.data import lmdb_writer
from mindrestore.data.clip_lists import ListedClip, read_list, write_list
from mindrestore.data.frame_stores import META_INFO, FolderStore, LmdbStore, open_store
from mindrestore.data.lmdb_writer import create_lmdb, verify
from mindrestore.data.regroup import regroup
from mindrestore.errors import UserError

SCRIPTS = ROOT / "src/scripts"


def write_clip(folder, frames=3, first=0, name="{:08d}.png", size=(12, 16), seed=0):
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    for number in range(first, first + frames):
        cv2.imwrite(str(folder / name.format(number)), rng.integers(0, 256, (*size, 3), np.uint8))


def script(name):
    spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# Lists of clips


def test_a_list_comes_back(tmp_path):
    clips = [ListedClip("000", 100, (720, 1280, 3), 0), ListedClip("00001/0001", 7, (256, 448, 3), 1)]
    write_list(tmp_path / "list.txt", clips)
    assert read_list(tmp_path / "list.txt") == clips


def test_published_spellings_are_read(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("000 100 (720,1280,3)\n\nGOPR0372_07_00 100 (720,1280,3) 000047\n00001/0001\n")
    assert read_list(path) == [
        ListedClip("000", 100, (720, 1280, 3)),
        ListedClip("GOPR0372_07_00", 100, (720, 1280, 3), 47),
        ListedClip("00001/0001"),
    ]


@pytest.mark.parametrize(
    "text, complaint",
    [("000 100 720\n", "line 1"), ("000\n000\n", "listed twice"), ("\n", "no clips"), ("000 ten\n", "line 1")],
)
def test_a_bad_list_is_refused(tmp_path, text, complaint):
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(UserError, match=complaint):
        read_list(tmp_path / "list.txt")


# REDS


@pytest.fixture
def reds(tmp_path):
    """A miniature of the unpacked archives: 3 training and 2 validation clips of 3 frames, sharp and blurred."""
    root = tmp_path / "REDS"
    for part, clips in (("train", 3), ("val", 2)):
        for variant, size in (("sharp", (12, 16)), ("sharp_bicubic/X4", (3, 4)), ("blur", (12, 16))):
            for clip in range(clips):
                write_clip(root / part / f"{part}_{variant}" / f"{clip:03d}", size=size, seed=clip + 10 * (part == "val"))
    return root


@pytest.mark.parametrize("link", [False, True])
@pytest.mark.parametrize("elsewhere", [False, True])
def test_validation_clips_join_the_training_clips(reds, tmp_path, link, elsewhere):
    output = tmp_path / "all" if elsewhere else None
    before = tree(reds)
    placed = regroup(reds, output, link, frames=3)
    assert [(item.clips, item.new) for item in placed] == [(5, 5 if elsewhere else 2)] * 3
    sharp = placed[0].folder
    assert sorted(path.name for path in sharp.iterdir()) == ["000", "001", "002", "240", "241"]
    assert tree(sharp / "241") == tree(reds / "val/val_sharp/001")
    assert (sharp / "241").is_symlink() == link
    assert before.items() <= tree(reds).items()  # nothing was moved or changed
    assert all(item.new == 0 for item in regroup(reds, output, link, frames=3))  # and a second run does nothing


def test_regrouping_goes_on_after_a_stop(reds, tmp_path):
    regroup(reds, tmp_path / "all", frames=3)
    whole = tree(tmp_path / "all")
    (tmp_path / "all/train_blur/241").rename(tmp_path / "all/train_blur/.241.partial")  # stopped while it copied
    (tmp_path / "all/train_blur/.241.partial/00000000.png").unlink()
    regroup(reds, tmp_path / "all", frames=3)
    assert tree(tmp_path / "all") == whole


@pytest.mark.parametrize(
    "harm, complaint",
    [
        (lambda reds: (reds / "val/val_sharp/001/00000001.png").unlink(), "frame 00000001 is missing"),
        (lambda reds: write_clip(reds / "val/val_sharp/001", frames=4), "has 4 frames"),
        (lambda reds: (reds / "train/train_sharp/001").rename(reds / "train/train_sharp/007"), "clip 001 is missing"),
        (lambda reds: (reds / "val/val_blur").rename(reds / "val/other"), "no val_blur"),
        (lambda reds: write_clip(reds / "train/train_blur/240", seed=99), "another clip"),
        (lambda reds: (reds / "val/val_sharp/one").mkdir(), "no clip of REDS has this name"),
    ],
)
def test_incomplete_reds_is_refused_before_anything_is_placed(reds, harm, complaint):
    harm(reds)
    before = tree(reds)
    with pytest.raises(UserError, match=complaint):
        regroup(reds, frames=3)
    assert tree(reds) == before


def test_the_regrouping_script(reds, tmp_path, capsys):
    main = script("regroup_reds_dataset")
    assert main([str(reds), "--output", str(tmp_path / "all"), "--frames", "3", "--link"]) == 0
    assert "5 clips of 3 frames, 5 of them new; all of REDS is 270" in capsys.readouterr().out
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "no such REDS folder" in capsys.readouterr().err


# LMDBs


@pytest.fixture
def clips(tmp_path):
    """Folders spelled as REDS, DVD (jpg), GoPro (not from 0) and Vimeo-90K spell them."""
    root = tmp_path / "clips"
    write_clip(root / "000", frames=4)
    write_clip(root / "IMG_0030", name="{:05d}.jpg", size=(10, 14), seed=1)
    write_clip(root / "GOPR0372_07_00", first=47, name="{:06d}.png", seed=2)
    write_clip(root / "00001/0001", frames=7, first=1, name="im{}.png", seed=3)
    return root


def test_an_lmdb_holds_what_the_folder_holds(clips, tmp_path):
    stored = create_lmdb(clips, tmp_path / "all.lmdb", workers=2)
    assert ListedClip("GOPR0372_07_00", 3, (12, 16, 3), 47) in stored and len(stored) == 4
    folder, database = open_store(clips), open_store(tmp_path / "all.lmdb")
    assert isinstance(folder, FolderStore) and isinstance(database, LmdbStore)
    assert database.clips == folder.clips and "00001/0001" in folder.clips
    for clip, frames in folder.clips.items():
        for frame in frames:
            np.testing.assert_array_equal(database.read(clip, frame), folder.read(clip, frame))
    lines = (tmp_path / "all.lmdb" / META_INFO).read_text().splitlines()
    assert "00001/0001/im4.png (12,16,3) 1" in lines and "IMG_0030/00002.png (10,14,3) 1" in lines
    assert not (tmp_path / "all.lmdb.partial").exists()


def test_frames_are_rgb(tmp_path):
    (tmp_path / "clips/a").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "clips/a/0.png"), np.full((2, 2, 3), (10, 20, 200), np.uint8))  # BGR
    create_lmdb(tmp_path / "clips", tmp_path / "a.lmdb", workers=1)
    for store in (FolderStore(tmp_path / "clips"), LmdbStore(tmp_path / "a.lmdb")):
        assert store.read("a", "0")[0, 0].tolist() == [200, 20, 10]


def test_an_lmdb_of_the_published_tools_is_read(tmp_path):
    """Their layout, written without our code."""
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    path = tmp_path / "published.lmdb"
    with lmdb.open(str(path), map_size=2**20) as environment, environment.begin(write=True) as transaction:
        transaction.put(b"000/00000000", cv2.imencode(".png", image, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes())
    (path / "meta_info.txt").write_text("000/00000000.png (6,8,3) 1\n")
    np.testing.assert_array_equal(LmdbStore(path).read("000", "00000000"), image[..., ::-1])


def test_a_list_chooses_clips_and_is_checked(clips, tmp_path):
    create_lmdb(clips, tmp_path / "two.lmdb", [ListedClip("000", 4, (12, 16, 3), 0), ListedClip("00001/0001")], workers=1)
    assert set(LmdbStore(tmp_path / "two.lmdb").clips) == {"000", "00001/0001"}
    for wrong, complaint in (
        (ListedClip("001"), "listed clips are not in it, the first is 001"),
        (ListedClip("000", 5), "has 4 frames, its list says 5"),
        (ListedClip("000", 4, (12, 18, 3)), "expected .12, 18, 3."),
        (ListedClip("GOPR0372_07_00", 3, None, 0), "starts at 000047, its list says 0"),
    ):
        with pytest.raises(UserError, match=complaint):
            create_lmdb(clips, tmp_path / "other.lmdb", [wrong], workers=1)
        assert not (tmp_path / "other.lmdb").exists()


@pytest.mark.parametrize(
    "harm, complaint",
    [
        (lambda clips: (clips / "000/00000001.png").write_bytes(b"no picture"), "00000001.png: this frame does not decode"),
        (lambda clips: (clips / "000/00000001.png").unlink(), "clip 000 has no frame 1"),
        (lambda clips: write_clip(clips / "000", frames=1, first=4, size=(8, 8)), "00000004.png: it has shape"),
        (lambda clips: (clips / "000/00000001.jpg").write_bytes(b""), "are frame 00000001"),
    ],
)
def test_bad_frames_are_named(clips, tmp_path, harm, complaint):
    harm(clips)
    with pytest.raises(UserError, match=complaint):
        create_lmdb(clips, tmp_path / "out.lmdb", workers=1)
    assert not (tmp_path / "out.lmdb").exists()


def test_an_lmdb_is_not_overwritten(clips, tmp_path):
    (tmp_path / "out.lmdb").mkdir()
    with pytest.raises(UserError, match="it exists"):
        create_lmdb(clips, tmp_path / "out.lmdb")


def test_a_link_that_leads_nowhere_is_no_place_for_an_lmdb(clips, tmp_path):
    (tmp_path / "out.lmdb").symlink_to("nowhere")
    with pytest.raises(UserError, match="it exists"):
        create_lmdb(clips, tmp_path / "out.lmdb")
    assert not (tmp_path / "out.lmdb.partial").exists()


def test_a_killed_run_goes_on(tmp_path):
    """SIGKILL to the whole group while frames are stored; the second run stores only the others."""
    write_clip(tmp_path / "clips/000", frames=300, size=(180, 320))
    create_lmdb(tmp_path / "clips", tmp_path / "unbroken.lmdb", workers=2)
    command = [sys.executable, str(SCRIPTS / "create_lmdb.py"), str(tmp_path / "clips"), str(tmp_path / "broken.lmdb")]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE)
    partial = tmp_path / "broken.lmdb.partial"
    stored = 0
    while process.poll() is None and not stored:
        time.sleep(0.005)
        if (partial / "data.mdb").exists():
            with lmdb.open(str(partial), readonly=True, lock=False) as environment:
                stored = environment.stat()["entries"]
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 0 < stored < 300 and not (tmp_path / "broken.lmdb").exists()
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0, finished.stderr
    assert "1 clips, 300 frames, verified" in finished.stdout
    one, other = LmdbStore(tmp_path / "unbroken.lmdb"), LmdbStore(tmp_path / "broken.lmdb")
    assert one.clips == other.clips
    np.testing.assert_array_equal(one.read("000", "00000299"), other.read("000", "00000299"))


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda clips: write_clip(clips / "000", frames=1, first=1, seed=9), "of other frames"),
        (lambda clips: write_clip(clips / "000", frames=1, first=3), "of other frames"),
        (lambda clips: None, None),
    ],
    ids=["exchanged", "more", "same"],
)
def test_a_run_does_not_go_on_with_other_frames(tmp_path, monkeypatch, change, words):
    clips, output = tmp_path / "clips", tmp_path / "out.lmdb"
    write_clip(clips / "000")
    with monkeypatch.context() as context:
        context.setattr(lmdb_writer, "verify", lambda path: sys.exit("killed"))
        with pytest.raises(SystemExit):
            create_lmdb(clips, output, workers=1)
    change(clips)
    if words:
        with pytest.raises(UserError, match=f"out.lmdb.partial: holds an unfinished LMDB {words}"):
            create_lmdb(clips, output, workers=1)
        assert not output.exists()
    else:
        create_lmdb(clips, output, workers=1)
        assert sorted(path.name for path in output.iterdir()) == ["data.mdb", META_INFO]
        with pytest.raises(UserError, match="another compression"):
            (tmp_path / "out.lmdb").rename(tmp_path / "out.lmdb.partial")
            create_lmdb(clips, output, workers=1, compression=2)


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory):
    """A file system of one megabyte."""
    place = tmp_path_factory.mktemp("small")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "small", str(place)], capture_output=True).returncode:
        pytest.skip("mounting a small file system is not allowed here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("pages_left", [0, 1, 2, 3, 5, 200])
def test_a_full_disk_is_said(tmp_path, small_disk, pages_left):
    """The LMDB in a process of its own: writing to a mapped file that the disk has no room for kills it."""
    write_clip(tmp_path / "clips/000", frames=12, size=(128, 256))  # 1.2 MB
    for path in small_disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with contextlib.suppress(OSError), (small_disk / "other").open("wb", 0) as other:
        for _ in range(256 - pages_left):
            other.write(bytes(4096))
    command = [sys.executable, str(SCRIPTS / "create_lmdb.py"), str(tmp_path / "clips"), str(small_disk / "out.lmdb")]
    ended = subprocess.run([*command, "--workers", "1"], capture_output=True, text=True)
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    assert "out.lmdb" in ended.stderr and "cannot be written" in ended.stderr and not (small_disk / "out.lmdb").exists()


def test_a_clip_that_cannot_be_placed_is_named(reds, tmp_path, small_disk):
    for path in small_disk.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    with contextlib.suppress(OSError), (small_disk / "other").open("wb", 0) as other:
        while True:
            other.write(bytes(4096))
    with pytest.raises(UserError, match="train_sharp/000: cannot be copied from .*No space left"):
        regroup(reds, small_disk / "all", frames=3)


def test_a_damaged_lmdb_is_noticed(clips, tmp_path):
    path = tmp_path / "all.lmdb"
    create_lmdb(clips, path, workers=1)
    with lmdb.open(str(path)) as environment, environment.begin(write=True) as transaction:
        transaction.delete(b"000/00000002")
        transaction.put(b"000/00000001", transaction.get(b"000/00000001")[:-20])
    with pytest.raises(UserError, match="key 000/00000001: not a whole PNG"):
        verify(path)
    with pytest.raises(UserError, match="key 000/00000002: listed in meta_info.txt but not stored"):
        LmdbStore(path).read("000", "00000002")
    for size, complaint in ((20000, "cut short"), (5000, "cut short|not a readable LMDB")):
        os.truncate(path / "data.mdb", size)
        with pytest.raises(UserError, match=complaint):
            LmdbStore(path).read("000", "00000000")


def test_a_large_set_outgrows_its_first_size(tmp_path, monkeypatch):
    monkeypatch.setattr(lmdb_writer, "_FIRST_SIZE", 2**16)
    write_clip(tmp_path / "clips/000", frames=9, size=(64, 64))
    create_lmdb(tmp_path / "clips", tmp_path / "out.lmdb", workers=1)
    assert len(LmdbStore(tmp_path / "out.lmdb").clips["000"]) == 9
