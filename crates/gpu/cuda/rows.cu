// Rows of f32 made into what products read: normed or gated, rounded, laid out for few.cu, some.cu or gemm.cu;
// or kept in f32 for the product of f32 weights.
#include "rows.cuh"

// MODE of rows whose kernel is for one of them alone: rows of whole, aligned quads.
constexpr int ANY = -1;

// Four elements of a row laid out product behind product, as put_four puts them. Neighbouring lanes, which have eight columns,
// exchange halves where these are nibbles' columns, so that each has 8 bytes and a warp all of a stretch. `lanes`: those here.
template <int ELEMENT> DEV void put_pairs(u16 *to, u32 order, u32 i, float4 v, u32 lanes) {
    u32 p = pack<ELEMENT>(v.x, v.y), q = pack<ELEMENT>(v.z, v.w);
    if (order == NIBBLES) {
        const bool second = i & 4;
        const u32 other = __shfl_xor_sync(lanes, second ? p : q, 1), low = second ? other : p, high = second ? q : other;
        p = __byte_perm(low, high, 0x5410), q = __byte_perm(low, high, 0x7632);
        i = second ? i - 2 : i;
    }
    *(uint2 *)(to + position(PRODUCTS, order, i)) = make_uint2(p, q);
}

template <int ELEMENT, u32 HELD, u32 THREADS, int MODE> DEV void rows(const RowsArgs &args) {
    __shared__ float scratch[64];
    next_may_start();
    if (MODE != ANY) __builtin_assume(args.k % 4 == 0);
    RowSource source = {args.values, args.weight, args.k, MODE == ANY ? args.mode : (u32)MODE, args.act, args.alpha, args.limit, args.epsilon};
    float4 others[HELD];
    ask_norm<HELD, THREADS>(source, others);
    previous_done();
    auto make = [&](const RowSource &row, auto put) {
        if (MODE == ANY) return make_row<ELEMENT, HELD, THREADS>(row, others, scratch, put);
        __builtin_assume(((u64)row.values & 15) == 0);
        u16 *to = (u16 *)args.rows + (u64)blockIdx.x * args.stride;
        auto put_together = [&](u32 i, float4 v) {
            const u32 here = (args.k - i) / 4 + (threadIdx.x & 31);
            args.arrangement == PRODUCTS ? put_pairs<ELEMENT>(to, args.order, i, v, here < 32 ? (1u << here) - 1 : ~0u) : put(i, v);
        };
        return make_row<ELEMENT, HELD, THREADS>(row, others, scratch, put_together);
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
// Many rows, up to 4,096 columns of which a block keeps in registers, 8,192 normed, or 12,288: several blocks have room on a processor.
ROWS(f16_normed, F16, 4, 256, 4, NORM)
ROWS(bf16_normed, BF16, 4, 256, 4, NORM)
ROWS(f16_normed_long, F16, 8, 256, 3, NORM)
ROWS(bf16_normed_long, BF16, 8, 256, 3, NORM)
ROWS(f16_plain, F16, 4, 256, 5, PLAIN)
ROWS(bf16_plain, BF16, 4, 256, 5, PLAIN)
ROWS(f16_long, F16, 6, 512, 2, PLAIN)
ROWS(bf16_long, BF16, 6, 512, 2, PLAIN)
// Rows without sums, by more threads.
ROWS(f16_wide, F16, 3, 1024, 1, ANY)
ROWS(bf16_wide, BF16, 3, 1024, 1, ANY)
