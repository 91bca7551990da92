// Rows of rows.cu, few of them: the blocks of a cluster make one, and send each other what they have of its sum and its
// largest magnitude. They are small, so that they wait beside the product in front, and the next one has room when that ends.
// Invariant: 256 threads of a row, or 1,024, are numbered through its blocks, so that bits are those of rows.cu.
#include "rows.cuh"
#include "wgmma.cuh"

DEV void send(u32 to, float squares, float most, u32 barrier) {
    asm volatile("st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.f32 [%0], {%1, %2}, [%3];" ::"r"(to), "f"(squares), "f"(most), "r"(barrier) : "memory");
}

template <int ELEMENT, u32 HELD, u32 THREADS, u32 PARTS> DEV void rows_apart(const RowsArgs &args) {
    constexpr u32 GROUPS = THREADS / 32, HERE = THREADS / PARTS;
    __shared__ float2 gathered[GROUPS];
    __shared__ u64 barrier;
    const u32 row = blockIdx.x / PARTS, part = blockIdx.x % PARTS, thread = part * HERE + threadIdx.x, lane = threadIdx.x & 31;
    const u32 full = shared_address(&barrier);
    next_may_start();
    RowSource source = {args.values, args.weight, args.k, args.mode, args.act, args.alpha, args.limit, args.epsilon};
    float4 others[HELD];
    ask_norm<HELD, THREADS>(source, others, thread);
    if (threadIdx.x == 0) barrier_init(full, 1), barrier_expect(full, GROUPS * 8);
    cluster_begins();
    previous_done();
    auto gather = [&](float &squares, float &most) {
        if (lane < PARTS) send(in_block(shared_address(gathered + thread / 32), lane), squares, most, in_block(full, lane));
        wait_cluster(full, 0);
        float all[GROUPS];
        most = 0.0f;
#pragma unroll
        for (u32 group = 0; group < GROUPS; group++) {
            const uint2 other = load_shared_8(shared_address(gathered + group));
            all[group] = bits_f32(other.x), most = fmaxf(most, bits_f32(other.y));
        }
        squares = eight_sums([&](u32 group) { return all[group]; });
    };
    auto make = [&](const RowSource &row, auto put) { return make_row_by<ELEMENT, HELD, THREADS>(row, others, thread, gather, put); };
    make_rows<ELEMENT, THREADS>(args, row, thread, source, make);
}

#define APART(name, element, held, threads, parts)                                                                     \
    extern "C" __global__ void __launch_bounds__(threads / parts) rows_apart_##name(const __grid_constant__ RowsArgs args) { \
        rows_apart<element, held, threads, parts>(args);                                                               \
    }

APART(f16, F16, 8, 256, 4)
APART(bf16, BF16, 8, 256, 4)
APART(f16_wide, F16, 3, 1024, 8)
APART(bf16_wide, BF16, 3, 1024, 8)
