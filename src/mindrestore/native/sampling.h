// Bilinear samples of an image.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>

namespace mindrestore {

constexpr int CORNERS = 4;

// The four pixels around a place, of weight 0 where they lie outside of the image. `step`: from one pixel to the next.
struct Corners {
    const float *pixels[CORNERS];
    int64_t at[CORNERS];
    float weights[CORNERS], along_y[CORNERS], along_x[CORNERS];  // and the slopes of the weights

    Corners(const float *image, int64_t height, int64_t width, int64_t step, float y, float x) {
        y = std::min(std::max(-2.0f, y), height + 1.0f), x = std::min(std::max(-2.0f, x), width + 1.0f);  // -2 where it is no number
        const float top = std::floor(y), left = std::floor(x), below = y - top, right = x - left;
        for (int corner = 0; corner < CORNERS; corner++) {
            const int down = corner / 2, across = corner % 2;
            const int64_t row = static_cast<int64_t>(top) + down, column = static_cast<int64_t>(left) + across;
            const bool inside = row >= 0 && row < height && column >= 0 && column < width;
            const float vertical = down ? below : 1 - below, horizontal = across ? right : 1 - right;
            at[corner] = inside ? (row * width + column) * step : 0;
            pixels[corner] = image + at[corner];
            weights[corner] = inside ? vertical * horizontal : 0;
            along_y[corner] = inside ? (down ? horizontal : -horizontal) : 0;
            along_x[corner] = inside ? (across ? vertical : -vertical) : 0;
        }
    }
};

}  // namespace mindrestore
