"""The checkpoints that ship with the package: small networks, for a CPU."""
from pathlib import Path

ASSETS = Path(__file__).resolve().parent.parent / "assets"
NAMES = {"sci": "revsci_small.ckpt", "sr": "vrt_small_sr.ckpt", "denoise": "vrt_small_denoise.ckpt"}
"""By task."""


def shipped(task):
    """Return the path of the checkpoint that ships for a task, None if none does."""
    path = ASSETS / NAMES[task] if task in NAMES else None
    return path if path and path.exists() else None
