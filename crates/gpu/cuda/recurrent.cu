// Layers with a state: the causal convolution and the gated delta rule. Order of buffers and parameters:
// src/ops/recurrent.rs. Invariant: tokens are taken one by one in order, whatever a prompt is cut into.
#include "common.cuh"

struct ConvolutionArgs {
    const float *input;
    const float *weight; // [kernel][channels], the newest input's last
    const float *bias;   // [channels] or null
    const uint4 *spans;  // first row, rows, slot
    float *states;       // [slot][kernel - 1][channels], oldest first
    float *out;
    u32 channels, input_stride, out_stride, kernel, silu;
};

constexpr u32 MAX_KERNEL = 8;

// A thread takes a channel of a sequence through all of its rows: grid (channels / 64, sequences).
extern "C" __global__ void __launch_bounds__(64) convolution(const __grid_constant__ ConvolutionArgs args) {
    next_may_start();
    previous_done();
    const u32 channel = blockIdx.x * 64 + threadIdx.x;
    const uint4 span = __ldcg(args.spans + blockIdx.y);
    if (channel >= args.channels || span.y == 0) return;
    float *state = args.states + (u64)span.z * (args.kernel - 1) * args.channels + channel;
    // The last of eight places is the newest.
    const u32 skip = MAX_KERNEL - args.kernel;
    float w[MAX_KERNEL], x[MAX_KERNEL];
#pragma unroll
    for (u32 i = 0; i < MAX_KERNEL; i++) {
        w[i] = i >= skip ? args.weight[(i - skip) * args.channels + channel] : 0.0f;
        x[i] = i >= skip && i + 1 < MAX_KERNEL ? __ldcg(state + (i - skip) * args.channels) : 0.0f;
    }
    const float bias = args.bias ? args.bias[channel] : 0.0f;
    const float *input = args.input + (u64)span.x * args.input_stride + channel;
    float *out = args.out + (u64)span.x * args.out_stride + channel;
    float next = load_again_4(input);
    for (u32 row = 0; row < span.y; row++) {
        x[MAX_KERNEL - 1] = next;
        if (row + 1 < span.y) next = load_again_4(input + (u64)(row + 1) * args.input_stride);
        float sum = bias;
#pragma unroll
        for (u32 i = 0; i < MAX_KERNEL; i++) sum = fmaf(w[i], x[i], sum);
        out[(u64)row * args.out_stride] = args.silu ? sum / (1.0f + expf(-sum)) : sum;
#pragma unroll
        for (u32 i = 0; i + 1 < MAX_KERNEL; i++) x[i] = x[i + 1];
    }
#pragma unroll
    for (u32 i = 0; i + 1 < MAX_KERNEL; i++) {
        if (i >= skip) state[(i - skip) * args.channels] = x[i];
    }
}

struct DeltaArgs {
    const float *queries, *keys, *values, *decay, *beta;
    const uint4 *spans;
    float *states; // [slot][value_heads][key_dim][value_dim]
    float *out;
    u32 key_heads, value_heads, query_stride, key_stride, value_stride, gate_stride, out_stride;
    u32 key_dim, value_dim;
};

DEV float quad_sum(float value) {
    value += __shfl_xor_sync(~0u, value, 1);
    return value + __shfl_xor_sync(~0u, value, 2);
}

// S = decay * S; S += k (x) beta * (v - S^T k); out = S^T q; k and q of unit length, q over sqrt(key_dim).
// A warp has 8 columns of a head's state, four lanes a column: lane part has keys part, part + 4, ... in registers.
// Grid (columns / 32, value heads, sequences).
template <u32 PART> DEV void delta(const DeltaArgs &args) {
    __shared__ float rows[4][2][PART * 4];
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, part = lane & 3;
    const u32 column = blockIdx.x * 32 + warp * 8 + (lane >> 2), head = blockIdx.y;
    next_may_start();
    previous_done();
    const uint4 span = __ldcg(args.spans + blockIdx.z);
    if (span.y == 0) return;
    const bool is_column = column < args.value_dim;
    const u32 at = minimum(column, args.value_dim - 1), key_head = head / (args.value_heads / args.key_heads);
    float *state = args.states + ((u64)(span.z * args.value_heads + head) * args.key_dim + part) * args.value_dim + at;
    float(&key)[PART * 4] = rows[warp][0], (&query)[PART * 4] = rows[warp][1];
    float s[PART];
#pragma unroll
    for (u32 i = 0; i < PART; i++) s[i] = 4 * i < args.key_dim ? __ldcg(state + (u64)4 * i * args.value_dim) : 0.0f;
    constexpr u32 EACH = PART / 8;
    float next_q[EACH], next_k[EACH], next_value, next_left, next_beta;
    auto ask = [&](u32 row) {
#pragma unroll
        for (u32 i = 0; i < EACH; i++) {
            const u32 d = i * 32 + lane;
            const bool there = d < args.key_dim;
            next_q[i] = there ? load_again_4(args.queries + (u64)row * args.query_stride + key_head * args.key_dim + d) : 0.0f;
            next_k[i] = there ? load_again_4(args.keys + (u64)row * args.key_stride + key_head * args.key_dim + d) : 0.0f;
        }
        next_value = load_again_4(args.values + (u64)row * args.value_stride + head * args.value_dim + at);
        next_left = load_again_4(args.decay + (u64)row * args.gate_stride + head);
        next_beta = load_again_4(args.beta + (u64)row * args.gate_stride + head);
    };
    ask(span.x);
    for (u32 row = span.x; row < span.x + span.y; row++) {
        float of_query = 0.0f, of_key = 0.0f;
        __syncwarp();
#pragma unroll
        for (u32 i = 0; i < EACH; i++) {
            query[i * 32 + lane] = next_q[i], key[i * 32 + lane] = next_k[i];
            of_query = fmaf(next_q[i], next_q[i], of_query), of_key = fmaf(next_k[i], next_k[i], of_key);
        }
        const float value = next_value, left = next_left, beta = next_beta;
        if (row + 1 < span.x + span.y) ask(row + 1);
        __syncwarp();
        const float query_factor = 1.0f / sqrtf(warp_sum(of_query) + 1.0e-6f) / sqrtf((float)args.key_dim);
        const float key_factor = 1.0f / sqrtf(warp_sum(of_key) + 1.0e-6f);
        float found = 0.0f;
#pragma unroll
        for (u32 i = 0; i < PART; i++) s[i] *= left, found = fmaf(s[i], key[4 * i + part], found);
        const float step = beta * fmaf(-key_factor, quad_sum(found), value) * key_factor;
        float answer = 0.0f;
#pragma unroll
        for (u32 i = 0; i < PART; i++) s[i] = fmaf(step, key[4 * i + part], s[i]), answer = fmaf(s[i], query[4 * i + part], answer);
        answer = quad_sum(answer);
        if (part == 0 && is_column) args.out[(u64)row * args.out_stride + head * args.value_dim + column] = answer * query_factor;
    }
    if (!is_column) return;
#pragma unroll
    for (u32 i = 0; i < PART; i++) {
        if (4 * i < args.key_dim) state[(u64)4 * i * args.value_dim] = s[i];
    }
}

extern "C" __global__ void __launch_bounds__(128) delta_128(const __grid_constant__ DeltaArgs args) { delta<32>(args); }
extern "C" __global__ void __launch_bounds__(128) delta_256(const __grid_constant__ DeltaArgs args) { delta<64>(args); }
