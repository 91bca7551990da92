// What happens to a row of f32 on its way into a product: norm or gate, then rounding to the product's element type.
// Invariant: a row's elements do not depend on its norm, which products are multiplied by, and its squares are added 16
// neighbours at a time: what a product leaves to the next one (left.cuh) has the same bits.
// Read next: left.cuh, few.cu, rows.cu.
#pragma once
#include "weights.cuh"

enum Prologue { PLAIN = 0, NORM = 1, GATE = 2 };

struct RowSource {
    const float *values;  // one row: k floats, or 2 k (gates, then ups) for GATE
    const float *weight;  // NORM: k floats or null
    u32 k;
    u32 mode;
    u32 act;
    float alpha, limit;
    float epsilon;
};

// Values i..i+4 of `end`, zeros behind them; `whole`: all four are there and aligned.
DEV float4 four(const float *from, u32 i, u32 end, bool whole) {
    if (whole) return load_again(from + i);
    float v[4] = {};
#pragma unroll
    for (u32 j = 0; j < 4; j++) {
        if (i + j < end) v[j] = load_again_4(from + i + j);
    }
    return make_float4(v[0], v[1], v[2], v[3]);
}

// Values i..i+4 of a row before they are scaled. `other`: the norm's weights, or ups.
DEV float4 row_values(const RowSource &row, float4 v, float4 other) {
    if (row.mode == NORM && row.weight) {
        v.x *= other.x, v.y *= other.y, v.z *= other.z, v.w *= other.w;
    } else if (row.mode == GATE) {
        v.x = gated_call(row.act, v.x, other.x, row.alpha, row.limit);
        v.y = gated_call(row.act, v.y, other.y, row.alpha, row.limit);
        v.z = gated_call(row.act, v.z, other.z, row.alpha, row.limit);
        v.w = gated_call(row.act, v.w, other.w, row.alpha, row.limit);
    }
    return v;
}

DEV float4 other_values(const RowSource &row, u32 i, bool whole) {
    if (row.mode == NORM && row.weight) return four(row.weight, i, row.k, whole);
    if (row.mode == GATE) return four(row.values + row.k, i, row.k, whole);
    return make_float4(1.0f, 1.0f, 1.0f, 1.0f);
}

// Squares of 16 neighbours, four of which a lane has, first to last.
DEV float square(float4 v) { return __fadd_rn(__fadd_rn(__fmul_rn(v.x, v.x), __fmul_rn(v.y, v.y)), __fadd_rn(__fmul_rn(v.z, v.z), __fmul_rn(v.w, v.w))); }

DEV float sixteen_squares(float4 v) {
    float sum = square(v);
    sum = __fadd_rn(sum, __shfl_xor_sync(~0u, sum, 1));
    return __fadd_rn(sum, __shfl_xor_sync(~0u, sum, 2));
}

// What products of a normed row are multiplied by.
DEV float norm_factor(float squares, u32 k, float epsilon) { return rsqrtf(__fmaf_rn(squares, 1.0f / (float)k, epsilon)); }

// The squares of eight warps, in pairs.
template <typename Of> DEV float eight_sums(Of of) { return ((of(0) + of(1)) + (of(2) + of(3))) + ((of(4) + of(5)) + (of(6) + of(7))); }

DEV float most_of(float most, float4 v) {
    return fmaxf(fmaxf(most, fmaxf(fabsf(v.x), fabsf(v.y))), fmaxf(fabsf(v.z), fabsf(v.w)));
}

// 2^n for n in -126..=127.
DEV float power_of_two(int n) { return bits_f32((u32)(n + 127) << 23); }

// What a row's elements are multiplied by before they are rounded, and the products of the row afterwards.
struct RowScale {
    float up, factor;
};

// Halves: a power of two. Usual rows, whose largest magnitude is in 2^-10 to 2^13, or 0, have one scale, so that their elements
// can be rounded before the row is known; the largest magnitude of others comes near 2^10.
constexpr int USUAL_UP = 2, LEAST_USUAL = 127 - 10, MOST_USUAL = 127 + 12;

DEV bool is_usual(u32 biased) { return biased == 0 || (biased >= LEAST_USUAL && biased <= MOST_USUAL); }

// By the exponent of the largest magnitude, as its bits have it.
DEV RowScale scale_of(u32 biased) {
    const int up = is_usual(biased) ? USUAL_UP : maximum(-100, minimum(100, 127 + 10 - (int)biased));
    return {power_of_two(up), power_of_two(-up)};
}

template <int ELEMENT> DEV RowScale row_scale(float most) {
    if (ELEMENT != F16) return {1.0f, 1.0f};
    return scale_of(__float_as_uint(most) >> 23);
}

// A norm's weights, of which nothing in front makes any: asked for first, so that they come before a matrix and while the
// kernel in front is not done.
template <u32 HELD, u32 THREADS> DEV void ask_norm(const RowSource &row, float4 (&others)[HELD], u32 thread = threadIdx.x) {
    const bool whole = row.k % 4 == 0 && ((u64)row.values & 15) == 0;
#pragma unroll
    for (u32 j = 0; j < HELD; j++) {
        const u32 i = 4 * thread + 4 * THREADS * j;
        others[j] = make_float4(1.0f, 1.0f, 1.0f, 1.0f);
        if (i < row.k && row.mode == NORM) others[j] = other_values(row, i, whole);
    }
}

// Make a row: `store(i, v)` gets elements i..i+4. The result is what products of the row are to be multiplied by.
// HELD: of the elements, 4 THREADS at a time, those that stay in registers; `others` is what was asked for. Threads that
// `thread` numbers take part; `gather(squares, most)` makes of what a warp has what all have, warp after warp.
template <int ELEMENT, u32 HELD, u32 THREADS, typename Gather, typename Store>
DEV float make_row_by(const RowSource &row, float4 (&others)[HELD], u32 thread, Gather gather, Store store) {
    constexpr u32 WIDTH = 4 * THREADS;
    const bool whole = row.k % 4 == 0 && ((u64)row.values & 15) == 0;
    float squares = 0.0f, most = 0.0f;
    float4 held[HELD];
    // All is asked for before any of it is used.
#pragma unroll
    for (u32 j = 0; j < HELD; j++) {
        const u32 i = 4 * thread + WIDTH * j;
        held[j] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (i < row.k) held[j] = four(row.values, i, row.k, whole);
        if (i < row.k && row.mode == GATE) others[j] = other_values(row, i, whole);
    }
    const bool normed = row.mode == NORM;
    // Some side by side, so that none waits for another's.
    constexpr u32 SIDE = HELD % 4 == 0 ? 4 : HELD;
#pragma unroll
    for (u32 first = 0; first < HELD; first += SIDE) {
        if (!normed || WIDTH * first >= row.k) break;
        float sums[SIDE];
#pragma unroll
        for (u32 j = 0; j < SIDE; j++) sums[j] = sixteen_squares(held[first + j]);
#pragma unroll
        for (u32 j = 0; j < SIDE; j++) squares += sums[j];
    }
#pragma unroll
    for (u32 j = 0; j < HELD; j++) {
        if (4 * thread + WIDTH * j < row.k) held[j] = row_values(row, held[j], others[j]), most = most_of(most, held[j]);
    }
    for (u32 first = WIDTH * HELD; first < row.k; first += WIDTH) {
        const u32 i = first + 4 * thread;
        const float4 v = i < row.k ? four(row.values, i, row.k, whole) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (normed) squares += sixteen_squares(v);
        if (i < row.k) most = most_of(most, row_values(row, v, other_values(row, i, whole)));
    }
    for (int step = 4; step < 32; step *= 2) squares += __shfl_xor_sync(~0u, squares, step);
    most = warp_max(most);
    gather(squares, most);
    const float norm = normed ? norm_factor(squares, row.k, row.epsilon) : 1.0f;
    const RowScale by = row_scale<ELEMENT>(most);
    const float up = ELEMENT == F32 ? norm : by.up;
    auto put = [&](u32 i, float4 v) { store(i, make_float4(v.x * up, v.y * up, v.z * up, v.w * up)); };
#pragma unroll
    for (u32 j = 0; j < HELD; j++) {
        const u32 i = 4 * thread + WIDTH * j;
        if (i < row.k) put(i, held[j]);
    }
    for (u32 i = 4 * thread + WIDTH * HELD; i < row.k; i += WIDTH) {
        put(i, row_values(row, four(row.values, i, row.k, whole), other_values(row, i, whole)));
    }
    return ELEMENT == F32 ? 1.0f : by.factor * norm;
}

// The same by the first THREADS of a block, which meet at barrier 1. `scratch`: 64 floats.
template <int ELEMENT, u32 HELD, u32 THREADS, typename Store>
DEV float make_row(const RowSource &row, float4 (&others)[HELD], float *scratch, Store store) {
    auto gather = [&](float &squares, float &most) {
        constexpr u32 GROUPS = THREADS / 32;
        if ((threadIdx.x & 31) == 0) {
            scratch[threadIdx.x >> 5] = squares;
            scratch[GROUPS + (threadIdx.x >> 5)] = most;
        }
        meet(1, THREADS);
        // Rows of more warps have no norm.
        squares = eight_sums([&](u32 warp) { return scratch[warp]; }), most = 0.0f;
#pragma unroll
        for (u32 warp = 0; warp < GROUPS; warp++) most = fmaxf(most, scratch[GROUPS + warp]);
    };
    return make_row_by<ELEMENT, HELD, THREADS>(row, others, threadIdx.x, gather, store);
}

template <int ELEMENT, u32 HELD, u32 THREADS, typename Store> DEV float make_row(const RowSource &row, float *scratch, Store store) {
    float4 others[HELD];
    ask_norm<HELD, THREADS>(row, others);
    return make_row<ELEMENT, HELD, THREADS>(row, others, scratch, store);
}

// Rows of 16: every second has its words in pairs the other way round.
DEV u32 turn_of(u32 row) { return (row & 1) << 5; }

// Four elements at their places in a row of 16-bit elements; `turn` is what places are turned by.
template <int ELEMENT> DEV void put_four(u16 *to, u32 order, u32 arrangement, u32 i, float4 v, u32 turn = 0) {
    const u32 p = pack<ELEMENT>(v.x, v.y), q = pack<ELEMENT>(v.z, v.w), at = position(arrangement, order, i) ^ turn;
    if (order == NIBBLES) {
        // Columns j and j + 1 of eight are a pair apart, or two.
        const u32 one = arrangement == REGISTERS ? 8 : 2, two = arrangement == LANES || arrangement == SIXTEEN ? 4 : 16;
        to[at] = p, to[at + one] = p >> 16, to[at + two] = q, to[at + two + one] = q >> 16;
    } else {
        *(u32 *)(to + at) = p, *(u32 *)(to + (position(arrangement, order, i + 2) ^ turn)) = q;
    }
}

struct RowsArgs {
    const float *values; // rows of k or 2 k values, x_stride apart
    const float *weight;
    const u32 *pairs;    // row to take for each made row, times `choices`; or null
    u8 *rows;            // [m][stride]
    float *factors;      // [m]
    u32 k, x_stride, stride, mode, act;
    u32 order;           // of the columns
    u32 arrangement;
    u32 choices;
    float alpha, limit, epsilon;
};

// Rows on their way from one place to another. `make(source, put)` makes row `row` of them and gives its factor; of THREADS
// threads this is number `thread`.
template <int ELEMENT, u32 THREADS, typename Make> DEV void make_rows(const RowsArgs &args, u32 row, u32 thread, RowSource source, Make make) {
    u32 from = row;
    if (args.pairs) from = __float_as_uint(load_again_4((const float *)args.pairs + from)) / args.choices;
    source.values += (u64)from * args.x_stride;
    // Rows of 16 lie together.
    const bool sixteen = args.arrangement == SIXTEEN;
    const u32 turn = sixteen ? turn_of(row) : 0;
    u8 *to = args.rows + (sixteen ? (u64)row * 256 : (u64)row * args.stride * (ELEMENT == F32 ? 4 : 2));
    auto put = [&](u32 i, float4 v) {
        if (ELEMENT == F32) {
            *(float4 *)(to + i * 4) = v;
        } else {
            put_four<ELEMENT == F32 ? F16 : ELEMENT>((u16 *)to, args.order, args.arrangement, i, v, turn);
        }
    };
    const float factor = make(source, put);
    for (u32 i = (args.k + 3) / 4 * 4 + 4 * thread; i < args.stride; i += 4 * THREADS) put(i, make_float4(0.0f, 0.0f, 0.0f, 0.0f));
    if (thread == 0) args.factors[row] = factor;
}
