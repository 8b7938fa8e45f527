// Convolutions 3 x 3 x 3 with zeros around, filtered over time and rows: Winograd's F(2, 3) in both, so that two rows of two
// frames take 16 products of matrices instead of 36, and so do the gradients of weights; and 3 x 3 ones, filtered over rows, of
// which two take 4 products instead of 6. Pixels of a row lie in the lanes of vectors as they lie in memory, and the taps
// beside them are loads from the next places.
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

// Which number of what is filtered is the sum of which two, or their difference: of four rows of inputs, and of two rows of
// gradients and one of zeros.
struct Pair {
    int one, other;
    float sign;  // of the other
};
constexpr Pair OF_INPUTS[FILTERS] = {{0, 2, -1}, {1, 2, 1}, {2, 1, -1}, {1, 3, -1}};
constexpr Pair OF_GRADIENTS[FILTERS] = {{0, 2, 1}, {0, 1, 1}, {0, 1, -1}, {2, 1, -1}};

inline void combine(const float *const *rows, const Pair &pair, int64_t count, float *to) {
    const float *one = rows[pair.one], *other = rows[pair.other];
    for (int64_t x = 0; x < count; x++) to[x] = one[x] + pair.sign * other[x];
}

// to = the filter of three numbers, `step` apart.
inline void filter_weights(const float *g, int64_t step, float *to, int64_t to_step) {
    const float ends = g[0] + g[2 * step], middle = g[step];
    to[0] = g[0], to[to_step] = (ends + middle) / 2, to[2 * to_step] = (ends - middle) / 2, to[3 * to_step] = g[2 * step];
}

// Its adjoint: to = three numbers, `to_step` apart, of four.
inline void unfilter_weights(const float *g, int64_t step, float *to, int64_t to_step) {
    const float sum = (g[step] + g[2 * step]) / 2, difference = (g[step] - g[2 * step]) / 2;
    to[0] = g[0] + sum, to[to_step] = difference, to[2 * to_step] = sum + g[3 * step];
}

// Weights of a convolution laid out for products: for each product (rows, (tap across, channel)).
class FilteredWeights {
  public:
    const int64_t outputs, inputs, depth;
    const int times, products;  // how many filters there are over time, one for images; and over rows too

    // weight: (outputs, inputs, taps, 3, 3), taps 3 or, for images, 1; turned: of the adjoint of a convolution whose weight is
    // (inputs, outputs, taps, 3, 3).
    FilteredWeights(const float *weight, int64_t outputs, int64_t inputs, bool turned, int64_t taps = FILTER_TAPS)
        : outputs(outputs), inputs(inputs), depth(FILTER_TAPS * inputs), times(taps == 1 ? 1 : FILTERS),
          products(times * FILTERS), size(rounded_up(outputs, ROWS) * depth), numbers(products * size) {
        const int64_t all_taps = taps * FILTER_IMAGE_TAPS;
        std::vector<float> matrices(products * outputs * depth);
        for (int64_t row = 0; row < outputs; row++)
            for (int64_t column = 0; column < inputs; column++) {
                float g[FILTER_ALL_TAPS];
                for (int64_t tap = 0; tap < all_taps; tap++)
                    g[tap] = turned ? weight[(column * outputs + row) * all_taps + all_taps - 1 - tap]
                                    : weight[(row * inputs + column) * all_taps + tap];
                for (int across = 0; across < FILTER_TAPS; across++) {
                    float over_time[FILTERS][FILTER_TAPS];
                    for (int down = 0; down < FILTER_TAPS; down++) {
                        const float *of_time = g + down * FILTER_TAPS + across;
                        if (times == 1) over_time[0][down] = *of_time;
                        else filter_weights(of_time, FILTER_IMAGE_TAPS, over_time[0] + down, FILTER_TAPS);
                    }
                    float *to = &matrices[row * depth + across * inputs + column];
                    for (int time = 0; time < times; time++)
                        filter_weights(over_time[time], 1, to + time * FILTERS * outputs * depth, outputs * depth);
                }
            }
        for (int number = 0; number < products; number++)
            packed(&matrices[number * outputs * depth], outputs, depth, numbers + number * size);
    }

    Packed at(int number) const { return {numbers + number * size, depth}; }

  private:
    const int64_t size;
    Floats numbers;
};

// Two rows of two frames, or of one image, some columns of them at a time: what goes in and what comes out of each product,
// (product, channel, column), which stay in the second-level cache. Each thread has one of its own.
class Filter {
  public:
    explicit Filter(const FilteredWeights &weights, int64_t width)
        : w(weights), strip(strip_of(weights, width)), stride(strip + LANES), in_part(w.inputs * stride),
          out_part(w.outputs * stride), in(w.products * in_part), out(w.products * out_part),
          over_time(w.times == 1 ? 0 : FILTERS * FILTERS * stride), none(stride) {}

    // Call `done(channel, frame, row, column, count, first, second)` with each panel of the convolution of two rows of two
    // frames, or one, from `frame` and `row` on, without bias: its first `count` numbers are there.
    template <class Done>
    void convolve(const Clip &clip, int64_t frame, int64_t row, const Done &done) {
        for (int64_t column = 0; column < clip.width; column += strip) {
            const int64_t count = std::min(strip, clip.width - column);
            for (int64_t channel = 0; channel < w.inputs; channel++) enter(clip, channel, frame, row, column, count);
            for (int number = 0; number < w.products; number++)
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
        const int64_t panels = MOST / (w.products * (w.inputs + w.outputs)) / PANEL;
        return std::min(rounded_up(width, PANEL), std::max<int64_t>(1, panels) * PANEL);
    }

    // Four numbers from four, `d[k]` and `to + k * step`, of each column.
    static void filter(const float *const *d, int64_t count, float *to, int64_t step) {
#pragma GCC unroll 4
        for (int number = 0; number < FILTERS; number++) combine(d, OF_INPUTS[number], count, to + number * step);
    }

    // Filter a channel of four rows of four frames, or one, of columns from one before `column` to one behind them.
    void enter(const Clip &clip, int64_t channel, int64_t frame, int64_t row, int64_t column, int64_t count) {
        const int64_t first = std::max<int64_t>(column - 1, 0), last = std::min(column + count + 1, clip.width);
        const int64_t offset = first - (column - 1);
        const auto place = [&](int64_t of_frame, int64_t of_row) {
            const bool outside = of_frame < 0 || of_frame >= clip.frames || of_row < 0 || of_row >= clip.height;
            const int64_t at = of_frame * clip.frame_step + channel * clip.channel_step + of_row * clip.row_step + first;
            return outside ? +none : clip.data + at;
        };
        for (int64_t down = 0; w.times > 1 && down < FILTERS; down++) {
            const float *d[FILTERS];
            for (int64_t time = 0; time < FILTERS; time++) d[time] = place(frame + time - 1, row + down - 1);
            filter(d, last - first, over_time + down * stride, FILTERS * stride);
        }
        for (int64_t time = 0; time < w.times; time++) {
            const float *d[FILTERS];
            for (int64_t down = 0; down < FILTERS; down++)
                d[down] = w.times == 1 ? place(frame, row + down - 1) : over_time + (time * FILTERS + down) * stride;
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

    // `done(later, below, first, second)` for one panel of the two rows of the two frames, or one.
    template <class Done>
    void leave(int64_t channel, int64_t x, const Done &done) const {
        Vector sums[PAIR][PAIR][2];  // later, below, half
        const int frames = w.times == 1 ? 1 : PAIR;
        for (int half = 0; half < 2; half++) {
            const float *from = out + channel * stride + x + half * LANES;
            Vector of_time[PAIR][FILTERS];
            for (int down = 0; down < FILTERS; down++) {
                Vector m[FILTERS];
                for (int time = 0; time < w.times; time++) m[time] = load(from + (time * FILTERS + down) * out_part);
                if (w.times == 1) of_time[0][down] = m[0];
                else of_time[0][down] = m[0] + m[1] + m[2], of_time[1][down] = m[1] - m[2] - m[3];
            }
            for (int later = 0; later < frames; later++) {
                const Vector *m = of_time[later];
                sums[later][0][half] = m[0] + m[1] + m[2], sums[later][1][half] = m[1] - m[2] - m[3];
            }
        }
        for (int later = 0; later < frames; later++)
            for (int below = 0; below < PAIR; below++) done(later, below, sums[later][below][0], sums[later][below][1]);
    }

    const FilteredWeights &w;
    const int64_t strip, stride, in_part, out_part;
    Floats in, out, over_time, none;
};

// Call `done` as `Filter::convolve` does, for all of a clip.
template <class Done>
void convolve_filtered(const FilteredWeights &weights, const Clip &clip, int64_t threads, const Done &done) {
    const int64_t at_once = weights.times == 1 ? 1 : PAIR, parts = (clip.frames + at_once - 1) / at_once;
    const int64_t count = parts * ((clip.height + 1) / PAIR);
    threads = std::min(threads, count);
    std::vector<std::unique_ptr<Filter>> filters;
    for (int64_t thread = 0; thread < threads; thread++) filters.push_back(std::make_unique<Filter>(weights, clip.width));
    std::atomic<int64_t> next{0};
    side_by_side(threads, [&](int64_t thread) {
        for (int64_t number = next++; number < count; number = next++)
            filters[thread]->convolve(clip, number % parts * at_once, number / parts * PAIR, done);
    });
}

// Rows of all frames of a clip with channels last and zeros beside them, (width + 2, columns), of which the last four are kept.
class TurnedRows {
  public:
    const int64_t columns;

    explicit TurnedRows(const Clip &clip)
        : columns(rounded_up(clip.channels, PANEL)), clip(clip), size((clip.width + 2) * columns),
          numbers(FILTERS * clip.frames * size) {}

    float *at(int64_t frame, int64_t row) const { return numbers + (row % FILTERS * clip.frames + frame) * size; }

    // Have rows from `first` up to `last`, both no lower than the time before.
    void reach(int64_t first, int64_t last) {
        for (int64_t row = std::max(first, reached); row < last; row++)
            for (int64_t frame = 0; frame < clip.frames; frame++) turn(frame, row);
        reached = std::max(reached, last);
    }

  private:
    void turn(int64_t frame, int64_t row) {
        float *to = at(frame, row) + columns;
        for (int64_t channel = 0; channel < clip.channels; channel++) {
            const float *from = clip.data + frame * clip.frame_step + channel * clip.channel_step + row * clip.row_step;
            for (int64_t x = 0; x < clip.width; x++) to[x * columns + channel] = from[x];
        }
    }

    const Clip &clip;
    const int64_t size;
    int64_t reached = 0;
    Floats numbers;
};

// Sums over pixels of gradient times input for each tap, and of the gradient, of one thread. What goes into each of the 16
// products is filtered right before it, so that it lies in the first caches; the sums are taken back to taps once, at the end.
class FilteredSums {
  public:
    FilteredSums(int64_t outputs, int64_t inputs, int64_t width)
        : outputs(outputs), inputs(inputs), columns(rounded_up(inputs, PANEL)), strip(std::min(width, LONGEST)),
          stride(rounded_up(strip, PANEL)), sums(FILTER_PRODUCTS * FILTER_TAPS * outputs * columns), of_bias(outputs),
          gradient_over_time(PAIR * outputs * stride), gradient(outputs * stride),
          input_over_time(FILTERS * (strip + 2) * columns), input((strip + 2) * columns), none((strip + 2) * columns) {}

    // Add two rows of two frames, from `frame` and `row` on.
    void add(const Clip &of, const TurnedRows &taken, int64_t frame, int64_t row) {
        for (int64_t column = 0; column < of.width; column += strip) {
            const int64_t count = std::min(strip, of.width - column);
            for (int time = 0; time < FILTERS; time++) {
                filter_time(of, taken, frame, row, column, count, time);
                for (int down = 0; down < FILTERS; down++) {
                    filter_rows(count, down);
                    multiply(count, (time * FILTERS + down) * FILTER_TAPS);
                    if (time == 1 && down == 1) add_bias(count);
                }
            }
        }
    }

    void add(const FilteredSums &other) {
        for (int64_t at = 0; at < FILTER_PRODUCTS * FILTER_TAPS * outputs * columns; at++) sums[at] += other.sums[at];
        for (int64_t at = 0; at < outputs; at++) of_bias[at] += other.of_bias[at];
    }

    // Add to weight (outputs, inputs, 3, 3, 3) and bias (outputs,), where not null.
    void write(float *weight, float *bias) const {
        const int64_t step = FILTER_TAPS * outputs * columns;
        for (int64_t output = 0; weight && output < outputs; output++)
            for (int64_t column = 0; column < inputs; column++)
                for (int across = 0; across < FILTER_TAPS; across++) {
                    const float *from = sums + (across * outputs + output) * columns + column;
                    float over_time[FILTERS][FILTER_TAPS], g[FILTER_IMAGE_TAPS];
                    for (int time = 0; time < FILTERS; time++)
                        unfilter_weights(from + time * FILTERS * step, step, over_time[time], 1);
                    for (int down = 0; down < FILTER_TAPS; down++)
                        unfilter_weights(over_time[0] + down, FILTER_TAPS, g + down, FILTER_TAPS);
                    float *to = weight + (output * inputs + column) * FILTER_ALL_TAPS + across;
                    for (int tap = 0; tap < FILTER_IMAGE_TAPS; tap++) to[tap * FILTER_TAPS] += g[tap];
                }
        for (int64_t output = 0; bias && output < outputs; output++) bias[output] += of_bias[output];
    }

  private:
    static constexpr int64_t LONGEST = 256;  // columns at a time, so that they stay in the second-level cache

    struct Planes {  // the left operand: rows `stride` apart
        const float *data;
        int64_t stride;
        const float *at(int64_t row) const { return data + row * stride; }
        int64_t place(int row, int64_t k) const { return row * stride + k; }
    };

    // Two rows of gradients and four of inputs.
    void filter_time(const Clip &of, const TurnedRows &taken, int64_t frame, int64_t row, int64_t column, int64_t count,
                     int time) {
        for (int64_t channel = 0; channel < outputs; channel++)
            for (int64_t down = 0; down < PAIR; down++) {
                const int64_t place = frame * of.frame_step + channel * of.channel_step + (row + down) * of.row_step + column;
                const float *first = of.data + place;
                const bool below = row + down >= of.height, behind = frame + 1 >= of.frames;
                const float *y[] = {below ? none : first, below || behind ? none : first + of.frame_step, none};
                combine(y, OF_GRADIENTS[time], count, gradient_over_time + (down * outputs + channel) * stride);
            }
        for (int64_t down = 0; down < FILTERS; down++) {
            const float *d[FILTERS];
            for (int64_t later = 0; later < FILTERS; later++) {
                const int64_t of_frame = frame + later - 1, of_row = row + down - 1;
                const bool outside = of_frame < 0 || of_frame >= of.frames || of_row < 0 || of_row >= of.height;
                d[later] = outside ? none : taken.at(of_frame, of_row) + column * columns;
            }
            combine(d, OF_INPUTS[time], (count + 2) * columns, input_over_time + down * (strip + 2) * columns);
        }
    }

    void filter_rows(int64_t count, int down) {
        for (int64_t channel = 0; channel < outputs; channel++) {
            const float *y[] = {gradient_over_time + channel * stride, gradient_over_time + (outputs + channel) * stride, none};
            combine(y, OF_GRADIENTS[down], count, gradient + channel * stride);
        }
        const float *d[FILTERS];
        for (int64_t number = 0; number < FILTERS; number++) d[number] = input_over_time + number * (strip + 2) * columns;
        combine(d, OF_INPUTS[down], (count + 2) * columns, input);
    }

    void multiply(int64_t count, int64_t number) {
        for (int64_t across = 0; across < FILTER_TAPS; across++) {
            float *to = sums + (number + across) * outputs * columns;
            for (int64_t column = 0; column < columns; column += PANEL)
                product(outputs, Planes{gradient, stride}, Panel{input + across * columns + column, columns, count},
                        [=](int64_t output, Vector first, Vector second) {
                            mindrestore::add(to + output * columns + column, first, second);
                        });
        }
    }

    // What is summed over both rows and both frames.
    void add_bias(int64_t count) {
        for (int64_t channel = 0; channel < outputs; channel++) {
            Vector total{};
            float *from = gradient + channel * stride;
            std::fill(from + count, from + rounded_up(count, LANES), 0.0f);
            for (int64_t x = 0; x < count; x += LANES) total += load(from + x);
            of_bias[channel] += sum(total);
        }
    }

    const int64_t outputs, inputs, columns, strip, stride;
    Floats sums, of_bias, gradient_over_time, gradient, input_over_time, input, none;
};

// Sums of all threads, each of a fixed part of a clip: they are equal from run to run of as many threads.
class FilteredCorrelation {
  public:
    FilteredCorrelation(int64_t outputs, int64_t inputs, int64_t width, int64_t threads) {
        for (int64_t thread = 0; thread < threads; thread++)
            totals.push_back(std::make_unique<FilteredSums>(outputs, inputs, width));
    }

    void add(const Clip &gradient, const Clip &inputs) {
        const int64_t pairs = (gradient.frames + 1) / PAIR, count = pairs * ((gradient.height + 1) / PAIR);
        const int64_t threads = totals.size();
        std::vector<std::unique_ptr<TurnedRows>> turned;
        for (int64_t thread = 0; thread < threads; thread++) turned.push_back(std::make_unique<TurnedRows>(inputs));
        side_by_side(threads, [&](int64_t thread) {
            for (int64_t number = count * thread / threads; number < count * (thread + 1) / threads; number++) {
                const int64_t row = number / pairs * PAIR;
                turned[thread]->reach(std::max<int64_t>(row - 1, 0), std::min(row + FILTERS - 1, inputs.height));
                totals[thread]->add(gradient, *turned[thread], number % pairs * PAIR, row);
            }
        });
    }

    // Add to the gradients of weight and bias, where not null; only once.
    void write(float *weight, float *bias) {
        for (size_t thread = 1; thread < totals.size(); thread++) totals[0]->add(*totals[thread]);
        totals[0]->write(weight, bias);
    }

  private:
    std::vector<std::unique_ptr<FilteredSums>> totals;
};

}  // namespace mindrestore
