"""A GPU where there is none: libraries under NVIDIA's names, made by gcc, that do nothing and say that all went well.

MindSpore's own GPU plug-in runs on top of them. It counts eight devices, takes memory, and chooses a kernel for every operator
and its types from its own registry, so what it has no kernel for it refuses, in its own words, as on a real GPU. Only the
kernels compute nothing: a result holds what lay in the memory before. Nothing here knows what MindSpore supports.
"""
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

SONAMES = {"cublas": "libcublas.so.11", "curand": "libcurand.so.10", "cudnn": "libcudnn.so.8", "cuda": "libcudart.so.11.0",
           "cusolver": "libcusolver.so.11", "cufft": "libcufft.so.10", "cusparse": "libcusparse.so.11",
           "nvrtc": "libnvrtc.so.11.2", "cu": "libcuda.so.1"}
KERNELS = "libcuda_ops.so.11"  # MindSpore's own kernels: launched, they would ask the driver for a GPU
COLLECTIVES, NCCL = "libnvidia_collective.so", "libnccl.so.2"  # MindSpore's, and what it is made on
TOOLKIT = "11.6"  # the newest that the plug-in is built for

# Functions that say something; all others return 0, and those that create something also give the address of nothing.
SPEAKING = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
int cudaGetDeviceCount(int *count) { *count = 8; return 0; }
int cudaGetDeviceProperties(char *properties, int device) {
    int limits[] = {1024, 1024, 64, 2147483647, 65535, 65535};
    memset(properties, 0, 712);
    *(size_t *)(properties + 288) = 16ul << 30;  /* memory */
    *(size_t *)(properties + 296) = 49152;  /* shared memory of a block */
    *(int *)(properties + 308) = 32;  /* threads of a warp */
    *(int *)(properties + 320) = 1024;  /* threads of a block */
    memcpy(properties + 324, limits, sizeof limits);
    *(int *)(properties + 360) = 8;  /* compute capability 8.0 */
    *(int *)(properties + 388) = 80;  /* multiprocessors */
    return 0;
}
int cudaMemGetInfo(size_t *free, size_t *total) { *free = 8ul << 30; *total = 16ul << 30; return 0; }
int cudaMalloc(void **p, size_t size) {
    *p = mmap(0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return *p == MAP_FAILED ? 2 : 0;
}
int cudaHostAlloc(void **p, size_t size, unsigned flags) { *p = malloc(size); return *p ? 0 : 2; }
int cudaFreeHost(void *p) { free(p); return 0; }
int cudaMemcpy(void *to, void *from, size_t size, int kind) { memcpy(to, from, size); return 0; }
int cudaMemcpyAsync(void *to, void *from, size_t size, int kind, void *stream) { memcpy(to, from, size); return 0; }
int cudaMemset(void *p, int value, size_t size) { memset(p, value, size); return 0; }
int cudaMemsetAsync(void *p, int value, size_t size, void *stream) { memset(p, value, size); return 0; }
int cudaEventElapsedTime(float *ms, void *from, void *to) { *ms = 1; return 0; }
const char *cudaGetErrorName(int error) { return "imitated"; }
const char *cudaGetErrorString(int error) { return "imitated"; }
const char *cudnnGetErrorString(int error) { return "imitated"; }
int cuGetErrorName(int error, const char **name) { *name = "imitated"; return 0; }
int nvrtcVersion(int *major, int *minor) { *major = 11; *minor = 6; return 0; }
int cudnnCreateTensorDescriptor(size_t **size) { *size = calloc(1, sizeof(size_t)); return 0; }
int cudnnCreateFilterDescriptor(size_t **size) { *size = calloc(1, sizeof(size_t)); return 0; }
static int described(size_t *size, int type, int dimensions, const int *shape) {
    *size = (size_t[]){4, 8, 2, 1, 4}[type];  /* float, double, half, int8, int32 */
    for (int axis = 0; axis < dimensions; ++axis) *size *= shape[axis];
    return 0;
}
int cudnnSetTensor4dDescriptor(size_t *size, int format, int type, int n, int c, int h, int w) {
    return described(size, type, 4, (int[]){n, c, h, w});
}
int cudnnSetTensorNdDescriptor(size_t *size, int type, int dimensions, int *shape, int *strides) {
    return described(size, type, dimensions, shape);
}
int cudnnSetTensorNdDescriptorEx(size_t *size, int format, int type, int dimensions, int *shape) {
    return described(size, type, dimensions, shape);
}
int cudnnSetFilter4dDescriptor(size_t *size, int type, int format, int k, int c, int h, int w) {
    return described(size, type, 4, (int[]){k, c, h, w});
}
int cudnnSetFilterNdDescriptor(size_t *size, int type, int format, int dimensions, int *shape) {
    return described(size, type, dimensions, shape);
}
int cudnnGetTensorSizeInBytes(size_t *described, size_t *size) { *size = *described; return 0; }
int cudnnGetFilterSizeInBytes(size_t *described, size_t *size) { *size = *described; return 0; }
int cudnnGetReductionWorkspaceSize(void *a, void *b, void *c, void *d, size_t *size) { *size = 0; return 0; }
int cudnnGetReductionIndicesSize(void *a, void *b, void *c, void *d, size_t *size) { *size = 0; return 0; }
const char *ncclGetErrorString(int error) { return "imitated"; }
"""
CONVOLUTION = """
int cudnn{how}Convolution{kind}Algorithm{version}(void *a, void *b, void *c, void *d, void *e, int asked, int *found,
                                                  int *algorithm) {{
    *found = 1; memset(algorithm, 0, 48); algorithm[0] = 1; return 0;
}}
"""
WORKSPACE = """
int cudnnGetConvolution{kind}WorkspaceSize(void *a, void *b, void *c, void *d, void *e, int algorithm, size_t *size) {{
    *size = 0; return 0;
}}
"""


def plugin():
    """Return MindSpore's GPU plug-in, a path that need not exist."""
    return Path(find_spec("mindspore").origin).parent / "lib" / "plugin" / f"libmindspore_gpu.so.{TOOLKIT}"


def missing():
    """Return what this machine lacks for an imitated GPU, ``None`` if nothing."""
    for program in ("gcc", "nm"):
        if not shutil.which(program):
            return f"{program} is not installed"
    return None if plugin().exists() else "this MindSpore has no GPU plug-in"


def environment(folder):
    """Make the libraries in ``folder``; return what a process's environment needs for the GPU, beside what it has."""
    libraries, home = folder / "lib64", folder / "bin"
    libraries.mkdir()
    home.mkdir()
    kernels = plugin().parent / "gpu" / KERNELS
    wanted = {name for library in (plugin(), kernels) for name in symbols(library, "--undefined-only")}
    spoken = SPEAKING + "".join(
        CONVOLUTION.format(how=how, kind=kind, version=version) for how, version in (("Get", "_v7"), ("Find", ""))
        for kind in ("Forward", "BackwardData", "BackwardFilter")) + "".join(
        WORKSPACE.format(kind=kind) for kind in ("Forward", "BackwardData", "BackwardFilter"))
    for prefix, soname in SONAMES.items():
        own = {name for name in wanted if re.match(f"{prefix}[A-Z]", name)}
        compiled(libraries / soname, silent(own, spoken), soname)
    compiled(libraries / KERNELS, silent(symbols(kernels, "--defined-only") & wanted))
    collectives = plugin().parent / f"gpu{TOOLKIT}" / COLLECTIVES
    wanted = symbols(collectives, "--undefined-only")
    compiled(libraries / NCCL, silent({name for name in wanted if name.startswith("nccl")}, spoken))
    (libraries / f"libcudart.so.{TOOLKIT}.0").symlink_to(SONAMES["cuda"])
    (home / "nvcc").write_text(f"#!/bin/sh\necho Cuda compilation tools, release {TOOLKIT}, V{TOOLKIT}.0\n")
    (home / "nvcc").chmod(0o755)
    preloaded = f"{libraries / KERNELS}:{libraries / NCCL}"  # the plug-in looks beside itself for these first
    return {"CUDA_HOME": str(folder), "LD_LIBRARY_PATH": str(libraries), "LD_PRELOAD": preloaded}


def symbols(library, which):
    """Return the names that a library defines or wants."""
    listed = subprocess.run(["nm", "-D", which, str(library)], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1].partition("@")[0] for line in listed.splitlines()}


def silent(names, spoken=""):
    """Return a C program that has all ``names``: as ``spoken`` has them, and functions that return 0 for the others."""
    program = [spoken, "static int nothing;"]
    for name in sorted(names):
        if not re.search(rf"\b{name}\(", spoken):
            program.append(f"int {name}(void **p) {{ *p = &nothing; return 0; }}" if re.search("[a-z]Create", name)
                           else f"int {name}() {{ return 0; }}")
    return "\n".join(program)


def compiled(path, program, version=None):
    """Compile a C program into a library; ``version`` is that of its names, which a linker asks for."""
    source = path.with_suffix(".c")
    source.write_text(program)
    options = ["-Wl,-soname," + path.name]
    if version:
        script = path.with_suffix(".map")
        script.write_text(f"{version} {{ global: *; }};\n")
        options.append(f"-Wl,--version-script={script}")
    subprocess.run(["gcc", "-w", "-shared", "-fPIC", "-o", path, source, *options], check=True)
