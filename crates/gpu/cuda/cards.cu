// What the cards of one host make of one memory of each: sums in the order of the cards, and rows joined from pieces.
// Every card starts the same kernels in the same order; the memory of all is within reach of each. No sum depends on
// which of the two ways computes it, so a row has the same bits alone and among many.
#include "common.cuh"

enum { MOST = 8, MAIL_BLOCKS = 1024, THREADS = 256 };

// A card that does not come within this time is gone; the driver then gives this one up too.
#define PATIENCE_NS 30000000000ull

DEV u64 now_ns() {
    u64 time;
    asm volatile("mov.u64 %0, %globaltimer;" : "=l"(time));
    return time;
}

struct Wait {
    u32 rounds;
    u64 start;
};

DEV void wait_on(Wait &wait) {
    if ((++wait.rounds & 0xfff) != 0) return;
    if (wait.start == 0) wait.start = now_ns();
    if (now_ns() - wait.start > PATIENCE_NS) __trap();
}

DEV void post(uint4 *to, uint4 v) {
    asm volatile("st.volatile.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(to), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w)
                 : "memory");
}

DEV uint4 look(const uint4 *from) {
    uint4 v;
    asm volatile("ld.volatile.global.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(from)
                 : "memory");
    return v;
}

// Where a sum goes: with a residual added, and without it too where somebody asks for that.
struct Sum {
    const float *residual; // or null
    float *to;
    float *plain; // or null
};

struct SumArgs {
    const float *from;
    Sum sum;
    u32 *turns;       // of this card: how often each block has run
    uint4 *mail[MOST]; // of each card: [2][MAIL_BLOCKS][cards][THREADS]
    u32 count, card, cards;
};

// Small sums: every card sends its floats to all others, each pair beside the number of the turn, so that no other
// signal is needed. Mail of one turn is read before the next one's begins, and that of two turns has two places.
// Grid: blocks of 512 floats.
extern "C" __global__ void __launch_bounds__(THREADS) cards_sum(const __grid_constant__ SumArgs args) {
    next_may_start();
    previous_done();
    const u32 turn = __ldcg(args.turns + blockIdx.x) + 1;
    const u32 first = (blockIdx.x * THREADS + threadIdx.x) * 2;
    const u64 slot = ((u64)(turn & 1) * MAIL_BLOCKS + blockIdx.x) * args.cards;
    float own[2] = {0.0f, 0.0f}, residual[2] = {0.0f, 0.0f};
    for (u32 i = 0; i < 2; i++) {
        if (first + i < args.count) {
            own[i] = __ldcg(args.from + first + i);
            if (args.sum.residual) residual[i] = __ldcg(args.sum.residual + first + i);
        }
    }
    if (first < args.count) {
        const uint4 letter = make_uint4(__float_as_uint(own[0]), turn, __float_as_uint(own[1]), turn);
        for (u32 step = 1; step < args.cards; step++) {
            const u32 peer = (args.card + step) % args.cards;
            post(args.mail[peer] + (slot + args.card) * THREADS + threadIdx.x, letter);
        }
        float sum[2] = {0.0f, 0.0f};
        Wait wait = {0, 0};
        for (u32 card = 0; card < args.cards; card++) {
            float value[2] = {own[0], own[1]};
            if (card != args.card) {
                const uint4 *place = args.mail[args.card] + (slot + card) * THREADS + threadIdx.x;
                uint4 letter = look(place);
                while (letter.y != turn || letter.w != turn) {
                    wait_on(wait);
                    letter = look(place);
                }
                value[0] = __uint_as_float(letter.x), value[1] = __uint_as_float(letter.z);
            }
            for (u32 i = 0; i < 2; i++) sum[i] = card == 0 ? value[i] : sum[i] + value[i];
        }
        for (u32 i = 0; i < 2; i++) {
            if (first + i < args.count) {
                if (args.sum.plain) args.sum.plain[first + i] = sum[i];
                args.sum.to[first + i] = args.sum.residual ? sum[i] + residual[i] : sum[i];
            }
        }
    }
    __syncthreads();
    if (threadIdx.x == 0) args.turns[blockIdx.x] = turn;
}

struct MeetArgs {
    u32 *turns[MOST]; // of each card, behind those of its blocks: the turn of each card as far as this one knows, its own
    u32 card, cards;
};

// Nobody goes on before all cards are here: what each wrote before, everybody sees.
extern "C" __global__ void __launch_bounds__(32) cards_meet(const __grid_constant__ MeetArgs args) {
    previous_done();
    const u32 peer = threadIdx.x;
    u32 *own = args.turns[args.card] + MAIL_BLOCKS;
    const u32 turn = __ldcg(own + MOST) + 1;
    __syncwarp();
    __threadfence_system();
    if (peer < args.cards && peer != args.card) {
        u32 *theirs = args.turns[peer] + MAIL_BLOCKS + args.card;
        asm volatile("st.release.sys.global.u32 [%0], %1;" ::"l"(theirs), "r"(turn) : "memory");
        Wait wait = {0, 0};
        u32 seen;
        do {
            wait_on(wait);
            asm volatile("ld.acquire.sys.global.u32 %0, [%1];" : "=r"(seen) : "l"(own + peer) : "memory");
        } while ((int)(seen - turn) < 0);
    }
    __syncwarp();
    if (threadIdx.x == 0) own[MOST] = turn;
    __threadfence_system();
}

struct AddArgs {
    const float *from[MOST];
    float *to[MOST];
    u32 count, card, cards;
};

// Large sums of more than two cards, between two meetings: each card adds its share and gives it to all.
extern "C" __global__ void __launch_bounds__(256) cards_add(const __grid_constant__ AddArgs args) {
    previous_done();
    const u32 quads = args.count / 4, share = (quads + args.cards - 1) / args.cards;
    const u32 end = minimum((args.card + 1) * share, quads), step = gridDim.x * 256;
    for (u32 i = args.card * share + blockIdx.x * 256 + threadIdx.x; i < end; i += step) {
        float4 value[MOST];
#pragma unroll
        for (u32 card = 0; card < MOST; card++)
            if (card < args.cards) value[card] = __ldcg((const float4 *)args.from[card] + i);
        float4 sum = value[0];
#pragma unroll
        for (u32 card = 1; card < MOST; card++) {
            if (card < args.cards) {
                sum.x += value[card].x, sum.y += value[card].y;
                sum.z += value[card].z, sum.w += value[card].w;
            }
        }
#pragma unroll
        for (u32 card = 0; card < MOST; card++)
            if (card < args.cards) ((float4 *)args.to[card])[i] = sum;
    }
    // The last few, where the count is no multiple of four.
    if (args.card == args.cards - 1 && blockIdx.x == 0 && threadIdx.x < args.count % 4) {
        const u32 i = quads * 4 + threadIdx.x;
        float sum = __ldcg(args.from[0] + i);
        for (u32 card = 1; card < args.cards; card++) sum += __ldcg(args.from[card] + i);
        for (u32 card = 0; card < args.cards; card++) args.to[card][i] = sum;
    }
}

struct PushArgs {
    const float *from;
    float *to; // of the other card
    u32 count;
};

// Large sums of two cards, in front of a meeting: all floats go to the other card, which with two cards are no more than
// shares and their sums would be. Where a product in tiles makes them, its end writes them there instead (gemm.cu).
extern "C" __global__ void __launch_bounds__(256) cards_push(const __grid_constant__ PushArgs args) {
    previous_done();
    const u32 quads = args.count / 4, step = gridDim.x * 256;
    for (u32 i = blockIdx.x * 256 + threadIdx.x; i < quads; i += step)
        ((float4 *)args.to)[i] = __ldcg((const float4 *)args.from + i);
    const u32 last = quads * 4 + threadIdx.x;
    if (blockIdx.x == 0 && last < args.count) args.to[last] = __ldcg(args.from + last);
}

struct TakeArgs {
    const float *from;
    const float *arrived;
    Sum sum;
    u32 count;
};

DEV float4 plus(const float4 &a, const float4 &b) { return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }

// Behind that meeting: the own floats and those that arrived. Of two values the sum has the same bits in either order.
extern "C" __global__ void __launch_bounds__(256) cards_take(const __grid_constant__ TakeArgs args) {
    constexpr u32 MANY = 2;
    previous_done();
    const Sum &to = args.sum;
    const u32 quads = args.count / 4, step = gridDim.x * 256;
    for (u32 first = blockIdx.x * 256 + threadIdx.x; first < quads; first += step * MANY) {
        float4 own[MANY], other[MANY], residual[MANY];
#pragma unroll
        for (u32 j = 0; j < MANY; j++) {
            const u32 i = first + j * step;
            if (i >= quads) break;
            own[j] = __ldcg((const float4 *)args.from + i), other[j] = __ldcg((const float4 *)args.arrived + i);
            if (to.residual) residual[j] = __ldcg((const float4 *)to.residual + i);
        }
#pragma unroll
        for (u32 j = 0; j < MANY; j++) {
            const u32 i = first + j * step;
            if (i >= quads) break;
            const float4 sum = plus(own[j], other[j]);
            if (to.plain) ((float4 *)to.plain)[i] = sum;
            ((float4 *)to.to)[i] = to.residual ? plus(sum, residual[j]) : sum;
        }
    }
    const u32 i = quads * 4 + threadIdx.x;
    if (blockIdx.x == 0 && i < args.count) {
        const float sum = __ldcg(args.from + i) + __ldcg(args.arrived + i);
        if (to.plain) to.plain[i] = sum;
        to.to[i] = to.residual ? sum + __ldcg(to.residual + i) : sum;
    }
}

struct JoinArgs {
    const u32 *from;
    u32 *to[MOST];
    u32 rows, piece, card, cards;
};

// Rows joined, between two meetings: each card gives its pieces to all.
extern "C" __global__ void __launch_bounds__(256) cards_join(const __grid_constant__ JoinArgs args) {
    previous_done();
    const u64 count = (u64)args.rows * args.piece, step = (u64)gridDim.x * 256;
    for (u64 i = (u64)blockIdx.x * 256 + threadIdx.x; i < count; i += step) {
        const u64 row = i / args.piece, column = i % args.piece;
        const u64 place = (row * args.cards + args.card) * args.piece + column;
        const u32 value = __ldcg(args.from + i);
        for (u32 card = 0; card < args.cards; card++) args.to[card][place] = value;
    }
}
