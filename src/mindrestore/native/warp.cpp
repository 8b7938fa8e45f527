// Images warped along flows, forwards and backwards: what ops/warp.py computes operator by operator.
//
// Backwards each thread takes whole images, so that what several pixels have a share in is summed in their order.
#include "sampling.h"
#include "workers.h"

namespace mindrestore {
namespace {

// As native/warp.py fills them in. Steps: from one pixel, channel or image to the next, in the image that is sampled; and from
// one image to the next in the result, whose planes of pixels follow each other.
struct Sizes {
    int64_t images, height, width, channels, pixel_step, channel_step, image_step, result_step, border, threads;
};

struct Given {
    const float *image, *flow;  // flow: (images, 2, height, width), x and y in pixels
};

// A position after its way to -1 ... 1 and back, as ops/warp.py rounds it; with a border no further than that.
struct Position {
    float at;
    bool moves;  // whether it moves with the flow

    Position(float position, int64_t size, bool border) {
        const float most = static_cast<float>(std::max<int64_t>(size - 1, 1));
        at = (2.0f * position / most - 1.0f + 1.0f) * (most / 2);
        moves = !border || (at >= 0 && at <= size - 1.0f);
        if (border) at = std::min(std::max(0.0f, at), size - 1.0f);
    }
};

// Call `work(image, pixel, corners, moves along y, along x)` for all pixels of each image.
template <class Work>
void for_all(const Sizes &s, const Given &given, const Work &work) {
    const int64_t pixels = s.height * s.width;
    in_turns(s.threads, s.images, [&](int64_t image) {
        const float *along_x = given.flow + image * 2 * pixels, *along_y = along_x + pixels;
        for (int64_t pixel = 0; pixel < pixels; pixel++) {
            const Position x(along_x[pixel] + pixel % s.width, s.width, s.border);
            const Position y(along_y[pixel] + pixel / s.width, s.height, s.border);
            const Corners corners(given.image + image * s.image_step, s.height, s.width, s.pixel_step, y.at, x.at);
            work(image, pixel, corners, y.moves, x.moves);
        }
    });
}

}  // namespace
}  // namespace mindrestore

using namespace mindrestore;

// Write the warped images, (images, channels, height, width) with `result_step` from image to image. Returns 0.
extern "C" int mindrestore_warp_forward(const Sizes *sizes, const Given *given, float *to) {
    const Sizes s = *sizes;
    const int64_t plane = s.height * s.width;
    for_all(s, *given, [=](int64_t image, int64_t pixel, const Corners &corners, bool, bool) {
        float *at = to + image * s.result_step + pixel;
        for (int64_t channel = 0; channel < s.channels; channel++) {
            float total = 0;
            for (int corner = 0; corner < CORNERS; corner++)
                total += corners.weights[corner] * corners.pixels[corner][channel * s.channel_step];
            at[channel * plane] = total;
        }
    });
    return 0;
}

// Given the gradient of the result, laid out as it, add to those of the image, laid out as it, and of the flow, where not null.
extern "C" int mindrestore_warp_backward(const Sizes *sizes, const Given *given, const float *gradient, float *of_image,
                                         float *of_flow) {
    const Sizes s = *sizes;
    const int64_t plane = s.height * s.width;
    for_all(s, *given, [=](int64_t image, int64_t pixel, const Corners &corners, bool moves_y, bool moves_x) {
        const float *of_result = gradient + image * s.result_step + pixel;
        float of_y = 0, of_x = 0;
        for (int64_t channel = 0; channel < s.channels; channel++) {
            const float of = of_result[channel * plane];
            const int64_t further = channel * s.channel_step;
            for (int corner = 0; corner < CORNERS; corner++) {
                of_y += of * corners.along_y[corner] * corners.pixels[corner][further];
                of_x += of * corners.along_x[corner] * corners.pixels[corner][further];
                if (of_image) of_image[image * s.image_step + corners.at[corner] + further] += of * corners.weights[corner];
            }
        }
        if (of_flow && moves_x) of_flow[image * 2 * plane + pixel] += of_x;
        if (of_flow && moves_y) of_flow[(image * 2 + 1) * plane + pixel] += of_y;
    });
    return 0;
}
