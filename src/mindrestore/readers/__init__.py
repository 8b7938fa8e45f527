"""Files of strangers, read so that whatever is wrong with one is a sentence, and none takes more memory than its size allows.

    untrusted.py    errors of parsers as ``UserError``, limits, text and JSON
    numpy_files.py  .npy and .npz
    matlab5.py      MATLAB's files of version 5
    hdf5_arrays.py  MATLAB's files of version 7.3, in a process of its own

What the arrays in a file mean, ``mindrestore.mat_files``, ``sensing``, ``data`` and ``checkpoints`` know.
"""
