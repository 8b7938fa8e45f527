// Threads that live as long as one call, and memory for them: nothing waits, or spins, between calls.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace mindrestore {

// Call `work(0)` ... `work(count - 1)`, each in a thread of its own as far as the system has threads; return when all are done.
template <class Work>
void side_by_side(int64_t count, const Work &work) {
    std::vector<std::thread> threads;
    threads.reserve(count);
    try {
        for (int64_t number = 1; number < count; number++) threads.emplace_back(work, number);
    } catch (const std::system_error &) {  // no more threads: what is left is done here
    }
    const auto started = static_cast<int64_t>(threads.size());
    work(0);
    for (int64_t number = started + 1; number < count; number++) work(number);
    for (auto &thread : threads) thread.join();
}

// Call `work(number)` for each number below `count`, in threads that each take the next one.
template <class Work>
void in_turns(int64_t threads, int64_t count, const Work &work) {
    std::atomic<int64_t> next{0};
    side_by_side(std::min(threads, count), [&](int64_t) {
        for (int64_t number = next++; number < count; number = next++) work(number);
    });
}

enum class Filled { ZEROS, LATER };

// Numbers aligned for vectors, zeros unless they are written later.
class Floats {
  public:
    explicit Floats(int64_t count = 0, Filled filled = Filled::ZEROS) {
        if (!count) return;
        const size_t bytes = (static_cast<size_t>(count) * sizeof(float) + 63) / 64 * 64;
        data_.reset(static_cast<float *>(std::aligned_alloc(64, bytes)));
        if (!data_) throw std::bad_alloc();
        if (filled == Filled::ZEROS) std::memset(data_.get(), 0, bytes);
    }
    operator float *() const { return data_.get(); }

  private:
    struct Free {
        void operator()(float *data) const { std::free(data); }
    };
    std::unique_ptr<float, Free> data_;
};

}  // namespace mindrestore
