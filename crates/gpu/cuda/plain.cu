// The small operations around products and attention. Order of buffers and parameters: src/ops.
#include "heads.cuh"

struct KvWriteArgs {
    const float *qkv;
    const uint2 *rows;
    const u32 *tables;
    u8 *pages;
    u32 kv_heads, key_dim, value_dim, page, element, row_stride, first;
};

DEV u32 page_of(const KvWriteArgs &args, uint2 row) { return args.tables[row.y + row.x / args.page]; }

// Element e of a row's keys, then values, to its page.
DEV void write_cached(const KvWriteArgs &args, uint2 row, u32 page, u32 e, float value) {
    const u32 keys = args.kv_heads * args.key_dim;
    const bool is_value = e >= keys;
    const u32 width = is_value ? args.value_dim : args.key_dim;
    e -= is_value ? keys : 0;
    const u64 at = (u64)(page * args.kv_heads + e / width) * args.page * (args.key_dim + args.value_dim) +
                   (is_value ? args.page * args.key_dim : 0) + (row.x % args.page) * width + e % width;
    if (args.element == 0) {
        ((float *)args.pages)[at] = value;
    } else {
        ((u16 *)args.pages)[at] = args.element == 1 ? pack_f16(value, 0.0f) : pack_bf16(value, 0.0f);
    }
}

// Grid (elements / 128, rows).
extern "C" __global__ void __launch_bounds__(128) kv_write(const __grid_constant__ KvWriteArgs args) {
    next_may_start();
    previous_done();
    const uint2 row = args.rows[blockIdx.y];
    const u32 e = blockIdx.x * 128 + threadIdx.x;
    if (row.x == ~0u || e >= args.kv_heads * (args.key_dim + args.value_dim)) return;
    write_cached(args, row, page_of(args, row), e, load_again_4(args.qkv + (u64)blockIdx.y * args.row_stride + args.first + e));
}

// Blocks of `block` values, a power of two, times the Hadamard matrix, over its root.
DEV void rotate_vector(float *vector, u32 width, u32 block) {
    for (u32 half = 1; half < block; half *= 2) {
        __syncthreads();
        for (u32 i = threadIdx.x; i < width / 2; i += 64) {
            const u32 low = i / half * half * 2 + i % half;
            const float a = vector[low], b = vector[low + half];
            vector[low] = a + b, vector[low + half] = a - b;
        }
    }
    __syncthreads();
    const float factor = 1.0f / sqrtf((float)block);
    for (u32 i = threadIdx.x; i < width; i += 64) vector[i] *= factor;
    __syncthreads();
}

struct RotateArgs {
    const uint2 *rows;
    float *x;
    u32 row_stride, dim, block;
};

// Rotate heads in place: grid (heads, rows), 64 threads.
extern "C" __global__ void __launch_bounds__(64) rotate(const __grid_constant__ RotateArgs args) {
    __shared__ float vector[1024];
    next_may_start();
    previous_done();
    if (args.rows[blockIdx.y].x == ~0u) return;
    float *x = args.x + (u64)blockIdx.y * args.row_stride + blockIdx.x * args.dim;
    for (u32 i = threadIdx.x; i < args.dim; i += 64) vector[i] = load_again_4(x + i);
    rotate_vector(vector, args.dim, args.block);
    for (u32 i = threadIdx.x; i < args.dim; i += 64) x[i] = vector[i];
}

// Odd integers of -15 .. 15.
DEV float level(float value, float inverse) { return 2.0f * fminf(fmaxf(floorf(value * inverse), -8.0f), 7.0f) + 1.0f; }

// Keys and values to pages of 8 and 4 bits: rotated, as integers with one scale for each position and head, by the steps
// of the CPU's cache. Grid (2 KV heads, rows), 64 threads.
extern "C" __global__ void __launch_bounds__(64) kv_write_quantized(const __grid_constant__ KvWriteArgs args) {
    __shared__ float vector[1024], parts[16], others[16];
    next_may_start();
    previous_done();
    const uint2 row = args.rows[blockIdx.y];
    if (row.x == ~0u) return;
    const u32 thread = threadIdx.x, head = blockIdx.x / 2, is_value = blockIdx.x % 2;
    const u32 width = is_value ? args.value_dim : args.key_dim, per_word = args.element == 3 ? 4 : 8;
    const u32 start = is_value ? args.kv_heads * args.key_dim + head * args.value_dim : head * args.key_dim;
    const float *from = args.qkv + (u64)blockIdx.y * args.row_stride + args.first + start;
    for (u32 i = thread; i < width; i += 64) vector[i] = load_again_4(from + i);
    rotate_vector(vector, width, width & -width);
    if (thread < 16) {
        float part = 0.0f;
        for (u32 i = thread; i < width; i += 16) {
            const float v = vector[i];
            // What is no number makes the scale none.
            if (args.element == 3) {
                if (!(fabsf(v) <= part)) part = fabsf(v);
            } else {
                part += v * v;
            }
        }
        parts[thread] = part;
    }
    __syncthreads();
    float scale, inverse;
    if (args.element == 3) {
        float most = 0.0f;
        for (u32 i = 0; i < 16; i++) {
            if (!(parts[i] <= most)) most = parts[i];
        }
        inverse = most > 0.0f ? 127.0f / most : 0.0f, scale = most / 127.0f;
    } else {
        float squares = 0.0f;
        for (u32 i = 0; i < 16; i++) squares += parts[i];
        const float half_step = sqrtf(squares / (float)width) * 0.1676f;
        inverse = half_step > 0.0f ? 0.5f / half_step : 0.0f;
        __syncthreads();
        if (thread < 16) {
            float product = 0.0f, square = 0.0f;
            for (u32 i = thread; i < width; i += 16) {
                const float l = level(vector[i], inverse);
                product += l * vector[i], square += l * l;
            }
            parts[thread] = product, others[thread] = square;
        }
        __syncthreads();
        float products = 0.0f;
        squares = 0.0f;
        for (u32 i = 0; i < 16; i++) products += parts[i], squares += others[i];
        scale = products / squares;
    }
    const u32 integers = args.page * (args.key_dim + args.value_dim) / per_word, place = row.x % args.page;
    u32 *page = (u32 *)args.pages + (u64)(args.tables[row.y + row.x / args.page] * args.kv_heads + head) * (integers + 2 * args.page);
    u32 *words = page + (is_value ? args.page * args.key_dim + place * args.value_dim : place * args.key_dim) / per_word;
    for (u32 w = thread; w < width / per_word; w += 64) {
        u32 word = 0;
        for (u32 i = 0; i < per_word; i++) {
            const float v = vector[w * per_word + i];
            if (args.element == 3) {
                word |= ((u32)(int)fminf(fmaxf(rintf(v * inverse), -127.0f), 127.0f) & 255) << 8 * i;
            } else {
                word |= (u32)(level(v, inverse) + 15.0f) / 2 << 4 * i;
            }
        }
        words[w] = word;
    }
    if (thread == 0) page[integers + is_value * args.page + place] = __float_as_uint(scale);
}

struct HeadsArgs {
    KvWriteArgs cache; // where pages are null only the heads are made
    float *qkv;
    const float *query_norm, *key_norm; // or null
    const float2 *angles;
    u32 heads, head_dim, rotated, interleaved, row_stride;
    float epsilon;
    u32 count; // of all heads, values among them
};

// Norm and rotate one head of one row, and write keys and values to their pages: grid (heads, rows), 64 threads.
extern "C" __global__ void __launch_bounds__(64) heads(const __grid_constant__ HeadsArgs args) {
    __shared__ float head[1024], part[2];
    next_may_start();
    const u32 thread = threadIdx.x, dim = args.head_dim;
    const float *weight = blockIdx.x < args.heads ? args.query_norm : args.key_norm;
    // Of the first 128 elements all that is read is asked for before any of it is used.
    float weights[2] = {1.0f, 1.0f}, values[2] = {0.0f, 0.0f};
    previous_done();
    float *row = args.qkv + (u64)blockIdx.y * args.row_stride + blockIdx.x * dim;
    const bool cached = args.cache.pages && blockIdx.x >= args.heads;
    uint2 place = make_uint2(~0u, 0);
    if (cached) place = __ldcg(args.cache.rows + blockIdx.y);
#pragma unroll
    for (u32 j = 0; j < 2; j++) {
        if (thread + 64 * j < dim) values[j] = load_again_4(row + thread + 64 * j);
        if (args.query_norm && thread + 64 * j < dim) weights[j] = load_again_4(weight + thread + 64 * j);
    }
    float2 first_angle = make_float2(0.0f, 0.0f);
    if (thread < args.rotated / 2) first_angle = __ldcg(args.angles + (u64)blockIdx.y * (args.rotated / 2) + thread);
    const bool writes = cached && place.x != ~0u;
    const u32 first = (blockIdx.x - args.heads) * dim, page = writes ? page_of(args.cache, place) : 0;
    if (cached && first >= args.cache.kv_heads * dim) {
        // Values as they are.
        for (u32 d = thread, j = 0; d < dim && writes; d += 64, j++) {
            write_cached(args.cache, place, page, first + d, j == 0 ? values[0] : j == 1 ? values[1] : load_again_4(row + d));
        }
        return;
    }
    float sum = 0.0f;
    for (u32 d = thread, j = 0; d < dim; d += 64, j++) {
        const float value = j == 0 ? values[0] : j == 1 ? values[1] : load_again_4(row + d);
        head[d] = value;
        sum = fmaf(value, value, sum);
    }
    sum = warp_sum(sum);
    if ((thread & 31) == 0) part[thread >> 5] = sum;
    __syncthreads();
    if (args.query_norm) {
        const float scale = 1.0f / sqrtf((part[0] + part[1]) / (float)dim + args.epsilon);
        for (u32 d = thread, j = 0; d < dim; d += 64, j++) head[d] = head[d] * scale * (j == 0 ? weights[0] : j == 1 ? weights[1] : weight[d]);
        __syncthreads();
    }
    for (u32 i = thread; i < args.rotated / 2; i += 64) {
        const u32 low = args.interleaved ? 2 * i : i, high = args.interleaved ? 2 * i + 1 : i + args.rotated / 2;
        const float2 angle = i == thread ? first_angle : args.angles[(u64)blockIdx.y * (args.rotated / 2) + i];
        const float a = head[low], b = head[high];
        head[low] = fmaf(a, angle.x, -(b * angle.y));
        head[high] = fmaf(b, angle.x, a * angle.y);
    }
    __syncthreads();
    for (u32 d = thread; d < dim; d += 64) {
        row[d] = head[d];
        if (writes) write_cached(args.cache, place, page, first + d, head[d]);
    }
}

// The same for heads of 64 and 128, of which a multiple of 8 dimensions is rotated: a warp has 128 elements at a time, up to
// six times, and asks for all of them before it makes any. USUAL: all dimensions are rotated, a head's halves being the pairs.
template <int DIM, bool NORMED, bool USUAL> DEV void heads_of_warps(const HeadsArgs &args) {
    constexpr u32 MOST = 6, LANES = DIM / 4, TOGETHER = 32 / LANES;
    const KvWriteArgs &cache = args.cache;
    const u32 lane = threadIdx.x & 31, within = lane % LANES * 4;
    const u32 first = (blockIdx.x * 8 + (threadIdx.x >> 5)) * TOGETHER + lane / LANES, step = gridDim.x * 8 * TOGETHER;
    const HeadPass pass = {NORMED, args.rotated, args.interleaved, args.epsilon};
    float4 query_norm, key_norm;
    if (NORMED) query_norm = load_again(args.query_norm + within), key_norm = load_again(args.key_norm + within);
    previous_done();
    float *row = args.qkv + (u64)blockIdx.y * args.row_stride + within;
    const uint2 place = cache.pages ? __ldcg(cache.rows + blockIdx.y) : make_uint2(~0u, 0);
    float4 values[MOST];
#pragma unroll
    for (u32 j = 0; j < MOST; j++) {
        values[j] = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (first + j * step < args.count) values[j] = load_again(row + (first + j * step) * DIM);
    }
    const Turn turn = turn_of<DIM>(pass, (const float *)args.angles + (u64)blockIdx.y * args.rotated);
    const u32 page = place.x != ~0u ? page_of(cache, place) : 0;
    // A lane works out what one head is scaled by.
    float scale = 1.0f;
    if (NORMED) {
#pragma unroll
        for (u32 j = 0; j < MOST; j++) {
            const float sum = sum_of_squares<DIM>(values[j]);
            scale = lane % LANES == j ? sum : scale;
        }
        scale = 1.0f / sqrtf(scale / (float)DIM + pass.epsilon);
    }
    const u32 keys = args.heads, ends = keys + cache.kv_heads, size = cache.page * DIM;
    const u64 begin = (u64)page * cache.kv_heads * 2 * size + place.x % cache.page * DIM + within;
#pragma unroll
    for (u32 j = 0; j < MOST; j++) {
        const u32 number = first + j * step;
        if (number - lane / LANES >= args.count) return;
        float4 v = values[j];
        if (NORMED) {
            const float by = __shfl_sync(~0u, scale, lane / LANES * LANES + j);
            const float4 &q = query_norm, &k = key_norm;
            const bool is_key = number >= keys;
            v.x = v.x * by * (is_key ? k.x : q.x), v.y = v.y * by * (is_key ? k.y : q.y);
            v.z = v.z * by * (is_key ? k.z : q.z), v.w = v.w * by * (is_key ? k.w : q.w);
        }
        v = turned_head<DIM, USUAL>(pass, turn, v);
        if (number >= args.count) continue;
        const bool is_value = cache.pages && number >= ends;
        if (is_value) v = values[j];
        else *(float4 *)(row + number * DIM) = v;
        if (number < keys || place.x == ~0u) continue;
        const u64 at = begin + (is_value ? 2 * (number - ends) + 1 : 2 * (number - keys)) * size;
        if (cache.element == 0) {
            *(float4 *)((float *)cache.pages + at) = v;
        } else {
            const bool half = cache.element == 1;
            *(uint2 *)((u16 *)cache.pages + at) =
                make_uint2(half ? pack_f16(v.x, v.y) : pack_bf16(v.x, v.y), half ? pack_f16(v.z, v.w) : pack_bf16(v.z, v.w));
        }
    }
}

// Grid (blocks that share a row's heads, rows).
template <int DIM> DEV void heads_of_warps(const HeadsArgs &args) {
    next_may_start();
    const bool usual = args.rotated == DIM && !args.interleaved;
    if (args.query_norm) {
        usual ? heads_of_warps<DIM, true, true>(args) : heads_of_warps<DIM, true, false>(args);
    } else {
        usual ? heads_of_warps<DIM, false, true>(args) : heads_of_warps<DIM, false, false>(args);
    }
}

extern "C" __global__ void __launch_bounds__(256, 3) heads_64(const __grid_constant__ HeadsArgs args) { heads_of_warps<64>(args); }
extern "C" __global__ void __launch_bounds__(256, 3) heads_128(const __grid_constant__ HeadsArgs args) { heads_of_warps<128>(args); }

struct TakeArgs {
    const u32 *source;
    const u32 *numbers;
    u32 *out;
    u32 count, width, rows, scatter;
};

extern "C" __global__ void __launch_bounds__(256) take(const __grid_constant__ TakeArgs args) {
    next_may_start();
    previous_done();
    const u64 e = (u64)blockIdx.x * 256 + threadIdx.x;
    if (e >= args.count) return;
    const u32 number = args.numbers[e / args.width];
    if (number >= args.rows) return;
    const u64 there = (u64)number * args.width + e % args.width;
    if (args.scatter) {
        args.out[there] = args.source[e];
    } else {
        args.out[e] = args.source[there];
    }
}

struct NormArgs {
    float *x;
    const float *weight, *bias, *delta; // or null
    float *out;
    u32 layer, dim, x_stride, out_stride;
    float epsilon;
};

extern "C" __global__ void __launch_bounds__(256) norm_rows(const __grid_constant__ NormArgs args) {
    __shared__ float scratch[16];
    next_may_start();
    previous_done();
    float *x = args.x + (u64)blockIdx.x * args.x_stride;
    const float *delta = args.delta ? args.delta + (u64)blockIdx.x * args.dim : nullptr;
    float sum = 0.0f, squares = 0.0f;
    // Four neighbours a thread, as rows.cuh sums them where there is no delta.
    for (u32 k = 4 * threadIdx.x; k < args.dim; k += 1024) {
        float v[4] = {};
#pragma unroll
        for (u32 j = 0; j < 4; j++) {
            if (k + j >= args.dim) continue;
            v[j] = load_again_4(x + k + j);
            if (delta) x[k + j] = v[j] += load_again_4(delta + k + j);
        }
        sum += (v[0] + v[1]) + (v[2] + v[3]);
        squares += (v[0] * v[0] + v[1] * v[1]) + (v[2] * v[2] + v[3] * v[3]);
    }
    float mean = 0.0f;
    if (args.layer) {
        mean = block_sum(sum, scratch) / (float)args.dim;
        squares = 0.0f;
        for (u32 k = 4 * threadIdx.x; k < args.dim; k += 1024) {
            for (u32 j = 0; j < 4 && k + j < args.dim; j++) squares = fmaf(x[k + j] - mean, x[k + j] - mean, squares);
        }
    }
    const float inverse = rsqrtf(block_sum(squares, scratch + 8) / (float)args.dim + args.epsilon);
    for (u32 k = 4 * threadIdx.x; k < args.dim; k += 1024) {
        for (u32 j = 0; j < 4 && k + j < args.dim; j++) {
            float value = (x[k + j] - mean) * inverse;
            if (args.weight) value *= args.weight[k + j];
            if (args.bias) value += args.bias[k + j];
            args.out[(u64)blockIdx.x * args.out_stride + k + j] = value;
        }
    }
}

struct ReduceArgs {
    const float *x;
    float *out;
    u32 kind, dim, x_stride;
    float scale;
};

// One row a block: 0 softmax, 1 sum, 2 mean, 3 maximum, 4 minimum, 5 place of the first maximum.
extern "C" __global__ void __launch_bounds__(256) reduce_rows(const __grid_constant__ ReduceArgs args) {
    __shared__ float scratch[16];
    __shared__ u64 places[8];
    next_may_start();
    previous_done();
    const float *x = args.x + (u64)blockIdx.x * args.x_stride;
    if (args.kind == 5) {
        // Larger values first, then smaller places: one number orders both.
        u64 best = 0;
        for (u32 k = threadIdx.x; k < args.dim; k += 256) {
            const u32 bits = __float_as_uint(load_again_4(x + k));
            const u32 ordered = bits & 0x80000000 ? ~bits : bits | 0x80000000;
            best = maximum(best, (u64)ordered << 32 | ~k);
        }
        for (int step = 16; step > 0; step >>= 1) best = maximum(best, __shfl_xor_sync(~0u, best, step));
        if ((threadIdx.x & 31) == 0) places[threadIdx.x >> 5] = best;
        __syncthreads();
        if (threadIdx.x == 0) {
            for (u32 warp = 1; warp < 8; warp++) best = maximum(best, places[warp]);
            ((u32 *)args.out)[blockIdx.x] = ~(u32)best;
        }
        return;
    }
    const bool largest = args.kind == 0 || args.kind == 3 || args.kind == 4;
    float value = largest ? -3.4e38f : 0.0f;
    for (u32 k = threadIdx.x; k < args.dim; k += 256) {
        const float next = load_again_4(x + k);
        if (args.kind == 0) {
            value = fmaxf(value, next * args.scale);
        } else if (args.kind == 3) {
            value = fmaxf(value, next);
        } else if (args.kind == 4) {
            value = fmaxf(value, -next);
        } else {
            value += next;
        }
    }
    value = largest ? block_max(value, scratch) : block_sum(value, scratch);
    if (args.kind != 0) {
        if (args.kind == 2) value /= (float)args.dim;
        if (args.kind == 4) value = -value;
        if (threadIdx.x == 0) args.out[blockIdx.x] = value * args.scale;
        return;
    }
    float *out = args.out + (u64)blockIdx.x * args.dim;
    float sum = 0.0f;
    for (u32 k = threadIdx.x; k < args.dim; k += 256) sum += out[k] = __expf(x[k] * args.scale - value);
    sum = block_sum(sum, scratch + 8);
    for (u32 k = threadIdx.x; k < args.dim; k += 256) out[k] /= sum;
}

struct GatedArgs {
    const float *x;
    float *out;
    u32 act, count, dim, x_stride, up;
    float alpha, limit;
};

extern "C" __global__ void __launch_bounds__(256) gated(const __grid_constant__ GatedArgs args) {
    next_may_start();
    previous_done();
    const u32 e = blockIdx.x * 256 + threadIdx.x;
    if (e >= args.count) return;
    const float *x = args.x + (u64)(e / args.dim) * args.x_stride + e % args.dim;
    args.out[e] = gated_unit(args.act, load_again_4(x), load_again_4(x + args.up), args.alpha, args.limit);
}

struct CopyArgs {
    const u8 *source;
    u8 *out;
    u32 from_type, to_type, count;
    u32 sizes[3];
    int from[4], to[4];
    u32 from_start, to_start;
};

// Up to four dimensions, any strides: 0 words, 1 halves, 2 brain floats.
extern "C" __global__ void __launch_bounds__(256) copy(const __grid_constant__ CopyArgs args) {
    next_may_start();
    previous_done();
    const u32 e = blockIdx.x * 256 + threadIdx.x;
    if (e >= args.count) return;
    const u32 i3 = e % args.sizes[2], r3 = e / args.sizes[2], i2 = r3 % args.sizes[1], r2 = r3 / args.sizes[1];
    const int i[4] = {(int)(r2 / args.sizes[0]), (int)(r2 % args.sizes[0]), (int)i2, (int)i3};
    long long from = args.from_start, to = args.to_start;
    for (u32 d = 0; d < 4; d++) from += (long long)i[d] * args.from[d], to += (long long)i[d] * args.to[d];
    u32 value;
    if (args.from_type == 0) {
        value = ((const u32 *)args.source)[from];
    } else {
        const u32 bits = ((const u16 *)args.source)[from];
        value = args.from_type == 1 ? __float_as_uint(f16_f32(bits)) : bits << 16;
    }
    if (args.to_type == 0) {
        ((u32 *)args.out)[to] = value;
    } else {
        const float v = __uint_as_float(value);
        ((u16 *)args.out)[to] = args.to_type == 1 ? pack_f16(v, 0.0f) : pack_bf16(v, 0.0f);
    }
}

constexpr u32 MAX_CODE = 96;

struct FormulaArgs {
    const float *inputs[4];
    float *out;
    u32 divide[4], modulo[4];
    u32 extras[8];
    u32 count, length;
    u32 code[MAX_CODE]; // postfix: operation in bits 0..8, operand in the rest; a constant's bits follow it
};

DEV float erf_of(float x) { return erff(x); }

DEV float unary(u32 op, float x) {
    switch (op) {
    case 0: return -x;
    case 1: return fabsf(x);
    case 2: return expf(x);
    case 3: return logf(x);
    case 4: return log1pf(x);
    case 5: return 1.0f / sqrtf(x);
    case 6: return sqrtf(x);
    case 7: return sinf(x);
    case 8: return cosf(x);
    case 9: return tanhf(x);
    case 10: return 1.0f / (1.0f + expf(-x));
    case 11: return x / (1.0f + expf(-x));
    case 12: return 0.5f * x * (1.0f + erf_of(x * 0.70710678f));
    case 13: return 0.5f * x * (1.0f + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)));
    case 14: return x / (1.0f + expf(-1.702f * x));
    case 15: return fmaxf(x, 0.0f);
    case 16: return fmaxf(x, 0.0f) * fmaxf(x, 0.0f);
    case 17: return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x)));
    case 18: return erf_of(x);
    case 19: return floorf(x);
    case 20: return ceilf(x);
    default: return rintf(x);
    }
}

DEV float binary(u32 op, float a, float b) {
    switch (op) {
    case 0: return a + b;
    case 1: return a - b;
    case 2: return a * b;
    case 3: return a / b;
    case 4: return fmaxf(a, b);
    case 5: return fminf(a, b);
    case 6: return powf(a, b);
    case 7: return a < b ? 1.0f : 0.0f;
    case 8: return a <= b ? 1.0f : 0.0f;
    default: return a == b ? 1.0f : 0.0f;
    }
}

// A formula, element by element: element e of input i is value (e / divide) % modulo. All threads walk the same code.
extern "C" __global__ void __launch_bounds__(256) formula(const __grid_constant__ FormulaArgs args) {
    next_may_start();
    previous_done();
    const u32 e = blockIdx.x * 256 + threadIdx.x;
    if (e >= args.count) return;
    float stack[12];
    u32 top = 0;
    for (u32 at = 0; at < args.length; at++) {
        const u32 kind = args.code[at] & 255, operand = args.code[at] >> 8;
        if (kind == 0) {
            stack[top++] = load_again_4(args.inputs[operand] + e / args.divide[operand] % args.modulo[operand]);
        } else if (kind == 1) {
            stack[top++] = __uint_as_float(args.code[++at]);
        } else if (kind == 2) {
            stack[top++] = __uint_as_float(args.extras[operand]);
        } else if (kind == 3) {
            stack[top - 1] = unary(operand, stack[top - 1]);
        } else if (kind == 4) {
            top--;
            stack[top - 1] = binary(operand, stack[top - 1], stack[top]);
        } else {
            top -= 2;
            stack[top - 1] = stack[top - 1] != 0.0f ? stack[top] : stack[top + 1];
        }
    }
    args.out[e] = stack[0];
}
