// Convolutions one after the other as one operator, forwards and backwards, with their biases and LeakyReLU: of images, or over
// the frames of clips too.
//
// It computes what models/convolutions.py computes operator by operator. All pixels of a plane are one row of numbers, with zeros
// between (features.h), of which a panel at a time meets the weights of several results in registers: small images waste little,
// and nothing is unrolled. A convolution that halves or doubles height and width is one between phases, the pixels at even and
// odd rows and columns. Each gradient of a weight is summed in an order of its own: equal from run to run of as many threads.
#include "features.h"

namespace mindrestore {
namespace {

enum Change : int64_t { SAME, HALVED, DOUBLED };  // of height and width

// As native/convolutions.py fills them in.
struct Layer {
    int64_t inputs, outputs, taps, kernel, change, shuffle;  // shuffle: results are joined, so many times as high and wide
    const float *weight, *bias;  // (outputs, inputs, taps, kernel, kernel), of DOUBLED (inputs, outputs, ...); (outputs,)
    float slope;                 // of LeakyReLU below zero; 1 for none

    int64_t weights() const { return inputs * outputs * taps * kernel * kernel; }
    int64_t results() const { return change == DOUBLED ? 4 * outputs : outputs; }  // phases are channels
    int64_t joined() const { return change == DOUBLED ? 2 : shuffle; }
    int64_t split() const { return change == HALVED ? 2 : 1; }
    // Whether it is filtered over rows, and over time if it has taps there: fewer products, but more sums for each channel, and
    // the places of a panel are those of one row. Of images the gradients of weights are not: they gain nothing.
    bool filtered(int64_t width) const { return shaped() && (taps == 3 || (taps == 1 && width >= PANEL)); }
    bool filtered_sums() const { return shaped() && taps == 3; }
    bool shaped() const { return change == SAME && kernel == 3 && std::min(inputs, outputs) >= 8; }
};

struct Sizes {
    int64_t clips, frames, height, width, layers, threads;
};

// One tap: which phase it leads from and to, how far it reaches, and its place among the weights of two channels.
struct Tap {
    int64_t from, to, time, down, across, place;
};

// A linear map of features; its weights lie `row_step` apart for each result, `column_step` for each input.
struct Map {
    int64_t rows, columns, row_step, column_step, from_phases, to_phases;
    std::vector<Tap> taps;

    explicit Map(const Layer &l)
        : rows(l.outputs), columns(l.inputs), row_step(l.taps * l.kernel * l.kernel), column_step(row_step),
          from_phases(l.change == HALVED ? 4 : 1), to_phases(l.change == DOUBLED ? 4 : 1) {
        (l.change == DOUBLED ? column_step *= l.outputs : row_step *= l.inputs);
        const int64_t reach = l.kernel / 2;
        int64_t place = 0;
        for (int64_t time = -(l.taps / 2); time <= l.taps / 2; time++)
            for (int64_t down = -reach; down <= reach; down++)
                for (int64_t across = -reach; across <= reach; across++, place++) {
                    const int64_t phase = (down & 1) * 2 + (across & 1), half_down = down >> 1, half_across = across >> 1;
                    if (l.change == SAME) taps.push_back({0, 0, time, down, across, place});
                    else if (l.change == HALVED) taps.push_back({phase, 0, time, half_down, half_across, place});
                    else taps.push_back({0, phase, time, -half_down, -half_across, place});
                }
    }

    // What takes the gradient of the results to that of the inputs.
    Map adjoint() const {
        Map other = *this;
        std::swap(other.rows, other.columns), std::swap(other.row_step, other.column_step);
        std::swap(other.from_phases, other.to_phases);
        for (Tap &tap : other.taps)
            std::swap(tap.from, tap.to), tap.time = -tap.time, tap.down = -tap.down, tap.across = -tap.across;
        return other;
    }

    // For results of one phase: shifts in `features` of the inputs and places of their weights, channel by channel.
    void list(int64_t phase, const Features &features, std::vector<int64_t> &shifts, std::vector<int64_t> &places) const {
        for (int64_t column = 0; column < columns; column++)
            for (const Tap &tap : taps)
                if (tap.to == phase) {
                    shifts.push_back(features.shift(column * from_phases + tap.from, tap.time, tap.down, tap.across));
                    places.push_back(column * column_step + tap.place);
                }
    }
};

// The right operand of a product: vectors at shifts from a place.
struct Shifted {
    const float *data;
    const std::vector<int64_t> &shifts;

    template <class Step>
    inline __attribute__((always_inline)) void walk(const Step &step) const {
        const int64_t *shift = shifts.data(), count = shifts.size();
        for (int64_t k = 0; k < count; k++) step(0, k, data + shift[k]);
    }
};

// Call `done(frame, channel, place, first, second)` for each panel of what the map makes of features, zero beside pixels.
template <class Done>
void apply(const Map &map, const float *weight, const Features &from, int64_t threads, const Done &done) {
    constexpr int64_t AT_ONCE = 8;  // panels
    const int64_t blocks = (from.places + AT_ONCE * PANEL - 1) / (AT_ONCE * PANEL);
    for (int64_t phase = 0; phase < map.to_phases; phase++) {
        std::vector<int64_t> shifts, places;
        map.list(phase, from, shifts, places);
        const int64_t depth = shifts.size();
        Floats matrix(map.rows * depth), numbers(rounded_up(map.rows, ROWS) * depth);
        for (int64_t row = 0; row < map.rows; row++)
            for (int64_t k = 0; k < depth; k++) matrix[row * depth + k] = weight[row * map.row_step + places[k]];
        packed(matrix, map.rows, depth, numbers);
        const Packed left{numbers, depth};
        in_turns(threads, from.frames * blocks, [&](int64_t number) {
            const int64_t frame = number % from.frames, first = number / from.frames * AT_ONCE * PANEL;
            for (int64_t at = first; at < std::min(first + AT_ONCE * PANEL, from.places); at += PANEL) {
                const Vector inside[2] = {load(from.mask() + at), load(from.mask() + at + LANES)};
                product(map.rows, left, Shifted{from.at(frame, 0) + at, shifts}, [&](int64_t row, Vector one, Vector other) {
                    done(frame, row * map.to_phases + phase, at, one, other, inside);
                });
            }
        });
    }
}

// Add to the gradients of weights those of one clip: sums over its pixels of the gradient of a result times an input.
class Correlation {
  public:
    Correlation(const Map &map, const Features &gradient, const Features &inputs, float *sums)
        : map(map), gradient(gradient), inputs(inputs), sums(sums) {}

    void compute(int64_t threads) const {
        const int64_t places = std::min(AT_ONCE, inputs.places), frames = std::max<int64_t>(1, AT_ONCE / inputs.places);
        for (int64_t phase = 0; phase < map.to_phases; phase++) {
            std::vector<int64_t> shifts, weights;
            map.list(phase, inputs, shifts, weights);
            const int64_t across = (shifts.size() + WIDE - 1) / WIDE, blocks = (map.rows + TALL - 1) / TALL * across;
            side_by_side(threads, [&](int64_t thread) {
                const Sums of_phase{phase, shifts, weights};
                for (int64_t frame = 0; frame < inputs.frames; frame += frames)
                    for (int64_t at = 0; at < inputs.places; at += places)
                        for (int64_t number = blocks * thread / threads; number < blocks * (thread + 1) / threads; number++)
                            add({frame, std::min(frame + frames, inputs.frames), at, std::min(at + places, inputs.places)},
                                number / across * TALL, number % across * WIDE, of_phase);
            });
        }
    }

  private:
    static constexpr int TALL = ROWS == 12 ? 4 : 3, WIDE = ROWS == 12 ? 6 : 3;  // sums in registers: results, and inputs
    static constexpr int64_t AT_ONCE = 2048;  // places, of one frame or several, whose numbers stay in the first caches

    struct Sums {
        int64_t phase;
        const std::vector<int64_t> &shifts, &weights;
    };
    struct Range {
        int64_t first_frame, last_frame, first, last;
    };

    void add(const Range &range, int64_t row, int64_t column, const Sums &of) const {
        const int64_t tall = std::min<int64_t>(TALL, map.rows - row), depth = of.shifts.size();
        const int64_t wide = std::min<int64_t>(WIDE, depth - column);
        Vector totals[TALL][WIDE] = {};
        for (int64_t frame = range.first_frame; frame < range.last_frame; frame++) {
            const float *a[TALL], *b[WIDE];
            for (int r = 0; r < TALL; r++)  // what there is not stands for the last there is
                a[r] = gradient.at(frame, (row + std::min<int64_t>(r, tall - 1)) * map.to_phases + of.phase);
            for (int c = 0; c < WIDE; c++)
                b[c] = inputs.at(frame, 0) + of.shifts[column + std::min<int64_t>(c, wide - 1)];
            for (int64_t x = range.first; x < range.last; x += LANES) {
                Vector left[TALL];
#pragma GCC unroll 4
                for (int r = 0; r < TALL; r++) left[r] = load(a[r] + x);
#pragma GCC unroll 6
                for (int c = 0; c < WIDE; c++) {
                    const Vector right = load(b[c] + x);
#pragma GCC unroll 4
                    for (int r = 0; r < TALL; r++) totals[r][c] += left[r] * right;
                }
            }
        }
        for (int64_t r = 0; r < tall; r++)
            for (int64_t c = 0; c < wide; c++) sums[(row + r) * map.row_step + of.weights[column + c]] += sum(totals[r][c]);
    }

    const Map &map;
    const Features &gradient, &inputs;
    float *const sums;
};

using Owned = std::shared_ptr<const Features>;

// The convolutions of one clip.
class Chain {
  public:
    Chain(const Sizes &sizes, const Layer *layers) : s(sizes), layers(layers, layers + sizes.layers) {
        margins = {0, 0};
        for (const Layer &layer : this->layers) {
            margins.frames = std::max(margins.frames, layer.taps / 2);
            margins.pixels = std::max(margins.pixels, layer.kernel / 2);
        }
        height = s.height, width = s.width;
        for (const Layer &layer : this->layers) {
            height = height / layer.split() * layer.joined(), width = width / layer.split() * layer.joined();
        }
        inputs = s.frames * this->layers.front().inputs * s.height * s.width;
        const Layer &last = this->layers.back();
        results = s.frames * last.results() / (last.joined() * last.joined()) * height * width;
    }

    void forward(const float *x, float *y) {
        Owned features = entered(x);
        for (const Layer &layer : layers) {  // each takes what it no longer needs along
            features = split(layer, std::move(features));
            features = convolved(layer, features);
            features = joined(layer, std::move(features));
        }
        features->write(y, s.threads);
    }

    // gradient: of the results; of_x may be null, and so may those of weights and biases, two for each layer, which are added to.
    void backward(const float *x, const float *gradient, float *of_x, float *const *of_weights) {
        std::vector<Owned> taken, made;  // what each layer takes and makes, in phases where it takes or makes those
        Owned features = entered(x);
        for (const Layer &layer : layers) {
            taken.push_back(split(layer, std::move(features)));
            const bool last = taken.size() == layers.size();
            const bool wanted = !last || layer.slope != 1;  // of the last result an activation alone needs anything: the signs
            made.push_back(wanted ? convolved(layer, taken.back()) : nullptr);
            if (!last) features = joined(layer, made.back());
        }
        const int64_t channels = results / (s.frames * height * width);
        Owned of_result = std::make_shared<const Features>(s.frames, channels, height, width, margins, s.threads);
        of_result->read(gradient, s.threads);
        for (int64_t number = s.layers - 1; number >= 0; number--) {
            const Layer &layer = layers[number];
            float *of_weight = of_weights[2 * number], *of_bias = of_weights[2 * number + 1];
            const Owned of_made = activated_back(layer, made[number], of_result);
            made[number].reset();
            const Map map(layer);
            if (layer.filtered_sums() && of_weight) {
                FilteredCorrelation sums(layer.outputs, layer.inputs, taken[number]->width, s.threads);
                sums.add(of_made->clip(), taken[number]->clip());
                sums.write(of_weight, of_bias);
            } else {
                if (of_weight) Correlation(map, *of_made, *taken[number], of_weight).compute(s.threads);
                if (of_bias) add_sums(*of_made, of_made->channels / layer.outputs, of_bias);
            }
            if (number == 0 && !of_x) return;
            of_result = convolved_back(layer, map, *of_made, *taken[number]);
            taken[number].reset();
        }
        of_result->write(of_x, s.threads);
    }

    int64_t inputs, results;  // numbers of a clip

  private:
    Owned entered(const float *x) const {
        auto features = std::make_shared<Features>(s.frames, layers.front().inputs, s.height, s.width, margins, s.threads);
        features->read(x, s.threads);
        return features;
    }

    Owned like(const Features &f) const {
        return std::make_shared<Features>(f.frames, f.channels, f.height, f.width, margins, s.threads);
    }

    Owned split(const Layer &layer, Owned whole) const { return layer.split() > 1 ? in_phases(*whole, layer.split()) : whole; }

    Owned in_phases(const Features &whole, int64_t step) const {
        auto features = std::make_shared<Features>(whole.frames, whole.channels * step * step, whole.height / step,
                                                   whole.width / step, margins, s.threads);
        features->split(whole, step, s.threads);
        return features;
    }

    Owned joined(const Layer &layer, Owned made) const { return layer.joined() > 1 ? of_phases(*made, layer.joined()) : made; }

    Owned of_phases(const Features &made, int64_t step) const {
        auto whole = std::make_shared<Features>(made.frames, made.channels / (step * step), made.height * step,
                                                made.width * step, margins, s.threads);
        made.join(*whole, step, s.threads);
        return whole;
    }

    Owned convolved(const Layer &layer, const Owned &taken) const {
        auto to = std::make_shared<Features>(taken->frames, layer.results(), taken->height, taken->width, margins, s.threads);
        const float slope = layer.slope, *bias = layer.bias;
        const auto activated = [=](Vector x, int64_t channel) {
            x += bias[channel];
            return x > 0.0f ? x : slope * x;
        };
        if (layer.filtered(taken->width)) {
            const FilteredWeights weights(layer.weight, layer.outputs, layer.inputs, false, layer.taps);
            convolve_filtered(weights, taken->clip(), s.threads,
                              [&](int64_t channel, int64_t frame, int64_t row, int64_t column, int64_t count, Vector first,
                                  Vector second) {
                                  float *at = to->at(frame, channel) + row * to->pitch + column;
                                  store_some(at, count, activated(first, channel), activated(second, channel));
                              });
            return to;
        }
        const Map map(layer);
        apply(map, layer.weight, *taken, s.threads,
              [&](int64_t frame, int64_t channel, int64_t place, Vector first, Vector second, const Vector *inside) {
                  first = activated(first, channel / map.to_phases), second = activated(second, channel / map.to_phases);
                  store(to->at(frame, channel) + place, first * inside[0], second * inside[1]);
              });
        return to;
    }

    // The gradient of what a layer makes, before its activation, of that of what is made of it.
    Owned activated_back(const Layer &layer, const Owned &made, Owned of_result) const {
        if (layer.joined() > 1) of_result = in_phases(*of_result, layer.joined());
        if (layer.slope == 1) return of_result;
        const float slope = layer.slope;
        in_turns(s.threads, made->frames * made->channels, [&](int64_t number) {
            const float *value = made->at(0, number);
            float *of = of_result->at(0, number);
            for (int64_t at = 0; at < made->places; at += LANES)
                store(of + at, load(value + at) > 0.0f ? load(of + at) : slope * load(of + at));
        });
        return of_result;
    }

    Owned convolved_back(const Layer &layer, const Map &map, const Features &of_made, const Features &taken) const {
        const Owned of_taken = like(taken);
        if (layer.filtered(taken.width)) {
            const FilteredWeights weights(layer.weight, layer.inputs, layer.outputs, true, layer.taps);
            convolve_filtered(weights, of_made.clip(), s.threads,
                              [&](int64_t channel, int64_t frame, int64_t row, int64_t column, int64_t count, Vector first,
                                  Vector second) {
                                  store_some(of_taken->at(frame, channel) + row * of_taken->pitch + column, count, first, second);
                              });
            return of_taken;
        }
        apply(map.adjoint(), layer.weight, of_made, s.threads,
              [&](int64_t frame, int64_t channel, int64_t place, Vector first, Vector second, const Vector *inside) {
                  store(of_taken->at(frame, channel) + place, first * inside[0], second * inside[1]);
              });
        return layer.split() > 1 ? of_phases(*of_taken, layer.split()) : of_taken;
    }

    static void add_sums(const Features &of_made, int64_t phases, float *of_bias) {
        for (int64_t number = 0; number < of_made.frames * of_made.channels; number++) {
            const float *from = of_made.at(0, number);
            Vector total{};
            for (int64_t at = 0; at < of_made.places; at += LANES) total += load(from + at);
            of_bias[number % of_made.channels / phases] += sum(total);
        }
    }

    const Sizes &s;
    std::vector<Layer> layers;
    Margins margins;
    int64_t height, width;  // of the results
};

}  // namespace
}  // namespace mindrestore

using namespace mindrestore;

// Compute y (clips, frames, outputs, ...) of x (clips, frames, inputs, height, width). Returns 0, or 1 where there is not enough
// memory.
extern "C" int mindrestore_convolutions_forward(const Sizes *sizes, const Layer *layers, const float *x, float *y) try {
    Chain chain(*sizes, layers);
    for (int64_t clip = 0; clip < sizes->clips; clip++) chain.forward(x + clip * chain.inputs, y + clip * chain.results);
    return 0;
} catch (const std::bad_alloc &) {
    return 1;
}

// Given the gradient of y, write that of x and those of each layer's weight and bias, laid out as these, where not null. Returns
// 0, or 1 where there is not enough memory.
extern "C" int mindrestore_convolutions_backward(const Sizes *sizes, const Layer *layers, const float *x, const float *gradient,
                                                 float *of_x, float *const *of_weights) try {
    Chain chain(*sizes, layers);
    for (int64_t number = 0; number < sizes->layers; number++) {
        const Layer &layer = layers[number];
        if (of_weights[2 * number]) std::fill_n(of_weights[2 * number], layer.weights(), 0.0f);
        if (of_weights[2 * number + 1]) std::fill_n(of_weights[2 * number + 1], layer.outputs, 0.0f);
    }
    for (int64_t clip = 0; clip < sizes->clips; clip++)
        chain.backward(x + clip * chain.inputs, gradient + clip * chain.results, of_x ? of_x + clip * chain.inputs : nullptr,
                       of_weights);
    return 0;
} catch (const std::bad_alloc &) {
    return 1;
}
