"""What the zip library raises for a damaged archive: PyTorch's newer files and .npz are archives."""
import lzma
import struct
import zipfile
import zlib

DAMAGED = (
    zipfile.BadZipFile,  # no directory at the end, a header that is none, a checksum that does not hold
    EOFError,  # a record that ends too early
    zlib.error, lzma.LZMAError,  # compressed bytes that do not unpack
    struct.error,  # a field that is cut short
    RuntimeError,  # a record marked as encrypted, or of a version or compression that zipfile does not know
    ValueError,  # a name that is no text (UnicodeDecodeError)
)
"""Kinds of error; beside them ``OSError``: a place before the start of the file, bzip2 that does not unpack, or a file that
cannot be read at all. Catch them around calls of the library only, for code of our own may raise them by mistake."""
