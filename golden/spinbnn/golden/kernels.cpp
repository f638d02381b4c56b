// One layer on many images: bit-planes, windows, differing bits, pooling, thresholds. See kernels.py.
//
// Each input plane and each weight plane is a run of bits. A sum is
//     base + the sum over terms of factor * popcount(input plane ^ weight plane),
// modulo 2**32 on the way, which is exact as the sum itself fits int32. Where the machine multiplies bytes faster than
// it counts bits, a sum is base + the products of codes, as bytes, and weights, as signed bytes.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#if defined(__AVX512BW__) || defined(__AVX512VPOPCNTDQ__)
#include <immintrin.h>
#endif
#if defined(__AMX_INT8__) && defined(__AVX512BW__) && defined(__AVX512VL__) && defined(__linux__)
#define TILES
#include <sys/syscall.h>
#endif

namespace {

constexpr int64_t LANES = 16;  // neurons side by side
constexpr int64_t ROWS = 8;    // windows that meet a vector of weights at once: their sums fill half the registers
constexpr int64_t BLOCK = 64;  // windows that stay in the first-level cache while all weights pass by
constexpr int64_t TILE_BLOCK = 32;  // the same as bytes

using Vector = uint32_t __attribute__((vector_size(4 * LANES)));

enum Pooling { NONE, MAX, SUM, OR };

}  // namespace

extern "C" {

// The fields of kernels._Layer, in its order.
struct Layer {
    int64_t height, width, channels;      // of the input map
    int64_t kernel_height, kernel_width;
    int64_t stride_down, stride_across;
    int64_t top, left, bottom, right;     // padding, whose pixels hold the code `fill`
    int64_t fill;
    int64_t toggled;                      // bits of a code that are toggled, so that it is unsigned
    int64_t planes;                       // bits of a code
    int64_t sum_height, sum_width, neurons;
    int64_t terms;
    const int64_t *term_plane, *term_weights, *term_factor;
    const uint32_t *weights;              // [weight plane][block of 16 neurons][word][neuron]
    const int8_t *byte_weights;           // [block of 16 neurons][4 elements][neuron][element], instead of `weights`
    const int32_t *base;                  // [neurons] or [sum position][neurons], in whole blocks
    int64_t base_of_positions;
    int64_t relu;
    int64_t pooling, pool_height, pool_width, pool_down, pool_across;
    int64_t out_height, out_width;        // behind pooling
    int64_t thresholds;                   // 0 without a head
    const int32_t *threshold;             // [threshold][neurons]
    const uint8_t *flip;
    int64_t low, mask;
};

}

namespace {

inline Vector popcount(Vector v) {
#ifdef __AVX512VPOPCNTDQ__
    return (Vector)_mm512_popcnt_epi32((__m512i)v);
#else
    v = v - ((v >> 1) & 0x55555555u);
    v = (v & 0x33333333u) + ((v >> 2) & 0x33333333u);
    v = (v + (v >> 4)) & 0x0f0f0f0fu;
    v = v + (v >> 8);
    return (v + (v >> 16)) & 0x3fu;
#endif
}

// Plane p of 64 codes.
inline uint64_t plane_of(const uint8_t *codes, int64_t p) {
#ifdef __AVX512BW__
    return _mm512_test_epi8_mask(_mm512_loadu_si512(codes), _mm512_set1_epi8((char)(1 << p)));
#else
    uint64_t bits = 0;
    for (int octet = 0; octet < 8; octet++) {
        uint64_t eight;
        std::memcpy(&eight, codes + 8 * octet, 8);
        eight = eight >> p & 0x0101010101010101u;
        bits |= (eight * 0x0102040810204080u >> 56) << 8 * octet;  // gathers the lowest bit of each byte
    }
    return bits;
#endif
}

// Copy `count` bits to where zeros are. Both ends may be touched up to a word further.
inline void copy_bits(uint64_t *to, int64_t to_bit, const uint64_t *from, int64_t from_bit, int64_t count) {
    if ((to_bit | from_bit | count) % 64 == 0) {
        std::memcpy(to + to_bit / 64, from + from_bit / 64, count / 8);
        return;
    }
    for (int64_t done = 0; done < count; done += 64) {
        const int64_t source = from_bit + done, target = to_bit + done;
        const int64_t word = source / 64, right = source % 64, left = target % 64;
        uint64_t bits = from[word] >> right;
        if (right) bits |= from[word + 1] << (64 - right);
        if (count - done < 64) bits &= (uint64_t(1) << (count - done)) - 1;
        to[target / 64] |= bits << left;
        if (left) to[target / 64 + 1] |= bits >> (64 - left);
    }
}

// What a thread needs to compute image after image.
struct Worker {
    const Layer &l;
    const int64_t positions, outputs, length, words, slices, block_windows;
    const bool straight;
    const int64_t row_codes, row_words, padded_height, blocks, chunks, stride;
    const uint8_t *map = nullptr;       // [y][x][channel]
    std::vector<uint8_t> padded;
    std::vector<uint64_t> rows;         // [plane][y][row word]
    std::vector<uint64_t> windows;      // of a block: [window][plane][slice]
    std::vector<uint32_t> interleaved;  // the same, side by side
    std::vector<Vector> byte_windows;   // of a block: [window][64 codes]
    std::vector<int32_t> integers, pooled;
    std::vector<int8_t> activations;

    // At most `images` at a time. The caller may have room for their sums, or all codes come straight from corners.
    Worker(const Layer &layer, int64_t images, bool caller_has_room, bool straight_codes)
        : l(layer),
          positions(l.sum_height * l.sum_width),
          outputs(l.out_height * l.out_width),
          length(l.kernel_height * l.kernel_width * l.channels),
          words((length + 31) / 32),
          slices((length + 63) / 64),
          block_windows(l.byte_weights ? TILE_BLOCK : BLOCK),
          straight(straight_codes),
          row_codes((l.left + l.width + l.right) * l.channels),
          row_words((row_codes + 63) / 64),
          padded_height(l.top + l.height + l.bottom),
          blocks((l.neurons + LANES - 1) / LANES),
          chunks((length + 63) / 64),
          stride(chunks | 1),  // an odd number of cache lines: windows share no set of the cache
          padded(padded_height * row_codes + 64),
          rows(l.byte_weights ? 0 : l.planes * padded_height * row_words + 1),
          windows(l.byte_weights ? 0 : BLOCK * l.planes * slices + 1),
          interleaved(l.byte_weights ? 0 : BLOCK * l.planes * words),
          byte_windows(l.byte_weights ? TILE_BLOCK * stride : 0),
          integers(straight || (caller_has_room && !pooled_first()) ? 0 : images * positions * l.neurons),
          pooled(caller_has_room || !pooled_first() ? 0 : images * outputs * l.neurons),
          activations(l.pooling == OR ? positions * l.neurons : 0) {}

    bool pooled_first() const { return l.pooling == MAX || l.pooling == SUM; }

    // Let `map` be the padded map of an image, its codes ready to be packed or multiplied.
    void pad(const uint8_t *x) {
        if (l.byte_weights && !l.toggled && row_codes * padded_height == l.height * l.width * l.channels) {
            map = x;
            return;
        }
        map = padded.data();
        const int64_t inside = l.width * l.channels;
        if (row_codes > inside || padded_height > l.height)
            std::memset(padded.data(), (int)l.fill, padded_height * row_codes);
        for (int64_t y = 0; y < l.height; y++)
            std::memcpy(&padded[(l.top + y) * row_codes + l.left * l.channels], x + y * inside, inside);
        if (l.toggled)
            for (int64_t i = 0; i < padded_height * row_codes; i++) padded[i] ^= (uint8_t)l.toggled;
    }

    // What lies behind a row, in its last word, is never looked at.
    void pack() {
        for (int64_t p = 0; p < l.planes; p++)
            for (int64_t y = 0; y < padded_height; y++)
                for (int64_t k = 0; k < row_words; k++)
                    rows[(p * padded_height + y) * row_words + k] = plane_of(map + y * row_codes + 64 * k, p);
    }

    // Gather a window, number `to` of its block: a row of a window is a run of bits of a row of the map.
    void unfold(int64_t position, int64_t to) {
        const int64_t y = position / l.sum_width * l.stride_down, run = l.kernel_width * l.channels;
        const int64_t x = position % l.sum_width * l.stride_across * l.channels;
        if (l.byte_weights) {
            for (int64_t ky = 0; ky < l.kernel_height; ky++)
                std::memcpy((uint8_t *)&byte_windows[to * stride] + ky * run, map + (y + ky) * row_codes + x, run);
            return;
        }
        uint64_t *window = &windows[to * l.planes * slices];
        std::memset(window, 0, l.planes * slices * sizeof(uint64_t));
        for (int64_t p = 0; p < l.planes; p++, window += slices)
            for (int64_t ky = 0; ky < l.kernel_height; ky++)
                copy_bits(window, ky * run, &rows[(p * padded_height + y + ky) * row_words], x, run);
    }

    // Put the words of COUNT windows side by side, so that one address leads to them all: [plane][word][window].
    template <int64_t COUNT>
    void interleave(int64_t first, uint32_t *to) const {
        const auto *from = (const uint32_t *)&windows[first * l.planes * slices];
        for (int64_t p = 0; p < l.planes; p++, from += 2 * slices)
            for (int64_t k = 0; k < words; k++)
                for (int64_t i = 0; i < COUNT; i++) *to++ = from[i * l.planes * 2 * slices + k];
    }

    // The sums of COUNT windows, interleaved, and a block of neurons.
    template <int64_t COUNT>
    void sums_of(const uint32_t *inputs, int64_t first, int64_t block, int32_t *sums) const {
        Vector total[COUNT] = {};
        for (int64_t term = 0; term < l.terms; term++) {
            const uint32_t *x = inputs + l.term_plane[term] * words * COUNT;
            const auto *w = (const Vector *)l.weights + (l.term_weights[term] * blocks + block) * words;
            Vector differing[COUNT] = {};
#pragma GCC unroll 2
            for (int64_t k = 0; k < words; k++, x += COUNT)
                for (int64_t i = 0; i < COUNT; i++) differing[i] += popcount(w[k] ^ x[i]);
            for (int64_t i = 0; i < COUNT; i++) total[i] += differing[i] * (uint32_t)l.term_factor[term];
        }
        for (int64_t i = 0; i < COUNT; i++) keep(total[i] + base(first + i, block), first + i, block, sums);
    }

    Vector base(int64_t window, int64_t block) const {
        const int64_t position = l.base_of_positions ? window % positions : 0;
        return ((const Vector *)l.base)[position * blocks + block];
    }

    void keep(const Vector &of_block, int64_t window, int64_t block, int32_t *sums) const {
        const int64_t room = std::min(LANES, l.neurons - block * LANES);
        int32_t *to = sums + window * l.neurons + block * LANES;
        if (room == LANES)
            std::memcpy(to, &of_block, sizeof(Vector));
        else
            std::memcpy(to, &of_block, room * sizeof(int32_t));
    }

    // The sums of the windows of a block, `count` from number `begin` on.
    void packed_sums(int64_t begin, int64_t count, int32_t *sums) {
        const int64_t size = l.planes * words, whole = count - count % ROWS;
        uint32_t *inputs = interleaved.data();
        for (int64_t i = 0; i < whole; i += ROWS) interleave<ROWS>(i, inputs + i * size);
        for (int64_t i = whole; i < count; i++) interleave<1>(i, inputs + i * size);
        for (int64_t block = 0; block < blocks; block++) {
            for (int64_t i = 0; i < whole; i += ROWS) sums_of<ROWS>(inputs + i * size, begin + i, block, sums);
            for (int64_t i = whole; i < count; i++) sums_of<1>(inputs + i * size, begin + i, block, sums);
        }
    }

#ifdef TILES
    // The same in tiles of 16 windows or 16 neurons: two of each at a time, a corner, whose sums are four tiles. They
    // are kept, or only the codes that come straight from them.
    void byte_sums(int64_t begin, int64_t count, int32_t *sums, int8_t *codes) const {
        const int64_t first = l.base_of_positions ? begin % positions : 0;
        const int64_t step = l.base_of_positions ? 64 * blocks : 0;
        const bool one_image = !l.base_of_positions || first + TILE_BLOCK <= positions;
        for (int64_t block = 0; block < blocks; block += 2)
            if (one_image && count == TILE_BLOCK && l.neurons - block * LANES >= 2 * LANES) {
                const int64_t to = begin * l.neurons + block * LANES;
                const char *bases = (const char *)l.base + first * step + block * 64;
                if (!straight) {
                    corner(block, bases, step, 64, sums + to, l.neurons);
                    continue;
                }
                Vector buffer[TILE_BLOCK][2];
                corner(block, bases, step, 64, (int32_t *)buffer, 2 * LANES);
                activate_corner(buffer, block * LANES, codes + to);
            } else {
                part_of_corner(begin, block, count, sums, codes);
            }
    }

    // The sums of a block of windows and 32 neurons. The bases of a window are `base_step` bytes behind those of the
    // one before, and those of the second 16 neurons `base_half` bytes behind the first; `to` has rows of `row` sums.
    //
    // Weights are loaded as what is not met again soon: so they do not drive the windows out of the first-level cache.
    void corner(int64_t block, const char *base, int64_t base_step, int64_t base_half, int32_t *to,
                int64_t row) const {
        asm volatile("" ::: "memory");  // the compiler does not see that loads of tiles read memory
        _tile_loadd(0, base, base_step);
        _tile_loadd(1, base + base_half, base_step);
        _tile_loadd(2, base + 16 * base_step, base_step);
        _tile_loadd(3, base + 16 * base_step + base_half, base_step);
        const auto *x = (const uint8_t *)byte_windows.data();
        const int64_t step = 64 * stride;
        const int8_t *w = l.byte_weights + block * chunks * 1024;
        for (int64_t k = 0; k < chunks; k++, x += 64, w += 1024) {
            _tile_stream_loadd(6, w, 64);
            _tile_stream_loadd(7, w + chunks * 1024, 64);
            _tile_loadd(4, x, step);
            _tile_dpbusd(0, 4, 6);
            _tile_dpbusd(1, 4, 7);
            _tile_loadd(5, x + 16 * step, step);
            _tile_dpbusd(2, 5, 6);
            _tile_dpbusd(3, 5, 7);
        }
        _tile_stored(0, to, 4 * row);
        _tile_stored(1, to + 16, 4 * row);
        _tile_stored(2, to + 16 * row, 4 * row);
        _tile_stored(3, to + 16 * row + 16, 4 * row);
    }

    void activate_corner(const Vector (*sums)[2], int64_t neuron, int8_t *to) const {
        const __m512i first = _mm512_loadu_si512(l.threshold + neuron);
        const __m512i second = _mm512_loadu_si512(l.threshold + neuron + LANES);
        const __m256i flipped = _mm256_loadu_si256((const __m256i *)(l.flip + neuron));
        const __mmask32 flip = _mm256_test_epi8_mask(flipped, flipped);
        const __m256i low = _mm256_set1_epi8((char)l.low), high = _mm256_set1_epi8((char)(l.low + 1));
        for (int64_t r = 0; r < TILE_BLOCK; r++) {
            const __mmask32 left = _mm512_cmpge_epi32_mask((__m512i)sums[r][0], first);
            const __mmask32 right = _mm512_cmpge_epi32_mask((__m512i)sums[r][1], second);
            const __mmask32 ones = (left | right << LANES) ^ flip;
            _mm256_storeu_si256((__m256i *)(to + r * l.neurons), _mm256_mask_blend_epi8(ones, low, high));
        }
    }

    void part_of_corner(int64_t begin, int64_t block, int64_t count, int32_t *sums, int8_t *codes) const {
        Vector buffer[TILE_BLOCK][2];
        const int64_t pair = std::min<int64_t>(2, blocks - block);
        for (int64_t r = 0; r < count; r++)
            for (int64_t c = 0; c < pair; c++) buffer[r][c] = base(begin + r, block + c);
        corner(block, (const char *)buffer, 128, 64, (int32_t *)buffer, 32);
        const int64_t room = std::min(pair * LANES, l.neurons - block * LANES);
        for (int64_t r = 0; r < count; r++)
            if (straight)
                activate_bits((int32_t *)buffer[r], l.threshold + block * LANES, l.flip + block * LANES,
                              codes + (begin + r) * l.neurons + block * LANES, room, (int8_t)l.low);
            else
                for (int64_t c = 0; c < pair; c++) keep(buffer[r][c], begin + r, block + c, sums);
    }
#else
    void byte_sums(int64_t, int64_t, int32_t *, int8_t *) const {}
#endif

    void all_sums(int64_t images, const uint8_t *x, int32_t *sums, int8_t *codes) {
        int64_t begin = 0, count = 0;
        auto finish = [&] {
            if (l.byte_weights)
                byte_sums(begin, count, sums, codes);
            else
                packed_sums(begin, count, sums);
            begin += count;
            count = 0;
        };
        for (int64_t image = 0; image < images; image++) {
            pad(x + image * l.height * l.width * l.channels);
            if (!l.byte_weights) pack();
            for (int64_t position = 0; position < positions; position++) {
                unfold(position, count);
                if (++count == block_windows) finish();
            }
        }
        if (count) finish();
    }

    // The largest or the sum of each window of a map.
    template <typename T>
    void pool(const T *map, T *to) const {
        const int64_t neurons = l.neurons;
        for (int64_t y = 0; y < l.out_height; y++)
            for (int64_t x = 0; x < l.out_width; x++, to += l.neurons)
                for (int64_t i = 0; i < l.pool_height * l.pool_width; i++) {
                    const int64_t down = y * l.pool_down + i / l.pool_width;
                    const int64_t across = x * l.pool_across + i % l.pool_width;
                    const T *pixel = map + (down * l.sum_width + across) * l.neurons;
                    if (i == 0)
                        std::copy(pixel, pixel + l.neurons, to);
                    else if (l.pooling == SUM)
                        for (int64_t n = 0; n < neurons; n++) to[n] += pixel[n];
                    else
                        for (int64_t n = 0; n < neurons; n++) to[n] = std::max(to[n], pixel[n]);
                }
    }

    void activate(const int32_t *sums, int64_t pixels, int8_t *to) const {
        for (; pixels; pixels--, sums += l.neurons, to += l.neurons)
            if (l.thresholds == 1)
                activate_bits(sums, l.threshold, l.flip, to, l.neurons, (int8_t)l.low);
            else
                activate_codes(sums, to);
    }

    // The bytes written might be those of any field: only arguments that nothing aliases make vectors of a loop.
    static void activate_bits(const int32_t *__restrict sums, const int32_t *__restrict threshold,
                              const uint8_t *__restrict flip, int8_t *__restrict to, int64_t neurons, int8_t low) {
        for (int64_t n = 0; n < neurons; n++) to[n] = (int8_t)(low + ((sums[n] >= threshold[n]) ^ flip[n]));
    }

    void activate_codes(const int32_t *__restrict sums, int8_t *__restrict to) const {
        const int64_t neurons = l.neurons, thresholds = l.thresholds, low = l.low;
        const uint8_t *__restrict flip = l.flip;
        for (int64_t n = 0; n < neurons; n++) to[n] = 0;
        for (int64_t t = 0; t < thresholds; t++) {
            const int32_t *__restrict threshold = l.threshold + t * neurons;
            for (int64_t n = 0; n < neurons; n++) to[n] = (int8_t)(to[n] + (sums[n] >= threshold[n]));
        }
        for (int64_t n = 0; n < neurons; n++) to[n] = (int8_t)(low + (flip[n] ? thresholds - to[n] : to[n]));
    }

    // Compute some images; `residual`, `sums` and `bits` may be null.
    void run(int64_t images, const uint8_t *x, const int32_t *residual, int32_t *sums, uint8_t *bits) {
        const int64_t pixels = pooled_first() ? outputs : positions;
        int32_t *result = sums ? sums : pooled_first() ? pooled.data() : integers.data();
        int32_t *formed = pooled_first() ? integers.data() : result;
        all_sums(images, x, formed, (int8_t *)bits);
        if (l.relu)
            for (int64_t i = 0; i < images * positions * l.neurons; i++) formed[i] = std::max(formed[i], 0);
        if (pooled_first())
            for (int64_t image = 0; image < images; image++)
                pool(formed + image * positions * l.neurons, result + image * outputs * l.neurons);
        if (residual)
            for (int64_t i = 0; i < images * pixels * l.neurons; i++) result[i] += residual[i];
        if (!bits) return;
        for (int64_t image = 0; image < images; image++) {
            auto *to = (int8_t *)bits + image * outputs * l.neurons;
            if (!straight) activate(result + image * pixels * l.neurons, pixels, l.pooling == OR ? activations.data() : to);
            if (l.pooling == OR) pool(activations.data(), to);
            if (l.low)  // negative numbers, in two's complement
                for (int64_t i = 0, count = outputs * l.neurons, mask = l.mask; i < count; i++) to[i] &= (int8_t)mask;
        }
    }
};

// While it lives its thread has tiles of 16 rows of 64 bytes, where the machine has any.
struct Tiles {
#ifdef TILES
    Tiles() {
        struct alignas(64) {
            uint8_t palette = 1, first_row = 0, reserved[14] = {};
            uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
            uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
        } shape;
        if (permitted()) _tile_loadconfig(&shape);
    }
    ~Tiles() {
        if (permitted()) _tile_release();
    }
    static bool permitted() {
        constexpr int REQUEST = 0x1023, TILE_DATA = 18;  // ARCH_REQ_XCOMP_PERM: Linux saves tiles only for who asked
        static const bool answer = syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
        return answer;
    }
#else
    Tiles() {}
    static bool permitted() { return false; }
#endif
};

// Threads that live on and help who calls: to start one, and its first use of tiles, take as long as many a call.
class Helpers {
    static constexpr std::chrono::microseconds WATCH{300};  // how long one looks for the next call before it sleeps

    struct Helper {
        std::thread thread;
        std::atomic<int> processor{-1};  // where it was last
    };

    const pid_t process = getpid();
    std::mutex calls;
    std::atomic<uint64_t> call{0};   // its number
    std::atomic<int64_t> places{0};  // how many may still join it
    std::atomic<int64_t> inside{0};  // how many try to, or have and are not done
    const std::function<void()> *task = nullptr;
    std::vector<std::unique_ptr<Helper>> helpers;

    void live(Helper &self) {
        for (uint64_t seen = 0;; seen = call) {
            const auto until = std::chrono::steady_clock::now() + WATCH;
            while (call == seen && std::chrono::steady_clock::now() < until) std::this_thread::yield();
            call.wait(seen);
            inside++;
            if (places.fetch_sub(1) > 0) {
                self.processor = sched_getcpu();
                (*task)();
            }
            inside--;
        }
    }

    void open(int64_t count, const std::function<void()> &work) {
        while ((int64_t)helpers.size() < count) {
            helpers.push_back(std::make_unique<Helper>());
            Helper &helper = *helpers.back();
            helper.thread = std::thread([this, &helper] { live(helper); });
        }
        for (auto &helper : helpers)
            if (helper->processor == sched_getcpu()) send_away(*helper);
        task = &work;
        places = count;
        call++;
        call.notify_all();
    }

    void close() {
        places = 0;
        while (inside) std::this_thread::yield();
    }

    // Let a helper run anywhere but here. On machines whose processors share no cache Linux wakes a thread where it
    // slept: it would wait for its caller to be done, beside an idle processor.
    static void send_away(Helper &helper) {
        cpu_set_t elsewhere;
        if (sched_getaffinity(0, sizeof elsewhere, &elsewhere)) return;
        CPU_CLR(sched_getcpu(), &elsewhere);
        if (CPU_COUNT(&elsewhere)) pthread_setaffinity_np(helper.thread.native_handle(), sizeof elsewhere, &elsewhere);
    }

public:
    // Return those of this process: a forked one has none of its parent's threads. They are never taken down, as they
    // may outlive all that the end of a process takes down.
    static Helpers &here() {
        static Helpers *helpers = nullptr;
        static std::mutex creation;
        const std::lock_guard<std::mutex> lock(creation);
        if (!helpers || helpers->process != getpid()) helpers = new Helpers;
        return *helpers;
    }

    // Work on this thread and on up to `count` others; what is called shares the work out. Who comes too late to join
    // is not waited for. Who calls while another call is under way finds all processors busy, and works alone.
    void help(int64_t count, const std::function<void()> &work) {
        const std::unique_lock<std::mutex> turn(calls, std::try_to_lock);
        if (!turn || !count) return work();
        open(count, work);
        work();
        close();
    }
};

}  // namespace

extern "C" {

// Return whether `byte_weights` can be computed with.
int64_t spinbnn_multiplies_bytes() { return Tiles::permitted(); }

#ifdef TILES
// Lay weights of some planes, [plane][neuron][slice], with the place values given, out as `byte_weights`. Behind the
// last element of a window they meet codes of 0, and sums of neurons that do not exist are not kept.
void spinbnn_byte_weights(const uint64_t *planes, int64_t count, int64_t neurons, int64_t slices, const int64_t *values,
                          int8_t *to) {
    for (int64_t n = 0; n < neurons; n++)
        for (int64_t k = 0; k < slices; k++) {
            __m512i weights = _mm512_setzero_si512();
            for (int64_t q = 0; q < count; q++) {
                const __m512i place = _mm512_set1_epi8((char)values[q]), zero = _mm512_setzero_si512();
                const __mmask64 ones = planes[(q * neurons + n) * slices + k];
                weights = _mm512_add_epi8(weights, _mm512_mask_blend_epi8(ones, _mm512_sub_epi8(zero, place), place));
            }
            uint32_t fours[16];
            std::memcpy(fours, &weights, 64);
            auto *tile = (uint32_t *)(to + (n / LANES * slices + k) * 1024);
            for (int64_t i = 0; i < 16; i++) tile[i * LANES + n % LANES] = fours[i];
        }
}

// Multiply tiles that never leave the registers: four products of 16 x 64 and 64 x 16 bytes a round.
void spinbnn_tile_loop(int64_t rounds) {
    const Tiles tiles;
    _tile_zero(0); _tile_zero(1); _tile_zero(2); _tile_zero(3);
    _tile_zero(4); _tile_zero(5); _tile_zero(6); _tile_zero(7);
    for (int64_t round = 0; round < rounds; round++) {
        _tile_dpbusd(0, 4, 6);
        _tile_dpbusd(1, 4, 7);
        _tile_dpbusd(2, 5, 6);
        _tile_dpbusd(3, 5, 7);
    }
}
#endif

// Compute a layer on `threads` threads; `residual`, `sums` and `bits` may be null.
void spinbnn_layer(const Layer *layer, int64_t images, const uint8_t *x, const int32_t *residual, int32_t *sums,
                   uint8_t *bits, int64_t threads) {
    const Layer &l = *layer;
    const int64_t positions = l.sum_height * l.sum_width, outputs = l.out_height * l.out_width;
    const bool pooled_first = l.pooling == MAX || l.pooling == SUM;
    const int64_t integers = (pooled_first ? outputs : positions) * l.neurons;
    const int64_t inputs = l.height * l.width * l.channels;
    const bool straight = l.byte_weights && bits && !sums && !residual && !l.relu && l.thresholds == 1 && !l.pooling;
    const int64_t fair = (images + threads - 1) / threads;  // or a small batch would be one thread's
    const int64_t block = l.byte_weights ? TILE_BLOCK : BLOCK;
    const int64_t step = std::max<int64_t>(1, std::min(block / positions, (fair + ROWS - 1) / ROWS * ROWS));
    std::atomic<int64_t> next(0);
    auto work = [&] {
        const Tiles tiles;
        Worker worker(l, step, sums, straight);
        for (int64_t first; (first = next.fetch_add(step)) < images;)
            worker.run(std::min(step, images - first), x + first * inputs,
                       residual ? residual + first * integers : nullptr, sums ? sums + first * integers : nullptr,
                       bits ? bits + first * outputs * l.neurons : nullptr);
    };
    Helpers::here().help(std::min(threads, (images + step - 1) / step) - 1, work);
}

// Xor, count and add vectors that never leave the registers; return something that depends on all of them.
uint32_t spinbnn_popcount_loop(int64_t rounds) {
    Vector x[ROWS], differing[ROWS] = {};
    for (int64_t i = 0; i < ROWS; i++) x[i] = (Vector){} + (uint32_t)(rounds + i);
    Vector w = {};
    for (int64_t round = 0; round < rounds; round++) {
        w += 1;
        for (int64_t i = 0; i < ROWS; i++) differing[i] += popcount(w ^ x[i]);
    }
    uint32_t all = 0;
    for (int64_t i = 0; i < ROWS; i++)
        for (int64_t lane = 0; lane < LANES; lane++) all += differing[i][lane];
    return all;
}

}
