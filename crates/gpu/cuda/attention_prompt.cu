// Attention of a prompt's rows on Hopper: products of a group of four warps, tiles of keys and values by the tensor copy engine.
//
// A block has one or two teams of four warps, 64 query rows of one KV head each (tokens by heads of its group), and a warp that
// has tiles brought for both. It takes units of such rows, the longest first, until there are none; tiles of the next unit are on
// their way while one ends. Teams sum two tiles a turn: the second one's scores while the first one's are weighed, and half of a
// tile's values while the half before is merged. Invariant: bits are those of attention.cu. Read next: attention_pages.cuh.
#include "attention_pages.cuh"

// Keys: 16 of 64 dimensions, 8 keys after 8. Values: 16 keys, 64 dimensions of 8 of them, then the other 64.
template <int DIM> DEV u64 keys_descriptor(u32 at) { return (u64)((at & 0x3ffff) >> 4) | (u64)1 << 16 | (u64)DIM << 32 | (u64)1 << 62; }
template <int DIM> DEV u64 values_descriptor(u32 at) { return (u64)((at & 0x3ffff) >> 4) | (u64)64 << 16 | (u64)DIM << 32 | (u64)1 << 62; }

// Weights are made before what stands behind this.
template <int N> DEV void hold(u32 (&words)[N][4]) {
#pragma unroll
    for (int i = 0; i < N; i++) asm volatile("" : "+r"(words[i][0]), "+r"(words[i][1]), "+r"(words[i][2]), "+r"(words[i][3])::"memory");
}

template <u32 VALUE> struct Of {
    static constexpr u32 value = VALUE;
};

// Rows of a unit that belong to one sequence: from `begin` to `end`, where its pages begin in the tables, and the positions
// they see, which those of a team's rows `from` to `to` among them see, and which all of them see.
struct Sequence {
    u32 begin, end, table, least, most, own_least, own_most, all_least, all_most;

    // The next one behind this, of `count` rows from `first` on; a warp together.
    __device__ __forceinline__ bool next(const AttentionArgs &a, u32 first, u32 count, u32 from, u32 to) {
        const u32 lane = threadIdx.x & 31;
        bool found = false;
        least = own_least = all_most = ~0u, most = own_most = all_least = 0;
#pragma unroll 1
        for (u32 at = end & ~31u; at < count; at += 32) {
            const u32 i = at + lane;
            const uint2 row = i < count ? load_row(a, first + i) : make_uint2(~0u, 0);
            const bool there = i >= end && row.x != ~0u;
            if (!found) {
                const u32 all = __ballot_sync(~0u, there);
                if (!all) continue;
                const u32 lead = __ffs(all) - 1;
                found = true, begin = at + lead, table = __shfl_sync(~0u, row.y, lead);
            }
            const u32 skipped = maximum(begin, at) - at, others = ~(__ballot_sync(~0u, there && row.y == table) >> skipped);
            const u32 ends = minimum(skipped + (others ? __ffs(others) - 1 : 32), 32u);
            const bool in = lane >= skipped && lane < ends, own = in && i >= from && i < to;
            const u32 seen = first_seen(a, row.x);
            most = maximum(most, __reduce_max_sync(~0u, in ? row.x : 0)), least = minimum(least, __reduce_min_sync(~0u, in ? seen : ~0u));
            own_most = maximum(own_most, __reduce_max_sync(~0u, own ? row.x : 0)), own_least = minimum(own_least, __reduce_min_sync(~0u, own ? seen : ~0u));
            all_least = maximum(all_least, __reduce_max_sync(~0u, in ? seen : 0)), all_most = minimum(all_most, __reduce_min_sync(~0u, in ? row.x : ~0u));
            end = at + ends;
            if (ends < 32) break;
        }
        return found;
    }
};

template <int ELEMENT, int DIM> DEV void prompt(const StepArgs &args, u8 *memory) {
    // Registers of those that sum, and of the others: together what all begin with, or they would wait for ever.
    constexpr u32 TILE = KEYS * DIM * 2, STAGES = 512 / DIM, SUMMING = 232, BRINGING = 40;
    const AttentionArgs &a = args.attention;
    const u32 lane = threadIdx.x & 31, warp = __shfl_sync(~0u, threadIdx.x >> 5, 0), g = lane >> 2, t = lane & 3, team = warp >> 2, teams = (blockDim.x >> 7) - 1;
    // Keys of some tiles, then values of as many; for each of these whether it is there, and whether it may go.
    const u32 base = shared_address(memory), full = base + 2 * STAGES * TILE, empty = full + 16 * STAGES;
    const u32 per_team = 64 / a.group, tokens = teams * per_team, blocks = (a.count + tokens - 1) / tokens, units = blocks * a.kv_heads;
    next_may_start();
    if (threadIdx.x == 0) {
        for (u32 i = 0; i < 2 * STAGES; i++) barrier_init(full + 8 * i, 1), barrier_init(empty + 8 * i, 4 * teams);
        asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
    }
    __syncthreads();
    previous_done();
    // Tiles before those of a sequence: all of them take the places in turn.
    u32 before = 0;
    // Of units, the longest first, blocks take one each and then, in the other direction, one each again.
    auto unit_of = [&](u32 turn) { return turn * gridDim.x + (turn % 2 ? gridDim.x - 1 - blockIdx.x : blockIdx.x); };
    if (team == teams) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(BRINGING));
        if (warp % 4) return;
#pragma unroll 1
        for (u32 turn = 0; turn * gridDim.x < units; turn++) {
            const u32 unit = unit_of(turn);
            if (unit >= units) continue;
            const u32 head = unit % a.kv_heads, first_token = (blocks - 1 - unit / a.kv_heads) * tokens, here = minimum(tokens, a.count - first_token);
            Sequence s;
            s.end = 0;
            while (s.next(a, first_token, here, 0, 0)) {
                const u32 first_tile = s.least / KEYS, last_tile = s.most / KEYS;
                // All keys that some row sees, as a row that sees them.
                const uint2 row = make_uint2(s.most, s.table);
                u32 number = page_number(a, row, first_tile);
#pragma unroll 1
                for (u32 tile = first_tile; tile <= last_tile; tile++, before++) {
                    const u32 next = page_number(a, row, tile + 1);
#pragma unroll
                    for (u32 values = 0; values < 2; values++) {
                        const u32 place = values * STAGES + before % STAGES;
                        barrier_wait(empty + 8 * place, ~(before / STAGES) & 1);
                        bring_tile<DIM>(args, base + place * TILE, full + 8 * place, number, head, row, tile, values);
                    }
                    number = next;
                }
            }
        }
        return;
    }
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(SUMMING));
    // Spans that are merged wait in shared memory, each thread's own.
    float2 *const apart = (float2 *)(memory + 2 * STAGES * TILE + 256) + threadIdx.x;
    auto place = [&](u32 half, u32 d) { return apart + (half * (DIM / 8) + d) * 256; };
    const float scale = scale_of(a);
    const u64 keys_base = keys_descriptor<DIM>(base), values_base = values_descriptor<DIM>(base + STAGES * TILE);
#pragma unroll 1
    for (u32 turn = 0; turn * gridDim.x < units; turn++) {
        const u32 unit = unit_of(turn);
        if (unit >= units) continue;
        const u32 head = unit % a.kv_heads, first_token = (blocks - 1 - unit / a.kv_heads) * tokens, here = minimum(tokens, a.count - first_token);
        const u32 team_begin = minimum(team * per_team, here), team_end = minimum(team_begin + per_team, here);
        // Of rows g and g + 8: which token's they are, ~0 if of none, and which head of the group.
        auto row_of = [&](u32 half) { return warp % 4 * 16 + g + 8 * half; };
        auto token_of = [&](u32 half) {
            const u32 token = team_begin + row_of(half) / a.group;
            return token < team_end ? token : ~0u;
        };
        auto head_of = [&](u32 half) { return head * a.group + row_of(half) % a.group; };
        const float *from[2];
        u32 position[2];
#pragma unroll
        for (u32 half = 0; half < 2; half++) {
            const u32 token = token_of(half);
            from[half] = token != ~0u ? a.qkv + (u64)(first_token + token) * a.row_stride + head_of(half) * DIM : nullptr;
            position[half] = token != ~0u ? load_row(a, first_token + token).x : ~0u;
        }
        Queries<ELEMENT, DIM> q;
        q.load(from[0], from[1], t);
        float whole[DIM / 8][4] = {}, whole_largest[2] = {LEAST, LEAST}, whole_total[2] = {0.0f, 0.0f};
        Kept kept[2] = {{LEAST, 0.0f}, {LEAST, 0.0f}};
        Sequence s;
        s.end = 0;
        while (s.next(a, first_token, here, team_begin, team_end)) {
            const u32 first_tile = s.least / KEYS, last_tile = s.most / KEYS, own_first = s.own_least / KEYS, own_last = s.own_most / KEYS;
            const u32 inner_first = (s.all_least + KEYS - 1) / KEYS, inner_end = s.all_most == ~0u ? 0 : (s.all_most + 1) / KEYS;
            const bool whole_unit = !(a.cap > 0.0f) && s.begin == 0 && s.end == here && here > (teams - 1) * per_team;
            const u32 plain_end = whole_unit ? inner_end : 0;
            auto is_mine = [&](u32 half) {
                const u32 token = token_of(half);
                return token >= s.begin && token < s.end;
            };
            // Two teams sum values by turns, so that one weighs scores meanwhile; the first one's comes first, and both have as many.
            auto turn_begins = [&]() {
                if (teams == 2) meet(3 + team, 256);
            };
            auto turn_ends = [&](bool more) {
                if (teams == 2 && (team == 0 || more)) pass_by(4 - team, 256);
            };
            auto pass = [&]() {
#pragma unroll
                for (u32 values = 0; values < 2; values++) {
                    const u32 at = 8 * (values * STAGES + before % STAGES);
                    barrier_wait(full + at, before / STAGES & 1);
                    if (lane == 0) barrier_arrive(empty + at);
                }
                before++;
            };
            // PLAIN: all rows of the team see all keys, and scores have no cap.
            auto sum_tiles = [&](u32 tile, auto many, auto plain) {
                constexpr bool PLAIN = decltype(plain)::value;
                constexpr u32 COUNT = decltype(many)::value, HALVES = DIM / 64, UNITS = COUNT * HALVES;
                float flat[COUNT][KEYS / 2];
                u32 slots[COUNT], phases[COUNT];
#pragma unroll
                for (u32 i = 0; i < COUNT; i++) slots[i] = (before + i) % STAGES, phases[i] = (before + i) / STAGES & 1;
                before += COUNT;
#pragma unroll
                for (u32 i = 0; i < COUNT; i++) barrier_wait(full + 8 * slots[i], phases[i]), hold(flat[i]);
                products_begin();
#pragma unroll
                for (u32 i = 0; i < COUNT; i++) {
                    const u64 keys = keys_base + slots[i] * (TILE / 16);
#pragma unroll
                    for (u32 j = 0; j < DIM / 16; j++) WgmmaRows<ELEMENT, KEYS>::run(flat[i], q.parts[j], keys + j / 4 * 64 + j % 4 * 2, j > 0);
                    products_asked();
                }
                u32 weights[COUNT][KEYS / 16][4];
                float befores[COUNT][2], afters[COUNT][2];
                bool sees[COUNT][2];
                if (tile >= ALONE && begins_span(tile)) {
#pragma unroll
                    for (u32 half = 0; half < 2; half++) {
                        if ((PLAIN || is_mine(half)) && whole_total[half] > 0.0f) keep_span<DIM>(kept[half], whole, whole_largest[half], whole_total[half], half, [&](u32 d) { return place(half, d); });
                    }
                }
#pragma unroll
                for (u32 i = 0; i < COUNT; i++) {
                    if (i + 1 < COUNT) products_wait<1>(); else products_wait<0>();
                    hold(flat[i]);
                    if (lane == 0) barrier_arrive(empty + 8 * slots[i]);
                    const u32 of = tile + i, start = of * KEYS;
                    float scores[KEYS / 8][4], largest[2], total[2];
#pragma unroll
                    for (u32 j = 0; j < KEYS / 2; j++) scores[j / 4][j % 4] = flat[i][j];
                    u32 first[2], last[2];
#pragma unroll
                    for (u32 half = 0; half < 2; half++) {
                        last[half] = is_mine(half) ? position[half] : 0, first[half] = is_mine(half) ? first_seen(a, last[half]) : ~0u;
                        sees[i][half] = PLAIN || is_mine(half) && start <= last[half] && start + KEYS > first[half];
                    }
                    if (!PLAIN) limit_scores(a, scores, start, first, last, lane);
                    weigh(scores, scale, largest, total);
#pragma unroll
                    for (u32 n = 0; n < KEYS / 16; n++) {
#pragma unroll
                        for (u32 part = 0; part < 4; part++) {
                            weights[i][n][part] = pack<ELEMENT>(scores[2 * n + part / 2][part % 2 * 2], scores[2 * n + part / 2][part % 2 * 2 + 1]);
                        }
                    }
                    hold(weights[i]);
#pragma unroll
                    for (u32 half = 0; half < 2; half++) {
                        const Merge step = merge(whole_largest[half], whole_total[half], largest[half], total[half]);
                        befores[i][half] = step.before, afters[i][half] = step.after;
                        if (sees[i][half]) whole_largest[half] = step.largest, whole_total[half] = step.total;
                    }
                }
#pragma unroll
                for (u32 i = 0; i < COUNT; i++) {
                    barrier_wait(full + 8 * (STAGES + slots[i]), phases[i]);
                    const u32 behind = s.most % KEYS + 1;
                    if (!PLAIN && tile + i == last_tile && behind < KEYS) {
                        // What stands behind the last value may be no number.
                        const u32 values_at = base + (STAGES + slots[i]) * TILE;
#pragma unroll 1
                        for (u32 j = threadIdx.x % 128; j < (KEYS - behind) * (DIM / 8); j += 128) {
                            const u32 at = values_at + piece_place<DIM, true>(behind + j / (DIM / 8), j % (DIM / 8));
                            store_shared_8(at, 0, 0), store_shared_8(at + 8, 0, 0);
                        }
                        asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
                        meet(1 + team, 128);
                    }
                }
                if (PLAIN) turn_begins();
                // Half of a tile's dimensions at a time.
                float sums[2][32];
                auto ask = [&](u32 unit) {
                    const u64 values = values_base + slots[unit / HALVES] * (TILE / 16) + unit % HALVES * 64;
                    hold(sums[unit % 2]);
                    products_begin();
#pragma unroll
                    for (u32 n = 0; n < KEYS / 16; n++) WgmmaValues<ELEMENT, 64>::run(sums[unit % 2], weights[unit / HALVES][n], values + n * DIM * 2, n > 0);
                    products_asked();
                };
                ask(0);
                if (UNITS > 1) ask(1);
#pragma unroll
                for (u32 unit = 0; unit < UNITS; unit++) {
                    const u32 i = unit / HALVES;
                    if (unit + 1 < UNITS) products_wait<1>(); else products_wait<0>();
                    hold(sums[unit % 2]);
                    if (PLAIN && unit + 1 == UNITS) turn_ends(tile + 3 < plain_end);
                    if (unit % HALVES == HALVES - 1 && lane == 0) barrier_arrive(empty + 8 * (STAGES + slots[i]));
#pragma unroll
                    for (u32 half = 0; half < 2; half++) {
                        if (!sees[i][half]) continue;
#pragma unroll
                        for (u32 d = 0; d < 16; d++) {
                            float &of = whole[unit % HALVES * 8 + d / 2][2 * half + d % 2];
                            of = fmaf(of, befores[i][half], sums[unit % 2][4 * (d / 2) + 2 * half + d % 2] * afters[i][half]);
                        }
                    }
                    if (unit + 2 < UNITS) ask(unit + 2);
                }
            };
            u32 tile = first_tile;
#pragma unroll 1
            for (; tile < own_first && tile <= last_tile; tile++) pass();
            const u32 own_end = own_first <= own_last ? own_last + 1 : tile;
            // Spans of several tiles begin at even ones.
            u32 stop = whole_unit ? minimum(maximum(inner_first + 1, tile + 1) & ~1u, own_end) : own_end;
#pragma unroll 1
            while (tile < own_end) {
#pragma unroll 1
                for (; tile < stop; tile++) sum_tiles(tile, Of<1>(), Of<0>());
                if (team == 1 && tile + 1 < plain_end) turn_ends(true);
#pragma unroll 1
                for (; tile + 1 < plain_end; tile += 2) sum_tiles(tile, Of<2>(), Of<1>());
                stop = own_end;
            }
#pragma unroll 1
            for (; tile <= last_tile; tile++) pass();
        }
#pragma unroll
        for (u32 half = 0; half < 2; half++) {
            if (position[half] == ~0u) continue;
            take_kept<DIM>(kept[half], whole, whole_largest[half], whole_total[half], half, [&](u32 d) { return place(half, d); });
            const float share = finish(a, whole_largest[half], whole_total[half], head_of(half));
            const u64 at = (u64)(first_token + token_of(half)) * a.out_stride + head_of(half) * DIM + 2 * t;
            u32 *rounded = args.leaves.rows ? (u32 *)(args.leaves.rows + at) : nullptr;
#pragma unroll
            for (u32 d = 0; d < DIM / 8; d++) {
                const float2 v = make_float2(whole[d][2 * half] * share, whole[d][2 * half + 1] * share);
                if (rounded) {
                    rounded[d * 4] = pack_bf16(v.x, v.y);
                } else {
                    *(float2 *)(a.out + at + d * 8) = v;
                }
            }
        }
    }
}

#define PROMPT(name, element, dim)                                                                                     \
    extern "C" __global__ void __launch_bounds__(384, 1) attention_prompt_##name(const __grid_constant__ StepArgs args) { \
        extern __shared__ __align__(1024) u8 memory[];                                                               \
        prompt<element, dim>(args, memory);                                                                          \
    }

PROMPT(f16_64, F16, 64)
PROMPT(f16_128, F16, 128)
PROMPT(bf16_64, BF16, 64)
PROMPT(bf16_128, BF16, 128)
