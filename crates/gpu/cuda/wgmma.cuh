// What Hopper's tensor cores and copy engine need. Products of a warpgroup: d (64 x N of f32) = a (64 x 16) . b (N x 16)
// (+ d), b in shared memory, a there too (Wgmma) or in registers (WgmmaRows, WgmmaValues).
// Read next: gemm.cu, some.cu.
#pragma once
#include "common.cuh"

struct alignas(64) TensorMap {
    u64 words[16];
};

DEV void barrier_init(u32 at, u32 count) { asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(at), "r"(count)); }

DEV void barrier_expect(u32 at, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared.b64 _, [%0], %1;" ::"r"(at), "r"(bytes) : "memory");
}

DEV void barrier_arrive(u32 at) { asm volatile("mbarrier.arrive.shared.b64 _, [%0];" ::"r"(at) : "memory"); }

DEV void barrier_wait(u32 at, u32 parity) {
    asm volatile("{.reg .pred p; again: mbarrier.try_wait.parity.shared.b64 p, [%0], %1; @p bra done; bra again; done: }" ::"r"(at), "r"(parity) : "memory");
}

// The same where blocks of the cluster arrive.
DEV void wait_cluster(u32 at, u32 parity) {
    asm volatile("{.reg .pred p; again: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%0], %1; @p bra done; bra again; done: }" ::"r"(at), "r"(parity) : "memory");
}

// The address of shared memory of another block of the cluster.
DEV u32 in_block(u32 address, u32 block) {
    u32 at;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(at) : "r"(address), "r"(block));
    return at;
}

// All blocks of the cluster are here, with their barriers.
DEV void cluster_begins() {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    __syncwarp();
    asm volatile("barrier.cluster.arrive.relaxed.aligned;" ::: "memory");
    asm volatile("barrier.cluster.wait.aligned;" ::: "memory");
}

// All threads of the cluster meet: what was written is seen. Not `aligned`: threads of a warp may come here apart.
DEV void cluster_meet() {
    asm volatile("barrier.cluster.arrive.release;" ::: "memory");
    asm volatile("barrier.cluster.wait.acquire;" ::: "memory");
}

// The same before they go: what was written need not have arrived.
DEV void cluster_part() {
    asm volatile("barrier.cluster.arrive.relaxed;" ::: "memory");
    asm volatile("barrier.cluster.wait;" ::: "memory");
}

DEV void load_tile(u32 to, const TensorMap *map, u32 column, u32 row, u32 barrier) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(to),
                 "l"(map), "r"(column), "r"(row), "r"(barrier)
                 : "memory");
}

// 128-byte rows, swizzled, 8 of them 1,024 bytes.
DEV u64 descriptor(u32 at) { return (u64)((at & 0x3ffff) >> 4) | (u64)1 << 16 | (u64)64 << 32 | (u64)1 << 62; }

// Products are asked for behind this, all of them until `products_asked` a group.
DEV void products_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

DEV void products_asked() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Wait until no more than so many groups of products are still being summed.
template <u32 GROUPS> DEV void products_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(GROUPS) : "memory"); }

// The compiler may not move these registers across this point.
template <int N> DEV void hold(float (&values)[N]) {
#pragma unroll
    for (int i = 0; i < N; i++) asm volatile("" : "+f"(values[i])::"memory");
}

// Places of the sums in an instruction, which come first, and the sums from d[i] on.
#define NAMES_8 "%0, %1, %2, %3, %4, %5, %6, %7"
#define NAMES_16 NAMES_8 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define NAMES_32                                                                                                       \
    NAMES_16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define NAMES_64                                                                                                       \
    NAMES_32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "                      \
             "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define NAMES_96                                                                                                       \
    NAMES_64 ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "                      \
             "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"

#define SUMS_8(i)                                                                                                      \
    "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]), "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]),        \
    "+f"(d[i + 7])
#define SUMS_16(i) SUMS_8(i), SUMS_8(i + 8)
#define SUMS_32(i) SUMS_16(i), SUMS_16(i + 16)
#define SUMS_64(i) SUMS_32(i), SUMS_32(i + 32)
#define SUMS_96(i) SUMS_64(i), SUMS_32(i + 64)

// Operands behind the sums are named by their places.
#define WGMMA(element, type, n, sums, at_a, at_b, at_keep)                                                             \
    template <> struct Wgmma<element, n> {                                                                             \
        DEV void run(float (&d)[sums], u64 a, u64 b, u32 keep) {                                                       \
            asm volatile("{.reg .pred p; setp.ne.b32 p, %" #at_keep ", 0;"                                             \
                         "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." type "." type " {" NAMES_##sums             \
                         "}, %" #at_a ", %" #at_b ", p, 1, 1, 0, 0;}"                                                  \
                         : SUMS_##sums(0)                                                                              \
                         : "l"(a), "l"(b), "r"(keep));                                                                 \
        }                                                                                                              \
    };

#define WGMMA_ROWS(name, element, type, n, sums, a0, a1, a2, a3, at_b, at_keep, transposed)                            \
    template <> struct name<element, n> {                                                                              \
        DEV void run(float (&d)[sums], const u32 (&a)[4], u64 b, u32 keep) {                                           \
            asm volatile("{.reg .pred p; setp.ne.b32 p, %" #at_keep ", 0;"                                             \
                         "wgmma.mma_async.sync.aligned.m64n" #n "k16.f32." type "." type " {" NAMES_##sums             \
                         "}, {%" #a0 ", %" #a1 ", %" #a2 ", %" #a3 "}, %" #at_b ", p, 1, 1, " #transposed ";}"         \
                         : SUMS_##sums(0)                                                                              \
                         : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(keep));                             \
        }                                                                                                              \
    };

#define BOTH(instruction, ...) instruction(F16, "f16", __VA_ARGS__) instruction(BF16, "bf16", __VA_ARGS__)

template <int ELEMENT, int N> struct Wgmma;

BOTH(WGMMA, 128, 64, 64, 65, 66)
BOTH(WGMMA, 192, 96, 96, 97, 98)

template <int ELEMENT, int N> struct WgmmaRows;

#define ROWS_OF(element, type, ...) WGMMA_ROWS(WgmmaRows, element, type, __VA_ARGS__, 0)
BOTH(ROWS_OF, 32, 16, 16, 17, 18, 19, 20, 21)
BOTH(ROWS_OF, 64, 32, 32, 33, 34, 35, 36, 37)
BOTH(ROWS_OF, 128, 64, 64, 65, 66, 67, 68, 69)

// The same with b as N columns of 16 rows.
template <int ELEMENT, int N> struct WgmmaValues;

#define VALUES_OF(element, type, ...) WGMMA_ROWS(WgmmaValues, element, type, __VA_ARGS__, 1)
BOTH(VALUES_OF, 64, 32, 32, 33, 34, 35, 36, 37)
BOTH(VALUES_OF, 128, 64, 64, 65, 66, 67, 68, 69)
