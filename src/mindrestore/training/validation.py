"""Validation while a network trains; the processes that train together share the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from mindspore import nn

from mindrestore.config.video import VideoConfig
from mindrestore.data.named_sets import DEMO
from mindrestore.evaluation.video import video_cases
from mindrestore.evaluation.video_results import ClipScorer
from mindrestore.evaluation.video_tasks import Case
from mindrestore.metrics import finite_mean
from mindrestore.runtime import cluster
from mindrestore.training.job import Show, nobody

Item = TypeVar("Item")


def video_validation(config: VideoConfig, network: nn.Cell) -> Callable[[Show], float] | None:
    """Return a function that gives the mean PSNR, in dB, of the evaluation's clips, and shows the first frame of the first one:
    by the trivial method, restored, ground truth. ``None`` where no clip has ground truth.
    """
    settings = config.evaluation
    if not (settings.path or settings.gt or settings.set == DEMO):
        return None
    cases = [case for case in video_cases(config) if case.truth]

    def validate(show: Show = nobody) -> float:
        def psnr(case: Case) -> float:
            scorer = ClipScorer()
            for restored, truth in zip(case.restored([network], config), case.truth()):
                if case is cases[0] and not scorer.scores:
                    show(case.name, [next(iter(case.plain())), restored, truth])
                scorer.add(restored, truth)
            return scorer.result(case.name, 0, 0.0).psnr

        return shared_mean(psnr, cases)

    return validate if cases else None


def shared_mean(score: Callable[[Item], float], items: Sequence[Item]) -> float:
    """Return the mean of ``score(item)``, a PSNR, over ``items``, infinite ones left out; each process scores a share, and all
    return the same, bit for bit.
    """
    own = [score(item) for item in items[cluster.rank() :: cluster.size()]]
    share = -(-len(items) // cluster.size())  # the largest, to which others are filled up
    scores = cluster.gathered(own + [0.0] * (share - len(own)))
    return finite_mean(scores.T.ravel()[: len(items)])
