"""Weights in files: published ones into our networks, and our own.

weights.py         load_published_weights: every name and shape must match; start_from: what fits is taken
sources.py         read_arrays: any file we know, or a dict, as name -> array
torch_file.py      PyTorch's files without PyTorch; inert_pickle.py, torch_pickle.py and torch_objects.py under it
mindspore_file.py  MindSpore's .ckpt
native.py          our own checkpoints: MindSpore's .ckpt with what is needed to build the network again
named.py           published files by one word, fetched and kept; download.py under it
loading.py         from a path, a task or settings to a network
convert.py         published checkpoints into our own
"""

from mindrestore.checkpoints.loading import create_model, load_network
from mindrestore.checkpoints.native import RANDOM_MASK, Metadata, load_arrays, read_metadata, save_arrays, save_network
from mindrestore.checkpoints.sources import read_arrays
from mindrestore.checkpoints.weights import load_published_weights

__all__ = [
    "RANDOM_MASK",
    "Metadata",
    "create_model",
    "load_arrays",
    "load_network",
    "load_published_weights",
    "read_arrays",
    "read_metadata",
    "save_arrays",
    "save_network",
]
