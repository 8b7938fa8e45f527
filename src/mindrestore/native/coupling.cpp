// A step of a reversible block as one operator, forwards and backwards: target + convolution(LeakyReLU(convolution(source))), both
// 3 x 3 x 3 with zeros around. It computes what models/revsci/layers.py computes operator by operator.
//
// The convolutions and the gradients of their weights are filtered over time and rows (filtered.h).
#include "filtered.h"

namespace mindrestore {
namespace {

// As native/coupling.py fills them in.
struct Sizes {
    int64_t clips, frames, channels, height, width, threads;
};

struct Given {
    const float *source;                              // (clips, frames, channels, height, width)
    const float *weight0, *bias0, *weight2, *bias2;   // (channels, channels, 3, 3, 3) and (channels,)
    float slope;                                      // of LeakyReLU below zero
};

// What the steps of one call share.
class Call {
  public:
    Call(const Sizes &sizes, const Given &given) : s(sizes), given(given), size(s.frames * s.channels * s.height * s.width) {}

    Clip seen(const float *clip) const {
        const int64_t plane = s.height * s.width;
        return {clip, s.frames, s.channels, s.height, s.width, s.channels * plane, plane, s.width};
    }

    // Call `done(channel, place, count, first, second)` for each panel of the result: `place` is that of the first of its `count`
    // numbers.
    template <class Done>
    void convolve(const FilteredWeights &weights, const float *clip, const Done &done) {
        const int64_t plane = s.height * s.width;
        convolve_filtered(weights, seen(clip), s.threads, [&](int64_t channel, int64_t frame, int64_t row, int64_t column, int64_t count,
                                                      Vector first, Vector second) {
            done(channel, (frame * s.channels + channel) * plane + row * s.width + column, count, first, second);
        });
    }

    // inner = LeakyReLU(convolution0(source))
    void activate(const FilteredWeights &weights, const float *source, float *inner) {
        const float *bias = given.bias0, slope = given.slope;
        convolve(weights, source, [=](int64_t channel, int64_t place, int64_t count, Vector first, Vector second) {
            Vector parts[2] = {first + bias[channel], second + bias[channel]};
            for (Vector &part : parts) part = part > 0.0f ? part : slope * part;
            store_some(inner + place, count, parts[0], parts[1]);
        });
    }

    // to = from + sign * (convolution2(inner) + bias2)
    void add(const FilteredWeights &weights, const float *inner, const float *from, float sign, float *to) {
        const float *bias = given.bias2;
        convolve(weights, inner, [=](int64_t channel, int64_t place, int64_t count, Vector first, Vector second) {
            Vector one, other;
            load_some(from + place, count, one, other);
            store_some(to + place, count, one + sign * (first + bias[channel]), other + sign * (second + bias[channel]));
        });
    }

    // of_inner = the adjoint of convolution2 of the gradient, times the slope of LeakyReLU
    void through_activation(const FilteredWeights &weights, const float *gradient, const float *inner, float *of_inner) {
        const float slope = given.slope;
        convolve(weights, gradient, [=](int64_t, int64_t place, int64_t count, Vector first, Vector second) {
            Vector one, other;
            load_some(inner + place, count, one, other);
            store_some(of_inner + place, count, one > 0.0f ? first : slope * first, other > 0.0f ? second : slope * second);
        });
    }

    void plain(const FilteredWeights &weights, const float *from, float *to) {
        convolve(weights, from, [=](int64_t, int64_t place, int64_t count, Vector first, Vector second) {
            store_some(to + place, count, first, second);
        });
    }

    const Sizes &s;
    const Given &given;
    const int64_t size;  // numbers of a clip
};

}  // namespace
}  // namespace mindrestore

using namespace mindrestore;

// Compute target + residual(source), (clips, frames, channels, height, width). Returns 0, or 1 where there is not enough memory.
extern "C" int mindrestore_coupling_forward(const Sizes *sizes, const Given *given, const float *target, float *to) try {
    Call call(*sizes, *given);
    const int64_t channels = sizes->channels;
    const FilteredWeights first(given->weight0, channels, channels, false), second(given->weight2, channels, channels, false);
    Floats inner(call.size, Filled::LATER);
    for (int64_t clip = 0; clip < sizes->clips; clip++) {
        call.activate(first, given->source + clip * call.size, inner);
        call.add(second, inner, target + clip * call.size, 1, to + clip * call.size);
    }
    return 0;
} catch (const std::bad_alloc &) {
    return 1;
}

// Given that of the result, compute the gradients of the source and of weight0, bias0, weight2 and bias2, where not null, and
// result - residual(source) where `before` is not null. Returns 0, or 1 where there is not enough memory.
extern "C" int mindrestore_coupling_backward(const Sizes *sizes, const Given *given, const float *gradient, const float *result,
                                             float *before, float *of_source, float *const *of_weights) try {
    Call call(*sizes, *given);
    const int64_t channels = sizes->channels;
    const FilteredWeights first(given->weight0, channels, channels, false), second(given->weight2, channels, channels, false);
    const FilteredWeights first_back(given->weight0, channels, channels, true);
    const FilteredWeights second_back(given->weight2, channels, channels, true);
    FilteredCorrelation of_first(channels, channels, sizes->width, sizes->threads);
    FilteredCorrelation of_second(channels, channels, sizes->width, sizes->threads);
    const int64_t counts[4] = {channels * channels * FILTER_ALL_TAPS, channels, channels * channels * FILTER_ALL_TAPS, channels};
    for (int number = 0; number < 4; number++)
        if (of_weights[number]) std::fill_n(of_weights[number], counts[number], 0.0f);
    const bool outer = of_weights[2] || of_weights[3], inmost = of_weights[0] || of_weights[1];
    Floats inner(call.size, Filled::LATER), of_inner(call.size, Filled::LATER);
    for (int64_t clip = 0; clip < sizes->clips; clip++) {
        const int64_t at = clip * call.size;
        call.activate(first, given->source + at, inner);
        if (before) call.add(second, inner, result + at, -1, before + at);
        call.through_activation(second_back, gradient + at, inner, of_inner);
        if (of_source) call.plain(first_back, of_inner, of_source + at);
        if (outer) of_second.add(call.seen(gradient + at), call.seen(inner));
        if (inmost) of_first.add(call.seen(of_inner), call.seen(given->source + at));
    }
    of_first.write(of_weights[0], of_weights[1]);
    of_second.write(of_weights[2], of_weights[3]);
    return 0;
} catch (const std::bad_alloc &) {
    return 1;
}
