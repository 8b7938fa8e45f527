"""Where tests find what belongs to none of them."""

import importlib.util
import os
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
CONFIGS = ROOT / "configs"
GOLDEN = TESTS / "golden"
HCCN_TOOL = TESTS / "scripts" / "hccn_tool"  # a stand-in for the program of this name on Ascend servers
REAL_DATA = Path(os.environ.get("MINDRESTORE_DATA", ROOT.parent / "shared" / "data"))
"""Scenes, captures and frames that are not part of the repository; tests that want them are skipped without."""


def module_at(path):
    """Return the module that a file outside of any package is; it imports what lies beside it, as a script does."""
    specification = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(specification)
    sys.path.insert(0, str(path.parent))
    try:
        specification.loader.exec_module(module)
    finally:
        sys.path.remove(str(path.parent))
    return module
