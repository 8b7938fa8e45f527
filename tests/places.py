"""Where tests find what belongs to none of them."""

import importlib.util
import os
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
CONFIGS = ROOT / "configs"
GOLDEN = TESTS / "golden"
HCCN_TOOL = TESTS / "scripts" / "hccn_tool"  # a stand-in for the program of this name on Ascend servers
REAL_DATA = Path(os.environ.get("MINDRESTORE_DATA", ROOT.parent / "shared" / "data"))
"""Scenes, captures and frames that are not part of the repository; tests that want them are skipped without."""


def module_at(path):
    """Return the module that a file outside of any package is."""
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
