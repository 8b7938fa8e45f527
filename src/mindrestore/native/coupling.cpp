// A step of a reversible block as one operator, forwards and backwards: target + convolution(LeakyReLU(convolution(source))), both
// 3 x 3 x 3 with zeros around. It computes what models/revsci/layers.py computes operator by operator.
//
// Over time the convolution is filtered two frames at once from four (Winograd's F(2, 3)): four products instead of six. Pixels of
// a row lie in the lanes of vectors as they lie in memory, so that the taps beside them are loads from the next places. The
// gradients of weights are summed over rows of each thread, a fixed part of them, and then over threads in their order: they are
// equal from run to run of as many threads.
#include "products.h"
#include "workers.h"

#include <algorithm>

namespace mindrestore {
namespace {

constexpr int TAPS = 3, IMAGE_TAPS = 9, ALL_TAPS = 27, FRAMES = 2, PRODUCTS = 4;
constexpr int64_t BAND = 4;  // rows that are transformed at once: they stay in the second-level cache

// As native/coupling.py fills them in.
struct Sizes {
    int64_t clips, frames, channels, height, width, threads;
};

struct Given {
    const float *source;                              // (clips, frames, channels, height, width)
    const float *weight0, *bias0, *weight2, *bias2;   // (channels, channels, 3, 3, 3) and (channels,)
    float slope;                                      // of LeakyReLU below zero
};

// Weights of a convolution laid out for products: for each product (rows, (tap in the image, channel)).
class Kernel {
  public:
    const int64_t channels, depth;

    // turned: of the convolution that is the adjoint.
    Kernel(const float *weight, int64_t channels, bool turned) : channels(channels), depth(IMAGE_TAPS * channels) {
        std::vector<float> matrix(channels * depth);
        for (int number = 0; number < PRODUCTS; number++) {
            for (int64_t row = 0; row < channels; row++)
                for (int64_t k = 0; k < depth; k++) {
                    const int64_t tap = k / channels, column = k % channels;
                    float g[TAPS];
                    for (int time = 0; time < TAPS; time++)
                        g[time] = turned ? weight[(column * channels + row) * ALL_TAPS + ALL_TAPS - 1 - (time * IMAGE_TAPS + tap)]
                                         : weight[(row * channels + column) * ALL_TAPS + time * IMAGE_TAPS + tap];
                    matrix[row * depth + k] = number == 0 ? g[0] : number == 3 ? g[2] : (g[0] + (number == 1 ? g[1] : -g[1]) + g[2]) / 2;
                }
            parts.emplace_back(rounded_up(channels, ROWS) * depth);
            packed(matrix.data(), channels, depth, parts.back());
        }
    }

    const float *at(int number, int64_t row) const { return parts[number] + row / ROWS * depth * ROWS + row % ROWS; }

  private:
    std::vector<Floats> parts;
};

// A band of rows of two frames: what goes in, transformed over time, (product, row, channel, column) with zeros around.
class Band {
  public:
    explicit Band(const Sizes &sizes)
        : s(sizes), stride(rounded_up(s.width, PANEL) + 2), row_size(s.channels * stride), part((BAND + 2) * row_size),
          rows(PRODUCTS * part) {}

    // Call `done(channel, row, column, frame, first, second)` with the convolution of `clip` (frames, channels, height, width) in
    // a band: `frame` 0 or 1 of the two that begin with `first_frame`, without bias.
    template <class Done>
    void convolve(const Kernel &kernel, const float *clip, int64_t first_frame, int64_t first_row, const Done &done) {
        const int64_t count = std::min(BAND, s.height - first_row);
        for (int64_t row = 0; row < count + 2; row++) transform(clip, first_frame, first_row + row - 1, rows + row * row_size);
        for (int64_t row = 0; row < count; row++)
            for (int64_t column = 0; column < s.width; column += PANEL) {
                const float *at = rows + row * row_size + column;
                const auto place = [&](int64_t channel, int frame, Vector first, Vector second) {
                    done(channel, first_row + row, column, frame, first, second);
                };
                in_tiles(s.channels, [&](auto count, int64_t channel) {
                    tile<decltype(count)::value>(kernel, channel, at, place);
                });
            }
    }

  private:
    // One row of all channels, of the four frames around two.
    void transform(const float *clip, int64_t first_frame, int64_t row, float *to) const {
        const bool outside = row < 0 || row >= s.height;
        for (int64_t channel = 0; channel < s.channels; channel++) {
            float *at = to + channel * stride + 1;
            const float *d[PRODUCTS];
            for (int64_t frame = 0; frame < PRODUCTS; frame++) {
                const int64_t time = first_frame + frame - 1;
                d[frame] = outside || time < 0 || time >= s.frames
                               ? nullptr : clip + ((time * s.channels + channel) * s.height + row) * s.width;
            }
            difference(d[0], d[2], at), sum_of(d[1], d[2], at + part), difference(d[2], d[1], at + 2 * part);
            difference(d[1], d[3], at + 3 * part);
        }
    }

    void difference(const float *a, const float *b, float *to) const {
        for (int64_t x = 0; x < s.width; x++) to[x] = (a ? a[x] : 0) - (b ? b[x] : 0);
    }

    void sum_of(const float *a, const float *b, float *to) const {
        for (int64_t x = 0; x < s.width; x++) to[x] = (a ? a[x] : 0) + (b ? b[x] : 0);
    }

    template <int COUNT>
    inline __attribute__((always_inline)) void product_of(const float *a, const float *from, Vector (&sums)[COUNT][2]) const {
        for (int down = 0; down < TAPS; down++)
            for (int across = 0; across < TAPS; across++) {
                const float *b = from + down * row_size + across;
                for (int64_t channel = 0; channel < s.channels; channel++, a += ROWS, b += stride) {
                    const Vector first = load(b), second = load(b + LANES);
#pragma GCC unroll 12
                    for (int r = 0; r < COUNT; r++) {
                        const Vector number = all(a[r]);
                        sums[r][0] += number * first;
                        sums[r][1] += number * second;
                    }
                }
            }
    }

    template <int COUNT, class Done>
    void tile(const Kernel &kernel, int64_t channel, const float *at, const Done &done) const {
        Vector results[FRAMES][COUNT][2];
        for (int number = 0; number < PRODUCTS; number++) {
            Vector sums[COUNT][2] = {};
            product_of<COUNT>(kernel.at(number, channel), at + number * part, sums);
            for (int r = 0; r < COUNT; r++)
                for (int half = 0; half < 2; half++) {
                    Vector &one = results[0][r][half], &other = results[1][r][half];
                    if (number == 0) one = sums[r][half];
                    else if (number == 1) one += sums[r][half], other = sums[r][half];
                    else if (number == 2) one += sums[r][half], other -= sums[r][half];
                    else other -= sums[r][half];
                }
        }
        for (int frame = 0; frame < FRAMES; frame++)
            for (int r = 0; r < COUNT; r++) done(channel + r, frame, results[frame][r][0], results[frame][r][1]);
    }

    const Sizes &s;
    const int64_t stride, row_size, part;
    Floats rows;
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
    Call(const Sizes &sizes, const Given &given) : s(sizes), given(given), size(s.frames * s.channels * s.height * s.width) {
        for (int64_t thread = 0; thread < s.threads; thread++) bands.push_back(std::make_unique<Band>(s));
    }

    // Call `done(place, valid, first, second)` for each panel of the result: `place` of its first number, of which `valid` count.
    template <class Done>
    void convolve(const Kernel &kernel, const float *clip, const Done &done) {
        const int64_t pairs = (s.frames + 1) / 2, bands_of_frame = (s.height + BAND - 1) / BAND;
        std::atomic<int64_t> next{0};
        side_by_side(s.threads, [&](int64_t thread) {
            for (int64_t number = next++; number < pairs * bands_of_frame; number = next++) {
                const int64_t first_frame = number / bands_of_frame * FRAMES, first_row = number % bands_of_frame * BAND;
                bands[thread]->convolve(kernel, clip, first_frame, first_row,
                                        [&](int64_t channel, int64_t row, int64_t column, int frame, Vector first, Vector second) {
                                            if (first_frame + frame >= s.frames) return;
                                            const int64_t plane = (first_frame + frame) * s.channels + channel;
                                            done(channel, (plane * s.height + row) * s.width + column,
                                                 std::min<int64_t>(PANEL, s.width - column), first, second);
                                        });
            }
        });
    }

    // inner = LeakyReLU(convolution0(source))
    void activate(const Kernel &kernel, const float *source, float *inner) {
        const float *bias = given.bias0, slope = given.slope;
        convolve(kernel, source, [=](int64_t channel, int64_t place, int64_t valid, Vector first, Vector second) {
            Vector parts[2] = {first + bias[channel], second + bias[channel]};
            for (Vector &part : parts) part = part > 0.0f ? part : slope * part;
            write(inner + place, valid, parts[0], parts[1]);
        });
    }

    // to = from + sign * (convolution2(inner) + bias2)
    void add(const Kernel &kernel, const float *inner, const float *from, float sign, float *to) {
        const float *bias = given.bias2;
        convolve(kernel, inner, [=](int64_t channel, int64_t place, int64_t valid, Vector first, Vector second) {
            Vector one, other;
            read(from + place, valid, one, other);
            write(to + place, valid, one + sign * (first + bias[channel]), other + sign * (second + bias[channel]));
        });
    }

    // of_inner = the adjoint of convolution2 of the gradient, times the slope of LeakyReLU
    void through_activation(const Kernel &kernel, const float *gradient, const float *inner, float *of_inner) {
        const float slope = given.slope;
        convolve(kernel, gradient, [=](int64_t, int64_t place, int64_t valid, Vector first, Vector second) {
            Vector one, other;
            read(inner + place, valid, one, other);
            write(of_inner + place, valid, one > 0.0f ? first : slope * first, other > 0.0f ? second : slope * second);
        });
    }

    void plain(const Kernel &kernel, const float *from, float *to) {
        convolve(kernel, from, [=](int64_t, int64_t place, int64_t valid, Vector first, Vector second) {
            write(to + place, valid, first, second);
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

  private:
    static void read(const float *from, int64_t valid, Vector &first, Vector &second) {
        if (valid == PANEL) {
            first = load(from), second = load(from + LANES);
            return;
        }
        float numbers[PANEL] = {};
        std::memcpy(numbers, from, sizeof(float) * valid);
        first = load(numbers), second = load(numbers + LANES);
    }

    static void write(float *to, int64_t valid, Vector first, Vector second) {
        if (valid == PANEL) {
            store(to, first), store(to + LANES, second);
            return;
        }
        float numbers[PANEL];
        store(numbers, first), store(numbers + LANES, second);
        std::memcpy(to, numbers, sizeof(float) * valid);
    }

    std::vector<std::unique_ptr<Band>> bands;
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
    const Kernel first(given->weight0, sizes->channels, false), second(given->weight2, sizes->channels, false);
    Floats inner(call.size);
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
    const Kernel first(given->weight0, channels, false), second(given->weight2, channels, false);
    const Kernel first_back(given->weight0, channels, true), second_back(given->weight2, channels, true);
    auto of_first = call.correlations(), of_second = call.correlations();
    const bool outer = of_weights[2] || of_weights[3], inmost = of_weights[0] || of_weights[1];
    Floats inner(call.size), of_inner(call.size), turned(outer || inmost ? of_first[0]->turned_size() : 0);
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
