// The small operations around products and attention. Order of buffers and parameters: src/ops.
#include "common.cuh"

struct HeadsArgs {
    float *qkv;
    const float *query_norm, *key_norm; // or null
    const float2 *angles;
    u32 heads, head_dim, rotated, interleaved, row_stride;
    float epsilon;
};

// Norm and rotate one head of one row: grid (heads, rows), 64 threads.
extern "C" __global__ void __launch_bounds__(64) heads(const __grid_constant__ HeadsArgs args) {
    __shared__ float head[1024], part[2];
    next_may_start();
    previous_done();
    const u32 thread = threadIdx.x;
    float *row = args.qkv + (u64)blockIdx.y * args.row_stride + blockIdx.x * args.head_dim;
    float sum = 0.0f;
    for (u32 d = thread; d < args.head_dim; d += 64) {
        const float value = load_again_4(row + d);
        head[d] = value;
        sum = fmaf(value, value, sum);
    }
    sum = warp_sum(sum);
    if ((thread & 31) == 0) part[thread >> 5] = sum;
    __syncthreads();
    if (args.query_norm) {
        const float scale = 1.0f / sqrtf((part[0] + part[1]) / (float)args.head_dim + args.epsilon);
        const float *weight = blockIdx.x < args.heads ? args.query_norm : args.key_norm;
        for (u32 d = thread; d < args.head_dim; d += 64) head[d] = head[d] * scale * weight[d];
        __syncthreads();
    }
    for (u32 i = thread; i < args.rotated / 2; i += 64) {
        const u32 first = args.interleaved ? 2 * i : i, second = args.interleaved ? 2 * i + 1 : i + args.rotated / 2;
        const float2 angle = args.angles[(u64)blockIdx.y * (args.rotated / 2) + i];
        const float a = head[first], b = head[second];
        head[first] = fmaf(a, angle.x, -(b * angle.y));
        head[second] = fmaf(b, angle.x, a * angle.y);
    }
    __syncthreads();
    for (u32 d = thread; d < args.head_dim; d += 64) row[d] = head[d];
}

struct KvWriteArgs {
    const float *qkv;
    const uint2 *rows;
    const u32 *tables;
    u8 *pages;
    u32 kv_heads, key_dim, value_dim, page, element, row_stride, first;
};

// Grid (elements / 128, rows).
extern "C" __global__ void __launch_bounds__(128) kv_write(const __grid_constant__ KvWriteArgs args) {
    next_may_start();
    previous_done();
    const uint2 row = args.rows[blockIdx.y];
    u32 e = blockIdx.x * 128 + threadIdx.x;
    const u32 keys = args.kv_heads * args.key_dim;
    if (row.x == ~0u || e >= keys + args.kv_heads * args.value_dim) return;
    const float value = load_again_4(args.qkv + (u64)blockIdx.y * args.row_stride + args.first + e);
    const bool is_value = e >= keys;
    const u32 width = is_value ? args.value_dim : args.key_dim;
    e -= is_value ? keys : 0;
    const u32 page = args.tables[row.y + row.x / args.page];
    const u64 at = (u64)(page * args.kv_heads + e / width) * args.page * (args.key_dim + args.value_dim) +
                   (is_value ? args.page * args.key_dim : 0) + (row.x % args.page) * width + e % width;
    if (args.element == 0) {
        ((float *)args.pages)[at] = value;
    } else {
        ((u16 *)args.pages)[at] = args.element == 1 ? pack_f16(value, 0.0f) : pack_bf16(value, 0.0f);
    }
}

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
