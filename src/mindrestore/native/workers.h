// Threads that help the one that calls; and memory. The threads are kept from call to call and sleep in between: a new one often
// waits a millisecond for the core of the one that made it, while another core is idle.
#pragma once
#include <algorithm>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

#include <sched.h>
#include <unistd.h>

namespace mindrestore {

// A thread that does one job at a time for another, in whose floating-point mode it computes.
class Helper {
  public:
    using Job = void (*)(const void *work, int64_t number);

    Helper() : thread([this] { live(); }) {}
    ~Helper() { wait(), change(ENDING), thread.join(); }

    // Start `job(work, number)`; `wait` returns when it is done.
    void start(Job job, const void *work, int64_t number) {
        this->job = job, this->work = work, this->number = number;
        std::fegetenv(&mode);
        change(WORKING);
    }
    void wait() {
        await([](State state) { return state == FREE; });
    }

  private:
    enum State { FREE, WORKING, ENDING };
    // Parts of a call follow each other sooner than a thread falls asleep and wakes up.
    static constexpr std::chrono::microseconds AWAKE{30};

    void live() {
        while (await([](State state) { return state != FREE; }) == WORKING) {
            std::fesetenv(&mode);
            job(work, number);
            change(FREE);
        }
    }

    void change(State to) {
        {
            const std::lock_guard<std::mutex> lock(mutex);
            state.store(to, std::memory_order_release);
        }
        changed.notify_one();
    }

    template <class Reached>
    State await(const Reached &reached) {
        for (const auto end = std::chrono::steady_clock::now() + AWAKE; std::chrono::steady_clock::now() < end;)
            if (reached(state.load(std::memory_order_acquire))) return state;
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [&] { return reached(state); });
        return state;
    }

    Job job;
    const void *work;
    int64_t number;
    std::fenv_t mode;
    std::atomic<State> state{FREE};
    std::mutex mutex;
    std::condition_variable changed;
    std::thread thread;  // last: it uses the others
};

// The helpers of one thread.
class Crew {
  public:
    ~Crew() {
        if (!here()) leave();
    }

    // Have `count` helpers, or as many as the system allows; return how many.
    int64_t gather(int64_t count) {
        if (!here()) leave(), process = getpid();
        if (moved()) helpers.clear();  // new ones keep to the cores of the thread that makes them
        try {
            while (static_cast<int64_t>(helpers.size()) < count) helpers.push_back(std::make_unique<Helper>());
        } catch (const std::exception &) {  // no more threads, or no memory for them
        }
        return std::min<int64_t>(count, helpers.size());
    }
    void wait(int64_t count) {
        for (int64_t number = 0; number < count; number++) helpers[number]->wait();
    }
    Helper &operator[](int64_t number) { return *helpers[number]; }

  private:
    bool here() const { return process == getpid(); }
    void leave() {  // a process that was forked has none of the threads, and cannot wait for them
        for (auto &helper : helpers) helper.release();
        helpers.clear();
    }

    // Whether this thread was given other cores since the last time.
    bool moved() {
#ifdef __linux__
        cpu_set_t now;
        CPU_ZERO(&now);
        if (sched_getaffinity(0, sizeof now, &now) || CPU_EQUAL(&now, &cores)) return false;
        cores = now;
        return true;
#else
        return false;
#endif
    }

    std::vector<std::unique_ptr<Helper>> helpers;
    pid_t process = getpid();
#ifdef __linux__
    cpu_set_t cores{};
#endif
};

inline thread_local Crew crew;

// Call `work(0)` ... `work(count - 1)`, each in a thread of its own as far as there are threads; return when all are done. `work`
// does not call this itself.
template <class Work>
void side_by_side(int64_t count, const Work &work) {
    const Helper::Job job = [](const void *of_all, int64_t number) { (*static_cast<const Work *>(of_all))(number); };
    const int64_t helped = crew.gather(count - 1);
    const struct Waiting {
        int64_t helped;
        ~Waiting() { crew.wait(helped); }  // where work(0) throws, too: helpers use `work` until then
    } waiting{helped};
    for (int64_t number = 1; number <= helped; number++) crew[number - 1].start(job, &work, number);
    work(0);
    for (int64_t number = helped + 1; number < count; number++) work(number);
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
