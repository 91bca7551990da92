// Rows of f32 made into what products read: normed or gated, rounded, laid out for few.cu, some.cu or gemm.cu;
// or kept in f32 for the product of f32 weights.
#include "rows.cuh"

// MODE of rows whose kernel is for one of them alone: rows of whole, aligned quads.
constexpr int ANY = -1;

template <int ELEMENT, u32 HELD, u32 THREADS, int MODE> DEV void rows(const RowsArgs &args) {
    __shared__ float scratch[64];
    next_may_start();
    if (MODE != ANY) __builtin_assume(args.k % 4 == 0);
    RowSource source = {args.values, args.weight, args.k, MODE == ANY ? args.mode : (u32)MODE, args.act, args.alpha, args.limit, args.epsilon};
    float4 others[HELD];
    ask_norm<HELD, THREADS>(source, others);
    previous_done();
    auto make = [&](const RowSource &row, auto put) {
        if (MODE != ANY) __builtin_assume(((u64)row.values & 15) == 0);
        return make_row<ELEMENT, HELD, THREADS>(row, others, scratch, put);
    };
    make_rows<ELEMENT, THREADS>(args, blockIdx.x, threadIdx.x, source, make);
}

#define ROWS(name, element, held, threads, blocks, mode)                                                               \
    extern "C" __global__ void __launch_bounds__(threads, blocks) rows_##name(const __grid_constant__ RowsArgs args) { \
        rows<element, held, threads, mode>(args);                                                                      \
    }

ROWS(f16, F16, 8, 256, 1, ANY)
ROWS(bf16, BF16, 8, 256, 1, ANY)
ROWS(f32, F32, 8, 256, 1, ANY)
// Many rows, up to 4,096 columns of which a block keeps in registers, or 12,288: several blocks have room on a processor.
ROWS(f16_normed, F16, 4, 256, 4, NORM)
ROWS(bf16_normed, BF16, 4, 256, 4, NORM)
ROWS(f16_plain, F16, 4, 256, 5, PLAIN)
ROWS(bf16_plain, BF16, 4, 256, 5, PLAIN)
ROWS(f16_long, F16, 6, 512, 2, PLAIN)
ROWS(bf16_long, BF16, 6, 512, 2, PLAIN)
// Rows without sums, by more threads.
ROWS(f16_wide, F16, 3, 1024, 1, ANY)
ROWS(bf16_wide, BF16, 3, 1024, 1, ANY)
