"""Disks that fail: small ones, full ones, read-only ones, and files that may not grow."""

import contextlib
import os
import resource
import shutil
import subprocess

import pytest


@contextlib.contextmanager
def mounted(folder, options):
    """A file system in memory at ``folder``, mounted with ``options`` such as ``size=1m``; skips where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    if os.geteuid() or not shutil.which("mount"):
        pytest.skip("only root mounts a file system")
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True).returncode:
        pytest.skip("no file system may be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def grown(folder, size):
    """Give the file system at ``folder`` more room."""
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)


@contextlib.contextmanager
def read_only(folder):
    """An empty folder that nothing can be written to."""
    if os.geteuid():
        folder.mkdir(mode=0o555)
        yield folder
        folder.chmod(0o755)
    else:
        with mounted(folder, "ro,size=64k"):
            yield folder


@contextlib.contextmanager
def files_limited_to(size):
    """No file of this process can be written beyond ``size`` bytes: what a full disk is to a writer, in another place."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
