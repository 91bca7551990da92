// Rows sorted, running results along rows, random words. Order of buffers and parameters: src/ops/{sort,scan,random}.rs.
#include "common.cuh"

struct SortArgs {
    const float *x;
    uint2 *pairs; // [rows][dim]: a number that orders as the value does, and its place
    u32 *places;
    float *sorted;
    u32 dim, x_stride, distance, mirrored;
};

constexpr u32 STRETCH = 1024;

// The two of comparison i, `distance` apart or mirrored in a stretch of `distance`.
DEV uint2 compared(u32 i, u32 distance, bool mirrored) {
    if (!mirrored) {
        const u32 low = i / distance * distance * 2 + i % distance;
        return make_uint2(low, low + distance);
    }
    const u32 half = distance / 2, first = i / half * distance;
    return make_uint2(first + i % half, first + distance - 1 - i % half);
}

DEV bool is_behind(uint2 a, uint2 b) { return a.x > b.x || (a.x == b.x && a.y > b.y); }

DEV void compare_here(uint2 (&here)[STRETCH], u32 distance, bool mirrored) {
    for (u32 i = threadIdx.x; i < STRETCH / 2; i += 256) {
        const uint2 at = compared(i, distance, mirrored), a = here[at.x], b = here[at.y];
        if (is_behind(a, b)) here[at.x] = b, here[at.y] = a;
    }
    __syncthreads();
}

// Numbers that order as floats do: both zeros alike, what is no number last.
DEV u32 order_of(u32 bits) {
    if ((bits & 0x7fffffff) > 0x7f800000) return 0xfffffffe;
    if ((bits & 0x7fffffff) == 0) return 0x80000000;
    return bits & 0x80000000 ? ~bits : bits | 0x80000000;
}

// Stretches of 1,024: sorted from values, or the comparisons within them that end a merge. Grid (stretches, rows).
template <bool FROM_VALUES> DEV void sort_stretch(const SortArgs &args) {
    __shared__ uint2 here[STRETCH];
    next_may_start();
    previous_done();
    const u32 first = blockIdx.x * STRETCH;
    uint2 *pairs = args.pairs + (u64)blockIdx.y * args.dim;
    for (u32 i = threadIdx.x; i < STRETCH; i += 256) {
        const u32 k = first + i;
        here[i] = make_uint2(~0u, ~0u);
        if (k >= args.dim) continue;
        if (FROM_VALUES) {
            here[i] = make_uint2(order_of(__float_as_uint(load_again_4(args.x + (u64)blockIdx.y * args.x_stride + k))), k);
        } else {
            here[i] = __ldcg(pairs + k);
        }
    }
    __syncthreads();
    if (FROM_VALUES) {
        for (u32 stretch = 2; stretch <= STRETCH; stretch *= 2) {
            compare_here(here, stretch, true);
            for (u32 distance = stretch / 4; distance > 0; distance /= 2) compare_here(here, distance, false);
        }
    } else {
        for (u32 distance = STRETCH / 2; distance > 0; distance /= 2) compare_here(here, distance, false);
    }
    for (u32 i = threadIdx.x; i < STRETCH && first + i < args.dim; i += 256) pairs[first + i] = here[i];
}

extern "C" __global__ void __launch_bounds__(256) sort_values(const __grid_constant__ SortArgs args) { sort_stretch<true>(args); }
extern "C" __global__ void __launch_bounds__(256) sort_ends(const __grid_constant__ SortArgs args) { sort_stretch<false>(args); }

// One comparison of pairs that are far apart: grid (comparisons / 256, rows).
extern "C" __global__ void __launch_bounds__(256) sort_apart(const __grid_constant__ SortArgs args) {
    next_may_start();
    previous_done();
    const uint2 at = compared(blockIdx.x * 256 + threadIdx.x, args.distance, args.mirrored);
    uint2 *pairs = args.pairs + (u64)blockIdx.y * args.dim;
    if (at.y >= args.dim) return;
    const uint2 a = __ldcg(pairs + at.x), b = __ldcg(pairs + at.y);
    if (is_behind(a, b)) pairs[at.x] = b, pairs[at.y] = a;
}

// Places and values: grid (values / 256, rows).
extern "C" __global__ void __launch_bounds__(256) sort_taken(const __grid_constant__ SortArgs args) {
    next_may_start();
    previous_done();
    const u32 i = blockIdx.x * 256 + threadIdx.x;
    if (i >= args.dim) return;
    const u64 row = (u64)blockIdx.y * args.dim;
    const u32 place = __ldcg(args.pairs + row + i).y;
    args.places[row + i] = place;
    args.sorted[row + i] = load_again_4(args.x + (u64)blockIdx.y * args.x_stride + place);
}

struct ScanArgs {
    const float *x;
    float *out;
    u32 kind, dim, x_stride, reverse, exclusive;
};

DEV float join(u32 kind, float a, float b) {
    if (kind == 0) return a + b;
    if (kind == 1) return a * b;
    return kind == 2 ? fmaxf(a, b) : fminf(a, b);
}

// A row a block: each of 256 threads has 8 neighbours of a chunk of 2,048 values, joined in order.
extern "C" __global__ void __launch_bounds__(256) scan(const __grid_constant__ ScanArgs args) {
    __shared__ float joined[256];
    next_may_start();
    previous_done();
    const u32 thread = threadIdx.x, kind = args.kind;
    const float neutral = kind == 0 ? 0.0f : kind == 1 ? 1.0f : kind == 2 ? -3.4028234e38f : 3.4028234e38f;
    const float *x = args.x + (u64)blockIdx.x * args.x_stride;
    float *out = args.out + (u64)blockIdx.x * args.dim;
    auto place = [&](u32 k) { return args.reverse ? args.dim - 1 - k : k; };
    float before = neutral;
    for (u32 chunk = 0; chunk < args.dim; chunk += 2048) {
        const u32 first = chunk + thread * 8, end = minimum(first + 8, args.dim);
        float value = neutral;
        for (u32 k = first; k < end; k++) value = join(kind, value, load_again_4(x + place(k)));
        joined[thread] = value;
        for (u32 step = 1; step < 256; step *= 2) {
            __syncthreads();
            float sum = joined[thread];
            if (thread >= step) sum = join(kind, joined[thread - step], sum);
            __syncthreads();
            joined[thread] = sum;
        }
        __syncthreads();
        float running = thread > 0 ? join(kind, before, joined[thread - 1]) : before;
        for (u32 k = first; k < end; k++) {
            const float next = join(kind, running, load_again_4(x + place(k)));
            out[place(k)] = args.exclusive ? running : next;
            running = next;
        }
        before = join(kind, before, joined[255]);
        __syncthreads();
    }
}

struct RandomArgs {
    const u32 *key;
    u32 *out;
    u32 words;
};

// Threefry-2x32 with 20 rounds: word i of the first half comes with word i of the second; of an odd number, the middle one
// stands alone.
extern "C" __global__ void __launch_bounds__(256) random_words(const __grid_constant__ RandomArgs args) {
    next_may_start();
    previous_done();
    const u32 word = blockIdx.x * 256 + threadIdx.x, half = args.words / 2, second = args.words - half;
    if (word >= second) return;
    const u32 x = __ldcg(args.key), y = __ldcg(args.key + 1), keys[3] = {x, y, x ^ y ^ 0x1BD11BDA};
    u32 a = word + x, b = (word < half ? word + second : 0) + y;
#pragma unroll
    for (u32 group = 0; group < 5; group++) {
        const u32 even[4] = {13, 15, 26, 6}, odd[4] = {17, 29, 16, 24};
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            const u32 turn = group % 2 ? odd[i] : even[i];
            a += b;
            b = __funnelshift_l(b, b, turn) ^ a;
        }
        a += keys[(group + 1) % 3];
        b += keys[(group + 2) % 3] + group + 1;
    }
    args.out[word] = a;
    if (word < half) args.out[word + second] = b;
}
