// Rows of f32 made into what products read: normed or gated, rounded, in the order of few.cu or of gemm.cu.
#include "rows.cuh"
#include "weights.cuh"

struct RowsArgs {
    const float *values; // rows of k or 2 k values, x_stride apart
    const float *weight;
    const u32 *pairs;    // row to take for each made row, times `choices`; or null
    u16 *rows;           // [m][stride]
    float *factors;      // [m]
    u32 k, x_stride, stride, mode, act;
    u32 order;           // of the columns
    u32 products;        // where products lie one behind the other
    u32 choices;
    float alpha, limit, epsilon;
};

template <int ELEMENT> DEV void rows(const RowsArgs &args) {
    __shared__ float scratch[16];
    next_may_start();
    previous_done();
    u32 from = blockIdx.x;
    if (args.pairs) from = __float_as_uint(load_again_4((const float *)args.pairs + from)) / args.choices;
    const float *values = args.values + (u64)from * args.x_stride;
    RowSource source = {values, args.weight, args.k, args.mode, args.act, args.alpha, args.limit, args.epsilon};
    u16 *to = args.rows + (u64)blockIdx.x * args.stride;
    auto put = [&](u32 i, u32 p, u32 q) {
        if (args.order == NIBBLES) {
            // Columns j and j + 1 of eight are 2 places apart, or one pair before another.
            const u32 at = args.products ? product_position(NIBBLES, i) : fragment_position(NIBBLES, i);
            const u32 next = args.products ? 16 : 4;
            to[at] = p, to[at + 2] = p >> 16, to[at + next] = q, to[at + next + 2] = q >> 16;
        } else {
            *(uint2 *)(to + (args.products ? product_position(args.order, i) : fragment_position(args.order, i))) = make_uint2(p, q);
        }
    };
    float factor = make_row<ELEMENT>(source, scratch, put);
    for (u32 i = args.k + 4 * threadIdx.x; i < args.stride; i += 1024) put(i, 0, 0);
    if (threadIdx.x == 0) args.factors[blockIdx.x] = factor;
}

extern "C" __global__ void __launch_bounds__(256) rows_f16(const __grid_constant__ RowsArgs args) { rows<F16>(args); }
extern "C" __global__ void __launch_bounds__(256) rows_bf16(const __grid_constant__ RowsArgs args) { rows<BF16>(args); }
