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

Item = TypeVar("Item")


def video_validation(config: VideoConfig, network: nn.Cell) -> Callable[[], float] | None:
    """Return a function that gives the mean PSNR, in dB, of the evaluation's clips; ``None`` where none has ground truth."""
    settings = config.evaluation
    if not (settings.path or settings.gt or settings.set == DEMO):
        return None
    cases = [case for case in video_cases(config) if case.truth]

    def psnr(case: Case) -> float:
        scorer = ClipScorer()
        for restored, truth in zip(case.restored([network], config), case.truth()):
            scorer.add(restored, truth)
        return scorer.result(case.name, 0, 0.0).psnr

    def validate() -> float:
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
