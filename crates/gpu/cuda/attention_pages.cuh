// What attention kernels of Hopper are told, and how the tensor copy engine brings them pages. Read next: attention_step.cu,
// attention_prompt.cu.
#pragma once
#include "attention.cuh"
#include "heads.cuh"
#include "left.cuh"
#include "wgmma.cuh"

struct StepArgs {
    // Keys or values: 64 columns, 8 rows, the columns behind these, the rows behind those; boxes of a page's rows, at most
    // 64, swizzled.
    TensorMap pages;
    AttentionArgs attention;
    // Of `step`:
    float *qkv;                         // normed and rotated heads are left there, as `heads` leaves them
    const float *query_norm, *key_norm; // or null
    const float2 *angles;
    u32 keys;                           // where a row's keys begin; values follow
    HeadPass pass;
    u32 stages;                         // tiles that four warps have on their way
    LeftRows leaves;                    // what is left to the next product
};

// Keys of a page are a power of two.
DEV u32 page_log2(const AttentionArgs &a) { return 31 - __clz(a.page); }

// The page of the box that this lane brings of a tile.
DEV u32 page_number(const AttentionArgs &a, uint2 row, u32 tile) {
    const u32 key = tile * KEYS + (threadIdx.x & 31) * minimum(a.page, KEYS);
    return load_word(a.tables + row.y + (minimum(key, row.x) >> page_log2(a)));
}

// Have the rows of a box brought: keys or values from this one on.
DEV void load_rows(u32 to, const TensorMap *map, u32 row, u32 barrier) {
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %2, %2, %3}], [%4];" ::"r"(to),
                 "l"(map), "r"(0), "r"(row / 8), "r"(barrier)
                 : "memory");
}

// Have a warp's tile of keys or values brought: those pages of it that have some.
template <int DIM> DEV void bring_tile(const StepArgs &args, u32 to, u32 barrier, u32 number, u32 head, uint2 row, u32 tile, u32 values) {
    const AttentionArgs &a = args.attention;
    const u32 lane = threadIdx.x & 31, box = minimum(a.page, KEYS), start = tile * KEYS;
    const u32 box_log2 = 31 - __clz(box), boxes = minimum(((row.x - start) >> box_log2) + 1, KEYS >> box_log2);
    if (lane == 0) barrier_expect(barrier, boxes * box * DIM * 2);
    __syncwarp();
    if (lane >= boxes) return;
    const u32 from = ((number * a.kv_heads + head) * 2 + values) * a.page + ((start + lane * box) & (a.page - 1));
    load_rows(to + lane * box * DIM * 2, &args.pages, from, barrier);
}
