// Matrices in the device's layout (src/ops/weights.rs), as products read them: 16 rows by a chunk of columns come into
// shared memory, and a lane turns its part of 32 columns of two rows into operands of two k16 products.
//
// Lane t of four has columns 8 t .. 8 t + 8 of a block of 32. Which columns form a product is the code's choice (its
// order), so that unpacking is cheap; activations and, for many rows, unpacked weights are laid out in the same order.
// Quantized weights are multiplied by SCALE_UP on the way to halves (FACTOR takes it back), so that small scales keep
// their precision. Read next: few.cu, unpack.cu.
#pragma once
#include "common.cuh"

enum Order { DENSE = 0, NIBBLES = 1, BYTES = 2 };

// Where column k lies among what the lanes of a product read: of each 32, lane t has 8 in a row.
DEV u32 fragment_position(u32 order, u32 k) {
    if (order == DENSE) return (k & ~31u) + ((k & 12) << 1) + ((k & 16) >> 2) + (k & 3);
    if (order == NIBBLES) return (k & ~7u) + ((k & 3) << 1) + ((k >> 2) & 1);
    return k;
}

// The same where products of 16 columns lie one behind the other, as gemm.cu reads them.
DEV u32 product_position(u32 order, u32 k) {
    if (order == DENSE) return k;
    const u32 f = fragment_position(order, k);
    return (f & ~31u) + ((f >> 2) & 1) * 16 + ((f >> 3) & 3) * 4 + (f & 3);
}

// The numbers of ops/weights.rs.
enum Code { BITS4 = 4, BITS5 = 5, BITS6 = 6, BITS8 = 8, SIGNED8 = 9, E2M1 = 20, CODE_BF16 = 30, CODE_F16 = 31 };
enum ScaleKind { NONE = 0, PAIR_F16 = 1, PAIR_BF16 = 2, PAIR_F32 = 3, SINGLE = 4, MINIMA = 5, SIGNED = 6, E8M0 = 7, E4M3 = 8 };

struct Weights {
    const u8 *codes;
    const u8 *high;
    const u32 *scales;
    const u32 *supers;
    u32 kind;    // of scales
    u32 group_log2;  // columns of a scale
    u32 zero;    // code of zero
    u32 blocks;  // of 32 columns
    u32 words;   // of scales, for each row
    u32 groups_of_word_log2;
    float factor; // of all values
};

constexpr float SCALE_UP = 256.0f;

DEV float e4m3(u32 code) {
    const float magnitude = code & 0x78 ? bits_f32(((code & 0x7f) << 20) + 0x3c000000) : (float)(code & 7) * 0.001953125f;
    return code & 0x80 ? -magnitude : magnitude;
}

// Scale and offset of a group as halves: s in the low one, b in the high one. `word` and `super_word` are the group's.
// KIND is that of the scales, or -1 where it is known only at run time.
template <int CODE, int KIND> DEV u32 scale_pair(const Weights &w, u32 word, u32 super_word, u32 group) {
    float s, b;
    switch (KIND < 0 ? (int)w.kind : KIND) {
    case PAIR_BF16:
        s = bf16_f32(word & 0xffff), b = bits_f32(word & 0xffff0000);
        break;
    case PAIR_F16:
        return half2_mul(word, 0x5c005c00);
    case SINGLE:
        s = f16_f32(group & 1 ? word >> 16 : word & 0xffff), b = -(float)w.zero * s;
        break;
    case MINIMA: {
        const u32 part = group & 1 ? word >> 16 : word;
        s = f16_f32(super_word & 0xffff) * (float)(part & 255), b = -f16_f32(super_word >> 16) * (float)((part >> 8) & 255);
        break;
    }
    case SIGNED:
        s = f16_f32(super_word & 0xffff) * (float)(signed char)(word >> (8 * (group & 3))), b = -(float)w.zero * s;
        break;
    case E8M0:
        s = bits_f32(maximum((word >> (8 * (group & 3))) & 255, 1u) << 23), b = 0.0f;
        break;
    default:
        s = e4m3((word >> (8 * (group & 3))) & 255), b = 0.0f;
    }
    if (CODE == E2M1) return pack_f16(s * 16384.0f, 0.0f);
    return pack_f16(s * SCALE_UP, b * SCALE_UP);
}

template <int CODE> struct Traits {
    static constexpr int ELEMENT = CODE == CODE_BF16 ? BF16 : F16;
    static constexpr u32 BITS = CODE >= CODE_BF16 ? 16 : CODE == BITS8 || CODE == SIGNED8 ? 8 : 4;
    static constexpr u32 HIGH = CODE == BITS5 ? 1 : CODE == BITS6 ? 2 : 0; // bits of the high part
    static constexpr u32 ORDER = BITS == 16 ? DENSE : BITS == 8 ? BYTES : NIBBLES;
    static constexpr u32 CHUNK = BITS == 16 ? 128 : BITS == 8 ? 256 : 512;
    static constexpr u32 BLOCK = BITS * 64; // bytes of 16 rows by 32 columns
    static constexpr u32 CODES = CHUNK / 32 * BLOCK;
    static constexpr u32 HIGH_AT = CODES, HIGHS = CHUNK / 32 * HIGH * 64;
    static constexpr u32 SCALES_AT = HIGH_AT + HIGHS, SCALES = BITS == 16 ? 0 : CHUNK / 32 * 64;
    static constexpr u32 SUPERS_AT = SCALES_AT + SCALES;
    static constexpr u32 STAGE = SUPERS_AT + (BITS == 16 ? 0 : 192);
    static constexpr float FACTOR = BITS == 16 || CODE == E2M1 ? 1.0f : 1.0f / SCALE_UP;
};

// Copy 16 rows from `row` on (half a tile) of columns k..k + here. Rows of dense pieces change places so that lanes that
// read together meet different banks.
template <int CODE> DEV void stage_weights(u32 to, const Weights &w, u32 row, u32 k, u32 here, u32 lane) {
    typedef Traits<CODE> T;
    constexpr u32 PIECES = T::BITS == 16 ? 4 : T::BITS == 8 ? 2 : 1;
    const u32 tile = row >> 5, half = row & 16, block = k >> 5;
    {
        const u8 *from = w.codes + ((u64)(tile * w.blocks + block) * PIECES * 32 + half + (lane & 15)) * 16 + (lane >> 4) * 512;
        const u32 shift = PIECES > 1 ? (lane >> 4) * 4 : 0;
        const u32 at = to + (lane >> 4) * 256 + ((lane & 15) ^ shift) * 16;
        const u32 rows = (here >> 5) * PIECES;
        if (here == T::CHUNK) {
#pragma unroll
            for (u32 i = 0; i < T::CODES / 512; i++) copy_async<16>(at + i * 512, from + i * 1024);
        } else {
            for (u32 i = 0; i < rows; i += 2) {
                if (i + (lane >> 4) < rows) copy_async<16>(at + i * 256, from + i * 512);
            }
        }
    }
    if (T::HIGH) {
        const u32 units = T::HIGH * 4; // of 16 bytes, for 16 rows of a block
        const u8 *from = w.high + ((u64)(tile * w.blocks + block) * 32 + half) * T::HIGH * 4;
        for (u32 i = lane; i < (here >> 5) * units; i += 32) {
            copy_async<16>(to + T::HIGH_AT + i * 16, from + i / maximum(units, 1u) * 128 * T::HIGH + i % maximum(units, 1u) * 16);
        }
    }
    if (T::SCALES) {
        const u32 log2 = w.group_log2 + w.groups_of_word_log2; // columns of a word
        const u32 count = (here + (1 << log2) - 1) >> log2;
        const u8 *from = (const u8 *)(w.scales + ((u64)tile * w.words + (k >> log2)) * 32 + half);
        for (u32 i = lane; i < count * 4; i += 32) copy_async<16>(to + T::SCALES_AT + i * 16, from + (i >> 2) * 128 + (i & 3) * 16);
        if (w.supers) {
            const u32 first = k >> 8, supers = ((k + here - 1) >> 8) - first + 1;
            const u8 *source = (const u8 *)(w.supers + ((u64)tile * (w.blocks >> 3) + first) * 32 + half);
            if (lane < supers * 4) copy_async<16>(to + T::SUPERS_AT + lane * 16, source + (lane >> 2) * 128 + (lane & 3) * 16);
        }
    }
    if (here & 127) {
        // Products go on to a multiple of 128 columns, over zeros.
        const u32 end = (here + 127) & ~127u;
        for (u32 i = (here >> 5) * T::BLOCK + lane * 8; i < (end >> 5) * T::BLOCK; i += 256) store_shared_8(to + i, 0, 0);
        for (u32 i = (here >> 5) * T::HIGH * 64 + lane * 8; i < (end >> 5) * T::HIGH * 64; i += 256) {
            store_shared_8(to + T::HIGH_AT + i, 0, 0);
        }
        const u32 log2 = w.group_log2 + w.groups_of_word_log2, done = (here + (1 << log2) - 1) >> log2;
        if (T::SCALES) {
            for (u32 i = done * 64 + lane * 8; i < (end >> log2) * 64; i += 256) store_shared_8(to + T::SCALES_AT + i, 0, 0);
        }
    }
}

// Four codes to two pairs of halves: the words' nibbles or bytes are given as magic numbers already.
DEV u32 dequantize(u32 magic, u32 offset, u32 s, u32 b) { return half2_fma(half2_sub(magic, offset), s, b); }

DEV u32 e2m1_pair(u32 nibbles) { // in bits 0..4 and 16..20
    return (nibbles & 0x00070007) << 9 | (nibbles & 0x00080008) << 12;
}

// Eight values: nibbles of v, or bytes of v and u; h has their high bits. {k16 product 0: low pair, high pair, product 1}.
template <int CODE> DEV void unpack_eight(u32 v, u32 u, u32 h, u32 pair, u32 (&out)[4]) {
    typedef Traits<CODE> T;
    const u32 s = __byte_perm(pair, 0, 0x1010), b = __byte_perm(pair, 0, 0x3232), next = v >> 8;
    if (T::BITS == 8) {
        u32 offset = 0x64006400;
        if (CODE == SIGNED8) v ^= 0x80808080, u ^= 0x80808080, offset = 0x64806480;
        out[0] = dequantize(__byte_perm(v, 0x64646464, 0x4140), offset, s, b);
        out[1] = dequantize(__byte_perm(v, 0x64646464, 0x4342), offset, s, b);
        out[2] = dequantize(__byte_perm(u, 0x64646464, 0x4140), offset, s, b);
        out[3] = dequantize(__byte_perm(u, 0x64646464, 0x4342), offset, s, b);
    } else if (CODE == E2M1) {
        out[0] = half2_mul(e2m1_pair(v), s);
        out[1] = half2_mul(e2m1_pair(v >> 4), s);
        out[2] = half2_mul(e2m1_pair(next), s);
        out[3] = half2_mul(e2m1_pair(next >> 4), s);
    } else if (T::HIGH) {
        // Column j of eight: j and j + 4 are a pair.
#pragma unroll
        for (u32 j = 0; j < 4; j++) {
            const u32 high = T::HIGH == 1 ? (h >> j & 1) << 4 | (h >> (j + 4) & 1) << 20
                                          : (h >> 2 * j & 3) << 4 | (h >> (2 * j + 8) & 3) << 20;
            out[j] = dequantize((v >> 4 * j & 0x000f000f) | high | 0x64006400, 0x64006400, s, b);
        }
    } else {
        const u32 low = half2_mul(s, 0x2c002c00); // s / 16
        out[0] = dequantize(and_or<0x000f000f, 0x64006400>(v), 0x64006400, s, b);
        out[1] = dequantize(and_or<0x00f000f0, 0x64006400>(v), 0x64006400, low, b);
        out[2] = dequantize(and_or<0x000f000f, 0x64006400>(next), 0x64006400, s, b);
        out[3] = dequantize(and_or<0x00f000f0, 0x64006400>(next), 0x64006400, low, b);
    }
}

// Lane t's 8 values of one row.
template <int CODE>
DEV void unpack_weights(u32 stage, const Weights &w, u32 first, u32 k, u32 row, u32 t, u32 pair, u32 (&out)[4]) {
    typedef Traits<CODE> T;
    const u32 block = (k - first) >> 5, at = stage + block * T::BLOCK;
    if (T::BITS >= 8) {
        const u32 place = at + (t >> 1) * 256 + (row ^ ((t >> 1) * 4)) * 16 + (t & 1) * 8;
        uint2 v = load_shared_8(place);
        if (T::BITS == 8) return unpack_eight<CODE>(v.x, v.y, 0, pair, out);
        uint2 u = load_shared_8(place + 512);
        out[0] = v.x, out[1] = v.y, out[2] = u.x, out[3] = u.y;
        return;
    }
    u32 h = 0;
    if (T::HIGH) {
        h = load_shared_4(stage + T::HIGH_AT + (block * 16 + row) * T::HIGH * 4 + (T::HIGH == 2 ? (t >> 1) * 4 : 0));
        h >>= T::HIGH == 2 ? (t & 1) * 16 : t * 8;
    }
    unpack_eight<CODE>(load_shared_4(at + row * 16 + t * 4), 0, h, pair, out);
}

// The scale of lane t's columns in a block at k, from a stage that begins at `first`.
template <int CODE, int KIND> DEV u32 staged_scale(u32 stage, const Weights &w, u32 first, u32 k, u32 row, u32 t) {
    typedef Traits<CODE> T;
    if (T::BITS == 16) return 0;
    const u32 column = k + t * 8, group = column >> w.group_log2;
    const u32 words = (group >> w.groups_of_word_log2) - (first >> (w.group_log2 + w.groups_of_word_log2));
    const u32 word = load_shared_4(stage + T::SCALES_AT + (words * 16 + row) * 4);
    u32 super_word = 0;
    if (KIND < 0 ? w.supers != nullptr : KIND == MINIMA || KIND == SIGNED) super_word = load_shared_4(stage + T::SUPERS_AT + (((column >> 8) - (first >> 8)) * 16 + row) * 4);
    return scale_pair<CODE, KIND>(w, word, super_word, group);
}
