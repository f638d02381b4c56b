// One layer on many images: bit-planes, windows, differing bits, pooling, thresholds. See kernels.py.
//
// Each input plane and each weight plane is a run of bits. A sum is
//     base + the sum over terms of factor * popcount(input plane ^ weight plane),
// modulo 2**32 on the way, which is exact as the sum itself fits int32.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#if defined(__AVX512BW__) || defined(__AVX512VPOPCNTDQ__)
#include <immintrin.h>
#endif

namespace {

constexpr int64_t LANES = 16;  // neurons side by side
constexpr int64_t ROWS = 8;    // windows that meet a vector of weights at once: their sums fill half the registers
constexpr int64_t BLOCK = 64;  // windows that stay in the first-level cache while all weights pass by

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
    int64_t planes;                       // bits of a code
    int64_t sum_height, sum_width, neurons;
    int64_t terms;
    const int64_t *term_plane, *term_weights, *term_factor;
    const uint32_t *weights;              // [weight plane][block of 16 neurons][word][neuron]
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
    const int64_t positions, outputs, length, words, slices, row_bits, row_words, padded_height, blocks;
    std::vector<uint8_t> codes;     // a row of the padded map
    std::vector<uint64_t> rows;     // [plane][y][row word]
    std::vector<uint64_t> windows;  // [window][plane][slice]
    std::vector<uint32_t> interleaved;  // a block of windows
    std::vector<int32_t> integers, pooled;
    std::vector<int8_t> activations;

    Worker(const Layer &layer, int64_t images)
        : l(layer),
          positions(l.sum_height * l.sum_width),
          outputs(l.out_height * l.out_width),
          length(l.kernel_height * l.kernel_width * l.channels),
          words((length + 31) / 32),
          slices((length + 63) / 64),
          row_bits((l.left + l.width + l.right) * l.channels),
          row_words((row_bits + 63) / 64),
          padded_height(l.top + l.height + l.bottom),
          blocks((l.neurons + LANES - 1) / LANES),
          codes(64 * row_words),
          rows(l.planes * padded_height * row_words + 1),
          windows(images * positions * l.planes * slices + 1),
          interleaved(BLOCK * l.planes * words),
          integers(images * positions * l.neurons),
          pooled(images * outputs * l.neurons),
          activations(positions * l.neurons) {}

    void pack_rows(const uint8_t *x) {
        const int64_t inside = l.width * l.channels;
        for (int64_t y = 0; y < padded_height; y++) {
            const bool padding = y < l.top || y >= l.top + l.height;
            std::memset(codes.data(), (int)l.fill, row_bits);
            if (!padding) std::memcpy(codes.data() + l.left * l.channels, x + (y - l.top) * inside, inside);
            for (int64_t p = 0; p < l.planes; p++)
                for (int64_t k = 0; k < row_words; k++)
                    rows[(p * padded_height + y) * row_words + k] = plane_of(codes.data() + 64 * k, p);
        }
    }

    // Gather the windows of an image: a row of a window is a run of bits of a row of the map.
    void unfold(uint64_t *to) {
        const int64_t run = l.kernel_width * l.channels;
        std::memset(to, 0, positions * l.planes * slices * sizeof(uint64_t));
        for (int64_t y = 0; y < l.sum_height; y++)
            for (int64_t x = 0; x < l.sum_width; x++)
                for (int64_t p = 0; p < l.planes; p++, to += slices)
                    for (int64_t ky = 0; ky < l.kernel_height; ky++) {
                        const int64_t row = p * padded_height + y * l.stride_down + ky;
                        copy_bits(to, ky * run, &rows[row * row_words], x * l.stride_across * l.channels, run);
                    }
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
        const int64_t neuron = block * LANES;
        const int64_t room = std::min(LANES, l.neurons - neuron);
        for (int64_t i = 0; i < COUNT; i++) {
            const int64_t position = l.base_of_positions ? (first + i) % positions : 0;
            total[i] += ((const Vector *)l.base)[position * blocks + block];
            int32_t *to = sums + (first + i) * l.neurons + neuron;
            if (room == LANES)
                std::memcpy(to, &total[i], sizeof(Vector));
            else
                std::memcpy(to, &total[i], room * sizeof(int32_t));
        }
    }

    void all_sums(int64_t count, int32_t *sums) {
        const int64_t size = l.planes * words;  // of a window
        for (int64_t begin = 0; begin < count; begin += BLOCK) {
            const int64_t end = std::min(count, begin + BLOCK), whole = end - (end - begin) % ROWS;
            uint32_t *inputs = interleaved.data() - begin * size;
            for (int64_t i = begin; i < whole; i += ROWS) interleave<ROWS>(i, inputs + i * size);
            for (int64_t i = whole; i < end; i++) interleave<1>(i, inputs + i * size);
            for (int64_t block = 0; block < blocks; block++) {
                for (int64_t i = begin; i < whole; i += ROWS) sums_of<ROWS>(inputs + i * size, i, block, sums);
                for (int64_t i = whole; i < end; i++) sums_of<1>(inputs + i * size, i, block, sums);
            }
        }
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
        for (int64_t image = 0; image < images; image++) {
            pack_rows(x + image * l.height * l.width * l.channels);
            unfold(&windows[image * positions * l.planes * slices]);
        }
        const bool pooled_first = l.pooling == MAX || l.pooling == SUM;
        const int64_t pixels = pooled_first ? outputs : positions;
        int32_t *result = sums ? sums : pooled_first ? pooled.data() : integers.data();
        int32_t *formed = pooled_first ? integers.data() : result;
        all_sums(images * positions, formed);
        if (l.relu)
            for (int64_t i = 0; i < images * positions * l.neurons; i++) formed[i] = std::max(formed[i], 0);
        if (pooled_first)
            for (int64_t image = 0; image < images; image++)
                pool(formed + image * positions * l.neurons, result + image * outputs * l.neurons);
        if (residual)
            for (int64_t i = 0; i < images * pixels * l.neurons; i++) result[i] += residual[i];
        if (!bits) return;
        for (int64_t image = 0; image < images; image++) {
            auto *to = (int8_t *)bits + image * outputs * l.neurons;
            activate(result + image * pixels * l.neurons, pixels, l.pooling == OR ? activations.data() : to);
            if (l.pooling == OR) pool(activations.data(), to);
            if (l.low)  // negative numbers, in two's complement
                for (int64_t i = 0, count = outputs * l.neurons, mask = l.mask; i < count; i++) to[i] &= (int8_t)mask;
        }
    }
};

}  // namespace

extern "C" {

// Compute a layer on `threads` threads; `residual`, `sums` and `bits` may be null.
void spinbnn_layer(const Layer *layer, int64_t images, const uint8_t *x, const int32_t *residual, int32_t *sums,
                   uint8_t *bits, int64_t threads) {
    const Layer &l = *layer;
    const int64_t positions = l.sum_height * l.sum_width, outputs = l.out_height * l.out_width;
    const bool pooled_first = l.pooling == MAX || l.pooling == SUM;
    const int64_t integers = (pooled_first ? outputs : positions) * l.neurons;
    const int64_t inputs = l.height * l.width * l.channels;
    const int64_t step = std::max<int64_t>(1, BLOCK / positions);
    std::atomic<int64_t> next(0);
    auto work = [&] {
        Worker worker(l, step);
        for (int64_t first; (first = next.fetch_add(step)) < images;)
            worker.run(std::min(step, images - first), x + first * inputs,
                       residual ? residual + first * integers : nullptr, sums ? sums + first * integers : nullptr,
                       bits ? bits + first * outputs * l.neurons : nullptr);
    };
    std::vector<std::thread> others;
    for (int64_t i = 1; i < std::min(threads, (images + step - 1) / step); i++) others.emplace_back(work);
    work();
    for (auto &other : others) other.join();
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
