"""A program that reads a MATLAB file of version 7.3, which is HDF5, for ``mat_files``: a process of its own.

    python -m mindrestore.readers.hdf5_arrays FILE MOST

The HDF5 library follows links into other files, allocates what a file asks for, and may crash on a damaged one. Here it
follows none, reads ``MOST`` bytes at most, and can end no process but this one. Standard output receives a .npz of the
arrays and, as JSON under ``OTHERS``, what the other variables are; standard error, of a file that is refused, why.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys

OTHERS = "#others#"  # no name of MATLAB's
REFUSED = 3
SECONDS = 120
LIBRARY_BYTES = 2**30  # of address space that Python and the libraries take
NO_PLUGINS = {"HDF5_PLUGIN_PRELOAD": "::"}  # a file may name a filter, and the library would look for its code


def main(path: str, most: str) -> int:
    """Write what the file at ``path`` holds to standard output; return the exit status."""
    os.environ.update(NO_PLUGINS)
    import h5py
    import numpy as np

    _limit(int(most))
    try:
        with h5py.File(path, "r") as file:
            arrays, others = _contents(file, int(most))
    except Exception as error:  # of a dozen kinds
        print(" ".join(str(error).split()) or type(error).__name__, file=sys.stderr)
        return REFUSED
    np.savez(sys.stdout.buffer, **arrays, **{OTHERS: np.array(json.dumps(others))})
    return 0


def _contents(file, most: int) -> tuple[dict, dict]:  # noqa: ANN001 - h5py is imported where it is used
    """Return (arrays by name, with MATLAB's axes, of every other variable what it is)."""
    import h5py

    arrays, others = {}, {}
    for name in file:
        if name.startswith("#"):  # what cells refer to
            continue
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{name} is a link; what another file holds is not read")
        item = file[name]
        if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "buif" or not item.shape:
            others[name] = "a sparse array or struct" if isinstance(item, h5py.Group) else "no array of real numbers"
            continue
        if item.external or item.is_virtual:
            raise ValueError(f"the numbers of {name} are in another file, which is not read")
        most -= item.size * item.dtype.itemsize
        if most < 0:
            raise MemoryError("it asks for far more memory than its size")
        if item.size and not item.id.get_storage_size():
            raise ValueError(f"the numbers of {name} are missing")
        arrays[name] = item[()].T
    return arrays, others


def _limit(most: int) -> None:
    """Let this process take so many bytes and seconds, where the system can limit them."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (LIBRARY_BYTES + 3 * most, LIBRARY_BYTES + 3 * most))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
