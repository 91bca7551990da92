// Quantized matrices made into halves in the layout of a dense matrix, columns in the order of products, for gemm.cu;
// and rows of any matrix made into f32 (embeddings).
//
// Invariant: the halves are those that few.cu makes on the way. Read next: weights.cuh.
#include "weights.cuh"

struct UnpackArgs {
    Weights weights;
    u16 *out; // [tile][piece of 8 columns][32][8], whole stretches
    u32 rows; // of the tiles, a multiple of 32
};

// A thread makes a stretch of a row.
template <int CODE> DEV void unpack_matrix(const UnpackArgs &args) {
    const Weights &w = args.weights;
    const u64 index = (u64)blockIdx.x * 256 + threadIdx.x, place = index >> 5;
    const u32 stretches = (w.blocks + 3) / 4, lane = index & 31, tile = place / stretches, stretch = place % stretches;
    next_may_start();
    if (tile * 32 >= args.rows) return;
    u32 out[4][4][4];
#pragma unroll
    for (u32 t = 0; t < 4; t++) {
        Piece<CODE> piece;
        u32 pairs[2];
        load_piece<CODE, -1, 0>(piece, w, place_of<CODE>(w, tile, lane, t), stretch, t);
        piece_scales<CODE, -1>(w, piece, stretch, t, pairs);
#pragma unroll
        for (u32 word = 0; word < 4; word++) unpack_word<CODE>(piece, word, pairs, out[t][word]);
    }
    previous_done();
    u16 *to = args.out + (place * 16 * 32 + lane) * 8;
#pragma unroll
    for (u32 piece = 0; piece < 16; piece++) {
        const u32 t = piece % 2 * 2, word = piece / 4, product = piece / 2 % 2 * 2;
        *(uint4 *)(to + piece * 256) = make_uint4(out[t][word][product], out[t][word][product + 1], out[t + 1][word][product], out[t + 1][word][product + 1]);
    }
}

struct EmbedArgs {
    Weights weights;
    const u32 *tokens;
    float *out; // [rows, columns]
    u32 columns, code;
    float scale;
};

// Value k of a row.
DEV float stored_value(const Weights &w, u32 code, u32 row, u32 k) {
    const u64 place = (u64)(row >> 5) * w.blocks + (k >> 5);
    const u32 lane = row & 31, i = k & 31;
    if (code == CODE_F32) return ((const float *)w.codes)[((place * 8 + (i >> 2)) * 32 + lane) * 4 + (i & 3)];
    if (code >= CODE_BF16) {
        const u32 bits = ((const u16 *)w.codes)[((place * 4 + (i >> 3)) * 32 + lane) * 8 + (i & 7)];
        return code == CODE_BF16 ? bf16_f32(bits) : f16_f32(bits);
    }
    const u32 *high = (const u32 *)w.high;
    u32 q;
    if (code == BITS8 || code == SIGNED8 || code == CODE_E4M3) {
        q = w.codes[((place * 2 + (i >> 4)) * 32 + lane) * 16 + (i & 15)];
    } else if (code == BITS2 || code == BITS3) {
        q = w.codes[(place * 32 + lane) * 8 + (i >> 2)] >> (i & 3) * 2 & 3;
    } else {
        q = w.codes[(place * 32 + lane) * 16 + (i >> 1)] >> (i & 1) * 4 & 15;
    }
    if (code == BITS3) q |= (high[place * 32 + lane] >> i & 1) << 2;
    if (code == BITS5) q |= (high[place * 32 + lane] >> high_place(1, i) & 1) << 4;
    if (code == BITS6) q |= (high[(place * 32 + lane) * 2 + (i >> 4)] >> high_place(2, i & 15) & 3) << 4;
    float v = (float)q;
    if (code == SIGNED8) v = (float)(signed char)q;
    if (code == E2M1) v = f16_f32((q & 7) << 9 | (q & 8) << 12) * 16384.0f;
    if (code == CODE_E4M3) v = e4m3(q);
    const u32 group = k >> w.group_log2;
    const u32 word = w.kind == PAIR_F32 ? 2 * group : group >> w.groups_of_word_log2;
    const u32 *scale = w.scales + ((u64)(row >> 5) * w.words + word) * 32 + lane;
    const u32 super_word = w.kind == PAIR_F32 ? scale[32] : w.supers ? w.supers[((u64)(row >> 5) * ((w.blocks + 7) >> 3) + (k >> 8)) * 32 + lane] : __float_as_uint(1.0f);
    const float2 s = scale_offset(w, w.kind, *scale, super_word, group);
    return fmaf(s.x, v, s.y);
}

// Every token must be a row.
extern "C" __global__ void __launch_bounds__(256) embed(const __grid_constant__ EmbedArgs args) {
    const u32 row = blockIdx.y, k = blockIdx.x * 256 + threadIdx.x;
    next_may_start();
    previous_done();
    const u32 token = __float_as_uint(load_again_4((const float *)args.tokens + row));
    if (k < args.columns) args.out[(u64)row * args.columns + k] = stored_value(args.weights, args.code, token, k) * args.scale;
}

#define UNPACK(name, code)                                                                                             \
    extern "C" __global__ void __launch_bounds__(256) unpack_##name(const __grid_constant__ UnpackArgs args) {       \
        unpack_matrix<code>(args);                                                                                   \
    }

UNPACK(bits2, BITS2)
UNPACK(bits3, BITS3)
UNPACK(bits4, BITS4)
UNPACK(bits5, BITS5)
UNPACK(bits6, BITS6)
UNPACK(bits8, BITS8)
UNPACK(signed8, SIGNED8)
UNPACK(e2m1, E2M1)
UNPACK(e4m3, CODE_E4M3)
