"""Validation on videos while a network trains: the clips of its evaluation, restored in tiles as they will be."""
from mindrestore.data.video_sets import DEMO
from mindrestore.evaluation.video import video_cases
from mindrestore.evaluation.video_results import ClipScorer
from mindrestore.training.shared_mean import shared_mean


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
