"""A stand-in for NVIDIA's libraries, built with gcc: MindSpore's own GPU plug-in runs over it on a machine without a GPU."""

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
PLUGIN, COLLECTIVES = "libmindspore_gpu.so.11.6", "gpu11.6/libnvidia_collective.so"  # of MindSpore, as they are
KERNELS, NCCL = "gpu/libcuda_ops.so.11", "gpu11.6/libnccl.so.2"  # stood in for, too, although the wheel has them
LIBRARIES = {  # by the beginning of their functions' names, and what of them is written out
    "cuda": ("libcudart.so.11.0", "cudart.c"),
    "cudnn": ("libcudnn.so.8", "cudnn.c"),
    "cublas": ("libcublas.so.11", "others.c"),
    "cusolver": ("libcusolver.so.11", "others.c"),
    "cusparse": ("libcusparse.so.11", "others.c"),
    "cufft": ("libcufft.so.10", "others.c"),
    "curand": ("libcurand.so.10", "others.c"),
    "nvrtc": ("libnvrtc.so.11.2", "others.c"),
    "nccl": (Path(NCCL).name, "others.c"),
    "cu": ("libcuda.so.1", "others.c"),
}
NVCC = """#!/bin/sh
echo "Cuda compilation tools, release 11.6, V11.6.124"
"""


def missing():
    """Return what this machine lacks to build it, in words; None where it lacks nothing."""
    for program in ("gcc", "nm", "ldd"):
        if not shutil.which(program):
            return f"{program} is not installed"
    for name in (PLUGIN, COLLECTIVES, KERNELS):
        if not (plugins() / name).exists():
            return f"the installed MindSpore has no {name}"
    return None


def plugins():
    """Return the folder of the installed MindSpore's plug-ins."""
    return Path(find_spec("mindspore").origin).parent / "lib" / "plugin"


def build(folder):
    """Build the libraries in ``folder``; return the environment variables under which MindSpore finds a GPU in them."""
    libraries, programs = folder / "lib64", folder / "bin"
    for made in (libraries, programs):
        made.mkdir(parents=True)
    needed = symbols(plugins() / PLUGIN, "--undefined-only") | symbols(plugins() / COLLECTIVES, "--undefined-only")
    kernels = libraries / Path(KERNELS).name
    compile_library(kernels, needed & symbols(plugins() / KERNELS, "--defined-only"), "kernels.c")
    for prefix, (name, source) in LIBRARIES.items():
        functions = {function for function in needed if re.match(prefix + "[A-Z]", function)}
        compile_library(libraries / name, functions, "refusals.c", source)
    (libraries / "libcudart.so.11.6.55").symlink_to("libcudart.so.11.0")  # MindSpore reads the version off such a name
    (programs / "nvcc").write_text(NVCC)
    (programs / "nvcc").chmod(0o755)
    return {
        "CUDA_HOME": str(folder),
        "LD_LIBRARY_PATH": str(libraries),
        "PATH": f"{programs}:{os.environ['PATH']}",
        "LD_PRELOAD": f"{kernels}:{libraries / Path(NCCL).name}",
    }  # MindSpore looks for these beside its plug-in first


def symbols(path, which):
    """Return the names that a library takes from others, or has for them: ``--undefined-only``, ``--defined-only``."""
    listing = subprocess.run(["nm", "-D", which, path], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1].partition("@")[0] for line in listing.splitlines()}


def compile_library(path, functions, *sources):
    """Compile a library that has ``functions`` and no others."""
    functions, versions = sorted(functions), path.with_suffix(".map")
    path.with_name("functions.h").write_text("".join(f"FUNCTION({name})\n" for name in functions))
    versions.write_text(f"{path.name} {{ global: {'; '.join(functions)}; local: *; }};\n")
    subprocess.run(
        [
            "gcc",
            "-Wall",
            "-Wextra",
            "-shared",
            "-fPIC",
            "-I",
            path.parent,
            f"-Wl,-soname,{path.name}",
            f"-Wl,--version-script={versions}",
            "-o",
            path,
            *(HERE / source for source in sources),
        ],
        check=True,
    )
