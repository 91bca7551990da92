// A row as one product, or attention, leaves it to the next product, which then needs no kernel between them: elements of
// 16 bits, rounded and laid out as that reads them.
//
// Halves are left at the scale of usual rows. Who reads them knows the row's largest magnitude, and makes the row
// again where its scale is another one (rows.cuh). Elements do not know the row's norm: sums are multiplied by it afterwards.
// Up to 16 rows have a magnitude for each 16 columns, and each reader finds their norms. 33 to 64 (some.cu) have one for each 32, row
// beside row, and one reader finds a norm for all.
// Invariant: elements, factor and squares are those of `make_row` (rows.cuh). Read next: rows.cuh, few.cu, team.cu, some.cu.
#pragma once
#include "rows.cuh"

struct LeftRows {
    u16 *rows;           // [m][columns] as `arrangement` says; null: none are left
    u8 *exponents;       // [m][columns / 16]: of the largest magnitude of each 16, or [columns / 32][64]; null: elements are bf16
    float *squares;      // [m][columns / 16]: before they are multiplied by the norm's weights; null: there is no norm
    const float *weight; // of the norm, or null: to whom leaves
    u32 columns;         // a multiple of 128
    u32 order;           // of columns
    u32 arrangement;     // LANES or SIXTEEN, or REGISTERS of 33 to 64 rows
    u32 brain;           // elements are bf16
    u32 act;             // of gates, where features are gates, then ups
    float alpha, limit, epsilon;
    u32 gated;
};

constexpr u32 MOST_LEFT = 64;

// Of 33 to 64 rows: their norms, once one block has found them, and how many rows are being made again and have been.
constexpr u32 NO_NORM = ~0u;
DEV float *left_norms(const LeftRows &left) { return left.squares + MOST_LEFT * (left.columns / 16); }
DEV u32 *left_counts(const LeftRows &left) { return (u32 *)(left.exponents + MOST_LEFT * (left.columns / 32)); }

// Nobody has found a norm or made a row again: who leaves rows says so, by a warp, once the kernel in front is done.
DEV void begin_leaving(const LeftRows &left) {
    const u32 lane = threadIdx.x & 31;
    if (left.arrangement != REGISTERS) return;
    if (left.squares) ((uint2 *)left_norms(left))[lane] = make_uint2(NO_NORM, NO_NORM);
    if (left.exponents && lane < 2) left_counts(left)[lane] = 0;
}

// Where element `column` of a row is left.
DEV u16 *left_place(const LeftRows &left, u32 row, u32 column) {
    const u32 at = position(left.arrangement, left.order, column);
    return left.rows + (left.arrangement == SIXTEEN ? row * 128 + (at ^ turn_of(row)) : row * left.columns + at);
}

// As what an element is left, `v` multiplied by the norm's weight.
DEV u16 left_element(const LeftRows &left, float v) { return left.brain ? pack_bf16(v, 0.0f) : pack_f16(v * power_of_two(USUAL_UP), 0.0f); }

DEV void leave(const LeftRows &left, u32 row, u32 column, float v) { *left_place(left, row, column) = left_element(left, v); }

// Where the exponent of 16 columns is left.
DEV u8 *exponent_place(const LeftRows &left, u32 row, u32 column) { return left.exponents + row * (left.columns / 16) + column / 16; }

DEV void leave_exponent(const LeftRows &left, u32 row, u32 column, float most) {
    if (left.exponents) *exponent_place(left, row, column) = __float_as_uint(most) >> 23;
}

// The same by 16 lanes that have 16 neighbours, number one by one at lanes that differ by A, B, C, D: a warp together.
template <u32 A, u32 B, u32 C, u32 D> DEV void leave_sixteen(const LeftRows &left, u32 row, u32 column, float v, float weight, bool is_there) {
    const float own = left.weight ? __fmul_rn(v, weight) : v;
    float most = fabsf(own), squares = __fmul_rn(v, v);
    auto join = [&](u32 apart) {
        if (left.exponents) most = fmaxf(most, __shfl_xor_sync(~0u, most, apart));
        if (left.squares) squares = __fadd_rn(squares, __shfl_xor_sync(~0u, squares, apart));
    };
    join(A), join(B), join(C), join(D);
    if (!is_there) return;
    leave(left, row, column, own);
    if (column % 16) return;
    leave_exponent(left, row, column, most);
    if (left.squares) left.squares[row * (left.columns / 16) + column / 16] = squares;
}

// The same of 32 columns of one of 33 to 64 rows.
DEV u8 *wide_exponent_place(const LeftRows &left, u32 row, u32 column) { return left.exponents + column / 32 * MOST_LEFT + row; }

DEV void leave_wide_exponent(const LeftRows &left, u32 row, u32 column, float most) {
    if (left.exponents) *wide_exponent_place(left, row, column) = __float_as_uint(most) >> 23;
}

// Four elements at their places in one of 33 to 64 rows. Neighbouring lanes, which have eight columns, exchange halves where
// these are nibbles' columns, so that each has whole words.
template <int ELEMENT, u32 ORDER> DEV void put_words(u16 *to, u32 column, float4 v, bool is_there) {
    u32 p = pack<ELEMENT>(v.x, v.y), q = pack<ELEMENT>(v.z, v.w);
    if (ORDER == NIBBLES) {
        const bool second = column & 4;
        const u32 other = __shfl_xor_sync(~0u, second ? p : q, 1), low = second ? other : p, high = second ? q : other;
        // Column j and j + 4 of eight are a pair; the next one's is 8 places on.
        u16 *at = to + position(REGISTERS, ORDER, second ? column - 2 : column);
        if (is_there) *(u32 *)at = __byte_perm(low, high, 0x5410), *(u32 *)(at + 8) = __byte_perm(low, high, 0x7632);
    } else if (is_there) {
        *(u32 *)(to + position(REGISTERS, ORDER, column)) = p, *(u32 *)(to + position(REGISTERS, ORDER, column + 2)) = q;
    }
}

// Leave four neighbours of one of 33 to 64 rows, of whose 32 seven lanes have the others: a warp together. `weight`: the
// norm's, 1 where there is none.
template <int ELEMENT, u32 ORDER> DEV void leave_words(const LeftRows &left, u32 row, u32 column, float4 v, float4 weight, bool is_there) {
    const u32 groups = left.columns / 16;
    if (left.squares) {
        const float squares = sixteen_squares(v);
        if (is_there && column % 16 == 0) left.squares[row * groups + column / 16] = squares;
    }
    v.x = __fmul_rn(v.x, weight.x), v.y = __fmul_rn(v.y, weight.y), v.z = __fmul_rn(v.z, weight.z), v.w = __fmul_rn(v.w, weight.w);
    u16 *to = left.rows + row * left.columns;
    if (ELEMENT == BF16) return put_words<BF16, ORDER>(to, column, v, is_there);
    float most = most_of(0.0f, v);
#pragma unroll
    for (u32 apart = 1; apart < 8; apart *= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, apart));
    if (is_there && column % 32 == 0) leave_wide_exponent(left, row, column, most);
    const float up = power_of_two(USUAL_UP);
    put_words<F16, ORDER>(to, column, make_float4(v.x * up, v.y * up, v.z * up, v.w * up), is_there);
}

// The norm's weights of four columns, which are there before the kernel in front is done; 1 where there is no norm.
DEV float4 left_weights(const LeftRows &left, u32 column) { return left.weight ? *(const float4 *)(left.weight + column) : make_float4(1.0f, 1.0f, 1.0f, 1.0f); }

// Leave four neighbours, of whose 16 or 32 the lanes beside have the others: a warp together.
DEV void leave_four(const LeftRows &left, u32 row, u32 column, float4 v, float4 weight) {
    if (left.arrangement == REGISTERS) {
        if (left.brain) return leave_words<BF16, DENSE>(left, row, column, v, weight, true);
        return left.order == NIBBLES ? leave_words<F16, NIBBLES>(left, row, column, v, weight, true) : leave_words<F16, BYTES>(left, row, column, v, weight, true);
    }
    const float squares = left.squares ? sixteen_squares(v) : 0.0f;
    v.x = __fmul_rn(v.x, weight.x), v.y = __fmul_rn(v.y, weight.y), v.z = __fmul_rn(v.z, weight.z), v.w = __fmul_rn(v.w, weight.w);
    float most = most_of(0.0f, v);
    for (u32 apart = 1; left.exponents && apart < 4; apart *= 2) most = fmaxf(most, __shfl_xor_sync(~0u, most, apart));
    u16 *to = left.rows + row * (left.arrangement == SIXTEEN ? 128 : left.columns);
    const u32 turn = left.arrangement == SIXTEEN ? turn_of(row) : 0;
    const float up = power_of_two(USUAL_UP);
    if (left.brain) put_four<BF16>(to, left.order, left.arrangement, column, v, turn);
    else put_four<F16>(to, left.order, left.arrangement, column, make_float4(v.x * up, v.y * up, v.z * up, v.w * up), turn);
    if (column % 16) return;
    leave_exponent(left, row, column, most);
    if (left.squares) left.squares[row * (left.columns / 16) + column / 16] = squares;
}

// What a warp finds of a row: the norm, a lane adding up the sums that eight lanes have in `make_row`, and the scale.
struct LeftFactor {
    static constexpr u32 HELD = 4;
    float2 squares[HELD];
    uint2 exponents;

    __device__ __forceinline__ void ask_squares(const LeftRows &left, u32 row, u32 first) {
        const u32 groups = left.columns / 16, lane = threadIdx.x & 31;
#pragma unroll
        for (u32 j = 0; j < HELD; j++) {
            const u32 group = first + 64 * j + 2 * lane;
            squares[j] = make_float2(0.0f, 0.0f);
            if (left.squares && group < groups) squares[j] = __ldcg((const float2 *)(left.squares + row * groups + group));
        }
    }

    __device__ __forceinline__ uint2 ask_exponents(const LeftRows &left, u32 row, u32 first) {
        const u32 groups = left.columns / 16, group = first + 8 * (threadIdx.x & 31);
        uint2 v = make_uint2(0, 0);
        if (left.exponents && group < groups) v = __ldcg((const uint2 *)(left.exponents + row * groups + group));
        return v;
    }

    __device__ __forceinline__ void ask(const LeftRows &left, u32 row) {
        ask_squares(left, row, 0);
        exponents = ask_exponents(left, row, 0);
    }

    // The norm, 1 where there is none.
    __device__ __forceinline__ float norm(const LeftRows &left, u32 row) {
        if (!left.squares) return 1.0f;
        float2 sum = make_float2(0.0f, 0.0f);
        for (u32 first = 0; first < left.columns / 16; first += 64 * HELD) {
            if (first) ask_squares(left, row, first);
#pragma unroll
            for (u32 j = 0; j < HELD; j++) sum.x += squares[j].x, sum.y += squares[j].y;
        }
        float total = sum.x + sum.y;
#pragma unroll
        for (u32 apart = 1; apart < 32; apart *= 2) total += __shfl_xor_sync(~0u, total, apart);
        return norm_factor(total, left.columns, left.epsilon);
    }

    // What the largest magnitude's bits say.
    __device__ __forceinline__ u32 exponent(const LeftRows &left, u32 row) {
        u32 most = __vmaxu4(exponents.x, exponents.y);
        for (u32 first = 256; first < left.columns / 16; first += 256) {
            const uint2 v = ask_exponents(left, row, first);
            most = __vmaxu4(most, __vmaxu4(v.x, v.y));
        }
        most = __vmaxu4(most, most >> 16);
        return __reduce_max_sync(~0u, maximum(most & 255, most >> 8 & 255));
    }
};

// Make columns `first` to `end` of row `row` of halves again, at the scale of its largest magnitude, by so many threads of
// which this is number `thread`; they go where they go in a row that begins at `to`.
static __device__ __noinline__ void make_again(const RowSource &first_row, u32 x_stride, u32 row, u16 *to, u32 order, u32 arrangement, u32 first, u32 end, u32 biased, u32 thread, u32 threads) {
    constexpr u32 HELD = 2;
    RowSource source = first_row;
    source.values += (u64)row * x_stride;
    const bool whole = source.k % 4 == 0 && ((u64)source.values & 15) == 0;
    const float up = scale_of(biased).up;
    const u32 turn = arrangement == SIXTEEN ? turn_of(row) : 0;
    for (u32 begin = first + 4 * thread; begin < end; begin += 4 * threads * HELD) {
        float4 held[HELD], others[HELD];
#pragma unroll
        for (u32 j = 0; j < HELD; j++) {
            const u32 i = begin + 4 * threads * j;
            if (i < end) held[j] = four(source.values, i, source.k, whole), others[j] = other_values(source, i, whole);
        }
#pragma unroll
        for (u32 j = 0; j < HELD; j++) {
            const u32 i = begin + 4 * threads * j;
            if (i >= end) break;
            const float4 v = row_values(source, held[j], others[j]);
            put_four<F16>(to, order, arrangement, i, make_float4(v.x * up, v.y * up, v.z * up, v.w * up), turn);
        }
    }
}
