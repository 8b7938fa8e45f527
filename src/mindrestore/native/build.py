"""Compile the C++ of this folder into the user's cache, once for each version of it, compiler and kind of processor.

A shared library compiled for this processor (``-march=native``) uses its widest vectors and sizes its blocks by them at compile
time; function clones for several processors would also be compiled for those that this machine is not. The file ends with a
digest of itself, so that one damaged on the disk is compiled again instead of loaded.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mindrestore.runtime import processor

SOURCES = Path(__file__).parent
MAIN = ("attention_block.cpp", "alignment.cpp", "coupling.cpp", "convolutions.cpp", "permutation.cpp", "tokens.cpp", "warp.cpp")
FLAGS = (
    "-std=c++17",
    "-O3",
    "-march=native",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fopenmp-simd",
    "-Wno-psabi",
    "-fPIC",
    "-shared",
    "-pthread",
)
COMPILERS = ("g++", "c++", "clang++")
LONGEST = 300  # seconds that a compiler may take
_DIGEST = hashlib.sha256


class Unavailable(Exception):
    """Why there is no library, a clause without a full stop."""


def built() -> Path:
    """Return the path of the library; compile it if it is not in the cache.

    Raises:
        Unavailable: there is no compiler, it fails, or the cache cannot be written.
    """
    compiler = _compiler()
    path = cache() / f"{_key(compiler)}.so"
    if not _is_intact(path):
        _compile(compiler, path)
    return path


def cache() -> Path:
    """Return the folder of compiled libraries."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mindrestore" / "native"


def _compiler() -> str:
    named = os.environ.get("CXX")
    for name in (named,) if named else COMPILERS:
        program = shutil.which(name)
        if program:
            return program
    raise Unavailable(f"there is no C++ compiler {named} (CXX)" if named else "there is no C++ compiler (g++)")


def _key(compiler: str) -> str:
    """Return the file name of a library: a digest of the sources, the compiler, its flags and the processor."""
    digest = _DIGEST()
    for source in sorted((*SOURCES.glob("*.cpp"), *SOURCES.glob("*.h"))):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    program = Path(compiler).resolve()
    digest.update(repr((str(program), program.stat().st_size, program.stat().st_mtime_ns, FLAGS)).encode())
    digest.update(" ".join(processor.instructions()).encode())
    return digest.hexdigest()[:32]


def _is_intact(path: Path) -> bool:
    """Tell whether a library exists and ends with the digest of the rest of it."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    size = _DIGEST().digest_size
    return _DIGEST(content[:-size]).digest() == content[-size:]


def _compile(compiler: str, path: Path) -> None:
    """Compile beside ``path`` and move the library there, so that other processes see all of it or none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix="building-", dir=path.parent) as folder:
            library = Path(folder) / path.name
            _run([compiler, *FLAGS, *(str(SOURCES / name) for name in MAIN), "-o", str(library)])
            library.write_bytes(library.read_bytes() + _DIGEST(library.read_bytes()).digest())
            library.replace(path)
    except OSError as error:
        raise Unavailable(f"{path.parent} cannot be written ({error.strerror})") from error


def _run(command: Sequence[str]) -> None:
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{command[0]} takes longer than {LONGEST} s") from error
    if run.returncode:
        message = next((line for line in run.stderr.splitlines() if "error" in line), run.stderr.strip().partition("\n")[0])
        raise Unavailable(f"{command[0]} fails: {message.strip() or f'exit status {run.returncode}'}")
