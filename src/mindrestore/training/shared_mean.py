"""A mean over things that take long to score, shared out among the processes that train together."""
from mindrestore.runtime import cluster


def shared_mean(score, items):
    """Return the mean of ``score(item)`` over all ``items``: each process scores some, all get the same mean, bit for bit."""
    own = [score(item) for item in items[cluster.rank()::cluster.size()]]
    most = -(-len(items) // cluster.size())
    scores = cluster.gathered(own + [0.0] * (most - len(own)))
    in_order = scores.T.ravel()[:len(items)].tolist()
    return sum(in_order) / len(in_order)
