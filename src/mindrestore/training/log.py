"""The log of a training run: a progress bar, a JSON-lines file, and TensorBoard if it is installed."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from mindrestore.errors import UserError, printable
from mindrestore.files import told_of_full_disks, write_text
from mindrestore.media.pixels import in_colour, to_image
from mindrestore.readers.untrusted import text_of

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

FILE, KIND = "log.jsonl", "log of a training run"


class SilentLog:
    """The log of a process that is not the main one: nothing is written."""

    def advance(self, loss: float) -> None:
        pass

    def metrics(self, step: int, **values: float) -> None:
        pass

    def picture(self, step: int, name: str, images: Sequence[np.ndarray]) -> None:
        pass

    def say(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


class TrainingLog:
    """The log of the main process: metrics by step, and a progress bar on stderr.

    Args:
        folder: receives ``log.jsonl``, and TensorBoard's files if the package ``tensorboardX`` is installed.
        steps: of the whole run, for the time left.
        first: steps taken before; lines that an interrupted run wrote for later ones are dropped.
    """

    def __init__(self, folder: Path, steps: int, first: int = 0) -> None:
        self.path = folder / FILE
        _drop_lines_after(self.path, first)
        self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()
        self._board = _tensorboard(folder)
        self._bar = tqdm(total=steps, initial=first, unit="step", file=sys.stderr, dynamic_ncols=True, smoothing=0.05)
        self._start = time.perf_counter()

    def advance(self, loss: float) -> None:
        """Move the progress bar on by a step and show its loss."""
        self._bar.update()
        self._bar.set_postfix_str(f"loss {loss:.5f}", refresh=False)

    def metrics(self, step: int, **values: float) -> None:
        """Record values of one step: a JSON object, in a line of its own."""
        values["seconds"] = round(time.perf_counter() - self._start, 2)
        with told_of_full_disks(self.path):
            self._file.write(json.dumps({"step": step, **values}) + "\n")
            self._file.flush()
        for name, value in values.items():
            if self._board and isinstance(value, (int, float)):
                self._board.add_scalar(name, value, step)

    def picture(self, step: int, name: str, images: Sequence[np.ndarray]) -> None:
        """Show images of one step side by side in TensorBoard, where that is: (H, W) or (3, H, W), 0–1, all of one size."""
        if self._board:
            bgr = np.concatenate([in_colour(to_image(image)) for image in images], 1)
            self._board.add_image(f"validation/{name}", bgr[..., ::-1], step, dataformats="HWC")

    def say(self, text: str) -> None:
        """Print a line above the progress bar."""
        self._bar.write(text, file=sys.stderr)

    def close(self) -> None:
        """Close file and progress bar."""
        self._bar.close()
        with told_of_full_disks(self.path):
            self._file.close()
        if self._board:
            self._board.close()


def _drop_lines_after(path: Path, step: int) -> None:
    if not path.exists():
        return
    earlier = [line for line, record in _records(path) if record["step"] <= step]
    write_text(path, "".join(earlier))


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log as dicts, without a last line that a run has not finished writing, and without empty ones.

    Raises ``UserError`` that names the first line that no training run writes.
    """
    return [record for _, record in _records(path)]


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (line, what it says) of the lines of a log that ``read_log`` returns."""
    for number, line in enumerate(text_of(path, KIND).splitlines(keepends=True), 1):
        if not line.endswith("\n"):
            return
        if line.strip():
            yield line, _record(line, f"{path}, line {number}")


def _record(line: str, where: str) -> dict[str, Any]:
    try:
        record = json.loads(line)
        good = type(record["step"]) is int and all(isinstance(value, (int, float)) for value in record.values())
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        good = False
    if not good:
        raise UserError(
            f'{where}: "{printable(line.strip()[:60])}" is no line of a training log; expected one such as '
            '{"step": 10, "loss": 0.05}.'
        )
    return record


def _tensorboard(folder: Path) -> SummaryWriter | None:
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))
