// Matrix products of a few rows at a time with one panel of columns, in registers.
#pragma once
#include "vectors.h"

namespace mindrestore {

// The left operand, in one of three layouts: `at(r)` is where row r begins, `of(at, r, k)` the place of number k of row r + at.
struct Packed {  // ROWS rows at a time, as `packed` lays them out
    const float *data;
    int64_t depth;
    const float *at(int64_t row) const { return data + row / ROWS * depth * ROWS + row % ROWS; }
    int64_t place(int row, int64_t k) const { return k * ROWS + row; }
};

struct Columns {  // (depth, rows): the transpose of a matrix whose rows are `stride` apart
    const float *data;
    int64_t stride;
    const float *at(int64_t row) const { return data + row; }
    int64_t place(int row, int64_t k) const { return k * stride + row; }
};

struct PanelRows {  // rows of one panel after the other: (rows, PANEL)
    const float *data;
    const float *at(int64_t row) const { return data + row * PANEL; }
    int64_t place(int row, int64_t k) const { return row * PANEL + k; }
};

// The right operand, a pair of vectors for each number k of a row of the left one: `walk` calls `step(left, k, place)` for each,
// `left` of these numbers further on in the left operand.
struct Panel {  // `depth` pairs `stride` apart, `times` as often: the left operand's numbers lie `left_step` apart then
    const float *data;
    int64_t stride, depth;
    int64_t times = 1, left_step = 0;

    template <class Step>
    inline __attribute__((always_inline)) void walk(const Step &step) const {
        const float *b = data;
        for (int64_t time = 0; time < times; time++)
            for (int64_t k = 0; k < depth; k++, b += stride) step(time * left_step, k, b);
    }
};

template <int COUNT, class Left, class Right, class Done>
inline __attribute__((always_inline)) void tile(const Left &left, int64_t row, const Right &right, const Done &done) {
    Vector sums[COUNT][2] = {};
    const float *begin = left.at(row);
    right.walk([&](int64_t further, int64_t k, const float *b) __attribute__((always_inline)) {
        const float *a = begin + further;
        const Vector first = load(b), second = load(b + LANES);
#pragma GCC unroll 12
        for (int r = 0; r < COUNT; r++) {
            const Vector number = all(a[left.place(r, k)]);
            sums[r][0] += number * first;
            sums[r][1] += number * second;
        }
    });
#pragma GCC unroll 12
    for (int r = 0; r < COUNT; r++) done(row + r, sums[r][0], sums[r][1]);
}

// The same for right operands of no more than LANES columns: `done(row, only)`.
template <int COUNT, class Left, class Done>
inline __attribute__((always_inline)) void narrow_tile(const Left &left, int64_t row, const Panel &right, const Done &done) {
    Vector sums[COUNT] = {};
    const float *begin = left.at(row);
    right.walk([&](int64_t further, int64_t k, const float *b) __attribute__((always_inline)) {
        const Vector only = load(b);
#pragma GCC unroll 12
        for (int r = 0; r < COUNT; r++) sums[r] += all(begin[further + left.place(r, k)]) * only;
    });
#pragma GCC unroll 12
    for (int r = 0; r < COUNT; r++) done(row + r, sums[r]);
}

template <int COUNT>
struct Count {
    static constexpr int value = COUNT;
};

// Call `step(Count<n>, row)` for as many rows at a time as registers hold, then for what is left.
template <class Step>
inline __attribute__((always_inline)) void in_tiles(int64_t rows, const Step &step) {
    int64_t row = 0;
    for (; row + ROWS <= rows; row += ROWS) step(Count<ROWS>(), row);
    if constexpr (ROWS > 8)
        if (row + 8 <= rows) step(Count<8>(), row), row += 8;
    if (row + 4 <= rows) step(Count<4>(), row), row += 4;
    if (row + 2 <= rows) step(Count<2>(), row), row += 2;
    if (row < rows) step(Count<1>(), row);
}

// Call `done(row, first, second)` with each row of left @ right, its two vectors.
template <class Left, class Right = Panel, class Done>
inline void product(int64_t rows, const Left &left, const Right &right, const Done &done) {
    in_tiles(rows, [&](auto count, int64_t row) { tile<decltype(count)::value>(left, row, right, done); });
}

template <class Left, class Done>
inline void narrow_product(int64_t rows, const Left &left, const Panel &right, const Done &done) {
    in_tiles(rows, [&](auto count, int64_t row) { narrow_tile<decltype(count)::value>(left, row, right, done); });
}

// (channels, PANEL) -> (PANEL, width)
inline void turned(const float *from, int64_t channels, float *to, int64_t width) {
    for (int64_t c = 0; c < channels; c++)
        for (int64_t lane = 0; lane < PANEL; lane++) to[lane * width + c] = from[c * PANEL + lane];
}

// (rows, depth) -> (rows / ROWS, depth, ROWS), with zeros for the rows that are missing.
inline void packed(const float *matrix, int64_t rows, int64_t depth, float *to) {
    for (int64_t first = 0; first < rows; first += ROWS)
        for (int64_t k = 0; k < depth; k++)
            for (int64_t row = first; row < first + ROWS; row++) *to++ = row < rows ? matrix[row * depth + k] : 0;
}

inline int64_t rounded_up(int64_t count, int64_t step) { return (count + step - 1) / step * step; }

}  // namespace mindrestore
