// Drives an array of banks: random rows and thresholds, then beats in patterns like the engine's.
// Usage: array CLOCKS REPEATS [dump]. Prints a hash of all outputs of every clock and the clocks a second (of processor
// time, so that other jobs count less), best of the repeats; with "dump" all outputs of each clock as well.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <type_traits>
#include <vector>

#include "Vbench_array.h"
#include "verilated.h"

namespace {

constexpr unsigned kPeriod = 4096;  // clocks of stimulus, which repeat

struct Stimulus {
    bool read, threshold_read;
    uint32_t row, threshold_row, mask_count, control;
    std::vector<uint32_t> operand, mask;
};

// The ports of a Verilated model are integers up to 64 bits and arrays of words above.
template <typename Port>
void put(Port& port, const std::vector<uint32_t>& words) {
    if constexpr (std::is_integral_v<Port>) {
        uint64_t value = words[0];
        if (words.size() > 1) value |= uint64_t(words[1]) << 32;
        port = static_cast<Port>(value);
    } else {
        for (size_t i = 0; i < words.size(); ++i) port[i] = words[i];
    }
}

template <typename Port, typename Use>
void each_word(const Port& port, Use use) {
    if constexpr (std::is_integral_v<Port>) {
        use(uint32_t(port));
        if constexpr (sizeof(Port) > 4) use(uint32_t(port >> 32));
    } else {
        for (size_t i = 0; i < sizeof(port) / sizeof(uint32_t); ++i) use(port[i]);
    }
}

class Bench {
  public:
    Bench(unsigned banks, unsigned width, unsigned rows, unsigned thresholds, unsigned accumulator_bits)
        : banks_(banks), width_(width), rows_(rows), thresholds_(thresholds), accumulator_bits_(accumulator_bits) {}

    void load() {
        top_.rst = 1;
        clock();
        top_.rst = 0;
        top_.array_write = 1;
        for (unsigned bank = 0; bank < banks_; ++bank) {
            for (unsigned row = 0; row < rows_; ++row) {
                put(top_.array_enable, only(bank));
                top_.array_row = row;
                put(top_.array_write_data, bits(width_));
                clock();
            }
        }
        put(top_.array_enable, std::vector<uint32_t>(words(banks_)));
        top_.array_write = 0;
        for (unsigned bank = 0; bank < banks_; ++bank) {
            for (unsigned row = 0; row < thresholds_; ++row) {
                put(top_.threshold_write_enable, only(bank));
                top_.threshold_write_row = row;
                top_.threshold_write_data = random_() & ((2u << accumulator_bits_) - 1);
                clock();
            }
        }
        put(top_.threshold_write_enable, std::vector<uint32_t>(words(banks_)));
        compose();
    }

    double run(unsigned clocks, bool dump) {
        const std::vector<uint32_t> all = only(banks_), none(words(banks_));
        const std::clock_t begin = std::clock();
        for (unsigned i = 0; i < clocks; ++i) {
            const Stimulus& now = stimuli_[i % kPeriod];
            put(top_.array_enable, now.read ? all : none);
            top_.array_row = now.row;
            put(top_.operand, now.operand);
            put(top_.mask, now.mask);
            top_.mask_count = now.mask_count;
            top_.control = now.control;
            top_.threshold_read_enable = now.threshold_read;
            top_.threshold_read_row = now.threshold_row;
            clock();
            auto use = [this](uint32_t word) { hash_ = (hash_ ^ word) * 0x100000001b3; };
            each_word(top_.bits, use);
            each_word(top_.sums, use);
            if (dump) print();
        }
        return clocks * double(CLOCKS_PER_SEC) / (std::clock() - begin);
    }

    uint64_t hash() const { return hash_; }

  private:
    static unsigned words(unsigned bits) { return (bits + 31) / 32; }

    // Bit `bank`, or all bits where it is past the last bank.
    std::vector<uint32_t> only(unsigned bank) const {
        std::vector<uint32_t> found(words(banks_));
        for (unsigned i = 0; i < banks_; ++i)
            if (i == bank || bank == banks_) found[i / 32] |= 1u << i % 32;
        return found;
    }

    std::vector<uint32_t> bits(unsigned width) {
        std::vector<uint32_t> drawn(words(width));
        for (uint32_t& word : drawn) word = random_();
        if (width % 32) drawn.back() &= (1u << width % 32) - 1;
        return drawn;
    }

    // Beats of neuron groups of several words, each of one step or of eight planes, now and then with a pause.
    void compose() {
        stimuli_.assign(kPeriod, Stimulus{});
        for (Stimulus& each : stimuli_) {
            each.operand = bits(width_);
            each.mask = bits(width_);
            each.row = random_() % rows_;
            each.threshold_row = random_() % thresholds_;
        }
        unsigned t = 0;
        while (t < kPeriod) {
            const unsigned group_words = 1 + random_() % 16, planes = random_() % 3 ? 1 : 8;
            const bool logits = random_() % 8 == 0, unsigned_inputs = planes > 1;
            const bool pool_first = random_() % 4 != 0, pool_flipped = random_() % 2;
            for (unsigned word = 0; word < group_words; ++word) {
                for (unsigned plane = 0; plane < planes; ++plane) {
                    if (random_() % 50 == 0) ++t;
                    const bool last = word == group_words - 1 && plane == planes - 1;
                    at(t).read = plane == 0;
                    Stimulus& beat = at(t + 1);
                    if (unsigned_inputs) beat.mask = beat.operand;
                    else if (word < group_words - 1) beat.mask.assign(beat.mask.size(), ~0u);
                    if (width_ % 32) beat.mask.back() &= (1u << width_ % 32) - 1;
                    at(t + 2).control |= 1u << 1 | unsigned(plane == 0) << 2 | 1u << 3;
                    if (word == 0 && plane == planes - 1) at(t + 2).threshold_read = !logits;
                    if (plane == planes - 1)
                        at(t + 3).control |= 1u << 6 | unsigned(word == 0) << 7 | unsigned(logits) << 8;
                    if (last)
                        at(t + 4).control |= 1u << 9 | unsigned(pool_first) << 10 | unsigned(pool_flipped) << 11;
                    ++t;
                }
            }
        }
        for (unsigned i = 0; i < kPeriod; ++i) {
            unsigned count = 0;
            for (uint32_t word : at(i).mask) count += __builtin_popcount(word);
            at(i + 1).mask_count = count;
        }
    }

    Stimulus& at(unsigned t) { return stimuli_[t % kPeriod]; }

    void clock() {
        top_.clk = 1;
        top_.eval();
        top_.clk = 0;
        top_.eval();
    }

    void print() {
        auto use = [](uint32_t word) { std::printf("%08x ", word); };
        each_word(top_.bits, use);
        each_word(top_.sums, use);
        std::printf("\n");
    }

    const unsigned banks_, width_, rows_, thresholds_, accumulator_bits_;
    Vbench_array top_;
    std::mt19937 random_{1};
    std::vector<Stimulus> stimuli_;
    uint64_t hash_ = 0xcbf29ce484222325;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    const unsigned clocks = std::atoi(argv[1]), repeats = std::atoi(argv[2]);
    Bench bench(BANKS, WORD_BITS, ROWS, THRESHOLD_ROWS, ACCUMULATOR_BITS);
    bench.load();
    double best = 0;
    for (unsigned i = 0; i < repeats; ++i) {
        const double speed = bench.run(clocks, argc > 3);
        if (speed > best) best = speed;
    }
    std::printf("%016llx %.0f\n", static_cast<unsigned long long>(bench.hash()), best);
}
