"""Compile the C++ of this folder into the user's cache, once for each version of it, compiler and kind of processor.

A shared library compiled for the very processor (``-march=native``) has the widest vectors there are and sizes its blocks by
them at compile time; several clones of each function in one library would compile each time for processors that are not
there. It ends with a digest of itself, so that one damaged on the disk is compiled anew instead of loaded.
"""
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from mindrestore.runtime import processor

SOURCES = Path(__file__).parent
MAIN = ("attention_block.cpp", "alignment.cpp", "coupling.cpp", "convolutions.cpp", "tokens.cpp", "warp.cpp")
FLAGS = ("-std=c++17", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp-simd", "-Wno-psabi", "-fPIC",
         "-shared", "-pthread")
COMPILERS = ("g++", "c++", "clang++")
LONGEST = 300  # seconds that a compiler may take
_DIGEST = hashlib.sha256


class Unavailable(Exception):
    """Why there is no library, a clause without a full stop."""


def built() -> Path:
    """Return the path of the library, compiled if it is not in the cache.

    Raises:
        Unavailable: there is no compiler, it fails, or the cache cannot be written.
    """
    compiler = _compiler()
    path = cache() / f"{_key(compiler)}.so"
    if not _is_whole(path):
        _compile(compiler, path)
    return path


def cache() -> Path:
    """Return the folder of compiled libraries."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mindrestore" / "native"


def _compiler():
    named = os.environ.get("CXX")
    for name in (named,) if named else COMPILERS:
        program = shutil.which(name)
        if program:
            return program
    raise Unavailable(f"there is no C++ compiler {named} (CXX)" if named else "there is no C++ compiler (g++)")


def _key(compiler):
    """Return what names a library: anything that changes what the compiler makes changes it."""
    digest = _DIGEST()
    for source in sorted((*SOURCES.glob("*.cpp"), *SOURCES.glob("*.h"))):
        digest.update(source.name.encode() + b"\0" + source.read_bytes())
    program = Path(compiler).resolve()
    digest.update(repr((str(program), program.stat().st_size, program.stat().st_mtime_ns, FLAGS)).encode())
    digest.update(" ".join(processor.instructions()).encode())
    return digest.hexdigest()[:32]


def _is_whole(path):
    try:
        content = path.read_bytes()
    except OSError:
        return False
    size = _DIGEST().digest_size
    return _DIGEST(content[:-size]).digest() == content[-size:]


def _compile(compiler, path):
    """Compile beside ``path`` and move the library there: another process sees it whole or not at all."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix="building-", dir=path.parent) as folder:
            library = Path(folder) / path.name
            _run([compiler, *FLAGS, *(str(SOURCES / name) for name in MAIN), "-o", str(library)])
            library.write_bytes(library.read_bytes() + _DIGEST(library.read_bytes()).digest())
            library.replace(path)
    except OSError as error:
        raise Unavailable(f"{path.parent} cannot be written ({error.strerror})") from error


def _run(command):
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{command[0]} takes longer than {LONGEST} s") from error
    if run.returncode:
        said = next((line for line in run.stderr.splitlines() if "error" in line), run.stderr.strip().partition("\n")[0])
        raise Unavailable(f"{command[0]} fails: {said.strip() or f'exit status {run.returncode}'}")
