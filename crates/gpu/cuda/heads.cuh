// How a warp norms and rotates a head of 64 or 128: one whose lanes have every 32nd element, or four neighbours each.
//
// Invariant: the steps, and with them the bits, are those of `heads` in plain.cu. Read next: plain.cu, attention_step.cu.
#pragma once
#include "common.cuh"

struct HeadPass {
    u32 normed, rotated, interleaved;
    float epsilon;
};

// Norm and rotate heads: a warp does what 64 threads of `heads` do, for `count` of N of them beside each other. `v`: elements
// lane + 32 j; `room`: of each head.
template <int DIM, u32 N>
DEV void make_heads(const HeadPass &pass, float (&v)[N][DIM / 32], const float (&weights)[N][DIM / 32], const float2 (&angles)[2], float *const (&room)[N], u32 count) {
    constexpr u32 PAIRS = DIM / 64;
    const u32 lane = threadIdx.x & 31;
    if (pass.normed) {
        float scales[N];
#pragma unroll
        for (u32 n = 0; n < N; n++) {
            float squares[2] = {0.0f, 0.0f};
#pragma unroll
            for (u32 j = 0; j < DIM / 32; j++) squares[j & 1] = fmaf(v[n][j], v[n][j], squares[j & 1]);
            scales[n] = warp_sum(squares[0]) + warp_sum(squares[1]);
        }
#pragma unroll
        for (u32 n = 0; n < N; n++) {
            const float scale = 1.0f / sqrtf(scales[n] / (float)DIM + pass.epsilon);
#pragma unroll
            for (u32 j = 0; j < DIM / 32; j++) v[n][j] = v[n][j] * scale * weights[n][j];
        }
    }
    if (pass.rotated == DIM && !pass.interleaved) {
        // A lane has both of each pair.
#pragma unroll
        for (u32 n = 0; n < N; n++) {
#pragma unroll
            for (u32 j = 0; j < PAIRS; j++) {
                const float a = v[n][j], b = v[n][j + PAIRS];
                v[n][j] = fmaf(a, angles[j].x, -(b * angles[j].y));
                v[n][j + PAIRS] = fmaf(b, angles[j].x, a * angles[j].y);
            }
        }
        return;
    }
#pragma unroll
    for (u32 n = 0; n < N; n++) {
        if (n >= count) break;
        float *head = room[n];
#pragma unroll
        for (u32 j = 0; j < DIM / 32; j++) head[lane + 32 * j] = v[n][j];
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
#pragma unroll
        for (u32 j = 0; j < DIM / 32; j++) v[n][j] = head[lane + 32 * j];
    }
}

// What four neighbours of a head, those at 4 (lane % (DIM / 4)), are turned by; the other of each pair is at the same place of
// lane `other`, or a neighbour.
struct Turn {
    float cos[4], sin[4];
    u32 other;
};

// `angles`: of the row, a cosine and a sine for each pair. A multiple of 8 dimensions is rotated.
template <int DIM> DEV Turn turn_of(const HeadPass &pass, const float *angles) {
    const u32 lane = threadIdx.x & 31, at = lane % (DIM / 4), apart = pass.rotated / 8;
    Turn turn = {{1.0f, 1.0f, 1.0f, 1.0f}, {0.0f, 0.0f, 0.0f, 0.0f}, lane};
    if (at >= pass.rotated / 4) return turn;
    if (pass.interleaved) {
        const float4 v = load_again(angles + 4 * at);
        turn.cos[0] = turn.cos[1] = v.x, turn.cos[2] = turn.cos[3] = v.z;
        turn.sin[0] = -v.y, turn.sin[1] = v.y, turn.sin[2] = -v.w, turn.sin[3] = v.w;
    } else {
        const bool high = at >= apart;
        const float *from = angles + 8 * (high ? at - apart : at);
        const float4 v = load_again(from), u = load_again(from + 4);
        turn.cos[0] = v.x, turn.cos[1] = v.z, turn.cos[2] = u.x, turn.cos[3] = u.z;
        turn.sin[0] = high ? v.y : -v.y, turn.sin[1] = high ? v.w : -v.w, turn.sin[2] = high ? u.y : -u.y, turn.sin[3] = high ? u.w : -u.w;
        turn.other = high ? lane - apart : lane + apart;
    }
    return turn;
}

// Two of four values, those of the lane's side of STEP, beside the other lane's.
template <u32 STEP> DEV void halve(const float (&v)[4], float (&own)[2], float (&others)[2]) {
    const bool high = threadIdx.x & STEP;
#pragma unroll
    for (u32 j = 0; j < 2; j++) own[j] = high ? v[j + 2] : v[j], others[j] = __shfl_xor_sync(~0u, high ? v[j] : v[j + 2], STEP);
}

// The sum of a head's squares, in the order of make_heads: each of its sums is made by two lanes that have its parts.
template <int DIM> DEV float sum_of_squares(const float4 &of) {
    constexpr u32 FIRST = DIM == 128 ? 16 : 4, SECOND = DIM == 128 ? 4 : 2;
    const float v[4] = {of.x, of.y, of.z, of.w};
    float own[2], others[2], sums[2];
    halve<FIRST>(v, own, others);
#pragma unroll
    for (u32 j = 0; j < 2; j++) {
        const bool high = threadIdx.x & FIRST;
        const float low_one = high ? others[j] : own[j], high_one = high ? own[j] : others[j], square = __fmul_rn(low_one, low_one);
        sums[j] = DIM == 128 ? fmaf(high_one, high_one, square) : __fadd_rn(square, __fmul_rn(high_one, high_one));
    }
    const bool second = threadIdx.x & SECOND;
    float sum = (second ? sums[1] : sums[0]) + __shfl_xor_sync(~0u, second ? sums[0] : sums[1], SECOND);
    if (DIM == 128) sum += __shfl_xor_sync(~0u, sum, 2);
    sum += __shfl_xor_sync(~0u, sum, 1);
    sum += __shfl_xor_sync(~0u, sum, FIRST);
    sum += __shfl_xor_sync(~0u, sum, SECOND);
    return sum + __shfl_xor_sync(~0u, sum, 8);
}

// A head that is normed already, turned; heads of 64 are two a warp. USUAL: all of it, its halves being the pairs.
template <int DIM, bool USUAL> DEV float4 turned_head(const HeadPass &pass, const Turn &turn, const float4 &of) {
    const float v[4] = {of.x, of.y, of.z, of.w};
    const bool is_turned = USUAL || (threadIdx.x & 31) % (DIM / 4) < pass.rotated / 4;
    float made[4];
#pragma unroll
    for (u32 j = 0; j < 4; j++) {
        const float far = __shfl_sync(~0u, v[j], turn.other), other = !USUAL && pass.interleaved ? v[j ^ 1] : far;
        made[j] = is_turned ? fmaf(v[j], turn.cos[j], other * turn.sin[j]) : v[j];
    }
    return make_float4(made[0], made[1], made[2], made[3]);
}
