"""Where tests find what belongs to none of them."""
import os
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
CONFIGS = ROOT / "configs"
GOLDEN = TESTS / "golden"
HCCN_TOOL = TESTS / "scripts" / "hccn_tool"  # a stand-in for the program of this name on Ascend servers
REAL_DATA = Path(os.environ.get("MINDRESTORE_DATA", ROOT.parent / "shared" / "data"))
"""Scenes, captures and frames that are not part of the repository; tests that want them are skipped without."""
