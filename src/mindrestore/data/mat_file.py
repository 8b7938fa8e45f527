"""MATLAB files, old and new, as one dictionary."""
import h5py
import numpy as np
import scipy.io

from mindrestore.errors import UserError
from mindrestore.files import existing


def read_mat(path):
    """Read every numeric array of a ``.mat`` file.

    Args:
        path: a MATLAB file, v5 or v7.3 (which is HDF5).

    Returns:
        dict of name -> array with MATLAB's own axes (``H x W x F`` stays ``H x W x F``; HDF5 stores them reversed, and they are
        turned back). Cells, structs and text are left out.

    Raises:
        UserError: no such file, or not a MATLAB file.
    """
    path = existing(path, ".mat file")
    try:
        if h5py.is_hdf5(path):
            return _read_v73(path)
        return {name: value for name, value in scipy.io.loadmat(path).items()
                if isinstance(value, np.ndarray) and value.dtype.kind in "buif"}
    except Exception as error:  # the two readers raise a dozen kinds for a damaged file
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{path}: not a readable MATLAB file ({reason}); expected .mat of version 5 or 7.3.") from error


def _read_v73(path):
    with h5py.File(path, "r") as file:
        return {name: item[()].T for name, item in file.items()
                if isinstance(item, h5py.Dataset) and item.dtype.kind in "buif" and item.shape}
