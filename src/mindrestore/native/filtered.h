// Convolutions 3 x 3 x 3 with zeros around, filtered over time and rows: Winograd's F(2, 3) in both, so that two rows of two frames
// take 16 products of matrices instead of 36. Pixels of a row lie in the lanes of vectors as they lie in memory, and the taps beside
// them are loads from the next places.
#pragma once
#include "products.h"
#include "workers.h"

#include <algorithm>

namespace mindrestore {

// Numbers of a clip wherever they lie; `data` is those of its first frame, channel and row.
struct Clip {
    const float *data;
    int64_t frames, channels, height, width;
    int64_t frame_step, channel_step, row_step;
};

constexpr int FILTER_TAPS = 3, FILTER_IMAGE_TAPS = 9, FILTER_ALL_TAPS = 27;
constexpr int PAIR = 2, FILTERS = 4;  // how many come out at once along time or rows, and how many are multiplied for them
constexpr int FILTER_PRODUCTS = FILTERS * FILTERS;

// to = the filter of three numbers, `step` apart.
inline void filter_weights(const float *g, int64_t step, float *to, int64_t to_step) {
    const float ends = g[0] + g[2 * step], middle = g[step];
    to[0] = g[0], to[to_step] = (ends + middle) / 2, to[2 * to_step] = (ends - middle) / 2, to[3 * to_step] = g[2 * step];
}

// Weights of a convolution laid out for products: for each product (rows, (tap across, channel)).
class FilteredWeights {
  public:
    const int64_t outputs, inputs, depth;

    // weight: (outputs, inputs, 3, 3, 3); turned: of the adjoint of a convolution whose weight is (inputs, outputs, 3, 3, 3).
    FilteredWeights(const float *weight, int64_t outputs, int64_t inputs, bool turned)
        : outputs(outputs), inputs(inputs), depth(FILTER_TAPS * inputs), size(rounded_up(outputs, ROWS) * depth),
          numbers(FILTER_PRODUCTS * size) {
        std::vector<float> matrices(FILTER_PRODUCTS * outputs * depth);
        for (int64_t row = 0; row < outputs; row++)
            for (int64_t column = 0; column < inputs; column++) {
                float g[FILTER_ALL_TAPS];
                for (int tap = 0; tap < FILTER_ALL_TAPS; tap++)
                    g[tap] = turned ? weight[(column * outputs + row) * FILTER_ALL_TAPS + FILTER_ALL_TAPS - 1 - tap]
                                    : weight[(row * inputs + column) * FILTER_ALL_TAPS + tap];
                for (int across = 0; across < FILTER_TAPS; across++) {
                    float over_time[FILTERS][FILTER_TAPS];
                    for (int down = 0; down < FILTER_TAPS; down++)
                        filter_weights(g + down * FILTER_TAPS + across, FILTER_IMAGE_TAPS, over_time[0] + down, FILTER_TAPS);
                    float *to = &matrices[row * depth + across * inputs + column];
                    for (int time = 0; time < FILTERS; time++)
                        filter_weights(over_time[time], 1, to + time * FILTERS * outputs * depth, outputs * depth);
                }
            }
        for (int number = 0; number < FILTER_PRODUCTS; number++)
            packed(&matrices[number * outputs * depth], outputs, depth, numbers + number * size);
    }

    Packed at(int number) const { return {numbers + number * size, depth}; }

  private:
    const int64_t size;
    Floats numbers;
};

// Two rows of two frames, some columns of them at a time: what goes in and what comes out of each product, (product, channel,
// column), which stay in the second-level cache. Each thread has one of its own.
class Filter {
  public:
    explicit Filter(const FilteredWeights &weights, int64_t width)
        : w(weights), strip(strip_of(weights, width)), stride(strip + LANES), in_part(w.inputs * stride),
          out_part(w.outputs * stride), in(FILTER_PRODUCTS * in_part), out(FILTER_PRODUCTS * out_part), over_time(FILTERS * FILTERS * stride), none(stride) {}

    // Call `done(channel, frame, row, column, count, first, second)` with each panel of the convolution of two rows of two frames
    // from `frame` and `row` on, without bias: its first `count` numbers are there.
    template <class Done>
    void convolve(const Clip &clip, int64_t frame, int64_t row, const Done &done) {
        for (int64_t column = 0; column < clip.width; column += strip) {
            const int64_t count = std::min(strip, clip.width - column);
            for (int64_t channel = 0; channel < w.inputs; channel++) enter(clip, channel, frame, row, column, count);
            for (int number = 0; number < FILTER_PRODUCTS; number++)
                for (int64_t x = 0; x < count; x += PANEL) multiply(number, x);
            for (int64_t channel = 0; channel < w.outputs; channel++)
                for (int64_t x = 0; x < count; x += PANEL)
                    leave(channel, x, [&](int later, int below, Vector first, Vector second) {
                        if (frame + later >= clip.frames || row + below >= clip.height) return;
                        const int64_t there = std::min<int64_t>(PANEL, count - x);
                        done(channel, frame + later, row + below, column + x, there, first, second);
                    });
        }
    }

  private:
    static int64_t strip_of(const FilteredWeights &w, int64_t width) {
        constexpr int64_t MOST = 1 << 17;  // numbers, half a megabyte
        const int64_t panels = MOST / (FILTER_PRODUCTS * (w.inputs + w.outputs)) / PANEL;
        return std::min(rounded_up(width, PANEL), std::max<int64_t>(1, panels) * PANEL);
    }

    // Four numbers from four, `d[k]` and `to + k * step`, of each column.
    static void filter(const float *const *d, int64_t count, float *to, int64_t step) {
        difference(d[0], d[2], count, to), sum_of(d[1], d[2], count, to + step);
        difference(d[2], d[1], count, to + 2 * step), difference(d[1], d[3], count, to + 3 * step);
    }
    static void difference(const float *a, const float *b, int64_t count, float *to) {
        for (int64_t x = 0; x < count; x++) to[x] = a[x] - b[x];
    }
    static void sum_of(const float *a, const float *b, int64_t count, float *to) {
        for (int64_t x = 0; x < count; x++) to[x] = a[x] + b[x];
    }

    // Filter a channel of four rows of four frames, of columns from one before `column` to one behind them.
    void enter(const Clip &clip, int64_t channel, int64_t frame, int64_t row, int64_t column, int64_t count) {
        const int64_t first = std::max<int64_t>(column - 1, 0), last = std::min(column + count + 1, clip.width);
        const int64_t offset = first - (column - 1);
        for (int64_t down = 0; down < FILTERS; down++) {
            const float *d[FILTERS];
            for (int64_t time = 0; time < FILTERS; time++) {
                const int64_t of_frame = frame + time - 1, of_row = row + down - 1;
                const bool outside = of_frame < 0 || of_frame >= clip.frames || of_row < 0 || of_row >= clip.height;
                const int64_t place = of_frame * clip.frame_step + channel * clip.channel_step + of_row * clip.row_step + first;
                d[time] = outside ? none : clip.data + place;
            }
            filter(d, last - first, over_time + down * stride, FILTERS * stride);
        }
        for (int64_t time = 0; time < FILTERS; time++) {
            const float *d[FILTERS];
            for (int64_t down = 0; down < FILTERS; down++) d[down] = over_time + (time * FILTERS + down) * stride;
            float *to = in + time * FILTERS * in_part + channel * stride;
            filter(d, last - first, to + offset, in_part);
            for (int64_t down = 0; down < FILTERS; down++, to += in_part) {
                std::fill_n(to, offset, 0.0f);
                std::fill(to + offset + last - first, to + stride, 0.0f);
            }
        }
    }

    struct Across {  // the right operand: each channel at the places of three taps
        const float *data;
        int64_t channels, stride;

        template <class Step>
        inline __attribute__((always_inline)) void walk(const Step &step) const {
            int64_t k = 0;
            for (int across = 0; across < FILTER_TAPS; across++) {
                const float *b = data + across;
                for (int64_t channel = 0; channel < channels; channel++, k++, b += stride) step(0, k, b);
            }
        }
    };

    void multiply(int number, int64_t x) {
        float *to = out + number * out_part + x;
        product(w.outputs, w.at(number), Across{in + number * in_part + x, w.inputs, stride},
                [&](int64_t row, Vector first, Vector second) { store(to + row * stride, first, second); });
    }

    // `done(later, below, first, second)` for one panel of the two rows of the two frames.
    template <class Done>
    void leave(int64_t channel, int64_t x, const Done &done) const {
        Vector sums[PAIR][PAIR][2];  // later, below, half
        for (int half = 0; half < 2; half++) {
            const float *from = out + channel * stride + x + half * LANES;
            Vector of_time[PAIR][FILTERS];
            for (int down = 0; down < FILTERS; down++) {
                Vector m[FILTERS];
                for (int time = 0; time < FILTERS; time++) m[time] = load(from + (time * FILTERS + down) * out_part);
                of_time[0][down] = m[0] + m[1] + m[2], of_time[1][down] = m[1] - m[2] - m[3];
            }
            for (int later = 0; later < PAIR; later++) {
                const Vector *m = of_time[later];
                sums[later][0][half] = m[0] + m[1] + m[2], sums[later][1][half] = m[1] - m[2] - m[3];
            }
        }
        for (int later = 0; later < PAIR; later++)
            for (int below = 0; below < PAIR; below++) done(later, below, sums[later][below][0], sums[later][below][1]);
    }

    const FilteredWeights &w;
    const int64_t strip, stride, in_part, out_part;
    Floats in, out, over_time, none;
};

// Call `done` as `Filter::convolve` does, for all of a clip.
template <class Done>
void convolve_filtered(const FilteredWeights &weights, const Clip &clip, int64_t threads, const Done &done) {
    const int64_t pairs = (clip.frames + 1) / PAIR, count = pairs * ((clip.height + 1) / PAIR);
    threads = std::min(threads, count);
    std::vector<std::unique_ptr<Filter>> filters;
    for (int64_t thread = 0; thread < threads; thread++) filters.push_back(std::make_unique<Filter>(weights, clip.width));
    std::atomic<int64_t> next{0};
    side_by_side(threads, [&](int64_t thread) {
        for (int64_t number = next++; number < count; number = next++)
            filters[thread]->convolve(clip, number % pairs * PAIR, number / pairs * PAIR, done);
    });
}

}  // namespace mindrestore
