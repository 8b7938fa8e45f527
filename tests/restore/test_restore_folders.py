"""What ``mindrestore restore`` makes of folders: gaps are said, a frame that was exchanged is noticed by ``--resume``."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from builders import StandIn, write_frames

from mindrestore.errors import UserError
from mindrestore.restore import run
from mindrestore.restore.networks import TaskNetwork
from mindrestore.restore.run import Request, restore


class Stopping(StandIn):
    """Is interrupted at its third tile."""

    def compute(self, x):
        if len(self.shapes) == 3:
            raise KeyboardInterrupt
        return x


@pytest.fixture
def restored(monkeypatch, tmp_path):
    """``restored(network, **options)``: the lines that are said while ``in`` is restored into ``out``."""

    def run_with(network, **options):
        monkeypatch.setattr(
            run, "choose", lambda task, *_, **__: [TaskNetwork(task, network, Path(__file__), (2, 0, 0), (0, 0, 0))]
        )
        lines = []
        restore(Request(tmp_path / "in", tmp_path / "out", "deblur", **options), lines.append)
        return lines

    return run_with


def test_a_gap_in_the_numbers_of_frames_is_said(restored, tmp_path):
    write_frames(tmp_path / "in", [f"{number:08d}.png" for number in (0, 1, 2, 7, 8)], (16, 16))
    lines = restored(StandIn())
    assert "in: frames are missing between 00000002 and 00000007; they are restored as if" in lines[0]
    assert len(list((tmp_path / "out").iterdir())) == 5


def test_a_frame_exchanged_since_the_stop_is_noticed(restored, tmp_path):
    """In place, so that the time stamp of the folder stays."""
    write_frames(tmp_path / "in", [f"{number:08d}.png" for number in range(8)], (16, 16))
    with pytest.raises(KeyboardInterrupt):
        restored(Stopping())
    first = tmp_path / "in" / "00000000.png"
    before = first.read_bytes()
    state = (tmp_path / "in").stat()
    cv2.imwrite(str(first), np.full((16, 16, 3), 200, np.uint8))
    assert (tmp_path / "in").stat().st_mtime_ns == state.st_mtime_ns
    with pytest.raises(UserError, match="its frames were made with input"):
        restored(StandIn(), resume=True)
    assert before != first.read_bytes() and not (tmp_path / "out").exists()
