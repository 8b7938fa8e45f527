/* A CUDA 11 runtime without a GPU: it counts devices, reserves their memory, and takes launches.
 *
 * Device memory is addresses and nothing else: no program can read or write there, as on a machine with a GPU. What is copied
 * from it is zero, which is finite whatever the type; of what is copied to it only scalars and shapes are remembered, which
 * MindSpore itself reads back to know how to go on. Every address and length is checked, and so is the amount. STAND_IN_GPUS
 * is how many devices there are, 1 by default.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <search.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "stand_in.h"

enum status { INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, INVALID_DEVICE = 101 };
enum direction { HOST_TO_HOST, HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE };

#define MEMORY ((size_t)80 << 30) /* bytes of each device */
#define BLOCKS 65536              /* most blocks of device memory at a time */
#define REMEMBERED 64             /* most bytes of a copy that is remembered */

/* cudaDeviceProp of CUDA 11; ``rest`` stays zero. */
struct properties {
    char name[256];
    char uuid[16], luid[8];
    unsigned luid_mask;
    size_t memory, shared_memory_a_block;
    int registers_a_block, warp;
    size_t pitch;
    int threads_a_block, block[3], grid[3], clock;
    size_t constant_memory;
    int major, minor;
    size_t texture_alignment, texture_pitch;
    int overlap, processors, timeout, integrated, maps_host, compute_mode;
    int texture_sizes[26], surface_sizes[14];
    size_t surface_alignment;
    int concurrent_kernels, ecc, pci_bus, pci_device, pci_domain, tcc, copy_engines, unified_addresses, memory_clock, memory_bus,
        cache, persisting_cache, threads_a_processor;
    char rest[100];
};
_Static_assert(offsetof(struct properties, processors) == 388 && offsetof(struct properties, threads_a_processor) == 624 &&
                   sizeof(struct properties) == 728, "the layout of CUDA 11");

struct block {
    char *start;
    size_t size;
};

struct copy {
    const void *start;
    size_t size;
    char bytes[REMEMBERED];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct block blocks[BLOCKS];
static int count; /* of blocks */
static size_t used;
static void *copies; /* a tree of what was copied to the device and is remembered, by address */
static __thread int last = SUCCESS; /* what the calling thread's latest failure was */

static int failed(int status, const char *what)
{
    fprintf(stderr, "stand-in for CUDA: %s\n", what);
    return last = status;
}

static int devices(void)
{
    const char *given = getenv("STAND_IN_GPUS");
    return given ? atoi(given) : 1;
}

/* Devices */

int cudaGetDeviceCount(int *found)
{
    *found = devices();
    return *found > 0 ? SUCCESS : (last = NO_DEVICE);
}

int cudaSetDevice(int device)
{
    return device >= 0 && device < devices() ? SUCCESS : (last = INVALID_DEVICE);
}

int cudaGetDeviceProperties(struct properties *found, int device)
{
    if (device < 0 || device >= devices())
        return last = INVALID_DEVICE;
    *found = (struct properties){
        .name = "stand-in", .memory = MEMORY, .shared_memory_a_block = 49152, .registers_a_block = 65536, .warp = 32,
        .threads_a_block = 1024, .block = {1024, 1024, 64}, .grid = {2147483647, 65535, 65535}, .constant_memory = 65536,
        .major = 8, .minor = 0, .texture_alignment = 512, .processors = 108, .maps_host = 1, .surface_alignment = 512,
        .concurrent_kernels = 1, .copy_engines = 3, .unified_addresses = 1, .cache = 40 << 20, .threads_a_processor = 2048};
    return SUCCESS;
}

int cudaDeviceSynchronize(void) { return SUCCESS; }

/* Memory */

int cudaMemGetInfo(size_t *available, size_t *total)
{
    *available = MEMORY - used;
    *total = MEMORY;
    return SUCCESS;
}

int cudaMalloc(void **made, size_t size)
{
    int status = OUT_OF_MEMORY;

    pthread_mutex_lock(&lock);
    if (count < BLOCKS && size <= MEMORY - used) {
        char *start = mmap(NULL, size ? size : 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (start != MAP_FAILED) {
            blocks[count++] = (struct block){start, size};
            used += size;
            *made = start;
            status = SUCCESS;
        }
    }
    pthread_mutex_unlock(&lock);
    return status == SUCCESS ? SUCCESS : failed(status, "out of memory");
}

int cudaFree(void *start)
{
    int status = start ? INVALID_VALUE : SUCCESS;

    pthread_mutex_lock(&lock);
    for (int i = 0; i < count && status != SUCCESS; i++)
        if (blocks[i].start == start) {
            munmap(start, blocks[i].size ? blocks[i].size : 1);
            used -= blocks[i].size;
            blocks[i] = blocks[--count];
            status = SUCCESS;
        }
    pthread_mutex_unlock(&lock);
    return status == SUCCESS ? SUCCESS : failed(status, "freed what was not allocated");
}

/* Whether all of ``size`` bytes lie within one block of device memory. */
static int on_device(const void *start, size_t size)
{
    int found = 0;

    pthread_mutex_lock(&lock);
    for (int i = 0; i < count && !found; i++) {
        size_t offset = (size_t)((const char *)start - blocks[i].start);
        found = (const char *)start >= blocks[i].start && offset <= blocks[i].size && size <= blocks[i].size - offset;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

static int by_address(const void *left, const void *right)
{
    const char *one = ((const struct copy *)left)->start, *other = ((const struct copy *)right)->start;
    return (one > other) - (one < other);
}

/* Remember what was copied to an address, unless it is too much, and forget what was copied there before. */
static void remember(const void *start, const void *bytes, size_t size)
{
    struct copy sought = {.start = start}, *found;

    pthread_mutex_lock(&lock);
    struct copy **place = tfind(&sought, &copies, by_address);
    if (!place && size <= REMEMBERED) {
        found = calloc(1, sizeof *found);
        found->start = start;
        place = tsearch(found, &copies, by_address);
    }
    if (place) {
        found = *place;
        found->size = size <= REMEMBERED ? size : 0;
        memcpy(found->bytes, bytes, found->size);
    }
    pthread_mutex_unlock(&lock);
}

/* Give what is at an address: what was copied there, if so much was, or else zeros. */
static void recall(void *to, const void *start, size_t size)
{
    struct copy sought = {.start = start};

    memset(to, 0, size);
    pthread_mutex_lock(&lock);
    struct copy **place = tfind(&sought, &copies, by_address);
    if (place && (*place)->size == size)
        memcpy(to, (*place)->bytes, size);
    pthread_mutex_unlock(&lock);
}

int cudaMemcpy(void *to, const void *from, size_t size, int direction)
{
    int to_device = direction == HOST_TO_DEVICE || direction == DEVICE_TO_DEVICE;
    int from_device = direction == DEVICE_TO_HOST || direction == DEVICE_TO_DEVICE;

    if (direction < HOST_TO_HOST || direction > DEVICE_TO_DEVICE)
        return failed(INVALID_VALUE, "a copy in an unknown direction");
    if (on_device(to, size) != to_device || on_device(from, size) != from_device)
        return failed(INVALID_VALUE, "a copy from or to where its direction does not lead, or beyond the end of a block");
    if (direction == HOST_TO_HOST)
        memmove(to, from, size);
    else if (direction == DEVICE_TO_HOST)
        recall(to, from, size);
    else if (direction == HOST_TO_DEVICE)
        remember(to, from, size);
    else {
        char held[REMEMBERED];
        if (size <= REMEMBERED)
            recall(held, from, size);
        remember(to, held, size);
    }
    return SUCCESS;
}

int cudaMemcpyAsync(void *to, const void *from, size_t size, int direction, void *stream)
{
    (void)stream;
    return cudaMemcpy(to, from, size, direction);
}

int cudaMemset(void *start, int value, size_t size)
{
    if (!on_device(start, size))
        return failed(INVALID_VALUE, "set memory that was not allocated");
    char held[REMEMBERED];
    memset(held, value, sizeof held);
    remember(start, held, size);
    return SUCCESS;
}

int cudaMemsetAsync(void *start, int value, size_t size, void *stream)
{
    (void)stream;
    return cudaMemset(start, value, size);
}

int cudaHostAlloc(void **made, size_t size, unsigned flags)
{
    (void)flags;
    *made = malloc(size ? size : 1);
    return *made ? SUCCESS : failed(OUT_OF_MEMORY, "out of the host's memory");
}

int cudaFreeHost(void *start)
{
    free(start);
    return SUCCESS;
}

int cudaHostRegister(void *start, size_t size, unsigned flags) { return (void)start, (void)size, (void)flags, SUCCESS; }
int cudaHostUnregister(void *start) { return (void)start, SUCCESS; }

/* Streams and events: everything is done before the call that asks for it returns. */

static int made(void **handle)
{
    *handle = malloc(1);
    return SUCCESS;
}

static int destroyed(void *handle)
{
    free(handle);
    return SUCCESS;
}

int cudaStreamCreate(void **stream) { return made(stream); }
int cudaStreamCreateWithFlags(void **stream, unsigned flags) { return (void)flags, made(stream); }
int cudaStreamCreateWithPriority(void **stream, unsigned flags, int priority) { return (void)flags, (void)priority, made(stream); }
int cudaStreamDestroy(void *stream) { return destroyed(stream); }
int cudaStreamQuery(void *stream) { return (void)stream, SUCCESS; }
int cudaStreamSynchronize(void *stream) { return (void)stream, SUCCESS; }
int cudaStreamWaitEvent(void *stream, void *event, unsigned flags) { return (void)stream, (void)event, (void)flags, SUCCESS; }
int cudaEventCreate(void **event) { return made(event); }
int cudaEventCreateWithFlags(void **event, unsigned flags) { return (void)flags, made(event); }
int cudaEventDestroy(void *event) { return destroyed(event); }
int cudaEventQuery(void *event) { return (void)event, SUCCESS; }
int cudaEventRecord(void *event, void *stream) { return (void)event, (void)stream, SUCCESS; }
int cudaEventSynchronize(void *event) { return (void)event, SUCCESS; }

int cudaEventElapsedTime(float *milliseconds, void *start, void *end)
{
    (void)start, (void)end;
    *milliseconds = 1;
    return SUCCESS;
}

/* Errors */

int cudaGetLastError(void)
{
    int status = last;
    last = SUCCESS;
    return status;
}

const char *cudaGetErrorName(int status) { return status ? "error of the stand-in for CUDA" : "no error"; }
const char *cudaGetErrorString(int status) { return cudaGetErrorName(status); }
