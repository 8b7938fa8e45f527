/* Of cuBLAS, cuSOLVER, cuSPARSE, NCCL and NVRTC what MindSpore calls when it begins, matrix products, and sums over GPUs. */
#include "stand_in.h"

static char handle; /* stands for all of them */

#define MADE(function) \
    int function(void **made) { *made = &handle; return SUCCESS; }

MADE(cublasCreate_v2)
TOLD(cublasDestroy_v2)
TOLD(cublasSetStream_v2)
TOLD(cublasSetMathMode)
COMPUTES(cublasGemmEx)
COMPUTES(cublasGemmStridedBatchedEx)

int cublasGetMathMode(void *given, int *mode)
{
    (void)given;
    *mode = 0;
    return SUCCESS;
}

MADE(cusolverDnCreate)
TOLD(cusolverDnDestroy)
TOLD(cusolverDnSetStream)

MADE(cusparseCreate)
TOLD(cusparseDestroy)
TOLD(cusparseSetStream)

TOLD(ncclGetUniqueId)
TOLD(ncclCommAbort)
TOLD(ncclGroupStart)
TOLD(ncclGroupEnd)
COMPUTES(ncclAllReduce)

int ncclCommInitRank(void **made) { *made = &handle; return SUCCESS; }

int nvrtcVersion(int *major, int *minor)
{
    *major = 11, *minor = 6;
    return SUCCESS;
}
