// A block of attention forwards, one window at a time.
#pragma once
#include "attention_block_shared.h"

namespace mindrestore {

constexpr float EPSILON = 1e-5f;  // of normalisation

// Lane by lane, (x - mean) / deviation of a panel (channels, PANEL).
struct Normalised {
    Vector mean[2], scale[2];

    Normalised(const float *x, int64_t channels) {
        for (int half = 0; half < 2; half++) {
            Vector total{}, squares{};
            for (int64_t c = 0; c < channels; c++) total += load(x + c * PANEL + half * LANES);
            mean[half] = total * (1.0f / channels);
            for (int64_t c = 0; c < channels; c++) {
                const Vector distance = load(x + c * PANEL + half * LANES) - mean[half];
                squares += distance * distance;
            }
            scale[half] = 1.0f / square_root(squares * (1.0f / channels) + EPSILON);
        }
    }
    Vector at(const float *x, int half) const { return (load(x + half * LANES) - mean[half]) * scale[half]; }
};

// What attention of one kind, self or mutual, is computed from: queries (scaled), keys and values, and the softmax's largest
// score and inverse sum of each query. In panels (panels, channels, PANEL) and as rows of all tokens, (channels, padded).
struct Projected {
    const int64_t size, of_heads;
    Floats query{size}, key{size}, value{size}, key_rows{size}, value_rows{size}, largest{of_heads}, inverse{of_heads};

    Projected(const Layout &l, bool there) : size(there * l.padded * l.channels), of_heads(there * l.padded * l.heads) {}
};

// A window on its way through the block, in panels.
struct Window {
    const Layout &l;
    int64_t number = 0;
    Floats real{l.padded};  // 1 for tokens that are rows of the features, else 0
    Floats x{l.padded * l.channels}, normed{l.padded * l.channels}, attended{l.padded * l.attended};
    Projected self{l, true}, mutual{l, l.frames == 2};

    explicit Window(const Layout &layout) : l(layout) {}
    float *x_of(int64_t panel) const { return x + panel * l.channels * PANEL; }
    float *normed_of(int64_t panel) const { return normed + panel * l.channels * PANEL; }
    // What head `head` of self-attention, or of mutual attention, which comes first, makes of a panel.
    int64_t place_of_self(int64_t panel, int64_t head) const {
        return (panel * l.attended + l.attended - l.channels + head * l.head) * PANEL;
    }
    int64_t place_of_mutual(int64_t panel, int64_t head) const { return (panel * l.attended + head * l.head) * PANEL; }
};

class Forward {
  public:
    explicit Forward(const Shared &shared) : s(shared), l(shared.layout) {
        for (int64_t place = 0; place < s.at_once; place++) windows.push_back(std::make_unique<Window>(l));
        if (l.frames == 2) lay_out_encoding();
    }

    // Compute some windows, at most `at_once`; results go to rows of y (rows, channels).
    void compute(int64_t first, int64_t count, float *y) {
        attend(first, count);
        for (int64_t at = 0; at < count; at++)
            for (int64_t panel = 0; panel < l.panels; panel++) {
                project(*windows[at], panel);
                feed_forward(*windows[at], panel);
                write(*windows[at], panel, windows[at]->x_of(panel), y);
            }
    }

  protected:
    // Read windows into `x` and compute what comes before the projection into `attended`. Windows take turns within each panel
    // of queries, so that what is added to its scores is read from far away only once.
    void attend(int64_t first, int64_t count) {
        for (int64_t at = 0; at < count; at++) begin(*windows[at], first + at);
        for (int64_t head = 0; head < l.heads; head++)
            for (int64_t panel = 0; panel < l.panels; panel++)
                for (int64_t at = 0; at < count; at++) {
                    attend_to_all(*windows[at], head, panel);
                    if (l.frames == 2) attend_to_other(*windows[at], head, panel);
                }
    }

    // x += m0 projection
    void project(const Window &w, int64_t panel) const {
        const float *bias = s.weight(PROJ_BIAS), multiplier = multiplier_of(w, 0);
        float *to = w.x_of(panel);
        product(l.channels, Packed{s.proj, l.attended}, {w.attended + panel * l.attended * PANEL, PANEL, l.attended},
                [=](int64_t row, Vector first, Vector second) {
                    add(to + row * PANEL, multiplier * (first + bias[row]), multiplier * (second + bias[row]));
                });
    }

    void normalise(const float *from, Weight weight, Weight bias, const float *of_lanes, float *to) const {
        const Normalised normalised(from, l.channels);
        const float *by = s.weight(weight), *plus = s.weight(bias);
        for (int64_t c = 0; c < l.channels; c++)
            for (int half = 0; half < 2; half++) {
                const Vector y = normalised.at(from + c * PANEL, half) * by[c] + plus[c];
                store(to + c * PANEL + half * LANES, of_lanes ? y * load(of_lanes + half * LANES) : y);
            }
    }

    float multiplier_of(const Window &w, int column) const {
        return s.given.multipliers ? s.given.multipliers[2 * w.number + column] : 1;
    }

    // The row of the features at a place of a window, -1 for none.
    int64_t row_of(const Window &w, int64_t place) const {
        const int64_t token = l.token_of[place];
        if (token < 0) return -1;
        const int64_t row = s.given.order[w.number * l.tokens + token];
        return row < s.sizes.rows ? row : -1;
    }

    void read(const Window &w, int64_t panel, const float *from, float *to) const {
        for (int lane = 0; lane < PANEL; lane++) {
            const int64_t row = row_of(w, panel * PANEL + lane);
            for (int64_t c = 0; c < l.channels; c++) to[c * PANEL + lane] = row < 0 ? 0 : from[row * l.channels + c];
        }
    }

    void write(const Window &w, int64_t panel, const float *from, float *to) const {
        for (int lane = 0; lane < PANEL; lane++) {
            const int64_t row = row_of(w, panel * PANEL + lane);
            if (row < 0) continue;
            for (int64_t c = 0; c < l.channels; c++) to[row * l.channels + c] = from[c * PANEL + lane];
        }
    }

    // Normalised tokens of a panel with the encoding of their positions.
    const float *encode(const Window &w, int64_t panel) const {
        const float *from = w.normed_of(panel), *plus = encoding + panel * l.channels * PANEL;
        for (int64_t at = 0; at < l.channels * PANEL; at += LANES) store(encoded + at, load(from + at) + load(plus + at));
        return encoded;
    }

    // Scores of the keys of one frame, to place `at`; bias and mask lie as the scores do.
    void score(const Projected &p, int64_t head, const float *query, int64_t frame, int64_t at, const float *bias,
               const float *mask, Vector *largest) {
        const Columns keys{p.key_rows + head * l.head * l.padded + frame * l.padded_frame, l.padded};
        float *to = scores + at * PANEL;
        Vector most[2] = {largest[0], largest[1]};
        const auto keep = [&most, to](int64_t key, Vector first, Vector second) __attribute__((always_inline)) {
            most[0] = larger(most[0], first), most[1] = larger(most[1], second);
            store(to + key * PANEL, first, second);
        };
        const Panel right{query, PANEL, l.head};
        const float *plus = bias ? bias + at * PANEL : mask ? mask + at * PANEL : nullptr;
        const float *also = bias && mask ? mask + at * PANEL : nullptr;
        if (also)
            product(l.of_frame, keys, right, [=](int64_t key, Vector first, Vector second) __attribute__((always_inline)) {
                keep(key, first + (load(plus + key * PANEL) + load(also + key * PANEL)),
                     second + (load(plus + key * PANEL + LANES) + load(also + key * PANEL + LANES)));
            });
        else if (plus)
            product(l.of_frame, keys, right, [=](int64_t key, Vector first, Vector second) __attribute__((always_inline)) {
                keep(key, first + load(plus + key * PANEL), second + load(plus + key * PANEL + LANES));
            });
        else
            product(l.of_frame, keys, right, keep);
        largest[0] = most[0], largest[1] = most[1];
    }

    const Shared &s;
    const Layout &l;
    std::vector<std::unique_ptr<Window>> windows;
    const int64_t of_mutual_alone = (l.frames - 1) * l.channels * PANEL;
    Floats scores{l.padded * PANEL}, encoding{of_mutual_alone * l.panels}, encoded{of_mutual_alone};

  private:
    void begin(Window &w, int64_t number) {
        w.number = number;
        for (int64_t place = 0; place < l.padded; place++) w.real[place] = row_of(w, place) < 0 ? 0 : 1;
        for (int64_t panel = 0; panel < l.panels; panel++) {
            read(w, panel, s.given.x, w.x_of(panel));
            normalise(w.x_of(panel), NORM1, NORM1_BIAS, w.real + panel * PANEL, w.normed_of(panel));
            split(panel, s.qkv_self, QKV_SELF_BIAS, w.normed_of(panel), w.self);
            if (l.frames == 2) split(panel, s.qkv_mutual, QKV_MUTUAL_BIAS, encode(w, panel), w.mutual);
        }
    }

    void lay_out_encoding() {
        for (int64_t place = 0; place < l.padded; place++)
            if (l.token_of[place] >= 0)
                for (int64_t c = 0; c < l.channels; c++)
                    encoding[(place / PANEL * l.channels + c) * PANEL + place % PANEL] =
                        s.given.encoding[l.token_of[place] % l.of_frame * l.channels + c];
    }

    void split(int64_t panel, const float *weights, Weight which_bias, const float *from, Projected &to) const {
        const float *bias = s.weight(which_bias), scale = s.given.scale;
        const int64_t channels = l.channels, padded = l.padded;
        float *parts[3] = {to.query + panel * channels * PANEL, to.key + panel * channels * PANEL,
                           to.value + panel * channels * PANEL};
        float *rows[3] = {nullptr, to.key_rows + panel * PANEL, to.value_rows + panel * PANEL};
        product(3 * channels, Packed{weights, channels}, {from, PANEL, channels},
                [=](int64_t row, Vector first, Vector second) {
                    const int64_t part = row / channels, channel = row % channels;
                    const float by = part ? 1 : scale;
                    first = by * (first + bias[row]), second = by * (second + bias[row]);
                    store(parts[part] + channel * PANEL, first, second);
                    if (part) store(rows[part] + channel * padded, first, second);
                });
    }

    // Self-attention of one panel of queries to all tokens of the window.
    void attend_to_all(Window &w, int64_t head, int64_t panel) {
        softmax(w.self, head, panel, 0, l.frames, s.bias_of(head, panel), s.mask_of(w.number, panel),
                w.attended + w.place_of_self(panel, head), panel);
    }

    // Mutual attention: the queries of the other frame to the tokens of this panel's frame.
    void attend_to_other(Window &w, int64_t head, int64_t panel) {
        const int64_t frame = panel / l.panels_of_frame, in_frame = panel % l.panels_of_frame;
        softmax(w.mutual, head, l.other(panel), frame, frame + 1, nullptr, s.mask_of(w.number, in_frame),
                w.attended + w.place_of_mutual(panel, head), panel);
    }

    // softmax(query @ key.T + bias + mask) @ value for the queries of one panel and the keys of frames `from` to `to`.
    void softmax(Projected &p, int64_t head, int64_t queries, int64_t from, int64_t to, const float *bias, const float *mask,
                 float *result, int64_t panel) {
        Vector largest[2] = {all(-3e38f), all(-3e38f)}, total[2] = {};
        const float *query = p.query + (queries * l.channels + head * l.head) * PANEL;
        for (int64_t frame = from; frame < to; frame++)
            score(p, head, query, frame, (frame - from) * l.padded_frame, bias, mask, largest);
        const int64_t keys = (to - from) * l.padded_frame;
        const Vector base[2] = {largest[0] * LOG2_E, largest[1] * LOG2_E};
        for (int64_t frame = 0; frame < to - from; frame++) {
            float *at = scores + frame * l.padded_frame * PANEL;
            for (int64_t key = 0; key < l.of_frame; key++, at += PANEL)
                for (int half = 0; half < 2; half++) {
                    const Vector y = power_of_two(load(at + half * LANES) * LOG2_E - base[half]);
                    total[half] += y;
                    store(at + half * LANES, y);
                }
            std::memset(at, 0, sizeof(float) * PANEL * (l.padded_frame - l.of_frame));
        }
        const Vector inverse[2] = {1.0f / total[0], 1.0f / total[1]};
        store(p.largest + head * l.padded + panel * PANEL, largest[0], largest[1]);
        store(p.inverse + head * l.padded + panel * PANEL, inverse[0], inverse[1]);
        const float *value = p.value + (from * l.panels_of_frame * l.channels + head * l.head) * PANEL;
        product(l.head, PanelRows{value}, {scores, PANEL, PANEL, keys / PANEL, l.channels * PANEL},
                [=](int64_t row, Vector first, Vector second) {
                    store(result + row * PANEL, first * inverse[0], second * inverse[1]);
                });
    }

    // x += m1 mlp(norm2 x)
    void feed_forward(const Window &w, int64_t panel) const {
        const float *of_gelu = s.weight(FC11_BIAS), *of_gate = s.weight(FC12_BIAS), *bias = s.weight(FC2_BIAS);
        const float multiplier = multiplier_of(w, 1);
        float *to = w.x_of(panel), *hidden = gate;
        normalise(to, NORM2, NORM2_BIAS, nullptr, feed);
        const Panel input{feed, PANEL, l.channels};
        product(l.hidden, Packed{s.fc12, l.channels}, input, [=](int64_t row, Vector first, Vector second) {
            store(hidden + row * PANEL, first + of_gate[row], second + of_gate[row]);
        });
        product(l.hidden, Packed{s.fc11, l.channels}, input, [=](int64_t row, Vector first, Vector second) {
            float *at = hidden + row * PANEL;
            store(at, load(at) * gelu(first + of_gelu[row]), load(at + LANES) * gelu(second + of_gelu[row]));
        });
        product(l.channels, Packed{s.fc2, l.hidden}, {gate, PANEL, l.hidden}, [=](int64_t row, Vector first, Vector second) {
            add(to + row * PANEL, multiplier * (first + bias[row]), multiplier * (second + bias[row]));
        });
    }

    Floats feed{l.channels * PANEL}, gate{l.hidden * PANEL};
};

}  // namespace mindrestore
