// Quantized matrices made into halves in the layout of a dense matrix, columns in the order of products, for gemm.cu;
// and rows of any matrix made into f32 (embeddings).
//
// Invariant: the halves are those that few.cu makes on the way. Read next: weights.cuh.
#include "weights.cuh"

// Value k of a row of the tile layout as few.cu has it, times SCALE_UP where it does.
template <int CODE> DEV u32 half_value(const Weights &w, u32 row, u32 k) {
    typedef Traits<CODE> T;
    const u32 tile = row >> 5, lane = row & 31, block = k >> 5, i = k & 31;
    if (T::BITS == 16) {
        return ((const u16 *)w.codes)[(((u64)(tile * w.blocks + block) * 4 + (i >> 3)) * 32 + lane) * 8 + (i & 7)];
    }
    const u32 group = k >> w.group_log2;
    const u32 word = w.scales[((u64)tile * w.words + (group >> w.groups_of_word_log2)) * 32 + lane];
    const u32 super_word = w.supers ? w.supers[((u64)tile * (w.blocks >> 3) + (k >> 8)) * 32 + lane] : 0;
    const u32 pair = scale_pair<CODE, -1>(w, word, super_word, group);
    const u32 s = pair & 0xffff, b = pair >> 16;
    if (T::BITS == 8) {
        u32 q = w.codes[(((u64)(tile * w.blocks + block) * 2 + (i >> 4)) * 32 + lane) * 16 + (i & 15)];
        u32 offset = CODE == SIGNED8 ? 0x6480 : 0x6400;
        if (CODE == SIGNED8) q ^= 0x80;
        return dequantize(0x6400 | q, offset, s, b) & 0xffff;
    }
    u32 q = w.codes[((u64)(tile * w.blocks + block) * 32 + lane) * 16 + (i >> 1)] >> (i & 1) * 4 & 15;
    if (CODE == E2M1) return half2_mul(e2m1_pair(q), s) & 0xffff;
    if (T::HIGH) {
        const u32 h = ((const u32 *)w.high)[((u64)(tile * w.blocks + block) * 32 + lane) * T::HIGH + (T::HIGH == 2 ? i >> 4 : 0)];
        q |= T::HIGH == 1 ? (h >> i & 1) << 4 : (h >> 2 * (i & 15) & 3) << 4;
        return dequantize(0x6400 | q, 0x6400, s, b) & 0xffff;
    }
    // Odd nibbles of a byte come times 16 and meet a sixteenth of the scale.
    if (i & 1) return dequantize(0x6400 | q << 4, 0x6400, half2_mul(s, 0x2c00) & 0xffff, b) & 0xffff;
    return dequantize(0x6400 | q, 0x6400, s, b) & 0xffff;
}

struct UnpackArgs {
    Weights weights;
    u16 *out; // the dense layout: [tile][block][4][32][8]
    u32 rows; // of the tiles, a multiple of 32
};

// A thread makes 32 columns of a row.
template <int CODE> DEV void unpack_matrix(const UnpackArgs &args) {
    typedef Traits<CODE> T;
    const Weights &w = args.weights;
    const u64 index = (u64)blockIdx.x * 256 + threadIdx.x, place = index >> 5;
    const u32 lane = index & 31, tile = place / w.blocks, block = place % w.blocks;
    next_may_start();
    if (tile * 32 >= args.rows) return;
    u32 codes[8] = {}, high[2] = {};
#pragma unroll
    for (u32 i = 0; i < T::BITS / 4; i++) {
        const uint4 v = *(const uint4 *)(w.codes + ((place * (T::BITS / 4) + i) * 32 + lane) * 16);
        codes[4 * i] = v.x, codes[4 * i + 1] = v.y, codes[4 * i + 2] = v.z, codes[4 * i + 3] = v.w;
    }
#pragma unroll
    for (u32 i = 0; i < T::HIGH; i++) high[i] = ((const u32 *)w.high)[(place * 32 + lane) * T::HIGH + i];
    const u32 super_word = w.supers ? w.supers[((u64)tile * (w.blocks >> 3) + (block >> 3)) * 32 + lane] : 0;
    u32 out[4][4], pair = 0;
#pragma unroll
    for (u32 t = 0; t < 4; t++) {
        const u32 group = (block * 32 + t * 8) >> w.group_log2;
        if (t % 2 == 0) {
            const u32 word = w.scales[((u64)tile * w.words + (group >> w.groups_of_word_log2)) * 32 + lane];
            pair = scale_pair<CODE, -1>(w, word, super_word, group);
        }
        const u32 h = T::HIGH == 2 ? high[t >> 1] >> (t & 1) * 16 : high[0] >> t * 8;
        if (T::BITS == 8) {
            unpack_eight<CODE>(codes[2 * t], codes[2 * t + 1], 0, pair, out[t]);
        } else {
            unpack_eight<CODE>(codes[t], 0, h, pair, out[t]);
        }
    }
    previous_done();
    u16 *to = args.out + (place * 4 * 32 + lane) * 8;
#pragma unroll
    for (u32 piece = 0; piece < 4; piece++) {
        const u32 t = piece % 2 * 2, product = piece / 2 * 2;
        *(uint4 *)(to + piece * 256) = make_uint4(out[t][product], out[t][product + 1], out[t + 1][product], out[t + 1][product + 1]);
    }
}

struct EmbedArgs {
    Weights weights;
    const u32 *tokens;
    float *out; // [rows, columns]
    u32 columns, vocabulary;
    float scale;
};

template <int CODE> DEV void embed_rows(const EmbedArgs &args) {
    const u32 row = blockIdx.y, k = blockIdx.x * 256 + threadIdx.x;
    next_may_start();
    previous_done();
    const u32 token = minimum(__float_as_uint(load_again_4((const float *)args.tokens + row)), args.vocabulary - 1);
    if (k >= args.columns) return;
    const u32 value = half_value<CODE>(args.weights, token, k);
    const float v = (CODE == CODE_BF16 ? bf16_f32(value) : f16_f32(value)) * Traits<CODE>::FACTOR * args.weights.factor;
    args.out[(u64)row * args.columns + k] = v * args.scale;
}

#define EMBED(name, code)                                                                                              \
    extern "C" __global__ void __launch_bounds__(256) embed_##name(const __grid_constant__ EmbedArgs args) {         \
        embed_rows<code>(args);                                                                                      \
    }

#define UNPACK(name, code)                                                                                             \
    extern "C" __global__ void __launch_bounds__(256) unpack_##name(const __grid_constant__ UnpackArgs args) {       \
        unpack_matrix<code>(args);                                                                                   \
    }                                                                                                                \
    EMBED(name, code)

UNPACK(bits4, BITS4)
UNPACK(bits5, BITS5)
UNPACK(bits6, BITS6)
UNPACK(bits8, BITS8)
UNPACK(signed8, SIGNED8)
UNPACK(e2m1, E2M1)
EMBED(bf16, CODE_BF16)
EMBED(f16, CODE_F16)
