"""The files of weights that the toolbox which reproduces RevSCI publishes: in a folder that only a browser opens."""

from __future__ import annotations

from mindrestore.models.kind import PublishedFile

PAGE = "https://www.dropbox.com/sh/96nf7jzabhqj4mh/AAB09QXrNGi_kujDDnWn6G32a?dl=0"

REVSCI_FILES = (
    PublishedFile(
        "revsci",
        "revsci.pth",
        "coded snapshots of 8 frames",
        page=PAGE,
        address=None,
        megabytes=22.7,
        parameters=5_655_393,
        configuration="two_way_50",
        figure="six-scene mean 33.92 / .9563",
    ),
    PublishedFile(
        "revsci_real_cr10",
        "revsci_real_cr10.pth",
        "captures of 10 frames",
        page=PAGE,
        address=None,
        megabytes=22.7,
        parameters=5_655_393,
        configuration="real_t10",
    ),
)
