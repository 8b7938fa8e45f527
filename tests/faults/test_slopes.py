"""Long runs take no more memory and hold no more files open the longer they run: the slopes are printed."""

import subprocess
import sys
import time

import cv2
import numpy as np
import psutil
import pytest
from builders import lines_of, tiny_run
from places import ROOT, TESTS

PATIENCE = 900  # seconds that a run may take on a busy machine
WARM = 0.25  # of a run, after which caches are filled
MOST_MEGABYTES = 15  # more for a thousand steps or frames, noise of the allocator included
RESTORING = """
import sys
from pathlib import Path
from builders import PlaceDependent
from mindrestore.cli import main
from mindrestore.restore import run
from mindrestore.restore.networks import TaskNetwork
run.choose = lambda task, *_, **__: [TaskNetwork(task, PlaceDependent(), Path(run.__file__), (4, 16, 16), (2, 4, 4))]
sys.exit(main(sys.argv[1:]))
"""
TRAINING = "import sys; from mindrestore.cli import main; sys.exit(main(sys.argv[1:]))"


def samples_of(program, arguments, done, folder, environment):
    """Run a program; return rows of (how much is done, megabytes of memory, open files), a row each tenth of a second."""
    environment = {**environment, "PYTHONPATH": f"{ROOT / 'src'}:{TESTS}"}
    rows = []
    with open(folder / "said.txt", "wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-c", program, *map(str, arguments)], cwd=folder, env=environment, stdout=said, stderr=said
        )
    try:
        deadline, watched = time.monotonic() + PATIENCE, psutil.Process(process.pid)
        while process.poll() is None:
            assert time.monotonic() < deadline, (folder / "said.txt").read_text()[-2000:]
            try:
                rows.append((done(), watched.memory_info().rss / 2**20, watched.num_fds()))
            except psutil.NoSuchProcess:
                break
            time.sleep(0.1)
        assert process.wait() == 0, (folder / "said.txt").read_text()[-2000:]
    finally:
        process.kill()
        process.wait()
    return np.array([row for row in rows if row[1]], float)  # an ended process has none


def assert_flat(rows, total, what):
    """Memory does not rise with what is done, and no more files are open at the end than when it was warm, but for those that
    are just being read and written.
    """
    warm = rows[(rows[:, 0] > WARM * total) & (rows[:, 0] < total)]
    assert len(warm) >= 8, "too few samples"
    slope = 1000 * np.polyfit(warm[:, 0], warm[:, 1], 1)[0]
    files = [np.median(part[:, 2]) for part in np.array_split(warm, 4)]
    print(
        f"{total} {what}: {slope:+.2f} MB for a thousand, {warm[:, 1].min():.0f} to {warm[:, 1].max():.0f} MB, open files "
        f"{' '.join(f'{count:.0f}' for count in files)} in the four parts of {len(warm)} samples"
    )
    assert slope < MOST_MEGABYTES
    assert files[-1] - files[0] <= 2


@pytest.mark.long
@pytest.mark.parametrize("output", ["out", "out.mp4"])
def test_a_restoration_of_many_frames(tmp_path, fresh_environment, output):
    frames = 2000
    (tmp_path / "in").mkdir()
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    for number in range(frames):
        cv2.imwrite(str(tmp_path / f"in/{number:04d}.png"), np.roll(image, number, 1))
    part, reached = tmp_path / f"{output}.part", [0]

    def done():
        """The number of the newest finished picture; pictures become segments of a video, and are deleted."""
        numbers = [int(path.stem) for path in part.glob("*.png") if path.stem.isdigit()] if part.exists() else []
        reached[0] = max([reached[0], *(number + 1 for number in numbers)])
        return reached[0]

    rows = samples_of(RESTORING, ["restore", "--task", "deblur", "in", output], done, tmp_path, fresh_environment)
    assert_flat(rows, frames, f"frames restored to {output}")


@pytest.mark.long
def test_a_training_of_many_steps(tmp_path, fresh_environment):
    steps = 3000
    often = ["training.save_every=50", "training.log_every=10", "training.batch_size=1", "runtime.mode=graph"]
    config = tiny_run(tmp_path / "run", f"training.steps={steps}", *often)
    (tmp_path / "run.yaml").write_text(config.model_dump_json())
    log = tmp_path / "run" / "log.jsonl"

    def done():
        return max([line.get("step", 0) for line in lines_of(tmp_path / "run")], default=0) if log.exists() else 0

    rows = samples_of(TRAINING, ["train", "--config", "run.yaml"], done, tmp_path, fresh_environment)
    assert_flat(rows, steps, "steps trained")


def test_what_rises_is_found():
    """Of 0.02 MB more a frame, and of a file that stays open every hundred frames."""
    done = np.arange(0, 1000, 10.0)
    rng = np.random.default_rng(0)
    assert_flat(np.stack([done, 200 + rng.normal(size=100), 0 * done + 9], 1), 1000, "frames")
    with pytest.raises(AssertionError):
        assert_flat(np.stack([done, 200 + 0.02 * done + rng.normal(size=100), 0 * done + 9], 1), 1000, "frames")
    with pytest.raises(AssertionError):
        assert_flat(np.stack([done, 0 * done + 200, 9 + done // 100], 1), 1000, "frames")
