// Matrices in the device's layout (src/ops/weights.rs), as products read them: a warp has 16 rows, a lane its part of a
// stretch of 128 columns of two of them, straight from memory to registers.
//
// Quantized: lane t of four has the 32 columns of block t of the stretch; a k16 product takes four columns of each lane,
// so that no lane needs another's scales. Dense: products are 16 neighbours. Activations and, for many rows, unpacked
// weights are laid out in the same order. Quantized weights are multiplied by a power of two on the way to halves
// (`factor` takes it back), so that small scales keep their precision. A code of 4 bits n, masked out of its word, is the
// half n 2^-24 or n 2^-20 already, and its scale comes times 2^24: nothing is spent on making it a number. Scales must stay
// below 2^16 then, so the power is the matrix's own (ops/weights.rs). Read next: few.cu, some.cu, unpack.cu.
#pragma once
#include "common.cuh"

enum Order { DENSE = 0, NIBBLES = 1, BYTES = 2 };

// Where column k lies among what the lanes of a product read: of each 128, four words for each lane, 8 columns each.
DEV u32 fragment_position(u32 order, u32 k) {
    if (order == DENSE) return (k & ~31u) + ((k & 12) << 1) + ((k & 16) >> 2) + (k & 3);
    const u32 i = order == NIBBLES ? ((k & 3) << 1) + ((k >> 2) & 1) : k & 7;
    return (k & ~127u) + ((k >> 3) & 3) * 32 + ((k >> 5) & 3) * 8 + i;
}

// How rows of x are laid out: for lanes; product behind product, both operands in shared memory (gemm.cu); the same where
// a lane has one operand in registers (some.cu); for lanes, a stretch of 16 rows after the other (team.cu).
enum Arrangement { LANES = 0, PRODUCTS = 1, REGISTERS = 2, SIXTEEN = 3 };

DEV u32 position(u32 arrangement, u32 order, u32 k) {
    if (arrangement == PRODUCTS && order == DENSE) return k;
    const u32 f = fragment_position(order, k), lane = (f >> 3) & 3;
    if (arrangement == LANES) return f;
    if (arrangement == SIXTEEN) return (f & ~127u) * 16 + (f & 127);
    const u32 in_product = arrangement == PRODUCTS ? lane * 4 + (f & 3) : ((f >> 1) & 1) * 8 + lane * 2 + (f & 1);
    return (f & ~31u) + ((f >> 2) & 1) * 16 + in_product;
}

// The numbers of ops/weights.rs.
enum Code { BITS2 = 2, BITS3 = 3, BITS4 = 4, BITS5 = 5, BITS6 = 6, BITS8 = 8, SIGNED8 = 9, E2M1 = 20, CODE_E4M3 = 21, CODE_BF16 = 30, CODE_F16 = 31, CODE_F32 = 32 };
enum ScaleKind { NONE = 0, PAIR_F16 = 1, PAIR_BF16 = 2, PAIR_F32 = 3, SINGLE = 4, MINIMA = 5, SIGNED = 6, E8M0 = 7, E4M3 = 8 }; // 9 is E4M3 with a factor of each row

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
    float factor; // of all products
    float code_up, offset_up; // of scales and offsets on their way to halves
};

DEV float e4m3(u32 code) {
    const float magnitude = code & 0x78 ? bits_f32(((code & 0x7f) << 20) + 0x3c000000) : (float)(code & 7) * 0.001953125f;
    return code & 0x80 ? -magnitude : magnitude;
}

// Scale and offset of a group. `word` and `super_word` are the group's (PAIR_F32: the scale and the offset; E4M3: 1 where none is).
DEV float2 scale_offset(const Weights &w, int kind, u32 word, u32 super_word, u32 group) {
    float s, b = 0.0f;
    switch (kind) {
    case PAIR_BF16:
        s = bf16_f32(word & 0xffff), b = bits_f32(word & 0xffff0000);
        break;
    case PAIR_F16:
        s = f16_f32(word & 0xffff), b = f16_f32(word >> 16);
        break;
    case PAIR_F32:
        s = bits_f32(word), b = bits_f32(super_word);
        break;
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
        s = bits_f32(maximum((word >> (8 * (group & 3)) & 255) << 23, 0x400000u));
        break;
    default:
        // The bits of a half, times 2^-8.
        s = f16_f32((word >> (8 * (group & 3)) & 127) << 7) * 256.0f * bits_f32(super_word);
    }
    return make_float2(s, b);
}

// The same as halves: s in the low one, b in the high one. KIND is that of the scales, or -1 where it is known only at
// run time.
template <int KIND> DEV u32 scale_pair(const Weights &w, u32 word, u32 super_word, u32 group) {
    const float2 v = scale_offset(w, KIND < 0 ? (int)w.kind : KIND, word, super_word, group);
    return pack_f16(v.x * w.code_up, v.y * w.offset_up);
}

template <int CODE> struct Traits {
    static constexpr int ELEMENT = CODE == CODE_BF16 ? BF16 : F16;
    static constexpr u32 BITS = CODE >= CODE_BF16 ? 16 : CODE == BITS8 || CODE == SIGNED8 || CODE == CODE_E4M3 ? 8 : CODE == BITS2 || CODE == BITS3 ? 2 : 4;
    static constexpr u32 HIGH = CODE == BITS3 || CODE == BITS5 ? 1 : CODE == BITS6 ? 2 : 0; // bits of the high part
    static constexpr u32 ORDER = BITS == 16 ? DENSE : BITS == 8 ? BYTES : NIBBLES;
};

// What a lane holds of a row and a stretch.
template <int CODE> struct Piece {
    u32 codes[Traits<CODE>::BITS];
    u32 high[Traits<CODE>::HIGH ? Traits<CODE>::HIGH : 1];
    u32 scale, super_word;
};

// Loads that stay where they are written, past the first cache.
DEV uint4 load_stream_16(const void *from) {
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(from));
    return v;
}

DEV uint2 load_stream_8(const void *from) {
    uint2 v;
    asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v2.u32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(from));
    return v;
}

DEV u32 load_stream_4(const void *from) {
    u32 v;
    asm volatile("ld.global.nc.L2::128B.u32 %0, [%1];" : "=r"(v) : "l"(from));
    return v;
}

// Where a lane's parts of a row of a tile begin.
struct Place {
    const u8 *codes, *high;
    const u32 *scales, *supers;
};

template <int CODE> DEV Place place_of(const Weights &w, u32 tile, u32 row, u32 t) {
    typedef Traits<CODE> T;
    const u64 block = (u64)tile * w.blocks;
    Place place;
    place.codes = w.codes + block * T::BITS * 128 + row * (T::BITS == 2 ? 8 : 16) + (T::BITS == 16 ? (t >> 1) * 512 + (t & 1) * 8 : 0);
    place.high = w.high + (block * 32 + row) * T::HIGH * 4;
    place.scales = w.scales + (u64)tile * w.words * 32 + row;
    place.supers = w.supers + (u64)tile * ((w.blocks + 7) >> 3) * 32 + row;
    return place;
}

// A lane's part of the row BELOW its place, in a stretch. Behind the last block that one is read again: rows of x have
// zeros there.
template <int CODE, int KIND, u32 BELOW> DEV void load_piece(Piece<CODE> &to, const Weights &w, const Place &place, u32 stretch, u32 t) {
    typedef Traits<CODE> T;
    if (T::BITS == 16) {
#pragma unroll
        for (u32 b = 0; b < 4; b++) {
            const u8 *from = place.codes + (u64)minimum(stretch * 4 + b, w.blocks - 1) * 2048 + BELOW * 16;
            const uint2 v = load_stream_8(from), u = load_stream_8(from + 1024);
            to.codes[4 * b % T::BITS] = v.x, to.codes[(4 * b + 1) % T::BITS] = v.y;
            to.codes[(4 * b + 2) % T::BITS] = u.x, to.codes[(4 * b + 3) % T::BITS] = u.y;
        }
        return;
    }
    const u32 block = minimum(stretch * 4 + t, w.blocks - 1);
    if (T::BITS == 2) {
        const uint2 v = load_stream_8(place.codes + (u64)block * 256 + BELOW * 8);
        to.codes[0] = v.x, to.codes[1] = v.y;
    }
#pragma unroll
    for (u32 p = 0; p < T::BITS / 4; p++) {
        const uint4 v = load_stream_16(place.codes + (u64)block * (T::BITS * 128) + p * 512 + BELOW * 16);
        to.codes[4 * p % T::BITS] = v.x, to.codes[(4 * p + 1) % T::BITS] = v.y;
        to.codes[(4 * p + 2) % T::BITS] = v.z, to.codes[(4 * p + 3) % T::BITS] = v.w;
    }
    if (T::HIGH == 1) to.high[0] = load_stream_4(place.high + (u64)block * 128 + BELOW * 4);
    if (T::HIGH == 2) {
        const uint2 v = load_stream_8(place.high + (u64)block * 256 + BELOW * 8);
        to.high[0] = v.x, to.high[maximum(T::HIGH, 1u) - 1] = v.y;
    }
    // A scale has 32 columns or more, or a word some of them.
    const u32 word = block >> (KIND == E4M3 ? 1 : w.group_log2 + w.groups_of_word_log2 - 5);
    const bool wide = KIND < 0 && w.kind == PAIR_F32;
    const u32 *scale = place.scales + (wide ? 2 * word : word) * 32 + BELOW;
    to.scale = load_stream_4(scale);
    to.super_word = __float_as_uint(1.0f);
    if (KIND < 0 || KIND == E4M3 ? w.supers != nullptr : KIND == MINIMA || KIND == SIGNED) to.super_word = load_stream_4(place.supers + (u64)(block >> 3) * 32 + BELOW);
    if (wide) to.super_word = load_stream_4(scale + 32);
}

// From the beginning of a row to a lane's part of a stretch.
template <int CODE, int KIND> DEV void step_into(Place &place, const Weights &w, u32 stretch, u32 t) {
    const u32 block = stretch * 4 + t;
    place.codes += block * 512;
    place.scales += (block >> (KIND == E4M3 ? 1 : w.group_log2 + w.groups_of_word_log2 - 5)) * 32;
    place.supers += (block >> 3) * 32;
}

// A piece of 4-bit codes as load_piece has it, so many stretches behind the place.
template <int CODE, int KIND, u32 BELOW> DEV void load_at(Piece<CODE> &to, const Weights &w, const Place &place, u32 behind, u32 scale_step) {
    const uint4 v = load_stream_16(place.codes + behind * 2048 + BELOW * 16);
    to.codes[0] = v.x, to.codes[1] = v.y, to.codes[2] = v.z, to.codes[3] = v.w;
    to.scale = load_stream_4(place.scales + behind * scale_step + BELOW);
    to.super_word = __float_as_uint(1.0f);
    if (KIND == E4M3 ? w.supers != nullptr : KIND == MINIMA) to.super_word = load_stream_4(place.supers + behind / 2 * 32 + BELOW);
}

// Four codes to two pairs of halves: the words' nibbles or bytes are given as magic numbers already.
DEV u32 dequantize(u32 magic, u32 offset, u32 s, u32 b) { return half2_fma(half2_sub(magic, offset), s, b); }

// Small floats of 4 bits are the sign and the three bits below it of a half's upper byte: the sign of each byte from the one word, all
// else from the other. One instruction, which compilers make two of once they see which bits are masked behind it.
DEV u32 upper_bytes(u32 signs, u32 others) {
    u32 bytes;
    asm("lop3.b32 %0, %1, %2, 0x80808080, 0xe4;" : "=r"(bytes) : "r"(signs), "r"(others));
    return bytes;
}

// Where the high bits of column i lie, of codes of 5 bits (width 1) in a word of 32 columns, of 6 bits (width 2) in a word of 16:
// columns j and j + 4 of eight in its two halves, j and j + 1 four bits apart, as their nibbles are.
DEV u32 high_pair(u32 width, u32 q) { return q % (4 / width) * width + q / (4 / width) * 8; }
DEV u32 high_place(u32 width, u32 i) { return high_pair(width, (i >> 3) * 2 + (i >> 1 & 1)) + 4 * (i & 1) + 16 * (i >> 2 & 1); }

// The word shifted so that the high bits of two pairs stand above their nibbles, the first ones' in bits 4 and up.
DEV u32 high_bits(u32 width, u32 h, u32 q) {
    const u32 place = high_pair(width, q);
    return place < 4 ? h << (4 - place) : h >> (place - 4);
}

// Eight values: nibbles of v, or bytes of v and u; h has their high bits, two pairs' each. {k16 product 0: low pair, high pair, product 1}.
template <int CODE> DEV void unpack_eight(u32 v, u32 u, const u32 (&h)[2], u32 pair, u32 (&out)[4]) {
    typedef Traits<CODE> T;
    const u32 s = __byte_perm(pair, 0, 0x1010), b = __byte_perm(pair, 0, 0x3232), next = v >> 8;
    if (CODE == CODE_E4M3) {
        // The bits of a half, times 2^-8: the scale comes times 2^8.
        const u32 two[4] = {__byte_perm(v, 0, 0x1404), __byte_perm(v, 0, 0x3424), __byte_perm(u, 0, 0x1404), __byte_perm(u, 0, 0x3424)};
#pragma unroll
        for (u32 j = 0; j < 4; j++) out[j] = half2_mul((two[j] & 0x80008000) | ((two[j] & 0x7f007f00) >> 1), s);
    } else if (T::BITS == 8) {
        u32 offset = 0x64006400;
        if (CODE == SIGNED8) v ^= 0x80808080, u ^= 0x80808080, offset = 0x64806480;
        out[0] = dequantize(__byte_perm(v, 0x64646464, 0x4140), offset, s, b);
        out[1] = dequantize(__byte_perm(v, 0x64646464, 0x4342), offset, s, b);
        out[2] = dequantize(__byte_perm(u, 0x64646464, 0x4140), offset, s, b);
        out[3] = dequantize(__byte_perm(u, 0x64646464, 0x4342), offset, s, b);
    } else if (CODE == E2M1) {
        const u32 even = upper_bytes(v << 4, v << 1), odd = upper_bytes(v, v >> 3);
        out[0] = half2_mul(even << 8 & 0x8e008e00, s);
        out[1] = half2_mul(odd << 8 & 0x8e008e00, s);
        out[2] = half2_mul(even & 0x8e008e00, s);
        out[3] = half2_mul(odd & 0x8e008e00, s);
    } else if (T::BITS == 2) {
        // Eight codes of two bits: four to each half of a word.
        const u32 w = (v & 0xff) | (v & 0xff00) << 8;
#pragma unroll
        for (u32 j = 0; j < 4; j++) {
            const u32 high = T::HIGH ? (h[0] >> j & 1) << 2 | (h[0] >> (j + 4) & 1) << 18 : 0;
            out[j] = dequantize((w >> 2 * j & 0x00030003) | high | 0x64006400, 0x64006400, s, b);
        }
    } else {
        const u32 low = half2_mul(s, 0x2c002c00); // s / 16
        const u32 first = T::HIGH == 0 ? 0 : T::HIGH == 1 ? 0x00100010 : 0x00300030, second = first << 4;
        out[0] = half2_fma((v & 0x000f000f) | (h[0] & first), s, b);
        out[1] = half2_fma((v & 0x00f000f0) | (h[0] & second), low, b);
        out[2] = half2_fma((next & 0x000f000f) | (h[1] & first), s, b);
        out[3] = half2_fma((next & 0x00f000f0) | (h[1] & second), low, b);
    }
}

// Scale pairs of a piece: of its first and its second 16 columns.
template <int CODE, int KIND> DEV void piece_scales(const Weights &w, const Piece<CODE> &piece, u32 stretch, u32 t, u32 (&pairs)[2]) {
    pairs[0] = pairs[1] = 0;
    if (Traits<CODE>::BITS == 16) return;
    if (KIND == E4M3) {
        // The bits of two halves, times 2^-8, as scale_offset has them; who has no offsets leaves the high half alone.
        const u32 two = __byte_perm(piece.scale, 0, t & 1 ? 0x4342 : 0x4140) << 7 & 0x3f803f80;
        const float up = bits_f32(piece.super_word) * (256.0f * w.code_up);
        const u32 pair = pack_f16(f16_f32(two & 0xffff) * up, f16_f32(two >> 16) * up);
        pairs[0] = pair, pairs[1] = pair >> 16;
        return;
    }
    const u32 log2 = w.group_log2, group = (stretch * 4 + t) * 32 >> log2;
    pairs[0] = pairs[1] = scale_pair<KIND>(w, piece.scale, piece.super_word, group);
    if ((KIND < 0 || KIND == SIGNED) && log2 < 5) pairs[1] = scale_pair<KIND>(w, piece.scale, piece.super_word, group + 1);
}

// Word 0..4 of a piece: operands of two products.
template <int CODE> DEV void unpack_word(const Piece<CODE> &piece, u32 word, const u32 (&pairs)[2], u32 (&out)[4]) {
    typedef Traits<CODE> T;
    if (T::BITS == 16) {
#pragma unroll
        for (u32 i = 0; i < 4; i++) out[i] = piece.codes[(4 * word + i) % T::BITS];
        return;
    }
    const u32 pair = pairs[word >> 1];
    u32 h[2] = {0, 0};
    if (T::HIGH && T::BITS == 2) h[0] = piece.high[0] >> 8 * word;
    if (T::HIGH && T::BITS == 4) {
        const u32 high = piece.high[T::HIGH == 2 ? (word >> 1) % T::HIGH : 0], q = 2 * (T::HIGH == 2 ? word & 1 : word);
        h[0] = high_bits(T::HIGH, high, q), h[1] = high_bits(T::HIGH, high, q + 1);
    }
    if (T::BITS == 8) {
        unpack_eight<CODE>(piece.codes[2 * word % T::BITS], piece.codes[(2 * word + 1) % T::BITS], h, pair, out);
    } else if (T::BITS == 2) {
        unpack_eight<CODE>(piece.codes[(word >> 1) % T::BITS] >> (word & 1) * 16, 0, h, pair, out);
    } else {
        unpack_eight<CODE>(piece.codes[word % T::BITS], 0, h, pair, out);
    }
}

// KERNEL(name, code, kind of scales) for every format. The common ones of 4 and 6 bits know their scales; those of 4 have groups of
// 32 or more, but for E4M3's of 16.
#define EVERY_FORMAT(KERNEL)                                                                                           \
    KERNEL(bits4_pair, BITS4, PAIR_BF16)                                                                               \
    KERNEL(bits4_single, BITS4, SINGLE)                                                                                \
    KERNEL(bits4_minima, BITS4, MINIMA)                                                                                \
    KERNEL(e2m1_exponent, E2M1, E8M0)                                                                                  \
    KERNEL(bits2, BITS2, -1)                                                                                           \
    KERNEL(bits3, BITS3, -1)                                                                                           \
    KERNEL(bits4, BITS4, -1)                                                                                           \
    KERNEL(bits5, BITS5, -1)                                                                                           \
    KERNEL(bits6, BITS6, -1)                                                                                           \
    KERNEL(bits6_signed, BITS6, SIGNED)                                                                                \
    KERNEL(bits8, BITS8, -1)                                                                                           \
    KERNEL(signed8, SIGNED8, -1)                                                                                       \
    KERNEL(e2m1, E2M1, E4M3)                                                                                           \
    KERNEL(e4m3, CODE_E4M3, -1)                                                                                        \
    KERNEL(bf16, CODE_BF16, NONE)                                                                                      \
    KERNEL(f16, CODE_F16, NONE)

// Those of 4 bits whose parts lie at constant steps.
#define EVERY_WHOLE_FORMAT(KERNEL)                                                                                     \
    KERNEL(bits4_pair, BITS4, PAIR_BF16)                                                                               \
    KERNEL(bits4_single, BITS4, SINGLE)                                                                                \
    KERNEL(bits4_minima, BITS4, MINIMA)                                                                                \
    KERNEL(e2m1_exponent, E2M1, E8M0)                                                                                  \
    KERNEL(e2m1, E2M1, E4M3)
