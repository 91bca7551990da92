// The greatest values of each part of 1,024 elements of a row, in the order of wgsl/greatest.wgsl.
//
// All threads look for a bound above which a part has as many elements as are asked for, or some more; one warp puts those in order in its
// registers. Where too many are alike for that, runs of all elements are sorted and half of them left out until one is left, as there.
#include "common.cuh"

struct GreatestArgs {
    const u32 *input;    // values, or pairs of an earlier pass
    uint2 *out;          // pairs of a value and its number
    const float *factors; // or null
    float2 *sums;
    u32 count, first, dim, parts; // at most 64
};

// Larger values have larger keys; 0 is that of NaN and of nothing.
DEV u32 key_of(u32 bits) {
    if ((bits & 0x7fffffff) > 0x7f800000) return 0;
    if (bits == 0x80000000) return bits;
    return bits & 0x80000000 ? ~bits : bits | 0x80000000;
}

DEV u32 value_of(u32 key) { return key & 0x80000000 ? key & 0x7fffffff : ~key; }

// Greatest first, equal ones by number: one number orders both.
DEV u64 place_of(u32 bits, u32 number) { return (u64)key_of(bits) << 32 | (u32)~number; }

DEV void put_in_order(u64 *places, u32 a, u32 b, bool forward) {
    const u64 x = places[a], y = places[b];
    if (y > x == forward) places[a] = y, places[b] = x;
}

// Most elements that one warp puts in order.
constexpr u32 MOST = 128;

// The least key of `wanted` to MOST greatest elements of a part, of which each thread has four; 0 where there is none. `counts`: 16.
DEV u32 find_bound(const u64 (&own)[4], u32 wanted, u32 *counts) {
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5;
    u32 low = 0, high = ~0u;
    for (u32 round = 0; high - low > 1; round ^= 8) {
        const u32 middle = low + (high - low) / 2;
        u32 many = 0;
#pragma unroll
        for (u32 i = 0; i < 4; i++) many += (u32)(own[i] >> 32) >= middle;
        many = __reduce_add_sync(~0u, many);
        if (lane == 0) counts[round + warp] = many;
        __syncthreads();
        many = 0;
#pragma unroll
        for (u32 w = 0; w < 8; w++) many += counts[round + w];
        if (many >= wanted && many <= MOST) return middle;
        if (many < wanted) high = middle;
        else low = middle;
    }
    return 0;
}

DEV void exchange(u64 &a, u64 &b, bool forward) {
    const bool change = b > a == forward;
    const u64 x = change ? b : a;
    b = change ? a : b, a = x;
}

// A warp puts MOST elements in order, greatest first; a lane has four neighbours.
DEV void order_most(u64 (&own)[4]) {
    const u32 lane = threadIdx.x & 31;
#pragma unroll 1
    for (u32 size = 2; size <= MOST; size *= 2) {
#pragma unroll 1
        for (u32 apart = size / 8; apart > 0; apart /= 2) {
            const bool greater = ((lane & apart) == 0) == ((lane * 4 & size) == 0);
#pragma unroll
            for (u32 i = 0; i < 4; i++) {
                const u64 other = __shfl_xor_sync(~0u, own[i], apart);
                own[i] = other > own[i] == greater ? other : own[i];
            }
        }
        const bool forward = (lane * 4 & size) == 0;
        if (size > 2) exchange(own[0], own[2], forward), exchange(own[1], own[3], forward);
        exchange(own[0], own[1], forward), exchange(own[2], own[3], size == 2 ? false : forward);
    }
}

// Grid (parts, rows), 256 threads.
extern "C" __global__ void __launch_bounds__(256) greatest(const __grid_constant__ GreatestArgs args) {
    __shared__ u64 places[1024];
    __shared__ float partial[8];
    __shared__ u32 counts[16], filled;
    next_may_start();
    previous_done();
    const u32 thread = threadIdx.x, first = blockIdx.x * 1024;
    const u64 row = (u64)blockIdx.y * args.dim;
    float values[4], largest = -3.4e38f;
    u64 own[4];
    for (u32 i = 0; i < 4; i++) {
        const u32 place = first + thread + 256 * i;
        u32 bits = 0xffc00000, number = ~0u;
        if (place < args.dim) {
            if (args.first) {
                bits = __ldcg(args.input + row + place), number = place;
            } else {
                const uint2 pair = __ldcg((const uint2 *)args.input + row + place);
                bits = pair.x, number = pair.y;
            }
        }
        own[i] = place_of(bits, number);
        values[i] = place < args.dim ? fmaxf(__uint_as_float(bits), -3.4e38f) : -3.4e38f;
        largest = fmaxf(largest, values[i]);
    }
    if (args.factors) {
        for (int step = 16; step > 0; step >>= 1) largest = fmaxf(largest, __shfl_xor_sync(~0u, largest, step));
        if ((thread & 31) == 0) partial[thread >> 5] = largest;
        __syncthreads();
        largest = partial[0];
        for (u32 warp = 1; warp < 8; warp++) largest = fmaxf(largest, partial[warp]);
        __syncthreads();
        float sum = 0.0f;
        for (u32 i = 0; i < 4; i++) {
            if (first + thread + 256 * i < args.dim) sum += expf((values[i] - largest) * args.factors[blockIdx.y]);
        }
        sum = warp_sum(sum);
        if ((thread & 31) == 0) partial[thread >> 5] = sum;
        __syncthreads();
        if (thread == 0) {
            for (u32 warp = 1; warp < 8; warp++) sum += partial[warp];
            args.sums[(u64)blockIdx.y * args.parts + blockIdx.x] = make_float2(largest, sum);
        }
    }
    const u32 count = args.count;
    uint2 *out = args.out + ((u64)blockIdx.y * args.parts + blockIdx.x) * count;
    auto leave = [&](u32 i, u64 place) { out[i] = make_uint2(value_of(place >> 32), ~(u32)place); };
    if (thread == 0) filled = 0;
    const u32 bound = find_bound(own, count, counts);
    if (bound) {
        for (u32 i = 0; i < 4; i++) {
            if ((u32)(own[i] >> 32) >= bound) places[atomicAdd(&filled, 1)] = own[i];
        }
        __syncthreads();
        if (thread >= 32) return;
        for (u32 i = 0; i < 4; i++) own[i] = thread * 4 + i < filled ? places[thread * 4 + i] : 0;
        order_most(own);
        for (u32 i = 0; i < 4; i++) {
            if (thread * 4 + i < count) leave(thread * 4 + i, own[i]);
        }
        return;
    }
    for (u32 i = 0; i < 4; i++) places[thread + 256 * i] = own[i];
    __syncthreads();
    // Each run of `count` elements is sorted.
    for (u32 size = 2; size <= count; size *= 2) {
        for (u32 stride = size / 2; stride > 0; stride /= 2) {
            for (u32 pair = thread; pair < 512; pair += 256) {
                const u32 a = pair / stride * stride * 2 + pair % stride;
                put_in_order(places, a, a + stride, size == count || (a & size) == 0);
            }
            __syncthreads();
        }
    }
    // Half of the runs stay: the better ones of a run and another one backwards, which need little sorting.
    for (u32 runs = 512 / count; runs > 0; runs /= 2) {
        for (u32 a = thread; a < runs * count; a += 256) {
            const u64 other = places[runs * count + a / count * count + (count - 1 - a % count)];
            if (other > places[a]) places[a] = other;
        }
        __syncthreads();
        for (u32 stride = count / 2; stride > 0; stride /= 2) {
            for (u32 pair = thread; pair < runs * count / 2; pair += 256) {
                const u32 a = pair / stride * stride * 2 + pair % stride;
                put_in_order(places, a, a + stride, true);
            }
            __syncthreads();
        }
    }
    if (thread < count) leave(thread, places[thread]);
}
