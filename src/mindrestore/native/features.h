// Features of the frames of a clip with zeros around them, so that each tap of a convolution is a shift of the place in memory.
#pragma once
#include "filtered.h"
#include "products.h"
#include "workers.h"

#include <algorithm>

namespace mindrestore {

// How far the taps of a convolution reach, and so how many zeros lie around features.
struct Margins {
    int64_t frames, pixels;
};

// (frames, channels, height, width). The zeros right of a row are those left of the next; a plane ends with rows of zeros, which
// are those above the next plane; before the first frame and after the last there are frames of zeros.
class Features {
  public:
    const int64_t frames, channels, height, width;
    const Margins margins;
    const int64_t pitch, places, plane;  // numbers of a row, of all rows in whole panels, and from plane to plane

    Features(int64_t frames, int64_t channels, int64_t height, int64_t width, Margins margins, int64_t threads)
        : frames(frames), channels(channels), height(height), width(width), margins(margins), pitch(width + margins.pixels),
          places(rounded_up(height * pitch, PANEL)), plane(places + margins.pixels * pitch),
          before(rounded_up(margins.pixels * (pitch + 1), LANES) + margins.frames * channels * plane),
          numbers(before + (frames + margins.frames) * channels * plane + margins.pixels + PANEL, Filled::LATER), inside(places) {
        clear_margins(threads);
        for (int64_t row = 0; row < height; row++) std::fill_n(inside + row * pitch, width, 1.0f);
    }

    float *at(int64_t frame, int64_t channel) const { return numbers + before + (frame * channels + channel) * plane; }
    Clip clip() const { return {at(0, 0), frames, channels, height, width, channels * plane, plane, pitch}; }
    const float *mask() const { return inside; }  // 1 for each place that is a pixel
    int64_t shift(int64_t channel, int64_t time, int64_t down, int64_t across) const {
        return (time * channels + channel) * plane + down * pitch + across;
    }

    // Take numbers from memory, and give them back.
    void read(const float *from, int64_t threads) const {
        rows_of_planes(threads, [&](float *row, int64_t at) { std::memcpy(row, from + at, sizeof(float) * width); });
    }
    void write(float *to, int64_t threads) const {
        rows_of_planes(threads, [&](float *row, int64_t at) { std::memcpy(to + at, row, sizeof(float) * width); });
    }

    // Each channel is one of `step` x `step` phases of a channel of `whole`, whose pixels it has in each direction one in `step`.
    void join(const Features &whole, int64_t step, int64_t threads) const {
        phases(whole, step, threads, [](float &of_phase, float &of_whole) { of_whole = of_phase; });
    }
    void split(const Features &whole, int64_t step, int64_t threads) const {
        phases(whole, step, threads, [](float &of_phase, float &of_whole) { of_phase = of_whole; });
    }

  private:
    // Zeros wherever there are no pixels: pixels are written later.
    void clear_margins(int64_t threads) const {
        const int64_t of_margins = margins.frames * channels;
        std::fill(+numbers, at(-margins.frames, 0), 0.0f);
        std::fill_n(at(frames + margins.frames, 0), margins.pixels + PANEL, 0.0f);
        in_turns(threads, frames * channels + 2 * of_margins, [&](int64_t number) {
            float *from = at(-margins.frames, number);
            if (number < of_margins || number >= of_margins + frames * channels) {
                std::fill_n(from, plane, 0.0f);
                return;
            }
            for (int64_t row = 0; row < height; row++) std::fill_n(from + row * pitch + width, margins.pixels, 0.0f);
            std::fill_n(from + height * pitch, plane - height * pitch, 0.0f);
        });
    }

    template <class Work>
    void rows_of_planes(int64_t threads, const Work &work) const {
        in_turns(threads, frames * channels, [&](int64_t number) {
            float *from = at(0, number);
            for (int64_t row = 0; row < height; row++) work(from + row * pitch, (number * height + row) * width);
        });
    }

    template <class Move>
    void phases(const Features &whole, int64_t step, int64_t threads, const Move &move) const {
        const int64_t of_whole = step * step;
        in_turns(threads, frames * channels / step, [&](int64_t number) {  // a row of phases of a channel
            const int64_t first = number * step, frame = first / channels, down = first % of_whole / step;
            float *const from = at(frame, first % channels), *const to = whole.at(frame, first % channels / of_whole);
            for (int64_t row = 0; row < height; row++) {
                float *a = from + row * pitch, *b = to + (row * step + down) * whole.pitch;
                if (step == 2) {  // which the compiler makes vectors of
                    for (int64_t x = 0; x < width; x++) move(a[x], b[2 * x]), move(a[x + plane], b[2 * x + 1]);
                } else {
                    for (int64_t across = 0; across < step; across++)
                        for (int64_t x = 0; x < width; x++) move(a[x + across * plane], b[x * step + across]);
                }
            }
        });
    }

    const int64_t before;
    Floats numbers, inside;
};

}  // namespace mindrestore
