/* A cuDNN 8 that computes nothing: it keeps what its descriptors are given, answers questions about sizes, and refuses
 * convolutions whose types and sizes do not fit each other, as the real one does.
 */
#include <string.h>

#include "stand_in.h"

#define BAD_PARAMETER 3
#define MOST 8         /* dimensions */
#define WORKSPACE 1024 /* bytes that every algorithm asks for */

/* Of a tensor, a filter (outputs, inputs, kernel ...) or a convolution. */
struct descriptor {
    int type, format, dimensions, mode, groups;
    int size[MOST], stride[MOST];               /* of a tensor or filter */
    int padding[MOST], step[MOST], dilation[MOST]; /* of a convolution, for each dimension of an image */
};

/* cudnnConvolutionFwdAlgoPerf_t and its like. */
struct performance {
    int algorithm, status;
    float time;
    size_t memory;
    int determinism, math, reserved[3];
};

static const size_t bytes[] = {4, 8, 2, 1, 4, 4, 1, 4, 32, 2, 8, 1}; /* of a number, by cudnnDataType_t */
#define TYPES (int)(sizeof bytes / sizeof *bytes)

static int refused(const char *what)
{
    fprintf(stderr, "stand-in for cuDNN: %s\n", what);
    return BAD_PARAMETER;
}

static int made(void **handle)
{
    *handle = calloc(1, sizeof(struct descriptor));
    return SUCCESS;
}

static int destroyed(void *handle)
{
    free(handle);
    return SUCCESS;
}

#define THING(Name)                                                   \
    int cudnnCreate##Name(void **handle) { return made(handle); }     \
    int cudnnDestroy##Name(void *handle) { return destroyed(handle); }

THING()
THING(TensorDescriptor)
THING(FilterDescriptor)
THING(ConvolutionDescriptor)
THING(ActivationDescriptor)
THING(OpTensorDescriptor)
THING(PoolingDescriptor)
THING(ReduceTensorDescriptor)

TOLD(cudnnSetStream)
TOLD(cudnnSetActivationDescriptor)
TOLD(cudnnSetConvolutionMathType)
TOLD(cudnnSetOpTensorDescriptor)
TOLD(cudnnSetPoolingNdDescriptor)
TOLD(cudnnSetReduceTensorDescriptor)

COMPUTES(cudnnActivationForward)
COMPUTES(cudnnActivationBackward)
COMPUTES(cudnnOpTensor)
COMPUTES(cudnnPoolingForward)
COMPUTES(cudnnPoolingBackward)
COMPUTES(cudnnReduceTensor)
COMPUTES(cudnnSoftmaxForward)
COMPUTES(cudnnSoftmaxBackward)

const char *cudnnGetErrorString(int status) { return status ? "refused by the stand-in" : "success"; }

/* Tensors and filters */

static int set(struct descriptor *made, int type, int format, int dimensions, const int *size, const int *stride)
{
    int after = 1;

    if (type < 0 || type >= TYPES || dimensions < 3 || dimensions > MOST)
        return refused("a tensor of an unknown type, or of fewer than 3 or more than 8 dimensions");
    made->type = type, made->format = format, made->dimensions = dimensions;
    for (int i = dimensions - 1; i >= 0; i--) {
        if (size[i] < 1)
            return refused("a tensor of no size");
        made->size[i] = size[i];
        made->stride[i] = stride ? stride[i] : after;
        after *= size[i];
    }
    return SUCCESS;
}

int cudnnSetTensor4dDescriptor(struct descriptor *tensor, int format, int type, int n, int c, int h, int w)
{
    return set(tensor, type, format, 4, (int[]){n, c, h, w}, NULL);
}

int cudnnSetTensorNdDescriptor(struct descriptor *tensor, int type, int dimensions, const int *size, const int *stride)
{
    return set(tensor, type, 0, dimensions, size, stride);
}

int cudnnSetTensorNdDescriptorEx(struct descriptor *tensor, int format, int type, int dimensions, const int *size)
{
    return set(tensor, type, format, dimensions, size, NULL);
}

int cudnnSetFilter4dDescriptor(struct descriptor *filter, int type, int format, int outputs, int inputs, int h, int w)
{
    return set(filter, type, format, 4, (int[]){outputs, inputs, h, w}, NULL);
}

int cudnnSetFilterNdDescriptor(struct descriptor *filter, int type, int format, int dimensions, const int *size)
{
    return set(filter, type, format, dimensions, size, NULL);
}

int cudnnGetTensorNdDescriptor(const struct descriptor *tensor, int most, int *type, int *dimensions, int *size, int *stride)
{
    int copied = most < tensor->dimensions ? most : tensor->dimensions;

    *type = tensor->type, *dimensions = tensor->dimensions;
    memcpy(size, tensor->size, copied * sizeof *size);
    memcpy(stride, tensor->stride, copied * sizeof *stride);
    return SUCCESS;
}

int cudnnGetFilterNdDescriptor(const struct descriptor *filter, int most, int *type, int *format, int *dimensions, int *size)
{
    int copied = most < filter->dimensions ? most : filter->dimensions;

    *type = filter->type, *format = filter->format, *dimensions = filter->dimensions;
    memcpy(size, filter->size, copied * sizeof *size);
    return SUCCESS;
}

int cudnnGetTensorSizeInBytes(const struct descriptor *tensor, size_t *size)
{
    size_t last = 0; /* place of the last number */

    for (int i = 0; i < tensor->dimensions; i++)
        last += (size_t)(tensor->size[i] - 1) * tensor->stride[i];
    *size = tensor->dimensions ? (last + 1) * bytes[tensor->type] : 0;
    return SUCCESS;
}

int cudnnGetFilterSizeInBytes(const struct descriptor *filter, size_t *size) { return cudnnGetTensorSizeInBytes(filter, size); }

int cudnnGetReductionIndicesSize(void *handle, void *reduction, void *from, void *to, size_t *size)
{
    (void)handle, (void)reduction, (void)from, (void)to;
    *size = WORKSPACE;
    return SUCCESS;
}

int cudnnGetReductionWorkspaceSize(void *handle, void *reduction, void *from, void *to, size_t *size)
{
    return cudnnGetReductionIndicesSize(handle, reduction, from, to, size);
}

/* Convolutions */

int cudnnSetConvolutionNdDescriptor(struct descriptor *convolution, int dimensions, const int *padding, const int *step,
                                    const int *dilation, int mode, int type)
{
    convolution->dimensions = dimensions, convolution->mode = mode, convolution->type = type;
    if (!convolution->groups)
        convolution->groups = 1;
    for (int i = 0; i < dimensions; i++) {
        if (padding[i] < 0 || step[i] < 1 || dilation[i] < 1)
            return refused("a convolution of negative padding, or without stride or dilation");
        convolution->padding[i] = padding[i], convolution->step[i] = step[i], convolution->dilation[i] = dilation[i];
    }
    return SUCCESS;
}

int cudnnSetConvolution2dDescriptor(struct descriptor *convolution, int padding_h, int padding_w, int step_h, int step_w,
                                    int dilation_h, int dilation_w, int mode, int type)
{
    return cudnnSetConvolutionNdDescriptor(convolution, 2, (int[]){padding_h, padding_w}, (int[]){step_h, step_w},
                                           (int[]){dilation_h, dilation_w}, mode, type);
}

int cudnnSetConvolutionGroupCount(struct descriptor *convolution, int groups)
{
    convolution->groups = groups;
    return SUCCESS;
}

int cudnnGetConvolutionNdDescriptor(const struct descriptor *convolution, int most, int *dimensions, int *padding, int *step,
                                    int *dilation, int *mode, int *type)
{
    int copied = most < convolution->dimensions ? most : convolution->dimensions;

    *dimensions = convolution->dimensions, *mode = convolution->mode, *type = convolution->type;
    memcpy(padding, convolution->padding, copied * sizeof *padding);
    memcpy(step, convolution->step, copied * sizeof *step);
    memcpy(dilation, convolution->dilation, copied * sizeof *dilation);
    return SUCCESS;
}

/* Whether ``convolution`` makes ``y`` of ``x`` by ``filter``, or their gradients of each other. Of channels last nothing is
 * asked but the types.
 */
static int fits(const struct descriptor *x, const struct descriptor *filter, const struct descriptor *convolution,
                const struct descriptor *y)
{
    if (x->type != filter->type || x->type != y->type)
        return refused("a convolution between different types");
    if (x->format || y->format || filter->format)
        return SUCCESS;
    if (x->dimensions != filter->dimensions || x->dimensions != y->dimensions || x->dimensions != convolution->dimensions + 2)
        return refused("a convolution between different numbers of dimensions");
    if (x->size[0] != y->size[0] || x->size[1] != filter->size[1] * convolution->groups || y->size[1] != filter->size[0] ||
        filter->size[0] % convolution->groups)
        return refused("a convolution whose batch, channels or groups do not fit");
    for (int i = 0; i < convolution->dimensions; i++) {
        int reach = (filter->size[i + 2] - 1) * convolution->dilation[i];
        int room = x->size[i + 2] + 2 * convolution->padding[i] - reach - 1;
        if (room < 0 || y->size[i + 2] != room / convolution->step[i] + 1)
            return refused("a convolution whose result has another size than it is given");
    }
    return SUCCESS;
}

static int choose(int status, int *found, struct performance *chosen)
{
    memset(chosen, 0, sizeof *chosen);
    chosen->algorithm = 1, chosen->memory = WORKSPACE;
    *found = 1;
    return status;
}

static int workspace(int status, size_t *size)
{
    *size = WORKSPACE;
    return status;
}

typedef const struct descriptor *given;

#define CHOICE(function, a, b, c, d)                                                                                  \
    int function(void *handle, given a, given b, given c, given d, int most, int *found, struct performance *chosen)  \
    {                                                                                                                 \
        (void)handle, (void)most;                                                                                     \
        return choose(fits(x, filter, convolution, y), found, chosen);                                                \
    }

CHOICE(cudnnGetConvolutionForwardAlgorithm_v7, x, filter, convolution, y)
CHOICE(cudnnFindConvolutionForwardAlgorithm, x, filter, convolution, y)
CHOICE(cudnnGetConvolutionBackwardDataAlgorithm_v7, filter, y, convolution, x)
CHOICE(cudnnFindConvolutionBackwardDataAlgorithm, filter, y, convolution, x)
CHOICE(cudnnGetConvolutionBackwardFilterAlgorithm_v7, x, y, convolution, filter)
CHOICE(cudnnFindConvolutionBackwardFilterAlgorithm, x, y, convolution, filter)

#define SPACE(function, a, b, c, d)                                                                   \
    int function(void *handle, given a, given b, given c, given d, int algorithm, size_t *size)       \
    {                                                                                                 \
        (void)handle, (void)algorithm;                                                                \
        return workspace(fits(x, filter, convolution, y), size);                                      \
    }

SPACE(cudnnGetConvolutionForwardWorkspaceSize, x, filter, convolution, y)
SPACE(cudnnGetConvolutionBackwardDataWorkspaceSize, filter, y, convolution, x)
SPACE(cudnnGetConvolutionBackwardFilterWorkspaceSize, x, y, convolution, filter)

int cudnnConvolutionForward(void *handle, const void *alpha, given x, const void *x_data, given filter, const void *filter_data,
                            given convolution, int algorithm, void *space, size_t size, const void *beta, given y, void *y_data)
{
    (void)handle, (void)alpha, (void)x_data, (void)filter_data, (void)algorithm, (void)space, (void)size, (void)beta, (void)y_data;
    LAUNCHED();
    return fits(x, filter, convolution, y);
}

int cudnnConvolutionBackwardData(void *handle, const void *alpha, given filter, const void *filter_data, given y,
                                 const void *y_data, given convolution, int algorithm, void *space, size_t size,
                                 const void *beta, given x, void *x_data)
{
    (void)handle, (void)alpha, (void)x_data, (void)filter_data, (void)algorithm, (void)space, (void)size, (void)beta, (void)y_data;
    LAUNCHED();
    return fits(x, filter, convolution, y);
}

int cudnnConvolutionBackwardFilter(void *handle, const void *alpha, given x, const void *x_data, given y, const void *y_data,
                                   given convolution, int algorithm, void *space, size_t size, const void *beta, given filter,
                                   void *filter_data)
{
    (void)handle, (void)alpha, (void)x_data, (void)filter_data, (void)algorithm, (void)space, (void)size, (void)beta, (void)y_data;
    LAUNCHED();
    return fits(x, filter, convolution, y);
}
