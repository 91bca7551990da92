// Experts of a single token, three kernels: the router's logits; gates and ups of the chosen ones, joined; then their down
// products, mixed.
//
// `logits` are few and its blocks small: they and those of `up` have room beside each other. `up` does not wait until they are done: it
// takes the logits one by one as they come, from words of its own mixture that are NOT_THERE before; `down` empties them again.
// Every block of `up` chooses the experts anew, which costs less than to wait for a kernel that
// does, and makes the token's row meanwhile; one leaves the choice to `down`, whose weights are then on
// their way while `up` still multiplies. `up`: a block has half tiles of gates and of the ups that belong to them; a warp has one slice of k
// of one of the two; rows of results are left to `down`. `down`: a block has
// one half tile of outputs for all chosen experts, a warp some of their slices; the experts are added in order.
// Invariant: sums and roundings are those of few.cu, rows.cu and mix, so that a token's bits are the same among others.
// Read next: few.cu, route.cuh.
#include "left.cuh"
#include "route.cuh"

constexpr u32 WARPS = 8, SLICES = 8, GROUP = 4, MAX_ACTIVE = 16;

struct ChosenUpArgs {
    Weights weights;  // of each expert gates, then ups
    RowSource source; // the token
    Router router;
    const float *logits; // or null: they are awaited
    float *awaited;
    const float *bias; // [experts][2 width] or null
    float *y;          // [active][width], joined
    u32 *chosen;       // [active], left to `down`
    float *mixing;     // [active]: their weights
    LeftRows leaves;   // [active]: what is left to `down`; or nothing
    u32 width, k, stride;
    u32 act;
    float alpha, limit;
};

// What a lane of a warp adds to the sums of 16 outputs: a stretch.
template <int CODE, int KIND> DEV void multiply(const Weights &weights, const Piece<CODE> &low, const Piece<CODE> &high, u32 stretch, u32 x, u32 t, float (&sums)[4]) {
    u32 low_pairs[2], high_pairs[2];
    piece_scales<CODE, KIND>(weights, low, stretch, t, low_pairs);
    piece_scales<CODE, KIND>(weights, high, stretch, t, high_pairs);
#pragma unroll
    for (u32 word = 0; word < 4; word++) {
        u32 a[4], b[4];
        unpack_word<CODE>(low, word, low_pairs, a);
        unpack_word<CODE>(high, word, high_pairs, b);
        const u32 first[4] = {a[0], b[0], a[1], b[1]}, second[4] = {a[2], b[2], a[3], b[3]};
        const uint4 v = load_shared_16(x + (word << 6));
        mma_16816<Traits<CODE>::ELEMENT>(sums, first, v.x, v.y);
        mma_16816<Traits<CODE>::ELEMENT>(sums, second, v.z, v.w);
    }
}

// What blocks of a kernel are told by one that is not done: logits, and behind them that all in front of that kernel is done.
// No rounding gives these bits.
constexpr u32 NOT_THERE = ~0u;

DEV u32 load_awaited(const float *from) {
    u32 bits;
    asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(bits) : "l"(from) : "memory");
    return bits;
}

DEV void store_awaited(float *to, float value) { asm volatile("st.relaxed.gpu.global.f32 [%0], %1;" ::"l"(to), "f"(value) : "memory"); }

DEV void say_front_is_done(float *awaited) { asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(awaited + MAX_EXPERTS), "r"(0) : "memory"); }

DEV void await_front(const float *awaited) {
    u32 word;
    do asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(word) : "l"(awaited + MAX_EXPERTS) : "memory");
    while (word == NOT_THERE);
}

struct LogitsArgs {
    Weights weights;
    RowSource source;  // the token
    LeftRows left;     // the same, as the kernel in front left it; or nothing
    const float *bias; // [experts] or null
    float *logits;     // [experts]
    float *awaited;    // the same for `up`
    u32 experts, stride;
};

// A token is normed or as it is.
DEV RowSource ungated(const RowSource &source) {
    RowSource token = source;
    token.mode &= NORM;
    return token;
}

// A token's row by the first 8 warps, for products of CODE.
template <int CODE, typename... Others> DEV float make_token(const RowSource &source, float *scratch, u16 *x, u32 stride, Others &...others) {
    typedef Traits<CODE> T;
    auto put = [&](u32 i, float4 v) { put_four<T::ELEMENT>(x, T::ORDER, LANES, i, v); };
    const float factor = make_row<T::ELEMENT, 4, 256>(source, others..., scratch, put);
    for (u32 i = (source.k + 3) / 4 * 4 + 4 * threadIdx.x; i < stride; i += 1024) put(i, make_float4(0.0f, 0.0f, 0.0f, 0.0f));
    return factor;
}

// 16 experts a block; sums are those of few.cu.
template <int CODE, int KIND> DEV void logits(const LogitsArgs &args, u8 *memory) {
    typedef Traits<CODE> T;
    constexpr u32 DEPTH = T::BITS >= 8 ? 2 : 4, THREADS = 32 * WARPS;
    __shared__ float scratch[64], partials[SLICES][16];
    const u32 lane = threadIdx.x & 31, slice = threadIdx.x >> 5, g = lane >> 2, t = lane & 3;
    const u32 columns = args.source.k, length = slice_length(columns), slices = (columns + length - 1) / length;
    const u32 first = slice * length / 128, stretches = slice < slices ? (minimum(length, columns - slice * length) + 127) / 128 : 0;
    u16 *x = (u16 *)memory;
    next_may_start();
    Piece<CODE> low[DEPTH], high[DEPTH];
    const Place place = place_of<CODE>(args.weights, blockIdx.x >> 1, (blockIdx.x & 1) * 16 + g, t);
    auto fetch = [&](Piece<CODE> &to_low, Piece<CODE> &to_high, u32 stretch) {
        if (stretch >= stretches) return;
        load_piece<CODE, KIND, 0>(to_low, args.weights, place, first + stretch, t);
        load_piece<CODE, KIND, 8>(to_high, args.weights, place, first + stretch, t);
    };
#pragma unroll
    for (u32 d = 0; d < DEPTH; d++) fetch(low[d], high[d], d);
    previous_done();
    if (blockIdx.x == 0 && threadIdx.x == 0) say_front_is_done(args.awaited);
    if (args.left.rows) {
        for (u32 i = threadIdx.x; i < columns / 8; i += THREADS) copy_async<16>(shared_address(x) + i * 16, args.left.rows + i * 8);
        copy_commit();
        if (slice == WARPS - 1) {
            LeftFactor of;
            of.ask(args.left, 0);
            const u32 biased = of.exponent(args.left, 0);
            const float factor = of.norm(args.left, 0) * (T::ELEMENT == F16 ? scale_of(biased).factor : 1.0f);
            if (lane == 0) scratch[32] = factor, scratch[33] = bits_f32(biased);
        }
        copy_wait<0>();
    } else {
        const float factor = make_token<CODE>(ungated(args.source), scratch, x, args.stride);
        if (threadIdx.x == 0) scratch[32] = factor, scratch[33] = 0.0f;
    }
    __syncthreads();
    if (T::ELEMENT == F16 && !is_usual(__float_as_uint(scratch[33]))) {
        make_again(args.source, 0, 0, x, T::ORDER, LANES, 0, columns, __float_as_uint(scratch[33]), threadIdx.x, THREADS);
        __syncthreads();
    }
    float sums[4] = {};
#pragma unroll 1
    for (u32 at = 0; at < stretches; at += DEPTH) {
#pragma unroll
        for (u32 d = 0; d < DEPTH; d++) {
            const u32 stretch = at + d;
            if (stretch >= stretches) continue;
            multiply<CODE, KIND>(args.weights, low[d], high[d], first + stretch, shared_address(x) + t * 16 + (first + stretch) * 256, t, sums);
            fetch(low[d], high[d], stretch + DEPTH);
        }
    }
    if (t == 0) partials[slice][g] = sums[0], partials[slice][g + 8] = sums[2];
    __syncthreads();
    const u32 expert = blockIdx.x * 16 + threadIdx.x;
    if (threadIdx.x >= 16 || expert >= args.experts) return;
    float sum = partials[0][threadIdx.x];
    for (u32 s = 1; s < slices; s++) sum += partials[s][threadIdx.x];
    sum = with_bias(sum, scratch[32] * args.weights.factor, args.bias, expert);
    store_awaited(args.awaited + expert, sum);
    args.logits[expert] = sum;
}

// One warp: the experts of the token, best first, so many as are `needed`; whether their weights are found too. `waits`: until all logits are there.
DEV bool choose(const ChosenUpArgs &args, bool waits, u32 needed, float *scores, u32 *taken, float *weights) {
    constexpr u32 EACH = FEW_EACH;
    const Router &router = args.router;
    const float *logits = args.logits ? args.logits : args.awaited;
    const u32 lane = threadIdx.x & 31;
    const bool by_logits = weighs_chosen(router) && !router.correction && router.groups <= 1 && router.experts <= 32 * EACH;
    if (!by_logits) {
        for (u32 e = lane; waits && e < router.experts; e += 32) {
            while (load_awaited(logits + e) == NOT_THERE) {}
        }
        __syncwarp();
        route_token_among_many(router, logits, scores, taken, weights);
        return true;
    }
    // The best logits are the best scores.
    u32 ranks[EACH];
    bool lacks;
    do {
        lacks = false;
#pragma unroll
        for (u32 i = 0; i < EACH; i++) {
            const u32 e = i * 32 + lane, bits = e < router.experts ? load_awaited(logits + e) : 0;
            lacks |= bits == NOT_THERE, ranks[i] = e < router.experts ? ordered(bits_f32(bits) + 0.0f) : 0;
        }
    } while (waits && __any_sync(~0u, lacks));
    Router first = router;
    first.active = needed;
    take_best(first, ranks, taken);
    return false;
}

// The same warp of one block: what `down` is to know.
DEV void leave_choice(const ChosenUpArgs &args, bool has_weights, const u32 *taken, float *weights) {
    const float *logits = args.logits ? args.logits : args.awaited;
    if (!has_weights) weigh(args.router, true, taken, weights, [&](u32 e) { return load_again_4(logits + e) + 0.0f; });
    __syncwarp();
    for (u32 k = threadIdx.x & 31; k < args.router.active; k += 32) args.chosen[k] = taken[k], args.mixing[k] = weights[k];
    __threadfence();
}

template <int CODE, int KIND> DEV void up(const ChosenUpArgs &args, u8 *memory) {
    typedef Traits<CODE> T;
    constexpr u32 DEPTH = T::BITS == 16 ? 2 : T::BITS == 8 ? 2 : 4;
    __shared__ __align__(16) float scores[MAX_EXPERTS];
    __shared__ float scratch[64], partials[2][GROUP][2][SLICES][16], weights[MAX_ACTIVE];
    __shared__ u32 taken[MAX_ACTIVE];
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, slice = warp % SLICES, of_ups = warp / SLICES;
    const u32 g = lane >> 2, t = lane & 3;
    u16 *x = (u16 *)memory;
    const u32 length = slice_length(args.k), slices = (args.k + length - 1) / length;
    const u32 first_stretch = slice * length / 128;
    const u32 stretches = slice < slices ? (minimum(length, args.k - slice * length) + 127) / 128 : 0, last_stretch = first_stretch + stretches;
    // A block has neighbouring items: half tile `half` of gates of the expert of rank `choice`, and its ups.
    const u32 halves = args.width / 16, items = args.router.active * halves, each = (items + gridDim.x - 1) / gridDim.x;
    u32 item = minimum(blockIdx.x * each, items), ahead_choice = item / halves, ahead_half = item % halves;
    const u32 end = minimum(item + each, items);
    float4 norm[4];
    const RowSource source = ungated(args.source);
    if (warp < 8) ask_norm<4, 256>(source, norm);
    const bool awaits = !args.logits;
    if (!awaits) previous_done();
    if (warp < 8) {
        if (awaits) {
            if (threadIdx.x == 0) await_front(args.awaited);
            meet(1, 256);
        }
        const float factor = make_token<CODE>(source, scratch, x, args.stride, norm);
        if (threadIdx.x == 0) scratch[32] = factor;
    }
    const bool leaves = blockIdx.x + 1 == gridDim.x;
    bool has_weights = false;
    // Who has time chooses once beforehand, by what logits there are, so that the instructions are near.
#pragma unroll 1
    for (u32 turn = !awaits; turn < 2; turn++) {
        if (warp == 8) has_weights = choose(args, awaits && turn, leaves ? args.router.active : (end + halves - 1) / halves, scores, taken, weights);
    }
    __syncthreads();
    // What follows finds the choice. The last block has least to do.
    if (leaves && warp == 8) leave_choice(args, has_weights, taken, weights);
    if (!leaves || warp == 8) next_may_start();
    const float factor = scratch[32] * args.weights.factor;

    Piece<CODE> low[DEPTH], high[DEPTH];
    u32 ahead = stretches ? item : end, ahead_stretch = first_stretch;
    Place place;
    auto seek = [&]() {
        if (ahead >= end) return;
        const u32 half = (taken[ahead_choice] * 2 + of_ups) * halves + ahead_half;
        place = place_of<CODE>(args.weights, half >> 1, (half & 1) * 16 + g, t);
    };
    auto fetch = [&](Piece<CODE> &to_low, Piece<CODE> &to_high) {
        if (ahead >= end) return;
        load_piece<CODE, KIND, 0>(to_low, args.weights, place, ahead_stretch, t);
        load_piece<CODE, KIND, 8>(to_high, args.weights, place, ahead_stretch, t);
        if (++ahead_stretch < last_stretch) return;
        ahead_stretch = first_stretch, ahead++;
        if (++ahead_half == halves) ahead_half = 0, ahead_choice++;
        seek();
    };
    seek();
#pragma unroll
    for (u32 d = 0; d < DEPTH; d++) fetch(low[d], high[d]);

    const u32 x_at = shared_address(x) + t * 16 + first_stretch * 256;
    float sums[4] = {};
    // Items are summed some at a time, and all that those need ends at one place: DEPTH stretches, then those of the next.
    u32 parity = 0, at = 0, stretch = 0, done = 0;
    while (item < end) {
        const u32 count = minimum(GROUP, end - item);
        while (done < count && stretches) {
#pragma unroll
            for (u32 d = 0; d < DEPTH; d++) {
                // A group may end in the midst of the queue.
                if (d < at || done == count) continue;
                multiply<CODE, KIND>(args.weights, low[d], high[d], first_stretch + stretch, x_at + stretch * 256, t, sums);
                fetch(low[d], high[d]);
                at = d + 1 == DEPTH ? 0 : d + 1;
                if (++stretch < stretches) continue;
                float *to = partials[parity][done][of_ups][slice];
                if (t == 0) to[g] = sums[0], to[g + 8] = sums[2];
                sums[0] = sums[1] = sums[2] = sums[3] = 0.0f, stretch = 0, done++;
            }
        }
        __syncthreads();
        // A warp an item, others each time; its first half has gates, the second ups.
        const u32 of = (warp - 4 * parity) % 16;
        if (of < count) {
            const u32 which = lane >> 4, r = lane & 15, choice = (item + of) / halves, output = (item + of) % halves * 16 + r;
            float sum = partials[parity][of][which][0][r];
            for (u32 s = 1; s < slices; s++) sum += partials[parity][of][which][s][r];
            sum = __fmul_rn(sum, factor);
            if (args.bias) sum += args.bias[taken[choice] * 2 * args.width + which * args.width + output];
            const float other = __shfl_down_sync(~0u, sum, 16);
            const float v = which == 0 ? gated_call(args.act, sum, other, args.alpha, args.limit) : 0.0f;
            if (which == 0) args.y[choice * args.width + output] = v;
            if (args.leaves.rows) leave_sixteen<1, 2, 4, 8>(args.leaves, choice, output, v, 1.0f, which == 0);
        }
        parity ^= 1, item += count, done = 0;
    }
    if (awaits) previous_done();
}

struct ChosenDownArgs {
    Weights weights;
    const u32 *chosen;     // [active], there before `up` is done
    const float *mixing;   // [active]: their weights
    const float *x;        // [active][k]
    const float *bias;     // [experts][n] or null
    const float *residual; // [n] or null
    float *y;              // [n]
    LeftRows left;         // [active]: x, as `up` left it; or nothing
    LeftRows leaves;       // what is left to the next product
    float *awaited;        // what `up` awaited; or null
    u32 n, k, stride, active;
};

// A choice and a slice of it, or where a warp's next one is.
struct Unit {
    u32 choice, slice;
    __device__ __forceinline__ void skip(u32 by, u32 slices) {
        for (slice += by; slice >= slices; slice -= slices) choice++;
    }
};

// Rows that `up` did not leave: a row a warp, or some warps a row.
template <int CODE> DEV void make_rows(const ChosenDownArgs &args, u16 *rows, float *factors, float *scratch) {
    typedef Traits<CODE> T;
    constexpr u32 HELD = 4;
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, active = args.active;
    u32 span = WARPS;
    while (span > 1 && span * active > WARPS) span /= 2;
    const u32 from = ((warp % span) * 32 + lane) * 4, step = span * 128;
    for (u32 first = 0; first < active; first += WARPS / span) {
        const u32 row = first + warp / span;
        const bool has_row = row < active;
        const float *values = args.x + row * args.k;
        float most = 0.0f;
        float4 held[HELD];
#pragma unroll
        for (u32 j = 0; j < HELD; j++) {
            if (has_row && from + j * step < args.k) held[j] = load_again(values + from + j * step);
        }
#pragma unroll
        for (u32 j = 0; j < HELD; j++) {
            if (has_row && from + j * step < args.k) most = most_of(most, held[j]);
        }
        for (u32 i = from + HELD * step; has_row && i < args.k; i += step) most = most_of(most, load_again(values + i));
        most = warp_max(most);
        if (lane == 0) scratch[warp] = most;
        __syncthreads();
        for (u32 i = 0; i < span; i++) most = fmaxf(most, scratch[warp / span * span + i]);
        __syncthreads();
        const RowScale by = row_scale<T::ELEMENT>(most);
        const float scale = by.up;
        if (!has_row) continue;
        if (warp % span == 0 && lane == 0) factors[row] = by.factor;
        auto put = [&](u32 i, float4 v) {
            put_four<T::ELEMENT>(rows + row * args.stride, T::ORDER, LANES, i, make_float4(v.x * scale, v.y * scale, v.z * scale, v.w * scale));
        };
#pragma unroll
        for (u32 j = 0; j < HELD; j++) {
            if (from + j * step < args.k) put(from + j * step, held[j]);
        }
        for (u32 i = from + HELD * step; i < args.k; i += step) put(i, load_again(values + i));
        for (u32 i = args.k + ((warp % span) * 32 + lane) * 4; i < args.stride; i += step) put(i, make_float4(0.0f, 0.0f, 0.0f, 0.0f));
    }
}

// Rows that `up` left; unusual ones are made again. Their exponents are brought by few lanes of a block, for all blocks ask for the same
// lines. `exponents`: room for them, to whole 16 bytes.
template <int CODE> DEV void take_rows(const ChosenDownArgs &args, u16 *rows, u8 *exponents, float *factors) {
    typedef Traits<CODE> T;
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, pieces = args.stride / 8 * args.active, groups = args.left.columns / 16;
    if (T::ELEMENT == F16) {
        for (u32 i = threadIdx.x * 16; i < args.active * groups; i += 512 * WARPS) copy_async<16>(shared_address(exponents) + i, args.left.exponents + i);
    }
#pragma unroll 1
    for (u32 i = threadIdx.x; i < pieces; i += 32 * WARPS) copy_async<16>(shared_address(rows) + i * 16, args.left.rows + i * 8);
    copy_commit();
    const float usual = power_of_two(-USUAL_UP);
    bool again = false;
    copy_wait<0>();
    __syncthreads();
    for (u32 row = warp; row < args.active; row += WARPS) {
        float factor = 1.0f;
        if (T::ELEMENT == F16) {
            u32 most = 0;
#pragma unroll 1
            for (u32 i = 4 * lane; i < groups; i += 128) most = __vmaxu4(most, *(const u32 *)(exponents + row * groups + i));
            most = __vmaxu4(most, most >> 16);
            factor = scale_of(__reduce_max_sync(~0u, maximum(most & 255, most >> 8 & 255))).factor, again |= factor != usual;
        }
        if (lane == 0) factors[row] = factor;
    }
    if (T::ELEMENT != F16 || !__syncthreads_or(again)) return;
    for (u32 row = warp; row < args.active; row += WARPS) {
        const float up = 1.0f / factors[row];
        if (up == 1.0f / usual) continue;
        for (u32 i = 4 * lane; i < args.k; i += 128) {
            const float4 v = load_again(args.x + row * args.k + i);
            put_four<T::ELEMENT>(rows + row * args.stride, T::ORDER, LANES, i, make_float4(v.x * up, v.y * up, v.z * up, v.w * up));
        }
    }
}

template <int CODE, int KIND> DEV void down(const ChosenDownArgs &args, u8 *memory) {
    typedef Traits<CODE> T;
    constexpr u32 DEPTH = T::BITS == 16 ? 1 : T::BITS == 8 ? 2 : 4;
    __shared__ float scratch[2 * WARPS], factors[MAX_ACTIVE], weights[MAX_ACTIVE], values[MAX_ACTIVE][16], norm[16];
    __shared__ u32 taken[MAX_ACTIVE];
    const u32 lane = threadIdx.x & 31, warp = threadIdx.x >> 5, active = args.active;
    const u32 g = lane >> 2, t = lane & 3;
    u16 *rows = (u16 *)memory;
    float *partials = (float *)(memory + active * args.stride * 2);
    const u32 length = slice_length(args.k), slices = (args.k + length - 1) / length, of_slice = length / 128;
    next_may_start();
    const u32 r = threadIdx.x & 15, output = blockIdx.x * 16 + r;
    // All of these before the matrix: who writes them to shared memory would wait for what was asked for in between.
    if (threadIdx.x < 16) norm[r] = args.leaves.weight && output < args.n ? args.leaves.weight[output] : 1.0f;
    if (threadIdx.x < active) taken[threadIdx.x] = __ldcg(args.chosen + threadIdx.x), weights[threadIdx.x] = load_again_4(args.mixing + threadIdx.x);
    __syncthreads();

    const u32 tiles = (args.n + 31) / 32, stretches = (args.k + 127) / 128;
    Piece<CODE> low[DEPTH], high[DEPTH];
    Unit unit = {0, 0};
    unit.skip(warp, slices);
    Unit ahead = unit;
    u32 ahead_stretch = 0;
    Place place;
    auto last_of = [&](const Unit &unit) { return minimum(of_slice, stretches - unit.slice * of_slice); };
    auto seek = [&]() {
        if (ahead.choice < active) place = place_of<CODE>(args.weights, taken[ahead.choice] * tiles + (blockIdx.x >> 1), (blockIdx.x & 1) * 16 + g, t);
    };
    auto fetch = [&](Piece<CODE> &to_low, Piece<CODE> &to_high) {
        if (ahead.choice >= active) return;
        load_piece<CODE, KIND, 0>(to_low, args.weights, place, ahead.slice * of_slice + ahead_stretch, t);
        load_piece<CODE, KIND, 8>(to_high, args.weights, place, ahead.slice * of_slice + ahead_stretch, t);
        if (++ahead_stretch < last_of(ahead)) return;
        ahead_stretch = 0, ahead.skip(WARPS, slices);
        seek();
    };
    seek();
#pragma unroll
    for (u32 d = 0; d < DEPTH; d++) fetch(low[d], high[d]);

    previous_done();
    if (args.awaited && blockIdx.x == 0) {
        for (u32 i = threadIdx.x; i <= MAX_EXPERTS; i += 32 * WARPS) args.awaited[i] = bits_f32(NOT_THERE);
    }
    float residual = 0.0f;
    if (args.residual && threadIdx.x < 16 && output < args.n) residual = load_again_4(args.residual + output);
    if (args.left.rows) take_rows<CODE>(args, rows, (u8 *)(partials + active * slices * 16), factors);
    else make_rows<CODE>(args, rows, factors, scratch);
    __syncthreads();

    u32 stretch = 0;
    float sums[4] = {};
    while (unit.choice < active) {
#pragma unroll
        for (u32 d = 0; d < DEPTH; d++) {
            if (unit.choice >= active) break;
            const u32 k = unit.slice * of_slice + stretch;
            multiply<CODE, KIND>(args.weights, low[d], high[d], k, shared_address(rows + unit.choice * args.stride) + t * 16 + k * 256, t, sums);
            fetch(low[d], high[d]);
            if (++stretch < last_of(unit)) continue;
            float *to = partials + (unit.choice * slices + unit.slice) * 16;
            if (t == 0) to[g] = sums[0], to[g + 8] = sums[2];
            sums[0] = sums[1] = sums[2] = sums[3] = 0.0f, stretch = 0, unit.skip(WARPS, slices);
        }
    }
    __syncthreads();
    for (u32 choice = threadIdx.x >> 4; choice < active; choice += WARPS * 2) {
        const float *from_unit = partials + choice * slices * 16 + r;
        float sum = from_unit[0];
        for (u32 s = 1; s < slices; s++) sum += from_unit[s * 16];
        const float scale = factors[choice] * args.weights.factor;
        sum = __fmul_rn(sum, scale);
        if (args.bias && output < args.n) sum += args.bias[taken[choice] * args.n + output];
        values[choice][r] = sum;
    }
    __syncthreads();
    if (warp > 0) return;
    float sum = 0.0f;
    for (u32 k = 0; k < active; k++) sum = fmaf(weights[k], values[k][r], sum);
    if (args.residual) sum = residual + sum;
    const bool is_there = threadIdx.x < 16 && output < args.n;
    if (is_there) args.y[output] = sum;
    if (args.leaves.rows) leave_sixteen<1, 2, 4, 8>(args.leaves, 0, output, sum, norm[r], is_there);
}

// Where both fit a processor together, the second begins while the first ends.
#define CHOSEN(name, code, kind, up_registers, down_registers)                                                         \
    extern "C" __global__ void __maxnreg__(up_registers) chosen_up_##name(const __grid_constant__ ChosenUpArgs args) { \
        extern __shared__ __align__(128) u8 memory[];                                                                \
        up<code, kind>(args, memory);                                                                                \
    }                                                                                                                \
    extern "C" __global__ void __maxnreg__(down_registers) chosen_down_##name(const __grid_constant__ ChosenDownArgs args) { \
        extern __shared__ __align__(128) u8 memory[];                                                                \
        down<code, kind>(args, memory);                                                                              \
    }

CHOSEN(bits4_pair, BITS4, PAIR_BF16, 80, 96)
CHOSEN(bits4_single, BITS4, SINGLE, 80, 96)
CHOSEN(bits4_minima, BITS4, MINIMA, 96, 112)
CHOSEN(e2m1_exponent, E2M1, E8M0, 80, 96)
CHOSEN(bits2, BITS2, -1, 128, 128)
CHOSEN(bits3, BITS3, -1, 128, 128)
CHOSEN(bits4, BITS4, -1, 128, 128)
CHOSEN(bits5, BITS5, -1, 128, 128)
CHOSEN(bits6, BITS6, -1, 128, 128)
CHOSEN(bits6_signed, BITS6, SIGNED, 128, 128)
CHOSEN(bits8, BITS8, -1, 128, 128)
CHOSEN(signed8, SIGNED8, -1, 128, 128)
CHOSEN(e2m1, E2M1, E4M3, 128, 128)
CHOSEN(e4m3, CODE_E4M3, -1, 128, 128)
CHOSEN(bf16, CODE_BF16, NONE, 128, 128)
CHOSEN(f16, CODE_F16, NONE, 128, 128)

// Routers as they are stored.
#define LOGITS(name, code, kind)                                                                                       \
    extern "C" __global__ void __launch_bounds__(256, 2) chosen_logits_##name(const __grid_constant__ LogitsArgs args) {        \
        extern __shared__ __align__(128) u8 memory[];                                                                \
        logits<code, kind>(args, memory);                                                                            \
    }

LOGITS(bits4_pair, BITS4, PAIR_BF16)
LOGITS(bits8, BITS8, -1)
LOGITS(bf16, CODE_BF16, NONE)
