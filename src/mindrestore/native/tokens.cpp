// What treats each token by itself as one operator, forwards and backwards: normalisation, then a product or a gated MLP, then
// what is added. It computes what the pieces of models/vrt/layers.py compute operator by operator.
//
// Tokens are rows and channels lie in the lanes of vectors, both as in memory, so nothing is transposed but weights. Each thread
// takes some tokens at a time through all steps, which stay in its caches. The gradients of weights are summed over a fixed part
// of the tokens by each thread, and then over threads in their order: they are equal from run to run of as many threads.
#include "products.h"
#include "workers.h"

#include <algorithm>

namespace mindrestore {
namespace {

constexpr float EPSILON = 1e-5f;  // of normalisation
constexpr int64_t AT_ONCE = 48;   // tokens

enum Weight { NORM, NORM_BIAS, LINEAR, LINEAR_BIAS, FC11, FC11_BIAS, FC12, FC12_BIAS, FC2, FC2_BIAS, WEIGHTS };

// As native/tokens.py fills them in.
struct Sizes {
    int64_t rows, inputs, hidden, outputs, threads;
};

struct Given {
    const float *x, *added;         // (rows, inputs), and (rows, outputs) or null
    const float *weights[WEIGHTS];  // as published: (outputs, inputs), (outputs,); null for steps that there are not
};

inline int64_t padded(int64_t columns) { return rounded_up(columns, PANEL); }

// Some tokens: rows of channels, with room for whole panels.
struct Rows {
    int64_t width;
    Floats numbers;

    explicit Rows(int64_t channels) : width(padded(channels)), numbers(AT_ONCE * width) {}
    float *at(int64_t row) const { return numbers + row * width; }
};

struct Strided {  // the left operand of a product, rows `stride` apart
    const float *data;
    int64_t stride;
    const float *at(int64_t row) const { return data + row * stride; }
    int64_t place(int row, int64_t k) const { return row * stride + k; }
};

// A matrix (depth, columns) in panels of columns.
class Matrix {
  public:
    Matrix() = default;
    Matrix(const float *from, int64_t depth, int64_t columns, int64_t row_step, int64_t column_step)
        : depth(depth), columns(columns), numbers(depth * padded(columns)) {
        for (int64_t column = 0; column < columns; column++)
            for (int64_t k = 0; k < depth; k++)
                numbers[(column / PANEL * depth + k) * PANEL + column % PANEL] = from[k * row_step + column * column_step];
    }

    // Call `done(row, column, first, second)` for each panel of left @ matrix.
    template <class Done>
    void after(const Rows &left, int64_t rows, const Done &done) const {
        for (int64_t column = 0; column < columns; column += PANEL)
            product(rows, Strided{left.numbers, left.width}, {numbers + column * depth, PANEL, depth},
                    [=](int64_t row, Vector first, Vector second) { done(row, column, first, second); });
    }

  private:
    int64_t depth = 0, columns = 0;
    Floats numbers;
};

// The weights of a call, laid out for products: forwards (inputs, outputs), backwards (outputs, inputs).
struct Shared {
    const Sizes s;
    const Given given;
    const bool normalises, gated, linear;
    Matrix forwards[WEIGHTS], backwards[WEIGHTS];

    Shared(const Sizes &sizes, const Given &given, bool goes_back)
        : s(sizes), given(given), normalises(given.weights[NORM]), gated(given.weights[FC11]), linear(given.weights[LINEAR]) {
        for (Weight weight : {LINEAR, FC11, FC12, FC2}) {
            if (!given.weights[weight]) continue;
            const int64_t inputs = depth(weight), outputs = count(weight);
            forwards[weight] = Matrix(given.weights[weight], inputs, outputs, 1, inputs);
            if (goes_back) backwards[weight] = Matrix(given.weights[weight], outputs, inputs, inputs, 1);
        }
    }

    int64_t depth(Weight weight) const { return weight == FC2 ? s.hidden : s.inputs; }
    int64_t count(Weight weight) const { return weight == FC11 || weight == FC12 ? s.hidden : s.outputs; }
    Floats bias(Weight weight) const {  // with room for whole panels
        Floats numbers(padded(count(weight)));
        const float *from = given.weights[weight + 1];
        if (from) std::copy_n(from, count(weight), static_cast<float *>(numbers));
        return numbers;
    }
};

class Forward {
  public:
    explicit Forward(const Shared &shared) : s(shared), x(s.s.inputs), normed(s.s.inputs), y(s.s.outputs) {
        if (s.linear) bias = s.bias(LINEAR);
        if (!s.gated) return;
        gate = std::make_unique<Rows>(s.s.hidden), hidden = std::make_unique<Rows>(s.s.hidden);
        bias = s.bias(FC2), of_gelu = s.bias(FC11), of_gate = s.bias(FC12);
    }

    void compute(int64_t first, int64_t count, float *to) {
        begin(first, count);
        const Rows *result = &normed;
        if (s.gated) {
            feed(count);
            into(s.forwards[FC2], *hidden, count);
        } else if (s.linear) {
            into(s.forwards[LINEAR], normed, count);
        }
        if (s.gated || s.linear) result = &y;
        for (int64_t row = 0; row < count; row++) {
            const float *from = result->at(row), *plus = s.given.added ? s.given.added + (first + row) * s.s.outputs : nullptr;
            float *at = to + (first + row) * s.s.outputs;
            if (plus) for (int64_t c = 0; c < s.s.outputs; c++) at[c] = plus[c] + from[c];
            else std::copy_n(from, s.s.outputs, at);
        }
    }

  protected:
    // Read tokens and normalise them.
    void begin(int64_t first, int64_t count) {
        for (int64_t row = 0; row < count; row++) {
            std::copy_n(s.given.x + (first + row) * s.s.inputs, s.s.inputs, x.at(row));
            s.normalises ? normalise(row) : static_cast<void>(std::copy_n(x.at(row), s.s.inputs, normed.at(row)));
        }
    }

    void normalise(int64_t row) {
        const float *from = x.at(row), *by = s.given.weights[NORM], *plus = s.given.weights[NORM_BIAS];
        const int64_t channels = s.s.inputs;
        float total = 0, squares = 0;
#pragma omp simd reduction(+ : total)
        for (int64_t c = 0; c < channels; c++) total += from[c];
        const float mean = total / channels;
#pragma omp simd reduction(+ : squares)
        for (int64_t c = 0; c < channels; c++) squares += (from[c] - mean) * (from[c] - mean);
        means[row] = mean, scales[row] = 1 / __builtin_sqrtf(squares / channels + EPSILON);
        float *to = normed.at(row);
        for (int64_t c = 0; c < channels; c++) to[c] = (from[c] - mean) * scales[row] * by[c] + plus[c];
    }

    // hidden = gelu(fc11 x) * fc12 x
    void feed(int64_t count) {
        s.forwards[FC12].after(normed, count, [=](int64_t row, int64_t column, Vector first, Vector second) {
            store(gate->at(row) + column, first + load(of_gate + column), second + load(of_gate + column + LANES));
        });
        s.forwards[FC11].after(normed, count, [=](int64_t row, int64_t column, Vector first, Vector second) {
            const float *by = gate->at(row) + column;
            store(hidden->at(row) + column, gelu(first + load(of_gelu + column)) * load(by),
                  gelu(second + load(of_gelu + column + LANES)) * load(by + LANES));
        });
    }

    void into(const Matrix &matrix, const Rows &from, int64_t count) {
        matrix.after(from, count, [=](int64_t row, int64_t column, Vector first, Vector second) {
            store(y.at(row) + column, first + load(bias + column), second + load(bias + column + LANES));
        });
    }

    const Shared &s;
    Rows x, normed, y;
    std::unique_ptr<Rows> gate, hidden;
    Floats bias, of_gelu, of_gate;
    float means[AT_ONCE], scales[AT_ONCE];
};

class Backward : public Forward {
  public:
    Floats totals[WEIGHTS];  // gradients of weights, matrices with rows of whole panels

    Backward(const Shared &shared, float *const *of_weights) : Forward(shared), gradient(s.s.outputs), of_normed(s.s.inputs) {
        for (int weight = 0; weight < WEIGHTS; weight++)
            if (of_weights[weight]) totals[weight] = Floats(size(weight));
        if (s.gated) slope = std::make_unique<Rows>(s.s.hidden);
    }

    int64_t size(int weight) const {
        if (weight <= NORM_BIAS) return padded(s.s.inputs);
        const Weight matrix = static_cast<Weight>(weight - weight % 2);
        return weight % 2 ? padded(s.count(matrix)) : s.count(matrix) * padded(s.depth(matrix));
    }

    void compute(int64_t first, int64_t count, const float *of_result, float *of_x) {
        begin(first, count);
        for (int64_t row = 0; row < count; row++)
            std::copy_n(of_result + (first + row) * s.s.outputs, s.s.outputs, gradient.at(row));
        if (s.gated) feed_back(count);
        else if (s.linear) {
            add_of(LINEAR, gradient, normed, count);
            back(s.backwards[LINEAR], gradient, count, false);
        } else {
            std::copy_n(static_cast<float *>(gradient.numbers), count * gradient.width, static_cast<float *>(of_normed.numbers));
        }
        for (int64_t row = 0; row < count; row++) {
            if (s.normalises) normalise_back(row);
            if (of_x) std::copy_n(of_normed.at(row), s.s.inputs, of_x + (first + row) * s.s.inputs);
        }
    }

    void write(int weight, float *to) const {
        if (weight <= NORM_BIAS || weight % 2) {
            const int64_t count = weight <= NORM_BIAS ? s.s.inputs : s.count(static_cast<Weight>(weight - 1));
            std::copy_n(static_cast<const float *>(totals[weight]), count, to);
            return;
        }
        const int64_t depth = s.depth(static_cast<Weight>(weight)), width = padded(depth);
        for (int64_t row = 0; row < s.count(static_cast<Weight>(weight)); row++)
            std::copy_n(totals[weight] + row * width, depth, to + row * depth);
    }

  private:
    void feed_back(int64_t count) {
        s.forwards[FC12].after(normed, count, [=](int64_t row, int64_t column, Vector first, Vector second) {
            store(gate->at(row) + column, first + load(of_gate + column), second + load(of_gate + column + LANES));
        });
        s.forwards[FC11].after(normed, count, [=](int64_t row, int64_t column, Vector first, Vector second) {
            const Vector values[2] = {first + load(of_gelu + column), second + load(of_gelu + column + LANES)};
            for (int half = 0; half < 2; half++) {
                const int64_t at = column + half * LANES;
                const Vector distribution = normal_distribution(values[half]), activated = values[half] * distribution;
                const Vector by = load(gate->at(row) + at);
                store(hidden->at(row) + at, activated * by);
                store(slope->at(row) + at, gelu_slope(values[half], distribution) * by);
                store(gate->at(row) + at, activated);
            }
        });
        add_of(FC2, gradient, *hidden, count);
        s.backwards[FC2].after(gradient, count, [=](int64_t row, int64_t column, Vector first, Vector second) {
            float *of_first = slope->at(row) + column, *of_second = gate->at(row) + column;
            store(of_first, load(of_first) * first, load(of_first + LANES) * second);
            store(of_second, load(of_second) * first, load(of_second + LANES) * second);
        });
        add_of(FC11, *slope, normed, count);
        add_of(FC12, *gate, normed, count);
        back(s.backwards[FC11], *slope, count, false);
        back(s.backwards[FC12], *gate, count, true);
    }

    void back(const Matrix &matrix, const Rows &from, int64_t count, bool adds) {
        matrix.after(from, count, [=](int64_t row, int64_t column, Vector first, Vector second) {
            float *to = of_normed.at(row) + column;
            adds ? add(to, first, second) : store(to, first, second);
        });
    }

    // Add the gradients of a matrix and its bias, given that of its results and what went in.
    void add_of(Weight weight, const Rows &of_results, const Rows &inputs, int64_t count) {
        float *to = totals[weight], *of_bias = totals[weight + 1];
        const int64_t results = s.count(weight), width = inputs.width;
        if (to)
            for (int64_t column = 0; column < width; column += PANEL)
                product(results, Columns{of_results.numbers, of_results.width}, {inputs.at(0) + column, width, count},
                        [=](int64_t row, Vector first, Vector second) { add(to + row * width + column, first, second); });
        if (of_bias)
            for (int64_t row = 0; row < count; row++)
                for (int64_t c = 0; c < results; c++) of_bias[c] += of_results.at(row)[c];
    }

    // Make the gradient of normalised tokens that of tokens.
    void normalise_back(int64_t row) {
        float *of = of_normed.at(row), *of_weight = totals[NORM], *of_bias = totals[NORM_BIAS];
        const float *from = x.at(row), *by = s.given.weights[NORM], mean = means[row], scale = scales[row];
        const int64_t channels = s.s.inputs;
        float total = 0, along = 0;
        for (int64_t c = 0; c < channels && of_weight; c++) of_weight[c] += of[c] * (from[c] - mean) * scale;
        for (int64_t c = 0; c < channels && of_bias; c++) of_bias[c] += of[c];
#pragma omp simd reduction(+ : total, along)
        for (int64_t c = 0; c < channels; c++) {
            of[c] *= by[c];
            total += of[c], along += of[c] * (from[c] - mean);
        }
        total /= channels, along *= scale * scale / channels;
        for (int64_t c = 0; c < channels; c++) of[c] = scale * (of[c] - total - along * (from[c] - mean));
    }

    Rows gradient, of_normed;
    std::unique_ptr<Rows> slope;
};

// Call `work(thread, first, count)` for all tokens, some at a time; each thread has a fixed part.
template <class Work>
void in_parts(const Sizes &s, const Work &work) {
    side_by_side(s.threads, [&](int64_t thread) {
        const int64_t parts = (s.rows + AT_ONCE - 1) / AT_ONCE;
        for (int64_t part = parts * thread / s.threads; part < parts * (thread + 1) / s.threads; part++)
            work(thread, part * AT_ONCE, std::min(AT_ONCE, s.rows - part * AT_ONCE));
    });
}

}  // namespace
}  // namespace mindrestore

using namespace mindrestore;

// Compute y (rows, outputs). Returns 0, or 1 where there is not enough memory.
extern "C" int mindrestore_tokens_forward(const Sizes *sizes, const Given *given, float *y) try {
    const Shared shared(*sizes, *given, false);
    std::vector<std::unique_ptr<Forward>> workers;
    for (int64_t thread = 0; thread < sizes->threads; thread++) workers.push_back(std::make_unique<Forward>(shared));
    in_parts(*sizes, [&](int64_t thread, int64_t first, int64_t count) { workers[thread]->compute(first, count, y); });
    return 0;
} catch (const std::bad_alloc &) {
    return 1;
}

// Given that of y, compute the gradients of x and of weights, where not null; that of `added` is the gradient itself. Returns 0,
// or 1 where there is not enough memory.
extern "C" int mindrestore_tokens_backward(const Sizes *sizes, const Given *given, const float *gradient, float *of_x,
                                           float *const *of_weights) try {
    const Shared shared(*sizes, *given, true);
    std::vector<std::unique_ptr<Backward>> workers;
    for (int64_t thread = 0; thread < sizes->threads; thread++) workers.push_back(std::make_unique<Backward>(shared, of_weights));
    in_parts(*sizes, [&](int64_t thread, int64_t first, int64_t count) {
        workers[thread]->compute(first, count, gradient, of_x);
    });
    for (int weight = 0; weight < WEIGHTS; weight++) {
        if (!of_weights[weight]) continue;
        float *total = workers[0]->totals[weight];
        for (int64_t thread = 1; thread < sizes->threads; thread++)
            for (int64_t at = 0; at < workers[0]->size(weight); at++) total[at] += workers[thread]->totals[weight][at];
        workers[0]->write(weight, of_weights[weight]);
    }
    return 0;
} catch (const std::bad_alloc &) {
    return 1;
}
