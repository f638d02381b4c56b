// Drives the Verilated testbench without Python: does what a script says, a record of four words after another.
//
// The streams, the logs and the access to the array are the testbench's own, through files. What is left is the
// clock, the accesses to registers, and waiting. Records are those of `Script` in script.py, which writes them.

#include <chrono>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "Vtop.h"
#include "Vtop___024root.h"
#include "verilated.h"

namespace {

#define SIGNAL(name) (top.rootp->spinbnn_bench__DOT__##name)

using Seconds = std::chrono::duration<double>;
using Time = std::chrono::steady_clock::time_point;

Time now() { return std::chrono::steady_clock::now(); }

// Of the processor: what else the computer does meanwhile is not counted.
double processor_seconds() { return double(std::clock()) / CLOCKS_PER_SEC; }

enum Operation : uint32_t {
    RESET,   // clocks
    WRITE,   // address, word
    READ,    // address; its word is an answer
    LIMIT,   // low and high word of the most clocks of each wait from now on
    WAIT,    // address, mask, value: until the masked register has that value
    STAGE,   // number of a stage, its total, beats for each that is done
    PLAY,    // number of a file, its beats: sends it on the program stream, to the end
    RECORD,  // pauses in the file of the result stream, which is taken from now on
    FEED,    // beats in the file of the image stream, which is offered from now on
    RUN,     // waits for the interrupt
    STOP,    // ends the image stream
    LOAD,    // the array, from the files of its banks
    DUMP,    // number of a folder, banks: the array into files there
    FLUSH,   // the logs
};

const char* const STAGES[] = {"program", "images"};
const double PROGRESS_SECONDS = 0.2;
const uint64_t PROGRESS_CLOCKS = 4096;

struct Record {
    uint32_t operation, a, b, c;
};

// Why the script cannot go on: the machine hangs, or answered an access with an error.
struct Failure {
    std::string text;
};

class Driver {
public:
    explicit Driver(VerilatedContext& context) : top(&context) { settle(0); }

    ~Driver() { top.final(); }

    void run(const std::vector<Record>& script) {
        for (const Record& record : script) {
            perform(record);
            ++done;
        }
    }

    // The number of records that were done.
    uint64_t done = 0;
    uint64_t clocks = 0;
    double run_seconds = 0;
    std::vector<uint32_t> answers;

private:
    void perform(const Record& r) {
        switch (r.operation) {
        case RESET: reset(r.a); break;
        case WRITE: write(r.a, r.b); break;
        case READ: answers.push_back(read(r.a)); break;
        case LIMIT: limit = r.a | uint64_t(r.b) << 32; break;
        case WAIT: wait(r.a, r.b, r.c); break;
        case STAGE: stage(r.a, r.b, r.c); break;
        case PLAY: play(r.a, r.b); break;
        case RECORD:
            SIGNAL(m_axis_result_t_total) = r.a;
            SIGNAL(m_axis_result_t_job) = ++result_jobs;
            break;
        case FEED:
            SIGNAL(s_axis_image_t_total) = r.a;
            SIGNAL(s_axis_image_t_job) = ++image_jobs;
            break;
        case RUN: run_images(); break;
        case STOP:
            SIGNAL(s_axis_image_t_job) = 0;
            SIGNAL(s_axis_image_tvalid) = 0;
            break;
        case LOAD: pulse(SIGNAL(load_array)); break;
        case DUMP: dump(r.a, r.b); break;
        case FLUSH: pulse(SIGNAL(flush_logs)); break;
        default: throw Failure{"unknown " + std::to_string(r.operation)};
        }
    }

    void settle(int clk) {
        top.clk = clk;
        top.eval();
    }

    // A whole clock. What is set before it, the edge sees; what is read behind it, the edge made.
    void clock() {
        settle(0);
        settle(1);
        ++clocks;
    }

    template <typename Signal> void pulse(Signal& signal) {
        signal = 1;
        top.eval();
        signal = 0;
        top.eval();
    }

    void reset(uint32_t length) {
        SIGNAL(rst) = 1;
        for (uint32_t n = 0; n < length; ++n) clock();
        SIGNAL(rst) = 0;
        SIGNAL(s_axi_bready) = 1;
        SIGNAL(s_axi_rready) = 1;
    }

    // Whether a beat of a channel is accepted is settled before the edge, when its signals may still change.
    void write(uint32_t address, uint32_t word) {
        SIGNAL(s_axi_awaddr) = address;
        SIGNAL(s_axi_wdata) = word;
        SIGNAL(s_axi_wstrb) = 0xF;
        SIGNAL(s_axi_awvalid) = 1;
        SIGNAL(s_axi_wvalid) = 1;
        const uint64_t until = clocks + limit;
        for (bool answered = false; !answered;) {
            settle(0);
            const bool address_taken = SIGNAL(s_axi_awvalid) && SIGNAL(s_axi_awready);
            const bool word_taken = SIGNAL(s_axi_wvalid) && SIGNAL(s_axi_wready);
            answered = SIGNAL(s_axi_bvalid);
            const uint32_t response = SIGNAL(s_axi_bresp);
            settle(1);
            ++clocks;
            if (address_taken) SIGNAL(s_axi_awvalid) = 0;
            if (word_taken) SIGNAL(s_axi_wvalid) = 0;
            if (answered && response) refused(response);
            if (!answered) check(until);
        }
    }

    uint32_t read(uint32_t address) {
        SIGNAL(s_axi_araddr) = address;
        SIGNAL(s_axi_arvalid) = 1;
        const uint64_t until = clocks + limit;
        for (;;) {
            settle(0);
            const bool address_taken = SIGNAL(s_axi_arvalid) && SIGNAL(s_axi_arready);
            const bool answered = SIGNAL(s_axi_rvalid);
            const uint32_t word = SIGNAL(s_axi_rdata);
            const uint32_t response = SIGNAL(s_axi_rresp);
            settle(1);
            ++clocks;
            if (address_taken) SIGNAL(s_axi_arvalid) = 0;
            if (answered && response) refused(response);
            if (answered) return word;
            check(until);
        }
    }

    void wait(uint32_t address, uint32_t mask, uint32_t value) {
        const uint64_t until = clocks + limit;
        while ((read(address) & mask) != value) check(until);
    }

    void play(uint32_t number, uint32_t beats) {
        std::filesystem::rename("program_" + std::to_string(number) + ".beats", "s_axis_program_t.beats");
        SIGNAL(s_axis_program_t_total) = beats;
        SIGNAL(s_axis_program_t_job) = ++program_jobs;
        const uint32_t before = SIGNAL(s_axis_program_t_beats);
        const uint64_t until = clocks + limit;
        while (SIGNAL(s_axis_program_t_done) != program_jobs) {
            clock();
            check(until);
            if (clocks % PROGRESS_CLOCKS == 0) progress(SIGNAL(s_axis_program_t_beats) - before);
        }
    }

    void run_images() {
        const double started = processor_seconds();
        const uint32_t before = SIGNAL(m_axis_result_t_beats);
        const uint64_t until = clocks + limit;
        while (!SIGNAL(irq)) {
            clock();
            check(until);
            if (clocks % PROGRESS_CLOCKS == 0) progress(SIGNAL(m_axis_result_t_beats) - before);
        }
        run_seconds = processor_seconds() - started;
    }

    void dump(uint32_t number, uint32_t banks) {
        pulse(SIGNAL(dump_array));
        const std::filesystem::path folder = "dump" + std::to_string(number);
        std::filesystem::create_directory(folder);
        for (uint32_t bank = 0; bank < banks; ++bank) {
            const std::string file = "bank_" + std::to_string(bank) + ".hex";
            std::filesystem::rename(file, folder / file);
        }
    }

    void check(uint64_t until) {
        if (clocks >= until) throw Failure{"hang " + std::to_string(clocks)};
    }

    void refused(uint32_t response) { throw Failure{"refused " + std::to_string(response)}; }

    void stage(uint32_t number, uint32_t of_stage, uint32_t beats) {
        stage_name = STAGES[number];
        total = of_stage;
        beats_each = beats;
    }

    // Seldom enough to cost nothing. The file appears whole, as it is renamed.
    void progress(uint32_t beats) {
        const Time time = now();
        if (time < next_progress) return;
        next_progress = time + std::chrono::duration_cast<Time::duration>(Seconds(PROGRESS_SECONDS));
        std::ofstream("progress.new") << stage_name << ' ' << beats / beats_each << ' ' << total;
        std::filesystem::rename("progress.new", "progress");
    }

    Vtop top;
    uint64_t limit = 1000;
    uint32_t program_jobs = 0, image_jobs = 0, result_jobs = 0;
    const char* stage_name = STAGES[0];
    uint32_t total = 0, beats_each = 1;
    Time next_progress = now();
};

template <typename Word> std::vector<Word> read_file(const char* path) {
    std::ifstream file(path, std::ios::binary);
    std::vector<Word> words(std::filesystem::file_size(path) / sizeof(Word));
    file.read(reinterpret_cast<char*>(words.data()), words.size() * sizeof(Word));
    return words;
}

}  // namespace

// Works in its current directory: reads "script", writes "answers" and "summary". The exit code is 0 also where
// the machine failed: the summary says so.
int main(int argc, char** argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    const std::vector<Record> script = read_file<Record>("script");
    std::string failure = "none";
    Driver driver(context);
    try {
        driver.run(script);
    } catch (const Failure& found) {
        failure = found.text;
    }
    std::ofstream("answers", std::ios::binary)
        .write(reinterpret_cast<const char*>(driver.answers.data()), driver.answers.size() * sizeof(uint32_t));
    std::ofstream("summary") << driver.done << ' ' << driver.clocks << ' ' << driver.run_seconds << ' '
                             << processor_seconds() << ' ' << failure << '\n';
    return 0;
}
