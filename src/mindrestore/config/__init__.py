"""Settings: read from YAML, overridden from the command line, checked against typed fields.

An unknown key or an impossible value is a ``UserError`` that names the key, and the nearest known one.

    sections.py  what all configurations share
    snapshot.py, video.py, flow.py  one a problem; the section model, and what it adds to training, are the network's own
    reading.py   files and overrides into any of them
    shipped.py   the configurations that ship, by name
"""

from mindrestore.config.flow import FlowConfig
from mindrestore.config.reading import configuration_of, load_config, make_config
from mindrestore.config.sections import Schedule
from mindrestore.config.snapshot import SnapshotConfig
from mindrestore.config.video import VideoConfig

__all__ = ["FlowConfig", "Schedule", "SnapshotConfig", "VideoConfig", "configuration_of", "load_config", "make_config"]
