// Rows of f32 made into what products read: normed or gated, rounded, laid out for few.cu, some.cu or gemm.cu;
// or kept in f32 for the product of f32 weights.
#include "rows.cuh"

template <int ELEMENT, u32 HELD, u32 THREADS> DEV void rows(const RowsArgs &args) {
    __shared__ float scratch[64];
    next_may_start();
    RowSource source = {args.values, args.weight, args.k, args.mode, args.act, args.alpha, args.limit, args.epsilon};
    float4 others[HELD];
    ask_norm<HELD, THREADS>(source, others);
    previous_done();
    auto make = [&](const RowSource &row, auto put) { return make_row<ELEMENT, HELD, THREADS>(row, others, scratch, put); };
    make_rows<ELEMENT, THREADS>(args, blockIdx.x, threadIdx.x, source, make);
}

extern "C" __global__ void __launch_bounds__(256) rows_f16(const __grid_constant__ RowsArgs args) { rows<F16, 8, 256>(args); }
extern "C" __global__ void __launch_bounds__(256) rows_bf16(const __grid_constant__ RowsArgs args) { rows<BF16, 8, 256>(args); }
extern "C" __global__ void __launch_bounds__(256) rows_f32(const __grid_constant__ RowsArgs args) { rows<F32, 8, 256>(args); }
// Rows without sums, by more threads.
extern "C" __global__ void __launch_bounds__(1024) rows_f16_wide(const __grid_constant__ RowsArgs args) { rows<F16, 3, 1024>(args); }
extern "C" __global__ void __launch_bounds__(1024) rows_bf16_wide(const __grid_constant__ RowsArgs args) { rows<BF16, 3, 1024>(args); }
