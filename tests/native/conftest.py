"""Where there is a compiler, tests of native operators never pass for want of them."""

import shutil

import pytest

from mindrestore.native import build
from mindrestore.native.loading import described, library


@pytest.fixture(autouse=True, scope="session")
def compiled_if_possible():
    if any(map(shutil.which, build.COMPILERS)):
        assert library() is not None, described()
