// The axes of an array in another order: a copy, some rows and columns at a time, so that what is read far apart is used while it
// is near.
#include "workers.h"

namespace mindrestore {
namespace {

constexpr int64_t MOST_AXES = 6, ROWS_AT_ONCE = 64, COLUMNS_AT_ONCE = 256, NUMBERS_AT_ONCE = 16384;

// As native/permutation.py fills them in: how many numbers each axis of the result has, and how far apart these lie in `x`.
struct Axes {
    int64_t counts[MOST_AXES], steps[MOST_AXES], threads;
};

struct Given {
    const float *x;
};

// One part of a matrix, the last two axes.
void copy(const Axes &axes, const float *from, int64_t rows, int64_t columns, float *to) {
    const int64_t row_step = axes.steps[MOST_AXES - 2], column_step = axes.steps[MOST_AXES - 1], width = axes.counts[MOST_AXES - 1];
    for (int64_t row = 0; row < rows; row++) {
        const float *in = from + row * row_step;
        float *out = to + row * width;
        if (column_step == 1) std::copy_n(in, columns, out);
        else
            for (int64_t column = 0; column < columns; column++) out[column] = in[column * column_step];
    }
}

void permute(const Axes &axes, const float *x, float *y) {
    const int64_t rows = axes.counts[MOST_AXES - 2], columns = axes.counts[MOST_AXES - 1];
    const int64_t tall = std::min(rows, ROWS_AT_ONCE), wide = std::min(columns, COLUMNS_AT_ONCE);
    const int64_t down = (rows + tall - 1) / tall, across = (columns + wide - 1) / wide;
    int64_t parts = down * across;
    for (int64_t axis = 0; axis < MOST_AXES - 2; axis++) parts *= axes.counts[axis];
    const int64_t at_once = std::max<int64_t>(1, NUMBERS_AT_ONCE / (tall * wide)), turns = (parts + at_once - 1) / at_once;
    in_turns(axes.threads, turns, [&](int64_t turn) {
        for (int64_t part = turn * at_once; part < std::min(parts, (turn + 1) * at_once); part++) {
            const int64_t row = part / across % down * tall, column = part % across * wide, matrix = part / across / down;
            const float *from = x + row * axes.steps[MOST_AXES - 2] + column * axes.steps[MOST_AXES - 1];
            for (int64_t axis = MOST_AXES - 3, left = matrix; axis >= 0; left /= axes.counts[axis--])
                from += left % axes.counts[axis] * axes.steps[axis];
            copy(axes, from, std::min(tall, rows - row), std::min(wide, columns - column),
                 y + (matrix * rows + row) * columns + column);
        }
    });
}

}  // namespace
}  // namespace mindrestore

// Write y, the numbers of x in the order that the axes say. Returns 0.
extern "C" int mindrestore_permutation(const mindrestore::Axes *axes, const mindrestore::Given *given, float *y) {
    mindrestore::permute(*axes, given->x, y);
    return 0;
}
