// Vectors of float32 as wide as the processor's, in the compiler's own types: one source for AVX-512, AVX2, NEON and SSE.
#pragma once
#include <cstdint>
#include <cstring>

namespace mindrestore {

#if defined(__AVX512F__)
constexpr int LANES = 16, ROWS = 12;  // 32 registers: 2 x 12 sums, 2 vectors, a number
#elif defined(__AVX__)
constexpr int LANES = 8, ROWS = 6;  // 16 registers
#elif defined(__aarch64__)
constexpr int LANES = 4, ROWS = 12;
#else
constexpr int LANES = 4, ROWS = 6;
#endif
constexpr int PANEL = 2 * LANES;  // tokens, or columns, that are computed side by side

typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef uint32_t Bits __attribute__((vector_size(4 * LANES)));
typedef float Unaligned __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

inline Vector load(const float *from) { return *reinterpret_cast<const Unaligned *>(from); }
inline void store(float *to, Vector x) { *reinterpret_cast<Unaligned *>(to) = x; }
inline void store(float *to, Vector first, Vector second) { store(to, first), store(to + LANES, second); }
// The first `count` numbers of a panel: the others are read as zero, and not written.
inline void load_some(const float *from, int64_t count, Vector &first, Vector &second) {
    float numbers[PANEL] = {};
    if (count < PANEL) std::memcpy(numbers, from, sizeof(float) * count), from = numbers;
    first = load(from), second = load(from + LANES);
}

inline void store_some(float *to, int64_t count, Vector first, Vector second) {
    if (count == PANEL) return store(to, first, second);
    float numbers[PANEL];
    store(numbers, first, second);
    std::memcpy(to, numbers, sizeof(float) * count);
}

inline void add(float *to, Vector x) { store(to, load(to) + x); }
inline void add(float *to, Vector first, Vector second) { store(to, load(to) + first, load(to + LANES) + second); }
inline Vector all(float x) { return x - Vector{}; }
inline Vector larger(Vector x, Vector y) { return y > x ? y : x; }  // x where it is not a number
inline Vector smaller(Vector x, Vector y) { return y < x ? y : x; }

inline Vector square_root(Vector x) {
    for (int lane = 0; lane < LANES; lane++) x[lane] = __builtin_sqrtf(x[lane]);
    return x;
}

template <int COUNT>
struct Lanes {
    typedef float Type __attribute__((vector_size(4 * COUNT)));
};

template <int COUNT = LANES>
inline float sum(typename Lanes<COUNT>::Type x) {
    if constexpr (COUNT == 1) {
        return x[0];
    } else {
        typename Lanes<COUNT / 2>::Type halves[2];
        std::memcpy(halves, &x, sizeof x);
        return sum<COUNT / 2>(halves[0] + halves[1]);
    }
}

constexpr float LOG2_E = 1.44269504f;
constexpr float SHIFTER = 12582912.0f;  // 1.5 * 2^23: what is added to it is rounded to an integer in its last bits

// y 2^n; shifted: n + SHIFTER.
inline Vector scaled(Vector y, Vector shifted) {
    Bits bits, scale;
    std::memcpy(&bits, &y, sizeof bits);
    std::memcpy(&scale, &shifted, sizeof scale);
    bits += scale << 23;
    std::memcpy(&y, &bits, sizeof y);
    return y;
}

// e^x within 1e-7 of it, for -87 <= x <= 88; below as for -87. x = n ln 2 + r, and e^r by a polynomial fitted to 3e-9.
inline Vector exponential(Vector x) {
    x = larger(x, all(-87.0f));
    const Vector shifted = x * LOG2_E + SHIFTER;
    const Vector n = shifted - SHIFTER;
    const Vector r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    Vector y = r * 1.38131e-3f + 8.36942e-3f;
    y = y * r + 4.166846e-2f;
    y = y * r + 0.16666515f;
    y = y * r + 0.49999993f;
    y = y * (r * r) + r;
    return scaled(y + 1.0f, shifted);
}

// 2^x within 3e-7 of it, for -126 <= x <= 127; below as for -126. For softmax: a power of two is a third less work than one of e,
// and e^(x - y) is 2^(x log2(e) - y log2(e)), whose product and difference are one step that rounds once.
inline Vector power_of_two(Vector x) {
    x = larger(x, all(-126.0f));
    const Vector shifted = x + SHIFTER;
    const Vector r = x - (shifted - SHIFTER);  // and 2^r by a polynomial fitted to 8e-8
    Vector y = r * 1.32764725e-3f + 9.67554096e-3f;
    y = y * r + 5.55071309e-2f;
    y = y * r + 2.40221202e-1f;
    y = y * r + 6.93146944e-1f;
    return scaled(y * r + 1.0f, shifted);
}

// x Phi(x), the exact GELU, and its slope Phi(x) + x phi(x). Phi as mindrestore.ops.activations has it.
inline Vector normal_distribution(Vector x) {
    x = smaller(larger(x, all(-9.0f)), all(9.0f));
    const Vector square = x * x;
    const Vector numerator = ((square * 3.88093346e-04f + 1.51485648e-02f) * square + 1.98317761e-01f) * square + 1.59576914f;
    const Vector denominator = ((square * 4.11229364e-05f + 5.95348564e-03f) * square + 7.87374331e-02f) * square + 1.0f;
    return 1.0f / (1.0f + exponential(-x * (numerator / denominator)));
}

inline Vector gelu(Vector x) { return x * normal_distribution(x); }

inline Vector gelu_slope(Vector x, Vector distribution) {
    return distribution + x * (0.398942280f * exponential(x * x * -0.5f));
}

}  // namespace mindrestore
