"""Environment variables that MindSpore, its libraries and OpenCV read once: set by the package before either is imported.

On a processor with AVX-512 oneDNN, the convolution library that MindSpore bundles, finds no fast kernel for MindSpore's plain
NCHW layout and takes ``ref:any``, a hundred times slower. Told to use AVX2 at most it takes ``gemm:jit``.
"""

from __future__ import annotations

import os

LOG_LEVEL, ERRORS = "GLOG_v", "3"
PIXELS, MOST_PIXELS = "OPENCV_IO_MAX_IMAGE_PIXELS", str(2**28)  # 16384 x 16384
INSTRUCTIONS, FAST_INSTRUCTIONS = "ONEDNN_MAX_CPU_ISA", "AVX2"


def log_errors_only() -> None:
    """Keep MindSpore's warnings off the terminal, unless the user has set its log level, which it reads when imported."""
    os.environ.setdefault(LOG_LEVEL, ERRORS)


def refuse_huge_pictures() -> None:
    """Have OpenCV refuse pictures of more than ``MOST_PIXELS``, which a file of kilobytes may announce, unless the user has set
    its limit, which it reads when imported.
    """
    os.environ.setdefault(PIXELS, MOST_PIXELS)


def prefer_fast_instructions() -> None:
    """Cap oneDNN's instruction set for this process, unless the user has chosen one.

    oneDNN reads the variable at the first primitive it creates.
    """
    os.environ.setdefault(INSTRUCTIONS, FAST_INSTRUCTIONS)
