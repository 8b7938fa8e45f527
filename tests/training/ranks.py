"""What each of several processes runs for ``test_cluster.py``: ``msrun ... ranks.py FOLDER [CONFIGURATION ...]``.

Trains by each configuration (JSON) in turn and writes what this rank saw into ``FOLDER/CONFIGURATION.rank_N.json``. In
``output`` ``RANK`` stands for the rank, so that a rank that writes what it should not is found out; ``late`` is how many
seconds the last rank takes longer than the others before it begins.
"""

import hashlib
import json
import sys
import time
from pathlib import Path

import numpy as np
from mindspore import Tensor

from mindrestore.config import make_config
from mindrestore.ops import convolution, convolution_frames, convolution_native
from mindrestore.runtime import cluster, execution, session
from mindrestore.training import trainer
from mindrestore.training.validation import shared_mean


class Noted:
    """Samples; notes the numbers asked for."""

    def __init__(self, samples):
        self.samples, self.columns, self.numbers = samples, samples.columns, []
        self.holds_lock = False  # the numbers are noted in this process

    def __getitem__(self, number):
        self.numbers.append(number)
        return self.samples[number]


def main(folder, *paths):
    session.start("cpu", "pynative")
    rank = cluster.rank()
    write(folder / f"collectives.rank_{rank}.json", collectives(rank))
    for path in map(Path, paths):
        content = json.loads(path.read_text())
        resume = content.pop("resume", False)
        late = content.pop("late", 0)
        time.sleep(late if rank == cluster.size() - 1 else 0)
        content["output"] = content["output"].replace("RANK", str(rank))
        write(folder / f"{path.stem}.rank_{rank}.json", trained(make_config(content), resume))


def use(mode):
    """Without compiling take the convolution of the fewest operators: the quickest in small."""
    execution.use(mode)
    module = convolution_native if mode == "pynative" else convolution_frames
    convolution.implementation = lambda: module


def trained(config, resume):
    use(config.runtime.mode)
    make_job, jobs = trainer.JOBS[config.problem], []

    def noted(config):
        job = make_job(config)
        jobs.append(job._replace(samples=Noted(job.samples)))
        return jobs[-1]

    trainer.JOBS[config.problem] = noted
    trainer.train(config, resume)
    trainer.JOBS[config.problem] = make_job
    (job,) = jobs
    weights = b"".join(parameter.asnumpy().tobytes() for parameter in job.network.get_parameters())
    moments = b"".join(p.asnumpy().tobytes() for update in job.updates for p in update.optimizer.get_parameters())
    return {
        "weights": hashlib.sha256(weights).hexdigest(),
        "moments": hashlib.sha256(moments).hexdigest(),
        "numbers": job.samples.numbers,
    }


def collectives(rank):
    """What the ranks make of values of their own."""
    rng = np.random.default_rng(rank)
    own = [rng.normal(size=shape).astype(np.float32) for shape in ((), (3,), (2, 5), (7, 1, 2))]
    scored = []

    def score(item):
        scored.append(item)
        return 1 / (1 + item)

    means = [mean.asnumpy() for mean in cluster.mean([Tensor(array) for array in own])]
    awkward = cluster.gathered([np.pi * 10.0**rank, np.nan, -0.0])
    return {
        "own": [array.tolist() for array in own],
        "means": [array.tolist() for array in means],
        "gathered": awkward.tobytes().hex(),
        "shared_mean": shared_mean(score, list(range(7))),
        "scored": scored,
    }


def write(path, content):
    path.write_text(json.dumps(content))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
