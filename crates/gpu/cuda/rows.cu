// Rows of f32 made into what products read: normed or gated, rounded, laid out for few.cu, some.cu or gemm.cu;
// or kept in f32 for the product of f32 weights.
#include "rows.cuh"

struct RowsArgs {
    const float *values; // rows of k or 2 k values, x_stride apart
    const float *weight;
    const u32 *pairs;    // row to take for each made row, times `choices`; or null
    u8 *rows;            // [m][stride]
    float *factors;      // [m]
    u32 k, x_stride, stride, mode, act;
    u32 order;           // of the columns
    u32 arrangement;
    u32 choices;
    float alpha, limit, epsilon;
};

template <int ELEMENT, u32 HELD, u32 THREADS> DEV void rows(const RowsArgs &args) {
    __shared__ float scratch[64];
    next_may_start();
    RowSource source = {args.values, args.weight, args.k, args.mode, args.act, args.alpha, args.limit, args.epsilon};
    float4 others[HELD];
    ask_norm<HELD, THREADS>(source, others);
    previous_done();
    u32 from = blockIdx.x;
    if (args.pairs) from = __float_as_uint(load_again_4((const float *)args.pairs + from)) / args.choices;
    source.values += (u64)from * args.x_stride;
    // Rows of 16 lie together, every second with its words in pairs the other way round.
    const bool sixteen = args.arrangement == SIXTEEN;
    const u32 turn = sixteen ? (blockIdx.x & 1) << 5 : 0;
    u8 *to = args.rows + (sixteen ? (u64)blockIdx.x * 256 : (u64)blockIdx.x * args.stride * (ELEMENT == F32 ? 4 : 2));
    auto put = [&](u32 i, float4 v) {
        if (ELEMENT == F32) {
            *(float4 *)(to + i * 4) = v;
        } else {
            put_four<ELEMENT == F32 ? F16 : ELEMENT>((u16 *)to, args.order, args.arrangement, i, v, turn);
        }
    };
    float factor = make_row<ELEMENT, HELD, THREADS>(source, others, scratch, put);
    for (u32 i = (args.k + 3) / 4 * 4 + 4 * threadIdx.x; i < args.stride; i += 4 * THREADS) put(i, make_float4(0.0f, 0.0f, 0.0f, 0.0f));
    if (threadIdx.x == 0) args.factors[blockIdx.x] = factor;
}

extern "C" __global__ void __launch_bounds__(256) rows_f16(const __grid_constant__ RowsArgs args) { rows<F16, 8, 256>(args); }
extern "C" __global__ void __launch_bounds__(256) rows_bf16(const __grid_constant__ RowsArgs args) { rows<BF16, 8, 256>(args); }
extern "C" __global__ void __launch_bounds__(256) rows_f32(const __grid_constant__ RowsArgs args) { rows<F32, 8, 256>(args); }
// Rows without sums, by more threads.
extern "C" __global__ void __launch_bounds__(1024) rows_f16_wide(const __grid_constant__ RowsArgs args) { rows<F16, 3, 1024>(args); }
extern "C" __global__ void __launch_bounds__(1024) rows_bf16_wide(const __grid_constant__ RowsArgs args) { rows<BF16, 3, 1024>(args); }
