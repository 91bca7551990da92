// The greatest values of each part of 1,024 elements of a row: the algorithm and the order are those of wgsl/greatest.wgsl.
#include "common.cuh"

struct GreatestArgs {
    const u32 *input;    // values, or pairs of an earlier pass
    uint2 *out;          // pairs of a value and its number
    const float *factors; // or null
    float2 *sums;
    u32 count, first, dim, parts;
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

// Grid (parts, rows), 256 threads.
extern "C" __global__ void __launch_bounds__(256) greatest(const __grid_constant__ GreatestArgs args) {
    __shared__ u64 places[1024];
    __shared__ float partial[8];
    next_may_start();
    previous_done();
    const u32 thread = threadIdx.x, first = blockIdx.x * 1024;
    const u64 row = (u64)blockIdx.y * args.dim;
    float values[4], largest = -3.4e38f;
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
        places[thread + 256 * i] = place_of(bits, number);
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
    __syncthreads();
    const u32 count = args.count;
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
    if (thread < count) {
        const u64 place = places[thread];
        args.out[((u64)blockIdx.y * args.parts + blockIdx.x) * count + thread] = make_uint2(value_of(place >> 32), ~(u32)place);
    }
}
