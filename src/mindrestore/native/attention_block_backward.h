// The vector-Jacobian product of a block of attention, one window at a time: what the forward pass made is made again.
#pragma once
#include "attention_block_forward.h"

namespace mindrestore {

// Gradients of the weights of one thread: matrices with rows padded to whole panels, numbers for each channel as vectors whose
// lanes are yet to be summed.
class Totals {
  public:
    explicit Totals(const Shared &shared) : s(shared), l(shared.layout), columns(rounded_up(l.channels, PANEL)) {
        const int64_t hidden_columns = rounded_up(l.hidden, PANEL), attended_columns = rounded_up(l.attended, PANEL);
        matrix(QKV_SELF, 3 * l.channels, columns), vector(QKV_SELF_BIAS, 3 * l.channels);
        if (l.frames == 2) matrix(QKV_MUTUAL, 3 * l.channels, columns), vector(QKV_MUTUAL_BIAS, 3 * l.channels);
        matrix(PROJ, l.channels, attended_columns), vector(PROJ_BIAS, l.channels);
        matrix(FC11, l.hidden, columns), vector(FC11_BIAS, l.hidden);
        matrix(FC12, l.hidden, columns), vector(FC12_BIAS, l.hidden);
        matrix(FC2, l.channels, hidden_columns), vector(FC2_BIAS, l.channels);
        for (Weight weight : {NORM1, NORM1_BIAS, NORM2, NORM2_BIAS}) vector(weight, l.channels);
        of_panel = l.padded * PANEL;
        bias = Floats(l.heads * l.panels * of_panel);
    }

    float *of(Weight weight) const { return parts[weight]; }
    int64_t width(Weight weight) const { return widths[weight]; }
    float *bias_of(int64_t head, int64_t panel) const { return bias + (head * l.panels + panel) * of_panel; }

    // Add another thread's; `part` of `parts` of the numbers.
    void add(const Totals &other, int64_t part, int64_t of_parts) {
        for (int weight = 0; weight < WEIGHTS; weight++)
            sum_up(parts[weight], other.parts[weight], counts[weight], part, of_parts);
        sum_up(bias, other.bias, l.heads * l.panels * of_panel, part, of_parts);
    }

    // Write the gradient of one weight as the weight lies.
    void write(Weight weight, float *to) const {
        if (weight == TABLE) return write_table(to);
        const bool is_vector = widths[weight] == LANES;
        const int64_t rows = counts[weight] / widths[weight], depth = is_vector ? 1 : depth_of(weight);
        for (int64_t row = 0; row < rows; row++) {
            const float *from = parts[weight] + row * widths[weight];
            if (is_vector) to[row] = sum(load(from));
            else std::memcpy(to + row * depth, from, sizeof(float) * depth);
        }
    }

    const Shared &s;
    const Layout &l;

  private:
    void matrix(Weight weight, int64_t rows, int64_t width) {
        widths[weight] = width, counts[weight] = rows * width;
        parts[weight] = Floats(counts[weight]);
    }
    void vector(Weight weight, int64_t count) { matrix(weight, count, LANES); }

    int64_t depth_of(Weight weight) const { return weight == PROJ ? l.attended : weight == FC2 ? l.hidden : l.channels; }

    static void sum_up(float *to, const float *from, int64_t count, int64_t part, int64_t of_parts) {
        const int64_t end = count * (part + 1) / of_parts;
        for (int64_t at = count * part / of_parts; at < end; at++) to[at] += from[at];
    }

    void write_table(float *to) const {
        std::memset(to, 0, sizeof(float) * s.sizes.entries * l.heads);
        for (int64_t query = 0; query < l.tokens; query++) {
            const int64_t place = l.place(query);
            for (int64_t key = 0; key < l.tokens; key++) {
                float *row = to + s.given.positions[query * l.tokens + key] * l.heads;
                for (int64_t head = 0; head < l.heads; head++)
                    row[head] += bias_of(head, place / PANEL)[l.place(key) * PANEL + place % PANEL];
            }
        }
    }

    const int64_t columns;
    int64_t of_panel, widths[WEIGHTS] = {}, counts[WEIGHTS] = {};
    Floats parts[WEIGHTS], bias;
};

// Gradients of what a window is on its way, in panels; those of qkv are (panels, 3 channels, PANEL).
struct WindowGradients {
    const Layout &l;
    const int64_t size = l.padded * l.channels, of_heads = l.padded * rounded_up(l.head, PANEL);
    Floats input{size}, x{size}, attended{l.padded * l.attended}, self{3 * size}, mutual{(l.frames - 1) * 3 * size};
    Floats key{of_heads}, value{of_heads};  // of one head: (tokens, columns)

    explicit WindowGradients(const Layout &layout) : l(layout) {}
    float *x_of(int64_t panel) const { return x + panel * l.channels * PANEL; }
    void clear_keys() const {
        std::memset(key, 0, sizeof(float) * of_heads);
        std::memset(value, 0, sizeof(float) * of_heads);
    }
};

class Backward : public Forward {
  public:
    Totals totals{s};

    explicit Backward(const Shared &shared) : Forward(shared) {
        for (int64_t place = 0; place < s.at_once; place++) all_gradients.push_back(std::make_unique<WindowGradients>(l));
    }

    // Given rows of the gradient of y, write those of x and add to the gradients of the weights, for some windows.
    void compute(int64_t first, int64_t count, const float *gradient, float *to) {
        attend(first, count);
        for (int64_t at = 0; at < count; at++) {
            const Window &w = *windows[at];
            std::memcpy(all_gradients[at]->input, w.x, sizeof(float) * l.padded * l.channels);  // which becomes the middle
            by_panels([&](int64_t panel, int64_t some) { leave_back(w, *all_gradients[at], panel, some, gradient); });
        }
        attend_back(count);
        for (int64_t at = 0; at < count; at++)
            by_panels([&](int64_t panel, int64_t some) { enter_back(*windows[at], *all_gradients[at], panel, some, to); });
    }

  private:
    static constexpr int64_t AT_ONCE = 4;  // panels whose outer products are summed in registers

    template <class Work>
    void by_panels(const Work &work) const {
        for (int64_t panel = 0; panel < l.panels; panel += AT_ONCE) work(panel, std::min(AT_ONCE, l.panels - panel));
    }

    // Back through MLP and projection.
    void leave_back(const Window &w, WindowGradients &g, int64_t panel, int64_t count, const float *gradient) {
        for (int64_t at = 0; at < count; at++) feed_back(w, g, panel + at, at, gradient);
        add_of_feed_forward(count);
        for (int64_t at = 0; at < count; at++) project_back(w, g, panel + at, at);
        add_outer(PROJ, of_projected, l.channels, attended_rows, attended_columns, count);
    }

    // Back through qkv and the first normalisation.
    void enter_back(const Window &w, WindowGradients &g, int64_t panel, int64_t count, float *to) {
        for (int64_t at = 0; at < count; at++) split_back(w, g, panel + at);
        add_of_split(w, panel, count, QKV_SELF, QKV_SELF_BIAS, g.self, false);
        if (l.frames == 2) add_of_split(w, panel, count, QKV_MUTUAL, QKV_MUTUAL_BIAS, g.mutual, true);
        for (int64_t at = 0; at < count; at++) write(w, panel + at, g.x_of(panel + at), to);
    }

    // Back through the MLP of one panel: `g.x` becomes the gradient of the middle of the block.
    void feed_back(const Window &w, WindowGradients &g, int64_t panel, int64_t at, const float *gradient) {
        const int64_t size = l.channels * PANEL, hidden = l.hidden;
        project(w, panel);
        normalise(w.x_of(panel), NORM2, NORM2_BIAS, nullptr, middle);
        turned(middle, l.channels, feed_rows + at * PANEL * columns, columns);
        float *slopes = of_hidden + at * 2 * hidden * PANEL, *activated = slopes + hidden * PANEL;
        feed_again(slopes, activated);
        turned(gated, hidden, gated_rows + at * PANEL * hidden_columns, hidden_columns);
        read(w, panel, gradient, g.x_of(panel));
        const float *scaled = multiplied(w, 1, g.x_of(panel), of_output + at * size);
        product(hidden, Columns{s.given.weights[FC2], hidden}, {scaled, PANEL, l.channels},
                [=](int64_t row, Vector first, Vector second) {
                    float *slope = slopes + row * PANEL, *gate = activated + row * PANEL;
                    store(slope, load(slope) * first, load(slope + LANES) * second);
                    store(gate, load(gate) * first, load(gate + LANES) * second);
                });
        back_to(of_middle, FC11, l.channels, slopes, hidden, false);
        back_to(of_middle, FC12, l.channels, activated, hidden, true);
        normalise_back(w.x_of(panel), NORM2, NORM2_BIAS, of_middle, g.x_of(panel));
    }

    // The gradient of what attention or MLP give, `column` 0 or 1, of that of the sum that they go into.
    const float *multiplied(const Window &w, int column, const float *gradient, float *to) const {
        const float multiplier = multiplier_of(w, column);
        for (int64_t at = 0; at < l.channels * PANEL; at += LANES) store(to + at, multiplier * load(gradient + at));
        return to;
    }

    // The hidden layer: `gated` is what comes out of it, `slopes` its slope by fc11's result, `activated` that by fc12's.
    void feed_again(float *slopes, float *activated) {
        const float *of_gelu = s.weight(FC11_BIAS), *of_gate = s.weight(FC12_BIAS);
        float *hidden = gated;
        const Panel input{middle, PANEL, l.channels};
        product(l.hidden, Packed{s.fc12, l.channels}, input, [=](int64_t row, Vector first, Vector second) {
            store(hidden + row * PANEL, first + of_gate[row], second + of_gate[row]);
        });
        product(l.hidden, Packed{s.fc11, l.channels}, input, [=](int64_t row, Vector first, Vector second) {
            const Vector values[2] = {first + of_gelu[row], second + of_gelu[row]};
            for (int half = 0; half < 2; half++) {
                const int64_t at = row * PANEL + half * LANES;
                const Vector distribution = normal_distribution(values[half]), result = values[half] * distribution;
                const Vector gate = load(hidden + at);
                store(activated + at, result);
                store(slopes + at, gate * gelu_slope(values[half], distribution));
                store(hidden + at, gate * result);
            }
        });
    }

    void add_of_feed_forward(int64_t count) {
        const int64_t size = l.channels * PANEL, hidden = l.hidden * PANEL;
        add_outer(FC2, of_output, l.channels, gated_rows, hidden_columns, count);
        add_outer(FC11, of_hidden, l.hidden, feed_rows, columns, count, 2 * hidden);
        add_outer(FC12, of_hidden + hidden, l.hidden, feed_rows, columns, count, 2 * hidden);
        for (int64_t at = 0; at < count; at++) {
            add_lanes(FC2_BIAS, of_output + at * size, l.channels);
            add_lanes(FC11_BIAS, of_hidden + at * 2 * hidden, l.hidden);
            add_lanes(FC12_BIAS, of_hidden + at * 2 * hidden + hidden, l.hidden);
        }
    }

    // Back through the projection of one panel.
    void project_back(const Window &w, WindowGradients &g, int64_t panel, int64_t at) {
        const int64_t place = panel * l.attended * PANEL;
        const float *scaled = multiplied(w, 0, g.x_of(panel), of_projected + at * l.channels * PANEL);
        add_lanes(PROJ_BIAS, scaled, l.channels);
        turned(w.attended + place, l.attended, attended_rows + at * PANEL * attended_columns, attended_columns);
        back_to(g.attended + place, PROJ, l.attended, scaled, l.channels, false);
    }

    // Back through attention, windows by turns as in `attend`.
    void attend_back(int64_t count) {
        for (int64_t head = 0; head < l.heads; head++) {
            for (int64_t at = 0; at < count; at++) all_gradients[at]->clear_keys();
            for (int64_t panel = 0; panel < l.panels; panel++)
                for (int64_t at = 0; at < count; at++) attend_to_all_back(*windows[at], *all_gradients[at], head, panel);
            for (int64_t at = 0; at < count; at++) {
                write_keys(*all_gradients[at], all_gradients[at]->self, head);
                if (l.frames == 2) attend_to_other_back(*windows[at], *all_gradients[at], head);
            }
        }
    }

    void attend_to_all_back(const Window &w, WindowGradients &g, int64_t head, int64_t panel) {
        softmax_back(w, g, w.self, g.self, head, panel, panel, 0, l.frames, s.bias_of(head, panel), s.mask_of(w.number, panel),
                     w.place_of_self(panel, head), totals.bias_of(head, panel));
    }

    void attend_to_other_back(const Window &w, WindowGradients &g, int64_t head) {
        g.clear_keys();
        for (int64_t panel = 0; panel < l.panels; panel++) {
            const int64_t frame = panel / l.panels_of_frame, in_frame = panel % l.panels_of_frame;
            softmax_back(w, g, w.mutual, g.mutual, head, l.other(panel), panel, frame, frame + 1, nullptr,
                         s.mask_of(w.number, in_frame), w.place_of_mutual(panel, head), nullptr);
        }
        write_keys(g, g.mutual, head);
    }

    // Back through softmax(query @ key.T + bias + mask) @ value of one panel of queries; `result`: where its channels begin.
    void softmax_back(const Window &w, WindowGradients &g, const Projected &p, float *to, int64_t head, int64_t queries,
                      int64_t panel, int64_t from, int64_t until, const float *bias, const float *mask, int64_t result,
                      float *of_bias) {
        const int64_t channel = head * l.head;
        const float *query = p.query + (queries * l.channels + channel) * PANEL;
        const float *of_result = g.attended + result, *value = w.attended + result;
        Vector mean[2] = {}, ignored[2] = {};
        for (int64_t c = 0; c < l.head; c++)
            for (int half = 0; half < 2; half++)
                mean[half] += load(of_result + c * PANEL + half * LANES) * load(value + c * PANEL + half * LANES);
        turned(query, l.head, query_rows, head_columns);
        turned(of_result, l.head, of_rows, head_columns);
        for (int64_t frame = from; frame < until; frame++) {
            const int64_t at = (frame - from) * l.padded_frame, first_key = frame * l.padded_frame;
            score(p, head, query, frame, at, bias, mask, ignored);
            slopes_of_scores(p, head, panel, first_key, at, of_result, mean, of_bias);
            add_rows(g.value + first_key * head_columns, scores + at * PANEL, of_rows);
            add_rows(g.key + first_key * head_columns, of_scores + at * PANEL, query_rows);
        }
        const float scale = s.given.scale, *key = p.key + (from * l.panels_of_frame * l.channels + channel) * PANEL;
        float *of_query = to + (queries * 3 * l.channels + channel) * PANEL;
        product(l.head, PanelRows{key}, {of_scores, PANEL, PANEL, (until - from) * l.panels_of_frame, l.channels * PANEL},
                [=](int64_t row, Vector first, Vector second) {
                    store(of_query + row * PANEL, scale * first, scale * second);
                });
    }

    // Make `scores` what softmax made of them, and `of_scores` their gradient, for the keys of one frame.
    void slopes_of_scores(const Projected &p, int64_t head, int64_t panel, int64_t first_key, int64_t at,
                          const float *of_result, const Vector *mean, float *of_bias) {
        const int64_t lanes = head * l.padded + panel * PANEL;
        const float *largest = p.largest + lanes, *inverse = p.inverse + lanes;
        const Vector base[2] = {load(largest) * LOG2_E, load(largest + LANES) * LOG2_E};
        const Vector by[2] = {load(inverse), load(inverse + LANES)};
        const Vector less[2] = {mean[0], mean[1]};
        float *made = scores + at * PANEL, *slopes = of_scores + at * PANEL, *sums = of_bias ? of_bias + at * PANEL : nullptr;
        product(l.of_frame, Columns{p.value_rows + head * l.head * l.padded + first_key, l.padded}, {of_result, PANEL, l.head},
                [=](int64_t key, Vector first, Vector second) {
                    const Vector of_weight[2] = {first, second};
                    for (int half = 0; half < 2; half++) {
                        const int64_t i = key * PANEL + half * LANES;
                        const Vector weight = power_of_two(load(made + i) * LOG2_E - base[half]) * by[half];
                        const Vector slope = weight * (of_weight[half] - less[half]);
                        store(made + i, weight);
                        store(slopes + i, slope);
                        if (sums) add(sums + i, slope);
                    }
                });
        std::memset(slopes + l.of_frame * PANEL, 0, sizeof(float) * PANEL * (l.padded_frame - l.of_frame));
    }

    // to (keys, head_columns) += of_keys (keys, PANEL) @ rows (PANEL, head_columns)
    void add_rows(float *to, const float *of_keys, const float *rows) const {
        int64_t column = 0;
        for (; column + LANES < l.head; column += PANEL)
            product(l.of_frame, PanelRows{of_keys}, {rows + column, head_columns, PANEL},
                    [=](int64_t row, Vector first, Vector second) { add(to + row * head_columns + column, first, second); });
        if (column < l.head)
            narrow_product(l.of_frame, PanelRows{of_keys}, {rows + column, head_columns, PANEL},
                           [=](int64_t row, Vector only) { add(to + row * head_columns + column, only); });
    }

    // The gradients of keys and values of a head, to panels.
    void write_keys(const WindowGradients &g, float *to, int64_t head) const {
        for (int64_t panel = 0; panel < l.panels; panel++) {
            float *key = to + ((panel * 3 + 1) * l.channels + head * l.head) * PANEL, *value = key + l.channels * PANEL;
            turned_back(g.key + panel * PANEL * head_columns, head_columns, l.head, key);
            turned_back(g.value + panel * PANEL * head_columns, head_columns, l.head, value);
        }
    }

    // `g.x` becomes the gradient of x.
    void split_back(const Window &w, WindowGradients &g, int64_t panel) {
        const int64_t size = l.channels * PANEL;
        back_to(of_normed, QKV_SELF, l.channels, g.self + panel * 3 * size, 3 * l.channels, false);
        if (l.frames == 2) back_to(of_normed, QKV_MUTUAL, l.channels, g.mutual + panel * 3 * size, 3 * l.channels, true);
        for (int64_t c = 0; c < l.channels; c++)
            for (int half = 0; half < 2; half++) {
                float *at = of_normed + c * PANEL + half * LANES;
                store(at, load(at) * load(w.real + panel * PANEL + half * LANES));
            }
        normalise_back(g.input + panel * size, NORM1, NORM1_BIAS, of_normed, g.x_of(panel));
    }

    void add_of_split(const Window &w, int64_t panel, int64_t count, Weight weight, Weight bias, const float *gradient,
                      bool encodes) {
        const int64_t size = 3 * l.channels * PANEL;
        for (int64_t at = 0; at < count; at++) {
            const float *from = encodes ? encode(w, panel + at) : w.normed_of(panel + at);
            turned(from, l.channels, normed_rows + at * PANEL * columns, columns);
            add_lanes(bias, gradient + (panel + at) * size, 3 * l.channels);
        }
        add_outer(weight, gradient + panel * size, 3 * l.channels, normed_rows, columns, count);
    }

    // to (channels, PANEL) = or += weight.T @ gradient (depth, PANEL)
    void back_to(float *to, Weight weight, int64_t channels, const float *gradient, int64_t depth, bool adds) const {
        product(channels, Columns{s.given.weights[weight], channels}, {gradient, PANEL, depth},
                [=](int64_t row, Vector first, Vector second) {
                    float *at = to + row * PANEL;
                    if (adds) add(at, first, second);
                    else store(at, first, second);
                });
    }

    // Add to the gradient of a weight: the sum over panels of gradient (rows, PANEL) @ inputs (PANEL, width).
    void add_outer(Weight weight, const float *gradient, int64_t rows, const float *inputs, int64_t width, int64_t count,
                   int64_t step = 0) {
        float *to = totals.of(weight);
        for (int64_t column = 0; column < width; column += PANEL)
            product(rows, PanelRows{gradient}, {inputs + column, width, PANEL, count, step ? step : rows * PANEL},
                    [=](int64_t row, Vector first, Vector second) { add(to + row * width + column, first, second); });
    }

    void add_lanes(Weight weight, const float *gradient, int64_t rows) {
        float *to = totals.of(weight);
        for (int64_t row = 0; row < rows; row++)
            add(to + row * LANES, load(gradient + row * PANEL) + load(gradient + row * PANEL + LANES));
    }

    // to += the gradient of x, given that of weight * normalised x + bias
    void normalise_back(const float *from, Weight weight, Weight bias, const float *gradient, float *to) {
        const Normalised normalised(from, l.channels);
        const float *by = s.weight(weight);
        float *of_weight = totals.of(weight);
        Vector mean[2] = {}, along[2] = {};
        for (int64_t c = 0; c < l.channels; c++) {
            Vector total{};
            for (int half = 0; half < 2; half++) {
                const Vector y = load(gradient + c * PANEL + half * LANES), unit = normalised.at(from + c * PANEL, half);
                total += y * unit;
                mean[half] += by[c] * y, along[half] += by[c] * y * unit;
            }
            add(of_weight + c * LANES, total);
        }
        add_lanes(bias, gradient, l.channels);
        for (int half = 0; half < 2; half++) mean[half] *= 1.0f / l.channels, along[half] *= 1.0f / l.channels;
        for (int64_t c = 0; c < l.channels; c++)
            for (int half = 0; half < 2; half++) {
                const int64_t at = c * PANEL + half * LANES;
                const Vector unit = normalised.at(from + c * PANEL, half);
                const Vector slope = by[c] * load(gradient + at) - mean[half] - unit * along[half];
                store(to + at, load(to + at) + normalised.scale[half] * slope);
            }
    }

    // (PANEL, width) -> (channels, PANEL)
    static void turned_back(const float *from, int64_t width, int64_t channels, float *to) {
        for (int64_t c = 0; c < channels; c++)
            for (int64_t lane = 0; lane < PANEL; lane++) to[c * PANEL + lane] = from[lane * width + c];
    }

    const int64_t columns = rounded_up(l.channels, PANEL), hidden_columns = rounded_up(l.hidden, PANEL);
    const int64_t attended_columns = rounded_up(l.attended, PANEL), head_columns = rounded_up(l.head, PANEL);
    std::vector<std::unique_ptr<WindowGradients>> all_gradients;
    // of one panel
    Floats middle{l.channels * PANEL}, of_middle{l.channels * PANEL}, of_normed{l.channels * PANEL}, gated{l.hidden * PANEL};
    Floats of_scores{l.padded * PANEL}, query_rows{PANEL * head_columns}, of_rows{PANEL * head_columns};
    // of some panels, for outer products; those called rows are (tokens, columns)
    Floats of_output{AT_ONCE * l.channels * PANEL}, of_hidden{AT_ONCE * 2 * l.hidden * PANEL};
    Floats of_projected{AT_ONCE * l.channels * PANEL}, feed_rows{AT_ONCE * PANEL * columns};
    Floats normed_rows{AT_ONCE * PANEL * columns}, gated_rows{AT_ONCE * PANEL * hidden_columns};
    Floats attended_rows{AT_ONCE * PANEL * attended_columns};
};

}  // namespace mindrestore
