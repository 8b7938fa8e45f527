// A block of windowed attention as one operator, forwards and backwards: x + m0 attention(norm1 x), then x + m1 mlp(norm2 x).
//
// It computes what models/vrt/attention.py computes operator by operator. Tokens lie in the lanes of vectors: a panel holds
// PANEL tokens, (channels, PANEL), so that normalisation and softmax go through it lane by lane, heads of any width waste
// nothing, and what comes out of one product is laid out for the next. Scores exist for one head and one panel of queries at
// a time, transposed: (keys, PANEL). Each thread takes windows by itself. The
// gradients of the weights are summed over the windows of each thread, a fixed part of them, and then over threads in their
// order: they are equal from run to run of as many threads.
#include "attention_block_backward.h"

using namespace mindrestore;

// Compute y (rows, channels). Returns 0, or 1 where there is not enough memory.
extern "C" int mindrestore_block_forward(const Sizes *sizes, const Given *given, float *y) try {
    const Shared shared(*sizes, *given);
    std::vector<std::unique_ptr<Forward>> workers;
    for (int64_t thread = 0; thread < sizes->threads; thread++) workers.push_back(std::make_unique<Forward>(shared));
    std::atomic<int64_t> next{0};
    side_by_side(sizes->threads, [&](int64_t thread) {
        const int64_t some = shared.at_once;
        for (int64_t first = some * next++; first < sizes->windows; first = some * next++)
            workers[thread]->compute(first, std::min(some, sizes->windows - first), y);
    });
    return 0;
} catch (const std::bad_alloc &) {
    return 1;
}

// Given that of y, compute the gradients of x (rows, channels) and of those weights whose pointer is not null, laid out as the
// weights. Returns 0, or 1 where there is not enough memory.
extern "C" int mindrestore_block_backward(const Sizes *sizes, const Given *given, const float *gradient, float *of_x,
                                          float *const *of_weights) try {
    const int64_t threads = sizes->threads;
    const Shared shared(*sizes, *given);
    std::vector<std::unique_ptr<Backward>> workers;
    for (int64_t thread = 0; thread < threads; thread++) workers.push_back(std::make_unique<Backward>(shared));
    side_by_side(threads, [&](int64_t thread) {
        const int64_t end = sizes->windows * (thread + 1) / threads;
        for (int64_t first = sizes->windows * thread / threads; first < end; first += shared.at_once)
            workers[thread]->compute(first, std::min(shared.at_once, end - first), gradient, of_x);
    });
    side_by_side(threads, [&](int64_t part) {
        for (int64_t thread = 1; thread < threads; thread++) workers[0]->totals.add(workers[thread]->totals, part, threads);
    });
    for (int weight = 0; weight < WEIGHTS; weight++)
        if (of_weights[weight]) workers[0]->totals.write(static_cast<Weight>(weight), of_weights[weight]);
    return 0;
} catch (const std::bad_alloc &) {
    return 1;
}
