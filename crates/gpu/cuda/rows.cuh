// What happens to a row of f32 on its way into a product: norm or gate, then rounding to the product's element type.
// Invariant: 256 threads make a row in the same order wherever this runs, so its bits are the same in every kernel.
// Read next: few.cu, rows.cu.
#pragma once
#include "common.cuh"

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

// Values i..i+4 of a row before they are scaled by the norm; adds up the squares.
DEV float4 row_values(const RowSource &row, u32 i, float4 v, float &squares) {
    squares += (v.x * v.x + v.y * v.y) + (v.z * v.z + v.w * v.w);
    if (row.mode == NORM && row.weight) {
        float4 w = *(const float4 *)(row.weight + i);
        v.x *= w.x, v.y *= w.y, v.z *= w.z, v.w *= w.w;
    } else if (row.mode == GATE) {
        float4 u = load_again(row.values + row.k + i);
        v.x = gated_call(row.act, v.x, u.x, row.alpha, row.limit);
        v.y = gated_call(row.act, v.y, u.y, row.alpha, row.limit);
        v.z = gated_call(row.act, v.z, u.z, row.alpha, row.limit);
        v.w = gated_call(row.act, v.w, u.w, row.alpha, row.limit);
    }
    return v;
}

DEV float most_of(float most, float4 v) {
    return fmaxf(fmaxf(most, fmaxf(fabsf(v.x), fabsf(v.y))), fmaxf(fabsf(v.z), fabsf(v.w)));
}

// 2^n for n in -126..=127.
DEV float power_of_two(int n) { return bits_f32((u32)(n + 127) << 23); }

// Make a row: `store(i, pair01, pair23)` gets elements i..i+4. Halves are scaled by a power of two so that the largest
// magnitude is near 2^10; the result is what products of the row are to be multiplied by. `scratch`: 16 floats.
template <int ELEMENT, typename Store> DEV float make_row(const RowSource &row, float *scratch, Store store) {
    constexpr u32 HELD = 8;
    float squares = 0.0f, most = 0.0f;
    float4 held[HELD];
#pragma unroll
    for (u32 j = 0; j < HELD; j++) {
        const u32 i = 4 * threadIdx.x + 1024 * j;
        if (i < row.k) held[j] = load_again(row.values + i);
    }
#pragma unroll
    for (u32 j = 0; j < HELD; j++) {
        const u32 i = 4 * threadIdx.x + 1024 * j;
        if (i < row.k) held[j] = row_values(row, i, held[j], squares), most = most_of(most, held[j]);
    }
    for (u32 i = 4 * threadIdx.x + 1024 * HELD; i < row.k; i += 1024) {
        most = most_of(most, row_values(row, i, load_again(row.values + i), squares));
    }
    squares = warp_sum(squares);
    most = warp_max(most);
    if ((threadIdx.x & 31) == 0) {
        scratch[threadIdx.x >> 5] = squares;
        scratch[8 + (threadIdx.x >> 5)] = most;
    }
    __syncthreads();
    squares = 0.0f, most = 0.0f;
    for (int warp = 0; warp < 8; warp++) {
        squares += scratch[warp];
        most = fmaxf(most, scratch[8 + warp]);
    }
    const float norm = row.mode == NORM ? rsqrtf(squares / (float)row.k + row.epsilon) : 1.0f;
    float scale = 1.0f, factor = 1.0f;
    if (ELEMENT == F16) {
        int exponent = (int)(__float_as_uint(most * norm) >> 23) - 127 - 10;
        exponent = maximum(-100, minimum(100, exponent));
        scale = power_of_two(-exponent);
        factor = power_of_two(exponent);
    }
    auto put = [&](u32 i, float4 v) {
        float a = v.x * norm * scale, b = v.y * norm * scale, c = v.z * norm * scale, d = v.w * norm * scale;
        store(i, pack<ELEMENT>(a, b), pack<ELEMENT>(c, d));
    };
#pragma unroll
    for (u32 j = 0; j < HELD; j++) {
        const u32 i = 4 * threadIdx.x + 1024 * j;
        if (i < row.k) put(i, held[j]);
    }
    for (u32 i = 4 * threadIdx.x + 1024 * HELD; i < row.k; i += 1024) {
        put(i, row_values(row, i, load_again(row.values + i), squares));
    }
    return factor;
}
