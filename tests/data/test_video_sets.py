"""Clips of the data sets' folder layouts and of folders of one's own."""

from types import SimpleNamespace

import numpy as np
import pytest
from builders import write_frames

from mindrestore.data.named_sets import SETS
from mindrestore.data.video_sets import evaluation_clips
from mindrestore.errors import UserError


def asked(**settings):
    return SimpleNamespace(**{"set": "folder", "path": None, "gt": None, "lq": None, "clips": None, **settings})


def relative(clips, root):
    def path(source):
        return source and source.path.relative_to(root).as_posix()

    return [(clip.name, path(clip.gt), path(clip.lq)) for clip in clips]


@pytest.mark.parametrize(
    "kind, degradation, folders, expected",
    [
        ("reds4", "bicubic", ["GT/{}", "sharp_bicubic/{}"], ["000", "011", "015", "020"]),
        ("reds4", "bicubic", ["train/train_sharp/{}", "train/train_sharp_bicubic/X4/{}"], ["000", "011", "015", "020"]),
        ("reds4", "blur", ["train_sharp/{}", "train_blur/{}"], ["000", "011", "015", "020"]),
        ("vid4", "bicubic", ["GT/{}", "BIx4/{}"], ["calendar", "city", "foliage", "walk"]),
        ("vid4", "gaussian", ["GT/{}", "BDx4/{}"], ["calendar", "city", "foliage", "walk"]),
        ("udm10", "gaussian", ["GT/{}", "BDx4/{}"], ["archpeople", "archwall"]),
        ("udm10", "gaussian", ["{}/truth", "{}/blur4"], ["archpeople", "archwall"]),
        (
            "vimeo90k",
            "bicubic",
            ["vimeo_septuplet/sequences/{}", "vimeo_septuplet_matlabLRx4/sequences/{}"],
            ["00001/0266", "00002/0003"],
        ),
        ("dvd", "blur", ["test_GT/{}", "test_GT_blurred/{}"], ["720p_240fps_2", "IMG_0003"]),
        ("dvd", "blur", ["quantitative_datasets/{}/GT", "quantitative_datasets/{}/input"], ["720p_240fps_2", "IMG_0003"]),
        ("gopro", "blur", ["test_GT/{}", "test_GT_blurred/{}"], ["GOPR0384_11_00", "GOPR0384_11_05"]),
        ("gopro", "blur", ["test/{}/sharp", "test/{}/blur"], ["GOPR0384_11_00", "GOPR0384_11_05"]),
        ("set8", "noise", ["{}"], ["hypersmooth", "tractor"]),
        ("davis", "noise", ["{}"], ["aerobatics", "car-race"]),
        ("davis", None, ["JPEGImages/480p/{}"], ["aerobatics", "car-race"]),
    ],
)
def test_layouts(kind, degradation, folders, expected, tmp_path):
    for name in expected:
        for folder in folders:
            write_frames(tmp_path / folder.format(name))
    if SETS[kind].names:
        for folder in folders:
            write_frames(tmp_path / folder.format("another"))
    found = relative(evaluation_clips(asked(set=kind, path=str(tmp_path)), degradation), tmp_path)
    assert found == [(name, *(folder.format(name) for folder in folders), *[None] * (2 - len(folders))) for name in expected]


def test_vimeo_scores_what_its_list_names(tmp_path):
    for name in ("00001/0001", "00001/0002", "00002/0001"):
        write_frames(tmp_path / "sequences" / name)
    (tmp_path / "sep_testlist.txt").write_text("00002/0001\n00001/0001\n\n")
    found = evaluation_clips(asked(set="vimeo90k", path=tmp_path), None)
    assert [clip.name for clip in found] == ["00002/0001", "00001/0001"]


def test_ucf101_is_four_frames_around_one(tmp_path):
    names = ["frame0.png", "frame1.png", "frame2.png", "frame3.png", "framet.png"]
    write_frames(tmp_path / "2", names)
    (clip,) = evaluation_clips(asked(set="ucf101", path=tmp_path), None)
    assert (clip.name, clip.lq.count(), clip.gt.count()) == ("2", 4, 1)
    np.testing.assert_allclose([frame[0, 0, 0] * 255 for frame in clip.lq.frames()], [0, 10, 20, 30], atol=1e-4)
    np.testing.assert_allclose([frame[0, 0, 0] * 255 for frame in clip.gt.frames()], [40], atol=1e-4)
    (tmp_path / "2" / "framet.png").unlink()
    with pytest.raises(UserError, match="framet.png: no such frame"):
        evaluation_clips(asked(set="ucf101", path=tmp_path), None)


def test_folders_of_ones_own(tmp_path):
    one = write_frames(tmp_path / "holiday")
    many = tmp_path / "many"
    write_frames(many / "b10"), write_frames(many / "b9")
    write_frames(tmp_path / "deep" / "x" / "y")
    (clip,) = evaluation_clips(asked(gt=one), None)
    assert (clip.name, clip.gt.path, clip.lq) == ("holiday", one, None)
    assert [clip.name for clip in evaluation_clips(asked(gt=many), None)] == ["b9", "b10"]
    assert [clip.name for clip in evaluation_clips(asked(gt=many, clips=["b10"]), None)] == ["b10"]
    assert [(clip.name, clip.gt) for clip in evaluation_clips(asked(lq=tmp_path / "deep"), None)] == [("x/y", None)]


def test_two_single_clips_belong_together(tmp_path):
    (clip,) = evaluation_clips(asked(gt=write_frames(tmp_path / "clean"), lq=write_frames(tmp_path / "noisy")), "noise")
    assert (clip.name, clip.gt.path.name, clip.lq.path.name) == ("clean", "clean", "noisy")


def test_folders_instead_of_a_data_sets(tmp_path):
    for name in ("000", "001", "011", "015", "020"):
        write_frames(tmp_path / "sharp" / name)
    found = evaluation_clips(asked(set="reds4", path="nowhere", gt=tmp_path / "sharp"), "bicubic")
    assert [clip.name for clip in found] == ["000", "011", "015", "020"]
    found = evaluation_clips(asked(set="reds4", gt=tmp_path / "sharp" / "001"), "bicubic")
    assert [clip.name for clip in found] == ["001"]


@pytest.mark.parametrize(
    "settings, words",
    [
        (dict(), "no clips to evaluate: give --gt and --lq"),
        (dict(set="reds4"), "give evaluation.path, the folder of the data set, or --gt"),
        (dict(set="reds4", path="nowhere"), "nowhere: no such folder of reds4"),
        (dict(set="reds4", path="empty"), "holds no clips of reds4; expected GT/{}"),
        (dict(path="empty"), "evaluation.path is for data sets"),
        (dict(gt="nowhere"), "nowhere: no such folder of frames"),
        (dict(gt="empty"), "empty: no clips in it"),
        (dict(gt="clips", clips=["c"]), "clip c: not there; the clips found are a, b"),
        (dict(gt="clips", lq="fewer"), "clip b: is at"),
        (dict(gt="fewer", lq="clips"), "clip b: is at"),
    ],
)
def test_mistakes_are_named(settings, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for name in ("clips/a", "clips/b", "fewer/a"):
        write_frames(tmp_path / name)
    with pytest.raises(UserError) as caught:
        evaluation_clips(asked(**settings), "bicubic")
    assert words in str(caught.value)
