"""The data sets that an evaluation knows by name, as they are unpacked.

A data set lies at one root, and knows under which names ground truth and low quality are found there. ``{}`` stands for
the clip's name:

    reds4     GT/000/00000000.png, sharp_bicubic/000/..., blur/000/...; or train_sharp, train_sharp_bicubic/X4,
              train_blur
    vid4      GT/calendar/..., BIx4/calendar/..., BDx4/calendar/...
    udm10     GT/archpeople/..., BDx4/archpeople/...; or archpeople/truth, archpeople/blur4
    vimeo90k  vimeo_septuplet/sequences/00001/0266/im1.png, vimeo_septuplet_matlabLRx4/..., vimeo_septuplet_BDLRx4/...;
              sep_testlist.txt says which
    dvd       test_GT/..., test_GT_blurred/...; or quantitative_datasets/IMG_0030/GT and input
    gopro     test_GT/..., test_GT_blurred/...; or test/GOPR0384_11_00/sharp and blur
    set8      a folder a clip
    davis     a folder a clip; or JPEGImages/480p
    ucf101    1/frame0.png to frame3.png and the one in their middle, framet.png
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class VideoSet:
    """Where a data set keeps ground truth and low quality, and what of it is scored."""

    gt: tuple[str, ...]
    lq: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by degradation
    names: tuple[str, ...] | None = None  # of the clips that are scored; None: all
    levels: int = 1  # folders in a clip's name
    list_files: tuple[str, ...] = ()  # say which clips are scored


REDS4 = ("000", "011", "015", "020")  # of REDS's training clips, those that papers score

SETS = {
    "reds4": VideoSet(
        ("GT/{}", "train/train_sharp/{}", "train_sharp/{}"),
        {
            "bicubic": ("sharp_bicubic/{}", "train/train_sharp_bicubic/X4/{}", "train_sharp_bicubic/X4/{}"),
            "blur": ("blur/{}", "train/train_blur/{}", "train_blur/{}"),
        },
        REDS4,
    ),
    "vid4": VideoSet(("GT/{}",), {"bicubic": ("BIx4/{}",), "gaussian": ("BDx4/{}",)}, ("calendar", "city", "foliage", "walk")),
    "udm10": VideoSet(("GT/{}", "{}/truth"), {"gaussian": ("BDx4/{}", "{}/blur4")}),
    "vimeo90k": VideoSet(
        ("vimeo_septuplet/sequences/{}", "sequences/{}"),
        {"bicubic": ("vimeo_septuplet_matlabLRx4/sequences/{}",), "gaussian": ("vimeo_septuplet_BDLRx4/sequences/{}",)},
        levels=2,
        list_files=("sep_testlist.txt", "vimeo_septuplet/sep_testlist.txt"),
    ),
    "dvd": VideoSet(
        ("test_GT/{}", "quantitative_datasets/{}/GT", "{}/GT"),
        {"blur": ("test_GT_blurred/{}", "quantitative_datasets/{}/input", "{}/input")},
    ),
    "gopro": VideoSet(("test_GT/{}", "test/{}/sharp", "{}/sharp"), {"blur": ("test_GT_blurred/{}", "test/{}/blur", "{}/blur")}),
    "set8": VideoSet(("{}",)),
    "davis": VideoSet(("JPEGImages/480p/{}", "{}")),
    "ucf101": VideoSet(("{}",)),
}
DEMO = "demo"  # rendered from photographs that training does not use; nothing to unpack
