// Types, conversions and the few instructions that C++ cannot say. Included by every kernel source.
// Read next: few.cu.
#pragma once
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define DEV static __device__ __forceinline__

enum Element { F16 = 0, BF16 = 1, F32 = 2 };

DEV float bits_f32(u32 bits) { return __uint_as_float(bits); }

DEV float bf16_f32(u32 bits) { return __uint_as_float(bits << 16); }

DEV float f16_f32(u32 bits) {
    float value;
    asm("{.reg .b16 h; cvt.u16.u32 h, %1; cvt.f32.f16 %0, h;}" : "=f"(value) : "r"(bits));
    return value;
}

// A sum's end, each step rounded: no other kernel may round it otherwise.
DEV float with_bias(float sum, float scale, const float *bias, u32 output) {
    sum = __fmul_rn(sum, scale);
    return bias ? __fadd_rn(sum, bias[output]) : sum;
}

// Two halves: `low` in bits 0..16.
DEV u32 pack_f16(float low, float high) {
    u32 pair;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

DEV u32 pack_bf16(float low, float high) {
    u32 pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

template <int ELEMENT> DEV u32 pack(float low, float high) {
    return ELEMENT == BF16 ? pack_bf16(low, high) : pack_f16(low, high);
}

DEV u32 half2_sub(u32 a, u32 b) {
    u32 c;
    asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(c) : "r"(a), "r"(b));
    return c;
}

DEV u32 half2_mul(u32 a, u32 b) {
    u32 c;
    asm("mul.rn.f16x2 %0, %1, %2;" : "=r"(c) : "r"(a), "r"(b));
    return c;
}

DEV u32 half2_fma(u32 a, u32 b, u32 c) {
    u32 d;
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
    return d;
}

DEV u32 shared_address(const void *pointer) { return (u32)__cvta_generic_to_shared(pointer); }

// What other kernels wrote a moment ago, past the first cache.
DEV float4 load_again(const float *from) {
    float4 v;
    asm volatile("ld.global.cg.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(from));
    return v;
}

DEV float load_again_4(const float *from) {
    float v;
    asm volatile("ld.global.cg.f32 %0, [%1];" : "=f"(v) : "l"(from));
    return v;
}

DEV float2 load_again_8(const float *from) {
    float2 value;
    asm volatile("ld.global.cg.v2.f32 {%0, %1}, [%2];" : "=f"(value.x), "=f"(value.y) : "l"(from));
    return value;
}

DEV uint4 load_again(const u16 *from) {
    uint4 v;
    asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(from));
    return v;
}

// Asynchronous copies; `bytes` 4, 8 or 16. Where `keep` is false zeros are written.
template <int BYTES> DEV void copy_async(u32 to, const void *from) {
    if (BYTES == 16) {
        asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(to), "l"(from));
    } else {
        asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(to), "l"(from), "n"(BYTES));
    }
}

DEV void copy_async_or_zero(u32 to, const void *from, bool keep) {
    u32 bytes = keep ? 16 : 0;
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes));
}

DEV void copy_commit() { asm volatile("cp.async.commit_group;"); }

template <int PENDING> DEV void copy_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory"); }

DEV uint2 load_shared_8(u32 address) {
    uint2 v;
    asm volatile("ld.shared.v2.b32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "r"(address));
    return v;
}

DEV uint4 load_shared_16(u32 address) {
    uint4 v;
    asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(address));
    return v;
}

DEV u32 load_shared_4(u32 address) {
    u32 v;
    asm volatile("ld.shared.u32 %0, [%1];" : "=r"(v) : "r"(address));
    return v;
}

DEV void store_shared_8(u32 address, u32 x, u32 y) {
    asm volatile("st.shared.v2.b32 [%0], {%1, %2};" ::"r"(address), "r"(x), "r"(y) : "memory");
}

// Programmatic dependent launch: what follows `previous_done` sees all that the kernel before wrote.
DEV void next_may_start() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
#endif
}

DEV void previous_done() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// d += a * b: a [16 x 16] and b [16 x 8] of ELEMENT, d [16 x 8] of f32.
template <int ELEMENT> DEV void mma_16816(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    if (ELEMENT == BF16) {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    } else {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                     : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
}

template <typename T> DEV T minimum(T a, T b) { return a < b ? a : b; }
template <typename T> DEV T maximum(T a, T b) { return a > b ? a : b; }

// Threads of some warps meet at a barrier of this number.
DEV void meet(u32 barrier, u32 threads) { asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory"); }

// The same for a warp that waits for nobody.
DEV void pass_by(u32 barrier, u32 threads) { asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "r"(threads) : "memory"); }

// Sum and maximum over a warp in one fixed order; every lane gets the result.
DEV float warp_sum(float value) {
    for (int step = 16; step > 0; step >>= 1) value += __shfl_xor_sync(~0u, value, step);
    return value;
}

DEV float warp_max(float value) {
    for (int step = 16; step > 0; step >>= 1) value = fmaxf(value, __shfl_xor_sync(~0u, value, step));
    return value;
}

// The same over 8 warps; `scratch` has 8 floats and is free again after the next barrier.
DEV float block_sum(float value, float *scratch) {
    value = warp_sum(value);
    if ((threadIdx.x & 31) == 0) scratch[threadIdx.x >> 5] = value;
    __syncthreads();
    float sum = scratch[0];
    for (int warp = 1; warp < 8; warp++) sum += scratch[warp];
    return sum;
}

DEV float block_max(float value, float *scratch) {
    value = warp_max(value);
    if ((threadIdx.x & 31) == 0) scratch[threadIdx.x >> 5] = value;
    __syncthreads();
    float most = scratch[0];
    for (int warp = 1; warp < 8; warp++) most = fmaxf(most, scratch[warp]);
    return most;
}

// Gated units; the numbers are those of ops/matmul.rs.
enum Act { SILU = 0, GELU_TANH = 1, GELU = 2, RELU = 3, SIGMOID = 4, RELU_SQUARED = 5, GELU_FAST = 6, CLAMPED = 7 };

DEV float sigmoid(float x) { return 1.0f / (1.0f + __expf(-x)); }

DEV float gated_unit(u32 act, float gate, float up, float alpha, float limit) {
    if (act == SILU) return gate * sigmoid(gate) * up;
    if (act == GELU_TANH) return gate * sigmoid(1.59576912f * (gate + 0.044715f * gate * gate * gate)) * up;
    if (act == GELU) return 0.5f * gate * (1.0f + erff(gate * 0.70710678f)) * up;
    if (act == RELU) return fmaxf(gate, 0.0f) * up;
    if (act == SIGMOID) return sigmoid(gate) * up;
    if (act == RELU_SQUARED) return fmaxf(gate, 0.0f) * fmaxf(gate, 0.0f) * up;
    if (act == GELU_FAST) return gate * sigmoid(1.702f * gate) * up;
    gate = fminf(gate, limit);
    up = fminf(fmaxf(up, -limit), limit);
    return (up + 1.0f) * gate * sigmoid(alpha * gate);
}

// The same as a call, where it would otherwise be unrolled many times.
static __device__ __noinline__ float gated_call(u32 act, float gate, float up, float alpha, float limit) {
    return gated_unit(act, gate, up, alpha, limit);
}

// The same where the common unit is worth its code.
DEV float gated_fast(u32 act, float gate, float up, float alpha, float limit) {
    return act == SILU ? gated_unit(SILU, gate, up, 0.0f, 0.0f) : gated_call(act, gate, up, alpha, limit);
}

// How long a slice of K is that is summed by itself: at most eight of them, and the order of a sum depends on K alone.
DEV u32 slice_length(u32 k) { return (k + 1023) / 1024 * 128; }
