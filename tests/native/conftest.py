"""Where there is a compiler, tests of native operators never pass for want of them."""
import shutil

import pytest

from mindrestore import native
from mindrestore.native import build


@pytest.fixture(autouse=True, scope="session")
def compiled_if_possible():
    if any(map(shutil.which, build.COMPILERS)):
        assert native.library() is not None, native.described()
