"""Keep oneDNN, MindSpore's convolution library on the CPU, off its reference kernel.

On a processor with AVX-512 the oneDNN that MindSpore bundles finds no fast kernel for MindSpore's plain NCHW layout
and takes ``ref:any``, a hundred times slower. Told to use AVX2 at most it takes ``gemm:jit``.
"""
import os

VARIABLE = "ONEDNN_MAX_CPU_ISA"
FAST_INSTRUCTIONS = "AVX2"


def prefer_fast_instructions():
    """Cap oneDNN's instruction set for this process, unless the user has chosen one.

    oneDNN reads the variable once, at the first primitive it creates, so this stands at the top of the package.
    """
    os.environ.setdefault(VARIABLE, FAST_INSTRUCTIONS)
