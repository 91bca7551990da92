// How a warp norms and rotates a head of 64 or 128.
//
// Invariant: the steps, and with them the bits, are those of `heads` in plain.cu. Read next: plain.cu, attention_step.cu.
#pragma once
#include "common.cuh"

struct HeadPass {
    u32 normed, rotated, interleaved;
    float epsilon;
};

// Norm and rotate a head: a warp does what 64 threads of `heads` do. `v`: elements lane + 32 j.
template <int DIM>
DEV void make_head(const HeadPass &pass, const float (&v)[DIM / 32], const float (&weights)[DIM / 32], const float2 (&angles)[2], float *head) {
    const u32 lane = threadIdx.x & 31;
    float scale = 1.0f;
    if (pass.normed) {
        float squares[2] = {0.0f, 0.0f};
#pragma unroll
        for (u32 j = 0; j < DIM / 32; j++) squares[j & 1] = fmaf(v[j], v[j], squares[j & 1]);
        const float low = warp_sum(squares[0]), high = warp_sum(squares[1]);
        scale = 1.0f / sqrtf((low + high) / (float)DIM + pass.epsilon);
    }
#pragma unroll
    for (u32 j = 0; j < DIM / 32; j++) head[lane + 32 * j] = pass.normed ? v[j] * scale * weights[j] : v[j];
    __syncwarp();
#pragma unroll
    for (u32 j = 0; j < 2; j++) {
        const u32 i = lane + 32 * j;
        if (i >= pass.rotated / 2) continue;
        const u32 low = pass.interleaved ? 2 * i : i, high = pass.interleaved ? 2 * i + 1 : i + pass.rotated / 2;
        const float a = head[low], b = head[high];
        head[low] = fmaf(a, angles[j].x, -(b * angles[j].y));
        head[high] = fmaf(b, angles[j].x, a * angles[j].y);
    }
    __syncwarp();
}
