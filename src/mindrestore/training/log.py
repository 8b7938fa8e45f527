"""What a training run says: a progress bar, a JSON-lines file, and TensorBoard if it is installed."""
import json
import sys
import time

from tqdm import tqdm

from mindrestore.errors import UserError

FILE = "log.jsonl"


class SilentLog:
    """What a process has for a log that is not the main one."""

    def advance(self, loss):
        pass

    def metrics(self, step, **values):
        pass

    def say(self, text):
        pass

    def close(self):
        pass


class TrainingLog:
    """Metrics by step.

    Args:
        folder: receives ``log.jsonl``, and TensorBoard's files if the package ``tensorboardX`` is installed.
        steps: of the whole run, for the time left.
        first: the step the run starts from; lines of a former run from then on are dropped.
    """

    def __init__(self, folder, steps, first=0):
        self.path = folder / FILE
        _keep_lines_before(self.path, first)
        self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115 - closed by close()
        self._board = _tensorboard(folder)
        self._bar = tqdm(total=steps, initial=first, unit="step", file=sys.stderr, dynamic_ncols=True, smoothing=0.05)
        self._start = time.perf_counter()

    def advance(self, loss):
        self._bar.update()
        self._bar.set_postfix_str(f"loss {loss:.5f}", refresh=False)

    def metrics(self, step, **values):
        """Record values of one step, which the file keeps as one JSON object a line."""
        values["seconds"] = round(time.perf_counter() - self._start, 2)
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        for name, value in values.items():
            if self._board and isinstance(value, (int, float)):
                self._board.add_scalar(name, value, step)

    def say(self, text):
        """Print a line without tearing the progress bar."""
        self._bar.write(text, file=sys.stderr)

    def close(self):
        self._bar.close()
        self._file.close()
        if self._board:
            self._board.close()


def _keep_lines_before(path, step):
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    earlier = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] < step + 1]
    path.write_text("".join(earlier), encoding="utf-8")


def read_log(path):
    """Return the lines of a log as dicts; a last line that a run is just writing is left out.

    Raises ``UserError`` naming the line that is none of a log.
    """
    lines = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(keepends=True), 1):
        if not line.endswith("\n"):
            break
        try:
            lines.append(json.loads(line))
            lines[-1]["step"]
        except (ValueError, TypeError, KeyError):
            raise UserError(f'{path}, line {number}: "{line.strip()[:60]}" is no line of a training log; expected one such as '
                            '{"step": 10, "loss": 0.05}.') from None
    return lines


def _tensorboard(folder):
    try:
        from tensorboardX import SummaryWriter
    except ImportError:
        return None
    return SummaryWriter(str(folder / "tensorboard"))
