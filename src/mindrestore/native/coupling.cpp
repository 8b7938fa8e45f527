// A step of a reversible block as one operator, forwards and backwards: target + convolution(LeakyReLU(convolution(source))), both
// 3 x 3 x 3 with zeros around. It computes what models/revsci/layers.py computes operator by operator.
//
// The convolutions are filtered over time and rows (filtered.h). The gradients of weights are summed over rows of each thread, a
// fixed part of them, and then over threads in their order: they are equal from run to run of as many threads.
#include "filtered.h"

namespace mindrestore {
namespace {

constexpr int TAPS = FILTER_TAPS, ALL_TAPS = FILTER_ALL_TAPS;

// As native/coupling.py fills them in.
struct Sizes {
    int64_t clips, frames, channels, height, width, threads;
};

struct Given {
    const float *source;                              // (clips, frames, channels, height, width)
    const float *weight0, *bias0, *weight2, *bias2;   // (channels, channels, 3, 3, 3) and (channels,)
    float slope;                                      // of LeakyReLU below zero
};

// Sums over pixels of gradient times input, for each tap, of one thread: (tap, channel, padded channel), and of the gradient.
class Correlation {
  public:
    explicit Correlation(const Sizes &sizes)
        : s(sizes), columns(rounded_up(s.channels, PANEL)), sums(ALL_TAPS * s.channels * columns), of_bias(s.channels) {}

    // gradient: (frames, channels, height, width); turned: inputs (frames, height, width + 2, columns), zeros around rows.
    void add_row(const float *gradient, const float *turned, int64_t frame, int64_t row) {
        const int64_t plane = s.height * s.width, turned_row = (s.width + 2) * columns;
        const float *from = gradient + (frame * s.channels * s.height + row) * s.width;
        for (int64_t time = 0; time < TAPS; time++)
            for (int64_t down = 0; down < TAPS; down++) {
                const int64_t other_frame = frame + time - 1, other_row = row + down - 1;
                if (other_frame < 0 || other_frame >= s.frames || other_row < 0 || other_row >= s.height) continue;
                const float *inputs = turned + (other_frame * s.height + other_row) * turned_row;
                for (int64_t across = 0; across < TAPS; across++) {
                    float *to = sums + ((time * TAPS + down) * TAPS + across) * s.channels * columns;
                    for (int64_t column = 0; column < columns; column += PANEL)
                        product(s.channels, Planes{from, plane}, {inputs + across * columns + column, columns, s.width},
                                [=](int64_t channel, Vector first, Vector second) {
                                    float *at = to + channel * columns + column;
                                    store(at, load(at) + first), store(at + LANES, load(at + LANES) + second);
                                });
                }
            }
        for (int64_t channel = 0; channel < s.channels; channel++) {
            float total = 0;
            for (int64_t x = 0; x < s.width; x++) total += from[channel * plane + x];
            of_bias[channel] += total;
        }
    }

    void add(const Correlation &other) {
        for (int64_t at = 0; at < ALL_TAPS * s.channels * columns; at++) sums[at] += other.sums[at];
        for (int64_t at = 0; at < s.channels; at++) of_bias[at] += other.of_bias[at];
    }

    void write(float *weight, float *bias) const {
        if (weight)
            for (int64_t channel = 0; channel < s.channels; channel++)
                for (int64_t column = 0; column < s.channels; column++)
                    for (int tap = 0; tap < ALL_TAPS; tap++)
                        weight[(channel * s.channels + column) * ALL_TAPS + tap] = sums[(tap * s.channels + channel) * columns + column];
        if (bias) std::memcpy(bias, of_bias, sizeof(float) * s.channels);
    }

    int64_t turned_size() const { return s.frames * s.height * (s.width + 2) * columns; }

    // One row of inputs, channels last.
    void turn(const float *clip, int64_t frame, int64_t row, float *to) const {
        float *at = to + ((frame * s.height + row) * (s.width + 2) + 1) * columns;
        for (int64_t channel = 0; channel < s.channels; channel++) {
            const float *from = clip + ((frame * s.channels + channel) * s.height + row) * s.width;
            for (int64_t x = 0; x < s.width; x++) at[x * columns + channel] = from[x];
        }
    }

  private:
    struct Planes {  // rows `plane` apart
        const float *data;
        int64_t plane;
        const float *at(int64_t row) const { return data + row * plane; }
        int64_t place(int row, int64_t k) const { return row * plane + k; }
    };

    const Sizes &s;
    const int64_t columns;
    Floats sums, of_bias;
};

// What the steps of one call share.
class Call {
  public:
    Call(const Sizes &sizes, const Given &given) : s(sizes), given(given), size(s.frames * s.channels * s.height * s.width) {}

    // Call `done(channel, place, count, first, second)` for each panel of the result: `place` is that of the first of its `count`
    // numbers.
    template <class Done>
    void convolve(const FilteredWeights &weights, const float *clip, const Done &done) {
        const int64_t plane = s.height * s.width;
        const Clip of{clip, s.frames, s.channels, s.height, s.width, s.channels * plane, plane, s.width};
        convolve_filtered(weights, of, s.threads, [&](int64_t channel, int64_t frame, int64_t row, int64_t column, int64_t count,
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

    void correlate(const float *gradient, const float *inputs, float *turned, std::vector<std::unique_ptr<Correlation>> &totals) {
        const int64_t rows = s.frames * s.height;
        side_by_side(s.threads, [&](int64_t thread) {
            for (int64_t row = rows * thread / s.threads; row < rows * (thread + 1) / s.threads; row++)
                totals[thread]->turn(inputs, row / s.height, row % s.height, turned);
        });
        side_by_side(s.threads, [&](int64_t thread) {
            for (int64_t row = rows * thread / s.threads; row < rows * (thread + 1) / s.threads; row++)
                totals[thread]->add_row(gradient, turned, row / s.height, row % s.height);
        });
    }

    std::vector<std::unique_ptr<Correlation>> correlations() const {
        std::vector<std::unique_ptr<Correlation>> result;
        for (int64_t thread = 0; thread < s.threads; thread++) result.push_back(std::make_unique<Correlation>(s));
        return result;
    }

    const Sizes &s;
    const Given &given;
    const int64_t size;  // numbers of a clip
};

void write_sums(std::vector<std::unique_ptr<Correlation>> &totals, float *weight, float *bias) {
    for (size_t thread = 1; thread < totals.size(); thread++) totals[0]->add(*totals[thread]);
    totals[0]->write(weight, bias);
}

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
    auto of_first = call.correlations(), of_second = call.correlations();
    const bool outer = of_weights[2] || of_weights[3], inmost = of_weights[0] || of_weights[1];
    Floats inner(call.size, Filled::LATER), of_inner(call.size, Filled::LATER);
    Floats turned(outer || inmost ? of_first[0]->turned_size() : 0);
    for (int64_t clip = 0; clip < sizes->clips; clip++) {
        const int64_t at = clip * call.size;
        call.activate(first, given->source + at, inner);
        if (before) call.add(second, inner, result + at, -1, before + at);
        call.through_activation(second_back, gradient + at, inner, of_inner);
        if (of_source) call.plain(first_back, of_inner, of_source + at);
        if (outer) call.correlate(gradient + at, inner, turned, of_second);
        if (inmost) call.correlate(of_inner, given->source + at, turned, of_first);
    }
    write_sums(of_first, of_weights[0], of_weights[1]);
    write_sums(of_second, of_weights[2], of_weights[3]);
    return 0;
} catch (const std::bad_alloc &) {
    return 1;
}
