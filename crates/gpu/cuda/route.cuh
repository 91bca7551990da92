// How a token's experts are chosen: by one warp, in registers, alike in every kernel that does it.
// Invariant: choice and weights have the same bits wherever they are made. Read next: moe.cu, chosen.cu.
#pragma once
#include "common.cuh"

constexpr u32 MAX_EXPERTS = 512;
constexpr float LEAST = -3.0e38f;
// So many experts of a lane are put in order.
constexpr u32 FEW_EACH = 4;

struct Router {
    const float *correction; // [experts] or null
    u32 experts, active, scoring, normalize, groups, best;
    float scale;
};

// Bits of a float in the order of floats; 0: none.
DEV u32 ordered(float value) {
    const u32 bits = __float_as_uint(value);
    return bits & 0x80000000 ? ~bits : bits | 0x80000000;
}

// Weights that are divided by their sum need no sum over all experts.
DEV bool weighs_chosen(const Router &router) {
    return router.scoring == 1 || (router.scoring == 0 && router.normalize && !router.correction && router.groups <= 1);
}

// One warp: the weights of what is taken, from scores; `of_chosen`: those are logits.
template <typename Score> DEV void weigh(const Router &router, bool of_chosen, const u32 *taken, float *weights, Score score_of) {
    const u32 lane = threadIdx.x & 31;
    const float first = score_of(taken[0]);
    float sum = 0.0f, held = 0.0f;
#pragma unroll 1
    for (u32 k = lane; k < router.active; k += 32) {
        const float score = score_of(taken[k]), weight = of_chosen ? expf(score - first) : score;
        if (k == lane) held = weight;
        else weights[k] = weight;
        sum += weight;
    }
    sum = warp_sum(sum);
    if (!of_chosen) sum = router.normalize ? sum + (router.scoring == 2 ? 1.0e-20f : 0.0f) : 1.0f;
#pragma unroll 1
    for (u32 k = lane; k < router.active; k += 32) weights[k] = __fmul_rn(__fdiv_rn(k == lane ? held : weights[k], sum), router.scale);
}

// One warp: the experts of the highest ranks, best first. A lane has the ranks of experts lane, lane + 32, ...; 0: none.
template <u32 EACH> DEV void take_best(const Router &router, u32 (&ranks)[EACH], u32 *taken) {
    const u32 lane = threadIdx.x & 31, experts = router.experts;
    if (EACH <= FEW_EACH) {
        // A lane's experts in order, equal ones by number: the first of them alone is looked at.
        u32 places[EACH];
#pragma unroll
        for (u32 i = 0; i < EACH; i++) places[i] = ranks[i] ? i * 32 + lane : MAX_EXPERTS;
#pragma unroll
        for (u32 end = EACH - 1; end > 0; end--) {
#pragma unroll
            for (u32 i = 0; i < end; i++) {
                const bool less = ranks[i] < ranks[i + 1];
                const u32 rank = less ? ranks[i] : ranks[i + 1], place = less ? places[i] : places[i + 1];
                ranks[i] = less ? ranks[i + 1] : ranks[i], places[i] = less ? places[i + 1] : places[i];
                ranks[i + 1] = rank, places[i + 1] = place;
            }
        }
#pragma unroll 1
        for (u32 k = 0; k < router.active; k++) {
            const u32 best = __reduce_max_sync(~0u, ranks[0]);
            const u32 expert = minimum(__reduce_min_sync(~0u, ranks[0] == best ? places[0] : MAX_EXPERTS), experts - 1);
            if (lane == 0) taken[k] = expert;
            const bool is_own = expert == places[0];
#pragma unroll
            for (u32 i = 0; i < EACH; i++) {
                if (is_own) ranks[i] = i + 1 < EACH ? ranks[i + 1] : 0, places[i] = i + 1 < EACH ? places[i + 1] : MAX_EXPERTS;
            }
        }
    } else {
#pragma unroll 1
        for (u32 k = 0; k < router.active; k++) {
            u32 most = 0, place = MAX_EXPERTS;
#pragma unroll
            for (u32 i = 0; i < EACH; i++) {
                if (i * 32 >= experts) break;
                if (ranks[i] > most) most = ranks[i], place = i * 32 + lane;
            }
            const u32 best = __reduce_max_sync(~0u, most);
            const u32 expert = minimum(__reduce_min_sync(~0u, most == best ? place : MAX_EXPERTS), experts - 1);
#pragma unroll
            for (u32 i = 0; i < EACH; i++) {
                if (i * 32 >= experts) break;
                if (i * 32 + lane == expert) ranks[i] = 0;
            }
            if (lane == 0) taken[k] = expert;
        }
    }
}

// One warp: `taken[k]` is the expert of rank k, `weights[k]` its weight. `scores` and `taken` are shared memory: experts
// and active places. Ties go to the lower expert. EACH: most experts of a lane. 
template <u32 EACH> DEV void route_token(const Router &router, const float *logits, float *scores, u32 *taken, float *weights) {
    const u32 lane = threadIdx.x & 31, experts = router.experts;
    const bool of_chosen = weighs_chosen(router);
    float largest = LEAST, sum = 0.0f;
    // A lane has experts lane, lane + 32, ...; four are asked for before any is used.
#pragma unroll 1
    for (u32 first = lane; first < experts; first += 128) {
        float logit[4];
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            if (first + 32 * i < experts) logit[i] = load_again_4(logits + first + 32 * i);
        }
#pragma unroll
        for (u32 i = 0; i < 4; i++) {
            if (first + 32 * i < experts) scores[first + 32 * i] = logit[i], largest = fmaxf(largest, logit[i]);
        }
    }
    if (!of_chosen) {
        largest = warp_max(largest);
#pragma unroll 1
        for (u32 e = lane; e < experts; e += 32) {
            scores[e] = router.scoring == 0 ? expf(scores[e] - largest) : __fdiv_rn(1.0f, 1.0f + expf(-scores[e]));
            sum += scores[e];
        }
        sum = warp_sum(sum);
#pragma unroll 1
        for (u32 e = lane; e < experts && router.scoring == 0; e += 32) scores[e] = __fdiv_rn(scores[e], sum);
    }
    u32 ranks[EACH];
#pragma unroll
    for (u32 i = 0; i < EACH; i++) {
        const u32 e = i * 32 + lane;
        ranks[i] = 0;
        if (EACH > FEW_EACH && i * 32 >= experts) break;
        if (e < experts) ranks[i] = ordered((router.correction ? scores[e] + router.correction[e] : scores[e]) + 0.0f);
    }
    if (router.groups > 1) {
        // A group is as strong as its two best together; only experts of the best groups take part. A lane has a group.
        const u32 size = experts / router.groups;
        __syncwarp();
        float first = LEAST, second = LEAST;
#pragma unroll 1
        for (u32 j = 0; j < size && lane < router.groups; j++) {
            const u32 e = lane * size + j;
            const float rank = (router.correction ? scores[e] + router.correction[e] : scores[e]) + 0.0f;
            second = fmaxf(second, fminf(first, rank)), first = fmaxf(first, rank);
        }
        const float strength = first + second;
        u32 better = 0;
#pragma unroll 1
        for (u32 other = 0; other < router.groups; other++) {
            const float its = __shfl_sync(~0u, strength, other);
            better += its > strength || (its == strength && other < lane);
        }
        const u32 kept = __ballot_sync(~0u, lane < router.groups && better < router.best);
#pragma unroll
        for (u32 i = 0; i < EACH; i++) {
            const u32 e = i * 32 + lane;
            if (e < experts && !(kept >> e / size & 1)) ranks[i] = ordered(LEAST);
        }
    }
    take_best(router, ranks, taken);
    __syncwarp();
    weigh(router, of_chosen, taken, weights, [&](u32 e) { return scores[e]; });
    __syncwarp();
}

// The same of many experts: a call, as its code is long.
static __device__ __noinline__ void route_token_among_many(const Router &router, const float *logits, float *scores, u32 *taken, float *weights) {
    route_token<MAX_EXPERTS / 32>(router, logits, scores, taken, weights);
}
