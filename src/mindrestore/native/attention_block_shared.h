// What all windows of a block of attention share: what is given, how a window lies in panels, weights and masks laid out.
#pragma once
#include "products.h"
#include "workers.h"

#include <algorithm>

namespace mindrestore {
enum Weight {
    NORM1, NORM1_BIAS, TABLE, QKV_SELF, QKV_SELF_BIAS, QKV_MUTUAL, QKV_MUTUAL_BIAS, PROJ, PROJ_BIAS,
    NORM2, NORM2_BIAS, FC11, FC11_BIAS, FC12, FC12_BIAS, FC2, FC2_BIAS, WEIGHTS
};

// As attention_block.py fills them in.
struct Sizes {
    int64_t rows, windows, tokens, channels, heads, hidden, kinds, entries, mutual, threads;
};

struct Given {
    const float *x;            // (rows, channels)
    const int32_t *order;      // (windows, tokens): the row of each token, `rows` for a zero that pads
    const int32_t *positions;  // (tokens, tokens): the row of the table for query and key
    const int32_t *kinds;      // (windows,): which of the masks, or null
    const float *masks;        // (kinds, tokens, tokens), each symmetric, or null
    const float *multipliers;  // (windows, 2): of attention and MLP, or null
    const float *encoding;     // (tokens / 2, channels): added for mutual attention, or null
    const float *weights[WEIGHTS];  // null for those that are not there
    float scale;               // of the queries
};

// How a window lies in panels. With mutual attention each of its two frames begins a panel.
struct Layout {
    int64_t tokens, channels, heads, head, hidden, frames, of_frame, padded_frame, padded, panels, panels_of_frame, attended;
    std::vector<int64_t> token_of;  // of each place, -1 where there is none

    explicit Layout(const Sizes &sizes)
        : tokens(sizes.tokens), channels(sizes.channels), heads(sizes.heads), head(channels / heads), hidden(sizes.hidden),
          frames(sizes.mutual ? 2 : 1), of_frame(tokens / frames), padded_frame(rounded_up(of_frame, PANEL)),
          padded(frames * padded_frame), panels(padded / PANEL), panels_of_frame(padded_frame / PANEL),
          attended(frames * channels), token_of(padded, -1) {
        for (int64_t token = 0; token < tokens; token++) token_of[place(token)] = token;
    }
    int64_t other(int64_t panel) const { return (panel + panels_of_frame) % panels; }  // as far into the other frame
    int64_t place(int64_t token) const { return token / of_frame * padded_frame + token % of_frame; }
};

constexpr int64_t MOST_AT_ONCE = 4;

// What all windows share: weights laid out for products, and what is added to the scores, (panel of queries, key, PANEL).
class Shared {
  public:
    Shared(const Sizes &sizes, const Given &given) : sizes(sizes), given(given), layout(sizes),
          at_once(std::clamp<int64_t>(sizes.windows / (2 * sizes.threads), 1, MOST_AT_ONCE)) {
        const int64_t channels = layout.channels, hidden = layout.hidden;
        qkv_self = laid_out(QKV_SELF, 3 * channels, channels);
        if (sizes.mutual) qkv_mutual = laid_out(QKV_MUTUAL, 3 * channels, channels);
        proj = laid_out(PROJ, channels, layout.attended);
        fc11 = laid_out(FC11, hidden, channels);
        fc12 = laid_out(FC12, hidden, channels);
        fc2 = laid_out(FC2, channels, hidden);
        zeros = Floats(std::max(3 * channels, hidden));
        of_panel = layout.padded * PANEL;
        bias = Floats(layout.heads * layout.panels * of_panel);
        side_by_side(sizes.threads, [this](int64_t thread) {
            for (int64_t head = thread; head < layout.heads; head += this->sizes.threads) lay_out_bias(head);
        });
        lay_out_masks();
    }

    const float *weight(Weight which) const { return given.weights[which] ? given.weights[which] : zeros; }
    const float *bias_of(int64_t head, int64_t panel) const { return bias + (head * layout.panels + panel) * of_panel; }
    const float *mask_of(int64_t window, int64_t panel) const {  // null where it is all zeros
        if (!given.kinds || !masked[given.kinds[window]]) return nullptr;
        return masks + (given.kinds[window] * layout.panels + panel) * of_panel;
    }

    const Sizes sizes;
    const Given given;
    const Layout layout;
    const int64_t at_once;  // windows that a thread works on: as many as leave each thread two turns
    Floats qkv_self, qkv_mutual, proj, fc11, fc12, fc2;

  private:
    Floats laid_out(Weight which, int64_t rows, int64_t depth) const {
        Floats result(rounded_up(rows, ROWS) * depth);
        packed(given.weights[which], rows, depth, result);
        return result;
    }

    void lay_out_bias(int64_t head) {
        for (int64_t query = 0; query < layout.tokens; query++) {
            float *lane = strip(bias, head, query);
            for (int64_t key = 0; key < layout.tokens; key++)
                lane[layout.place(key) * PANEL] =
                    given.weights[TABLE][given.positions[query * layout.tokens + key] * layout.heads + head];
        }
    }

    void lay_out_masks() {
        if (!given.kinds) return;
        masks = Floats(sizes.kinds * layout.panels * of_panel);
        masked.assign(sizes.kinds, false);
        for (int64_t kind = 0; kind < sizes.kinds; kind++)
            for (int64_t query = 0; query < layout.tokens; query++) {
                const float *row = given.masks + (kind * layout.tokens + query) * layout.tokens;
                float *lane = strip(masks, kind, query);
                for (int64_t key = 0; key < layout.tokens; key++) {
                    lane[layout.place(key) * PANEL] = row[key];
                    masked[kind] = masked[kind] || row[key] != 0;
                }
            }
    }

    float *strip(float *all, int64_t number, int64_t query) const {  // where the lane of a query begins
        const int64_t place = layout.place(query);
        return all + (number * layout.panels + place / PANEL) * of_panel + place % PANEL;
    }

    Floats zeros, bias, masks;
    std::vector<bool> masked;
    int64_t of_panel;
};

}  // namespace mindrestore
