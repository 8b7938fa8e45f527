"""MATLAB files, of version 5 and 7.3 (HDF5), as dictionaries of arrays."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mindrestore.errors import UserError, printable, some_of
from mindrestore.files import PathLike, existing
from mindrestore.readers import hdf5_arrays, matlab5
from mindrestore.readers.numpy_files import npz_in
from mindrestore.readers.untrusted import most_unfolded, reading

_HDF5_START = b"\x89HDF\r\n\x1a\n"  # at the start of a file, or at 512, 1024, 2048, ... where MATLAB writes its header first
_SOURCES = Path(__file__).resolve().parent.parent


class MatArrays(dict[str, np.ndarray]):
    """Arrays by name; ``others``: in words what each variable is that is no array of real numbers, by name."""

    def __init__(self, arrays: Mapping[str, np.ndarray], others: Mapping[str, str]) -> None:
        super().__init__(arrays)
        self.others = dict(others)


def read_mat(path: PathLike) -> MatArrays:
    """Read every numeric array of a ``.mat`` file, and of no other file, whatever this one refers to.

    Args:
        path: a MATLAB file, v5 or v7.3 (which is HDF5).

    Returns:
        dict of name -> array with the axes of MATLAB (``H x W x F``; HDF5 stores them reversed, which is undone). Cells,
        structs, text, sparse arrays and complex numbers are ``others``.

    Raises:
        UserError: no such file, not a MATLAB file, or one that unfolds to far more than its size.
    """
    path = existing(path, ".mat file")
    with reading(path, "MATLAB file", ".mat of version 5 or 7.3"):
        contents = _of_hdf5(path) if _is_hdf5(path) else matlab5.read(path.read_bytes())
    return MatArrays(contents.arrays, contents.others)


def pick(arrays: Mapping[str, np.ndarray], keys: Sequence[str], path: PathLike, kind: str) -> np.ndarray:
    """Return the array of the first of ``keys`` that ``arrays`` has; raise ``UserError`` that lists the others if none is.

    path, kind: for the error, such as ``kind="mask"``.
    """
    array = find(arrays, keys, path)
    if array is None:
        raise UserError(
            f"{path}: no {kind} in it, it holds {some_of(sorted(arrays), 20) or 'no arrays'}; expected the key '{keys[0]}'."
        )
    return array


def find(arrays: Mapping[str, np.ndarray], keys: Sequence[str], path: PathLike) -> np.ndarray | None:
    """As ``pick``, but None where there is none of ``keys``; one that is no array of real numbers is an error all the same."""
    for key in keys:
        if key in arrays:
            return arrays[key]
        if key in getattr(arrays, "others", ()):
            raise UserError(f"{path}: {key} is {arrays.others[key]}; expected a full array of real numbers.")
    return None


def time_first(array: np.ndarray) -> np.ndarray:
    """``H x W x F`` -> ``(F, H, W)``, ``H x W x 3 x F`` -> ``(F, H, W, 3)``; ``H x W``, as MATLAB keeps F = 1, too."""
    return np.moveaxis(array[..., None] if array.ndim == 2 else array, -1, 0)


def _is_hdf5(path: Path) -> bool:
    size, place = path.stat().st_size, 0
    with open(path, "rb") as file:
        while place < size:
            file.seek(place)
            if file.read(len(_HDF5_START)) == _HDF5_START:
                return True
            place = 2 * place or 512
    return False


def _of_hdf5(path: Path) -> matlab5.Contents:
    """Read a file of version 7.3 in a process of its own, see ``hdf5_arrays``; raises ``ValueError`` where that fails."""
    most = most_unfolded(path.stat().st_size)
    command = [sys.executable, "-m", hdf5_arrays.__name__, str(path.resolve()), str(most)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(_SOURCES), os.environ.get("PYTHONPATH")]))}
    try:
        process = subprocess.run(
            command, capture_output=True, check=False, env=environment, stdin=subprocess.DEVNULL, timeout=hdf5_arrays.SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise ValueError(f"reading it took longer than {hdf5_arrays.SECONDS} s") from error
    if process.returncode < 0:
        raise ValueError(f"the HDF5 library crashed on it with signal {-process.returncode}")
    if process.returncode:
        said = process.stderr.decode("utf-8", "replace").strip().splitlines()
        raise ValueError(printable(said[-1] if said else f"its reader ended with status {process.returncode}"))
    arrays = npz_in(io.BytesIO(process.stdout), len(process.stdout))
    return matlab5.Contents(arrays, json.loads(str(arrays.pop(hdf5_arrays.OTHERS))))
