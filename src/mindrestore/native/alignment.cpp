// Deformable convolution of the neighbours of images as one operator, forwards and backwards: what models/vrt/alignment.py
// computes operator by operator.
//
// Pixels lie in the lanes of vectors. What a kernel of 3 x 3 taps samples for one panel of pixels, (taps and channels, PANEL),
// is multiplied by the weights as it lies, and exists for one panel of each thread at a time. Backwards each thread takes whole
// images, a fixed part of them, so that sums are in the same order from run to run of as many threads.
#include "products.h"
#include "sampling.h"
#include "workers.h"

namespace mindrestore {
namespace {

constexpr int TAPS = 9, MOST_NEIGHBOURS = 3;

// As native/alignment.py fills them in.
struct Sizes {
    int64_t images, height, width, channels, neighbours, groups, threads;
};

struct Given {
    const float *offsets;  // (images, 27 groups, height, width): (group, tap, y and x) before tanh, then (group, tap) before sigmoid
    const float *neighbours[MOST_NEIGHBOURS];  // (images, height, width, channels)
    const float *flows[MOST_NEIGHBOURS];       // (images, 2, height, width): x and y, in pixels
    const float *weight;                       // (channels, channels, 3, 3): a part of the outputs for each neighbour
    const float *bias;                         // (channels,)
    float residue;                             // pixels that an offset may add to the flow
};

struct Gradients {
    float *offsets, *neighbours[MOST_NEIGHBOURS], *flows[MOST_NEIGHBOURS], *weight, *bias;  // null where it is not wanted
};

inline Vector tangent(Vector x) {
    const Vector grown = exponential(2.0f * smaller(larger(x, all(-10.0f)), all(10.0f)));
    return 1.0f - 2.0f / (grown + 1.0f);
}

// Weights laid out for products, for each neighbour: (outputs, taps and channels), and its transpose.
struct Weights {
    const int64_t outputs, depth;
    std::vector<Floats> forwards, backwards;

    Weights(const Sizes &s, const Given &given) : outputs(s.channels / s.neighbours), depth(TAPS * s.channels) {
        std::vector<float> matrix(outputs * depth), turned(outputs * depth);
        for (int64_t neighbour = 0; neighbour < s.neighbours; neighbour++) {
            for (int64_t output = 0; output < outputs; output++)
                for (int64_t at = 0; at < depth; at++) {
                    const int64_t tap = at / s.channels, channel = at % s.channels;
                    const float number = given.weight[((neighbour * outputs + output) * s.channels + channel) * TAPS + tap];
                    matrix[output * depth + at] = turned[at * outputs + output] = number;
                }
            forwards.emplace_back(rounded_up(outputs, ROWS) * depth);
            packed(matrix.data(), outputs, depth, forwards.back());
            backwards.emplace_back(rounded_up(depth, ROWS) * outputs);
            packed(turned.data(), depth, outputs, backwards.back());
        }
    }
};

// A panel of pixels of one image; where the image ends its last pixel fills the lanes.
class Panels {
  public:
    Panels(const Sizes &sizes, const Given &given, const Weights &weights)
        : s(sizes), given(given), weights(weights), pixels(s.height * s.width), of_group(s.channels * s.neighbours / s.groups),
          groups_of_neighbour(s.groups / s.neighbours), plan(groups_of_neighbour * TAPS * PANEL * 3),
          samples(weights.depth * PANEL) {}

    static int64_t count(const Sizes &s) { return (s.height * s.width + PANEL - 1) / PANEL; }

    // Compute the aligned images of one panel, to (images, height, width, channels).
    void forward(int64_t image, int64_t panel, float *to) {
        const int64_t first = panel * PANEL, lanes = std::min<int64_t>(PANEL, pixels - first);
        for (int64_t neighbour = 0; neighbour < s.neighbours; neighbour++) {
            sample(image, first, neighbour);
            const int64_t channel = neighbour * weights.outputs;
            float *rows = to + (image * pixels + first) * s.channels + channel;
            const float *bias = given.bias + channel;
            product(weights.outputs, Packed{weights.forwards[neighbour], weights.depth}, {samples, PANEL, weights.depth},
                    [=](int64_t row, Vector one, Vector other) {
                        float numbers[PANEL];
                        store(numbers, one + bias[row]), store(numbers + LANES, other + bias[row]);
                        for (int64_t lane = 0; lane < lanes; lane++) rows[lane * s.channels + row] = numbers[lane];
                    });
        }
    }

  protected:
    // What one neighbour's taps see of a panel of pixels: `samples`, and `plan`: for each group and tap where, and how much of it.
    void sample(int64_t image, int64_t first, int64_t neighbour) {
        lay_plan(image, first, neighbour);
        const float *pixels_of = given.neighbours[neighbour] + image * pixels * s.channels;
        for (int64_t group = 0; group < groups_of_neighbour; group++)
            for (int64_t tap = 0; tap < TAPS; tap++) {
                const float *at = plan + (group * TAPS + tap) * 3 * PANEL;
                float *to = samples + (tap * s.channels + group * of_group) * PANEL;
                for (int64_t lane = 0; lane < PANEL; lane++) {
                    const Corners corners(pixels_of + group * of_group, s.height, s.width, s.channels, at[lane], at[PANEL + lane]);
                    const float factor = at[2 * PANEL + lane];
                    const float *a = corners.pixels[0], *b = corners.pixels[1], *c = corners.pixels[2], *d = corners.pixels[3];
                    const float of_a = factor * corners.weights[0], of_b = factor * corners.weights[1],
                                of_c = factor * corners.weights[2], of_d = factor * corners.weights[3];
                    for (int64_t channel = 0; channel < of_group; channel++)
                        to[channel * PANEL + lane] = of_a * a[channel] + of_b * b[channel] + of_c * c[channel] + of_d * d[channel];
                }
            }
    }

    void lay_plan(int64_t image, int64_t first, int64_t neighbour) {
        float rows[PANEL], columns[PANEL], flow_y[PANEL], flow_x[PANEL];
        for (int64_t lane = 0; lane < PANEL; lane++) {
            const int64_t pixel = std::min(first + lane, pixels - 1);
            rows[lane] = static_cast<float>(pixel / s.width), columns[lane] = static_cast<float>(pixel % s.width);
        }
        read(given.flows[neighbour], image * 2, first, flow_x);
        read(given.flows[neighbour], image * 2 + 1, first, flow_y);
        for (int64_t group = 0; group < groups_of_neighbour; group++)
            for (int64_t tap = 0; tap < TAPS; tap++) {
                const int64_t number = (neighbour * groups_of_neighbour + group) * TAPS + tap, plane = image * 3 * TAPS * s.groups;
                float y[PANEL], x[PANEL], factor[PANEL], *to = plan + (group * TAPS + tap) * 3 * PANEL;
                read(given.offsets, plane + 2 * number, first, y);
                read(given.offsets, plane + 2 * number + 1, first, x);
                read(given.offsets, plane + 2 * TAPS * s.groups + number, first, factor);
                const float down = static_cast<float>(tap / 3 - 1), across = static_cast<float>(tap % 3 - 1);
                for (int lane = 0; lane < PANEL; lane += LANES) {
                    store(to + lane, load(rows + lane) + down + (given.residue * tangent(load(y + lane)) + load(flow_y + lane)));
                    store(to + PANEL + lane,
                          load(columns + lane) + across + (given.residue * tangent(load(x + lane)) + load(flow_x + lane)));
                    store(to + 2 * PANEL + lane, 0.5f + 0.5f * tangent(0.5f * load(factor + lane)));
                }
            }
    }

    // A panel of one plane (height, width).
    void read(const float *planes, int64_t plane, int64_t first, float *to) const {
        const float *from = planes + plane * pixels;
        for (int64_t lane = 0; lane < PANEL; lane++) to[lane] = from[std::min(first + lane, pixels - 1)];
    }

    const Sizes &s;
    const Given &given;
    const Weights &weights;
    const int64_t pixels, of_group, groups_of_neighbour;
    Floats plan, samples;
};

class BackwardPanels : public Panels {
  public:
    BackwardPanels(const Sizes &sizes, const Given &given, const Weights &weights)
        : Panels(sizes, given, weights), columns(rounded_up(weights.depth, PANEL)), of_result(s.channels * PANEL),
          of_samples(weights.depth * PANEL), rows(PANEL * columns), of_weight(s.channels * columns), of_bias(s.channels * LANES) {}

    // Given that of the aligned images, write or add the gradients of one panel.
    void backward(int64_t image, int64_t panel, const float *gradient, const Gradients &to) {
        const int64_t first = panel * PANEL, lanes = std::min<int64_t>(PANEL, pixels - first);
        const float *from = gradient + (image * pixels + first) * s.channels;
        for (int64_t channel = 0; channel < s.channels; channel++)
            for (int64_t lane = 0; lane < PANEL; lane++)
                of_result[channel * PANEL + lane] = lane < lanes ? from[lane * s.channels + channel] : 0;
        for (int64_t channel = 0; channel < s.channels; channel++) {
            float *at = of_bias + channel * LANES, *part = of_result + channel * PANEL;
            store(at, load(at) + (load(part) + load(part + LANES)));
        }
        for (int64_t neighbour = 0; neighbour < s.neighbours; neighbour++) {
            sample(image, first, neighbour);
            const float *of_part = of_result + neighbour * weights.outputs * PANEL;
            float *slopes = of_samples;
            product(weights.depth, Packed{weights.backwards[neighbour], weights.outputs}, {of_part, PANEL, weights.outputs},
                    [=](int64_t row, Vector one, Vector other) {
                        store(slopes + row * PANEL, one), store(slopes + row * PANEL + LANES, other);
                    });
            add_of_weight(neighbour, of_part);
            move_back(image, first, lanes, neighbour, to);
        }
    }

    void add(const BackwardPanels &other) {
        for (int64_t at = 0; at < s.channels * columns; at++) of_weight[at] += other.of_weight[at];
        for (int64_t at = 0; at < s.channels * LANES; at++) of_bias[at] += other.of_bias[at];
    }

    void write(const Gradients &to) const {
        for (int64_t output = 0; output < s.channels; output++) {
            if (to.bias) to.bias[output] = sum(load(of_bias + output * LANES));
            if (!to.weight) continue;
            for (int64_t at = 0; at < weights.depth; at++)
                to.weight[(output * s.channels + at % s.channels) * TAPS + at / s.channels] = of_weight[output * columns + at];
        }
    }

  private:
    // of_weight (outputs, columns) += of_part (outputs, PANEL) @ samples.T
    void add_of_weight(int64_t neighbour, const float *of_part) {
        turned(samples, weights.depth, rows, columns);
        float *to = of_weight + neighbour * weights.outputs * columns;
        for (int64_t column = 0; column < columns; column += PANEL)
            product(weights.outputs, PanelRows{of_part}, {rows + column, columns, PANEL}, [=](int64_t row, Vector one, Vector other) {
                float *part = to + row * columns + column;
                store(part, load(part) + one), store(part + LANES, load(part + LANES) + other);
            });
    }

    // From the gradients of samples to those of pixels, offsets and flow.
    void move_back(int64_t image, int64_t first, int64_t lanes, int64_t neighbour, const Gradients &to) {
        const int64_t begin = image * pixels * s.channels;
        float *of_pixels = to.neighbours[neighbour] ? to.neighbours[neighbour] + begin : nullptr;
        float along_y[PANEL] = {}, along_x[PANEL] = {};
        for (int64_t group = 0; group < groups_of_neighbour; group++)
            for (int64_t tap = 0; tap < TAPS; tap++) {
                const float *at = plan + (group * TAPS + tap) * 3 * PANEL;
                const int64_t row = tap * s.channels + group * of_group;
                float y[PANEL] = {}, x[PANEL] = {}, factor[PANEL] = {};
                for (int64_t lane = 0; lane < lanes; lane++) {
                    const float *pixels = given.neighbours[neighbour] + begin + group * of_group;
                    const Corners corners(pixels, s.height, s.width, s.channels, at[lane], at[PANEL + lane]);
                    const float by = at[2 * PANEL + lane];
                    const float *a = corners.pixels[0], *b = corners.pixels[1], *c = corners.pixels[2], *d = corners.pixels[3];
                    float in_a = 0, in_b = 0, in_c = 0, in_d = 0;
                    for (int64_t channel = 0; channel < of_group; channel++) {
                        const float slope = of_samples[(row + channel) * PANEL + lane];
                        in_a += slope * a[channel], in_b += slope * b[channel];
                        in_c += slope * c[channel], in_d += slope * d[channel];
                    }
                    const float in[CORNERS] = {in_a, in_b, in_c, in_d};
                    for (int corner = 0; corner < CORNERS; corner++) {
                        y[lane] += by * in[corner] * corners.along_y[corner];
                        x[lane] += by * in[corner] * corners.along_x[corner];
                        factor[lane] += in[corner] * corners.weights[corner];
                    }
                    if (!of_pixels) continue;
                    for (int corner = 0; corner < CORNERS; corner++) {
                        const float share = by * corners.weights[corner];
                        if (share == 0) continue;
                        float *pixel = of_pixels + corners.at[corner] + group * of_group;
                        for (int64_t channel = 0; channel < of_group; channel++)
                            pixel[channel] += share * of_samples[(row + channel) * PANEL + lane];
                    }
                }
                write_of_offsets(image, first, lanes, (neighbour * groups_of_neighbour + group) * TAPS + tap, y, x, factor, to);
                for (int64_t lane = 0; lane < lanes; lane++) along_y[lane] += y[lane], along_x[lane] += x[lane];
            }
        if (!to.flows[neighbour]) return;
        float *flow = to.flows[neighbour] + image * 2 * pixels + first;
        for (int64_t lane = 0; lane < lanes; lane++) flow[lane] = along_x[lane], flow[pixels + lane] = along_y[lane];
    }

    // Through tanh and sigmoid, whose slopes follow from their values.
    void write_of_offsets(int64_t image, int64_t first, int64_t lanes, int64_t number, const float *y, const float *x,
                          const float *factor, const Gradients &to) const {
        if (!to.offsets) return;
        const int64_t plane = image * 3 * TAPS * s.groups;
        const int64_t planes[3] = {plane + 2 * number, plane + 2 * number + 1, plane + 2 * TAPS * s.groups + number};
        const float *slopes[3] = {y, x, factor};
        for (int what = 0; what < 3; what++) {
            float raw[PANEL], results[PANEL];
            read(given.offsets, planes[what], first, raw);
            for (int lane = 0; lane < PANEL; lane += LANES) {
                const Vector value = tangent(what == 2 ? 0.5f * load(raw + lane) : load(raw + lane));
                const Vector slope = (1.0f - value * value) * (what == 2 ? 0.25f : given.residue);
                store(results + lane, load(slopes[what] + lane) * slope);
            }
            std::memcpy(to.offsets + planes[what] * pixels + first, results, sizeof(float) * lanes);
        }
    }

    const int64_t columns;
    Floats of_result, of_samples, rows, of_weight, of_bias;
};

}  // namespace
}  // namespace mindrestore

using namespace mindrestore;

// Compute the aligned images (images, height, width, channels). Returns 0, or 1 where there is not enough memory.
extern "C" int mindrestore_alignment_forward(const Sizes *sizes, const Given *given, float *to) try {
    const Weights weights(*sizes, *given);
    std::vector<std::unique_ptr<Panels>> workers;
    for (int64_t thread = 0; thread < sizes->threads; thread++)
        workers.push_back(std::make_unique<Panels>(*sizes, *given, weights));
    const int64_t panels = Panels::count(*sizes), count = sizes->images * panels;
    std::atomic<int64_t> next{0};
    side_by_side(sizes->threads, [&](int64_t thread) {
        for (int64_t number = next++; number < count; number = next++)
            workers[thread]->forward(number / panels, number % panels, to);
    });
    return 0;
} catch (const std::bad_alloc &) {
    return 1;
}

// Given that of the aligned images, compute the gradients that are not null; those of neighbours are zeros before.
// Returns 0, or 1 where there is not enough memory.
extern "C" int mindrestore_alignment_backward(const Sizes *sizes, const Given *given, const float *gradient,
                                              const Gradients *to) try {
    const Weights weights(*sizes, *given);
    const int64_t threads = std::min(sizes->threads, sizes->images), panels = Panels::count(*sizes);
    std::vector<std::unique_ptr<BackwardPanels>> workers;
    for (int64_t thread = 0; thread < threads; thread++)
        workers.push_back(std::make_unique<BackwardPanels>(*sizes, *given, weights));
    side_by_side(threads, [&](int64_t thread) {
        const int64_t end = sizes->images * (thread + 1) / threads;
        for (int64_t image = sizes->images * thread / threads; image < end; image++)
            for (int64_t panel = 0; panel < panels; panel++) workers[thread]->backward(image, panel, gradient, *to);
    });
    for (int64_t thread = 1; thread < threads; thread++) workers[0]->add(*workers[thread]);
    workers[0]->write(*to);
    return 0;
} catch (const std::bad_alloc &) {
    return 1;
}
