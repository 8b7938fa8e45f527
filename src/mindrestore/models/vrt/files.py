"""The files of weights that VRT's authors publish, and SpyNet's among them.

Sizes follow from the names and shapes of the entries, with 308 bytes beside each, as is known of the file of 001; the figures
are those of the paper.
"""

from __future__ import annotations

from mindrestore.models.kind import PublishedFile

PAGE = "https://github.com/JingyunLiang/VRT/releases"
_DOWNLOAD = f"{PAGE}/download/v0.0"


def _file(
    name: str,
    stem: str,
    task: str,
    *,
    megabytes: float,
    parameters: int,
    configuration: str | None,
    figure: str = "",
    licence: str = "CC BY-NC (not for commercial use)",
) -> PublishedFile:
    return PublishedFile(
        name,
        f"{stem}.pth",
        task,
        page=PAGE,
        address=f"{_DOWNLOAD}/{stem}.pth",
        megabytes=megabytes,
        parameters=parameters,
        configuration=configuration,
        figure=figure,
        licence=licence,
    )


VRT_FILES = (
    _file(
        "001",
        "001_VRT_videosr_bi_REDS_6frames",
        "super-resolution x4, bicubic, REDS, 6 frames",
        megabytes=165.7,
        parameters=30_676_435,
        configuration="001_videosr_bi_reds_6frames",
        figure="REDS4 31.60 / .8888",
    ),
    _file(
        "002",
        "002_VRT_videosr_bi_REDS_16frames",
        "super-resolution x4, bicubic, REDS, 16 frames",
        megabytes=211.0,
        parameters=35_134_783,
        configuration="002_videosr_bi_reds_16frames",
        figure="REDS4 32.19 / .9006",
    ),
    _file(
        "003",
        "003_VRT_videosr_bi_Vimeo_7frames",
        "super-resolution x4, bicubic, Vimeo-90K",
        megabytes=200.8,
        parameters=32_577_991,
        configuration="003_videosr_bi_vimeo_7frames",
        figure="Vid4 (Y) 27.93 / .8425",
    ),
    _file(
        "004",
        "004_VRT_videosr_bd_Vimeo_7frames",
        "super-resolution x4, Gaussian, Vimeo-90K",
        megabytes=200.8,
        parameters=32_577_991,
        configuration="004_videosr_bd_vimeo_7frames",
        figure="Vid4 (Y) 29.42 / .8795",
    ),
    _file(
        "005",
        "005_VRT_videodeblurring_DVD",
        "deblurring, DVD",
        megabytes=106.5,
        parameters=18_320_007,
        configuration="005_videodeblurring_dvd",
        figure="DVD 34.27 / .9651",
    ),
    _file(
        "006",
        "006_VRT_videodeblurring_GoPro",
        "deblurring, GoPro",
        megabytes=106.5,
        parameters=18_320_007,
        configuration="006_videodeblurring_gopro",
        figure="GoPro 34.81 / .9724",
    ),
    _file(
        "007",
        "007_VRT_videodeblurring_REDS",
        "deblurring, REDS",
        megabytes=106.5,
        parameters=18_320_007,
        configuration="007_videodeblurring_reds",
        figure="REDS4 36.79 / .9648",
    ),
    _file(
        "008",
        "008_VRT_videodenoising_DAVIS",
        "denoising, sigma 0 to 50, DAVIS",
        megabytes=106.5,
        parameters=18_320_871,
        configuration="008_videodenoising_davis",
        figure="DAVIS 40.82 to 34.36",
    ),
    _file(
        "009",
        "009_VRT_videofi_Vimeo_4frames",
        "frame interpolation, Vimeo-90K",
        megabytes=62.5,
        parameters=9_943_387,
        configuration="009_videofi_vimeo_4frames",
        figure="Vimeo-90K-T 36.53 / .977",
    ),
)
SPYNET_FILES = (
    _file(
        "spynet",
        "spynet_sintel_final-3d2a1287",
        "optical flow, where VRT's training starts",
        megabytes=5.8,
        parameters=1_440_300,
        configuration="small_flow",
        licence="that of SpyNet's authors",
    ),
)
