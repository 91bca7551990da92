// One tile of keys and values by four warps: for few rows of a sequence each the way through a tile is what takes the time,
// not what the tensor cores have to do.
//
// Invariant: each score, each sum and each total is made in the order of `tile_sums`. Read next: attention.cuh,
// attention_step.cu.
#pragma once
#include "attention.cuh"

// What four warps that sum a tile tell one another: of 16 keys each the largest scores, and weights, rounded and as they are.
struct Exchange {
    float largest[4][16];
    uint4 rounded[4][32];
    float4 weights[KEYS / 8][32];
};

// Put pieces `first` to `first + PIECES` of the new key or value, rounded, at its place in the last tile.
template <int DIM, u32 PIECES> DEV void patch_row(u32 tile_at, const u16 *fresh, u32 row, u32 first) {
    const u32 lane = threadIdx.x & 31;
    if (lane >= PIECES) return;
    const uint4 v = *(const uint4 *)(fresh + (first + lane) * 8);
    const u32 at = tile_at + piece_place<DIM, true>(row, first + lane);
    store_shared_8(at, v.x, v.y), store_shared_8(at + 8, v.z, v.w);
}

// Zeros in these pieces behind row `row` of a tile's values: what stands there may be no number.
template <int DIM, u32 PIECES> DEV void clear_behind(u32 tile_at, u32 row, u32 first) {
    constexpr u32 ROWS = 32 / PIECES;
    const u32 lane = threadIdx.x & 31, begin = row + 1 + lane / PIECES, piece = first + lane % PIECES;
    auto clear = [&](u32 at) { store_shared_8(at, 0, 0), store_shared_8(at + 8, 0, 0); };
    if (ROWS % 8 == 0) {
        // Of rows that are a multiple of eight apart pieces lie as far apart.
        const u32 at = tile_at + piece_place<DIM, true>(begin, piece);
#pragma unroll
        for (u32 i = 0; i < KEYS / ROWS; i++) {
            if (begin + i * ROWS < KEYS) clear(at + i * ROWS * DIM * 2);
        }
    } else {
#pragma unroll 1
        for (u32 i = begin; i < KEYS; i += ROWS) clear(tile_at + piece_place<DIM, true>(i, piece));
    }
    __syncwarp();
}

// One tile by four warps, of which this is number `part`: each sums the scores of 16 keys, then a quarter of the dimensions.
// `between` is called once no keys are needed any more, `values` before the values are.
template <int ELEMENT, int DIM, typename Between, typename Values>
DEV void sum_tile(const AttentionArgs &a, const Queries<ELEMENT, DIM> &q, Exchange &exchange, u32 barrier, u32 part, u32 keys_at, u32 values_at, u32 start,
                  const u32 (&firsts)[2], const u32 (&lasts)[2], float (&sums)[DIM / 32][4], float (&largest)[2], float (&total)[2], Between between, Values values) {
    const u32 lane = threadIdx.x & 31, g = lane >> 2, t = lane & 3;
    // Pieces of a row are 16 bytes, two neighbours an exchange apart from the next two.
    keys_at += piece_place<DIM, true>(part * 16 + (lane >> 4) * 8 + (lane & 7), (lane >> 3) & 1);
    values_at += piece_place<DIM, true>(((lane >> 3) & 1) * 8 + (lane & 7), part * (DIM / 32) + (lane >> 4));
    float scores[2][4];
    u32 blocks[DIM / 16][4];
#pragma unroll
    for (u32 i = 0; i < DIM / 16; i++) load_matrices(blocks[i], (keys_at ^ (i % 4 << 5)) + i / 4 * 1024, false);
#pragma unroll
    for (u32 i = 0; i < DIM / 16; i++) {
        mma_16816<ELEMENT>(scores[0], q.parts[i], blocks[i][0], blocks[i][1], i == 0);
        mma_16816<ELEMENT>(scores[1], q.parts[i], blocks[i][2], blocks[i][3], i == 0);
    }
    limit_scores(a, scores, start + part * 16, firsts, lasts, lane);
    find_largest(scores, largest);
    if (t == 0) exchange.largest[part][g] = largest[0], exchange.largest[part][g + 8] = largest[1];
    meet(barrier, 128);
    between();
#pragma unroll
    for (u32 i = 0; i < 8; i++) largest[i & 1] = fmaxf(largest[i & 1], exchange.largest[i >> 1][g + 8 * (i & 1)]);
    make_weights(scores, largest, scale_of(a));
    exchange.rounded[part][lane] = make_uint4(pack<ELEMENT>(scores[0][0], scores[0][1]), pack<ELEMENT>(scores[0][2], scores[0][3]),
                                              pack<ELEMENT>(scores[1][0], scores[1][1]), pack<ELEMENT>(scores[1][2], scores[1][3]));
#pragma unroll
    for (u32 n = 0; n < 2; n++) exchange.weights[2 * part + n][lane] = make_float4(scores[n][0], scores[n][1], scores[n][2], scores[n][3]);
    values();
    constexpr u32 PAIRS = DIM / 64;
    u32 columns[4][PAIRS][4];
#pragma unroll
    for (u32 n = 0; n < 4; n++) {
#pragma unroll
        for (u32 j = 0; j < PAIRS; j++) load_matrices(columns[n][j], (values_at ^ (j << 5)) + n * DIM * 32, true);
    }
    meet(barrier, 128);
#pragma unroll
    for (u32 n = 0; n < 4; n++) {
        const uint4 v = exchange.rounded[n][lane];
        const u32 weights[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
        for (u32 j = 0; j < PAIRS; j++) {
            mma_16816<ELEMENT>(sums[2 * j], weights, columns[n][j][0], columns[n][j][1], n == 0);
            mma_16816<ELEMENT>(sums[2 * j + 1], weights, columns[n][j][2], columns[n][j][3], n == 0);
        }
    }
    if (part == 0) add_weights(total, [&](u32 n) { return exchange.weights[n][lane]; });
}
