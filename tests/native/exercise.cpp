// Calls the operators for many shapes, with random numbers, as a program of its own: what a sanitizer watches.
// Prints a line for each shape; given TOKENS CHANNELS WINDOWS MUTUAL, times that one instead, in CPU seconds of one thread.
#include "attention_block.cpp"

#include <cstdio>
#include <ctime>
#include <random>

struct Shape {
    int64_t maps, tokens, channels, heads, hidden, windows, kinds, mutual, padding, threads;
    bool qkv_bias, multipliers;
};

template <class T>
std::unique_ptr<T[]> filled(size_t count, T value) {  // on the heap by itself, so that each step beyond is seen
    std::unique_ptr<T[]> result(new T[count]);
    std::fill(result.get(), result.get() + count, value);
    return result;
}

std::unique_ptr<float[]> random_numbers(size_t count, float scale, std::mt19937 &random) {
    auto result = filled<float>(count, 0);
    std::normal_distribution<float> normal(0, scale);
    for (size_t at = 0; at < count; at++) result[at] = normal(random);
    return result;
}

double exercise(const Shape &shape, bool times) {
    std::mt19937 random(1);
    const int64_t n = shape.tokens, c = shape.channels, rows = shape.windows * n - shape.padding, entries = 2 * n;
    const Sizes sizes{rows, shape.windows, n, c, shape.heads, shape.hidden, shape.kinds, entries, shape.mutual, shape.threads};
    Given given{};
    const auto x = random_numbers(rows * c, 1, random), gradient = random_numbers(rows * c, 1, random);
    const auto order = filled<int32_t>(shape.windows * n, 0), positions = filled<int32_t>(n * n, 0);
    for (int64_t at = 0; at < shape.windows * n; at++) order[at] = std::min(at, rows);
    for (int64_t at = 0; at < n * n; at++) positions[at] = random() % entries;
    const auto kinds = filled<int32_t>(shape.windows, 0);
    const auto masks = filled<float>(shape.kinds * n * n, 0);
    for (int64_t at = 0; at < shape.windows && shape.kinds; at++) kinds[at] = at % shape.kinds;
    for (int64_t kind = 1; kind < shape.kinds; kind++)
        for (int64_t at = 0; at < n * n; at++) masks[kind * n * n + at] = (at / n < n / 2) == (at % n < n / 2) ? 0 : -100;
    const auto multipliers = random_numbers(2 * shape.windows, 1, random), encoding = random_numbers(n / 2 * c, 1, random);
    given.x = x.get(), given.order = order.get(), given.positions = positions.get(), given.scale = 0.2f;
    if (shape.kinds) given.kinds = kinds.get(), given.masks = masks.get();
    if (shape.multipliers) given.multipliers = multipliers.get();
    if (shape.mutual) given.encoding = encoding.get();

    const int64_t h = shape.hidden, of_attended = (1 + shape.mutual) * c;
    const int64_t counts[WEIGHTS] = {c, c, entries * shape.heads, 3 * c * c, 3 * c, 3 * c * c, 3 * c, c * of_attended, c, c, c,
                                     h * c, h, h * c, h, c * h, c};
    std::unique_ptr<float[]> weights[WEIGHTS], found[WEIGHTS];
    float *of_weights[WEIGHTS] = {};
    for (int weight = 0; weight < WEIGHTS; weight++) {
        const bool of_mutual = weight == QKV_MUTUAL || weight == QKV_MUTUAL_BIAS;
        if (of_mutual && !shape.mutual) continue;
        if ((weight == QKV_SELF_BIAS || weight == QKV_MUTUAL_BIAS) && !shape.qkv_bias) continue;
        weights[weight] = random_numbers(counts[weight], 0.1f, random), found[weight] = filled<float>(counts[weight], 0);
        given.weights[weight] = weights[weight].get(), of_weights[weight] = found[weight].get();
    }
    const auto y = filled<float>(rows * c, 0), of_x = filled<float>(rows * c, 0);
    clock_t start = clock();
    if (mindrestore_block_forward(&sizes, &given, y.get())) return -1;
    const double forward = double(clock() - start) / CLOCKS_PER_SEC;
    start = clock();
    if (mindrestore_block_backward(&sizes, &given, gradient.get(), of_x.get(), of_weights)) return -1;
    const double backward = double(clock() - start) / CLOCKS_PER_SEC;
    if (times) std::printf("forward %.4f backward %.4f CPU seconds\n", forward, backward);
    double total = 0;
    for (int64_t at = 0; at < rows * c; at++) total += y[at] + of_x[at];
    return total;
}

int main(int count, char **words) {
    if (count > 4) {
        const int64_t channels = std::atoi(words[2]);
        for (int time = 0; time < 5; time++)
            exercise({1, std::atoi(words[1]), channels, 6, 2 * channels, std::atoi(words[3]), 0, std::atoi(words[4]), 0, 1, true, false},
                     true);
        return 0;
    }
    const Shape shapes[] = {
        {1, 384, 120, 6, 240, 2, 0, 0, 0, 2, true, false}, {1, 128, 120, 6, 240, 3, 2, 1, 5, 2, true, true},
        {1, 384, 180, 6, 360, 1, 3, 0, 7, 1, true, false}, {1, 1, 4, 1, 4, 3, 0, 0, 0, 3, false, false},
        {1, 2, 5, 5, 3, 2, 2, 1, 1, 2, true, true},        {1, 15, 9, 3, 13, 1, 1, 0, 2, 1, false, true},
        {1, 70, 33, 3, 50, 5, 4, 1, 69, 2, false, true},   {1, 33, 20, 2, 31, 4, 0, 0, 0, 4, true, false},
    };
    for (const Shape &shape : shapes) {
        const double total = exercise(shape, false);
        std::printf("%lld tokens, %lld channels: %g\n", (long long)shape.tokens, (long long)shape.channels, total);
        if (!(std::abs(total) < 1e12)) return 1;
    }
}
