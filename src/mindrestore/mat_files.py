"""MATLAB files, of version 5 (SciPy) and 7.3 (HDF5), as dictionaries of arrays."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import scipy.io

from mindrestore.errors import UserError
from mindrestore.files import PathLike, existing


def read_mat(path: PathLike) -> dict[str, np.ndarray]:
    """Read every numeric array of a ``.mat`` file.

    Args:
        path: a MATLAB file, v5 or v7.3 (which is HDF5).

    Returns:
        dict of name -> array with the axes of MATLAB (``H x W x F``; HDF5 stores them reversed, which is undone). Cells,
        structs and text are omitted.

    Raises:
        UserError: no such file, or not a MATLAB file.
    """
    path = existing(path, ".mat file")
    try:
        arrays = _read_hdf5(path) if h5py.is_hdf5(path) else scipy.io.loadmat(path)
    except Exception as error:  # on a damaged file the two readers raise a dozen kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{path}: not a readable MATLAB file ({reason}); expected .mat of version 5 or 7.3.") from error
    return {name: value for name, value in arrays.items()
            if isinstance(value, np.ndarray) and value.dtype.kind in "buif"}


def pick(arrays: Mapping[str, np.ndarray], keys: Sequence[str], path: PathLike, kind: str) -> np.ndarray:
    """Return the array of the first of ``keys`` that ``arrays`` has; raise ``UserError`` that lists the others if none is.

    path, kind: for the error, such as ``kind="mask"``.
    """
    for key in keys:
        if key in arrays:
            return arrays[key]
    raise UserError(f"{path}: no {kind} in it, it holds {', '.join(sorted(arrays)) or 'no arrays'}; "
                    f"expected the key '{keys[0]}'.")


def time_first(array: np.ndarray) -> np.ndarray:
    """``H x W x F`` -> ``(F, H, W)``, ``H x W x 3 x F`` -> ``(F, H, W, 3)``; ``H x W``, as MATLAB keeps F = 1, too."""
    return np.moveaxis(array[..., None] if array.ndim == 2 else array, -1, 0)


def _read_hdf5(path: Path) -> dict[str, np.ndarray]:
    with h5py.File(path, "r") as file:
        return {name: item[()].T for name, item in file.items() if isinstance(item, h5py.Dataset) and item.shape}
