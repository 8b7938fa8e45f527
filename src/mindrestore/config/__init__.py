"""Settings: read from YAML, overridden from the command line, checked against typed fields.

An unknown key or an impossible value is a ``UserError`` that names the key, and the nearest known one.

    sections.py  what all configurations share
    snapshot.py  RevSCI's
    video.py     VRT's
    flow.py      SpyNet's, to train it alone
    reading.py   files and overrides into any of them
"""
from mindrestore.config.flow import FlowConfig
from mindrestore.config.reading import load_config, make_config
from mindrestore.config.sections import Schedule
from mindrestore.config.snapshot import SnapshotConfig
from mindrestore.config.video import VideoConfig

__all__ = ["FlowConfig", "Schedule", "SnapshotConfig", "VideoConfig", "load_config", "make_config"]
