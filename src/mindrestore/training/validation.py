"""Validation while a network trains, shared out among the processes that train together."""
from mindrestore.data.named_sets import DEMO
from mindrestore.evaluation.video import video_cases
from mindrestore.evaluation.video_results import ClipScorer
from mindrestore.runtime import cluster


def video_validation(config, network):
    """Return a function that gives the mean PSNR of the evaluation's clips, ``None`` where none has ground truth."""
    settings = config.evaluation
    if not (settings.path or settings.gt or settings.set == DEMO):
        return None
    cases = [case for case in video_cases(config) if case.truth]

    def psnr(case):
        scorer = ClipScorer()
        for restored, truth in zip(case.restored([network], config), case.truth()):
            scorer.add(restored, truth)
        return scorer.result(case.name, 0, 0.0).psnr

    def validate():
        return shared_mean(psnr, cases)
    return validate if cases else None


def shared_mean(score, items):
    """Return the mean of ``score(item)`` over all ``items``: each process scores some, all get the same mean, bit for bit."""
    own = [score(item) for item in items[cluster.rank()::cluster.size()]]
    most = -(-len(items) // cluster.size())
    scores = cluster.gathered(own + [0.0] * (most - len(own)))
    in_order = scores.T.ravel()[:len(items)].tolist()
    return sum(in_order) / len(in_order)
