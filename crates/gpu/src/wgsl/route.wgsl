// The experts of one token a workgroup, best first, and their weights. SCORING 0 softmax of all, 1 softmax of the chosen,
// 2 sigmoid. Ties go to the lower expert. CORRECTION is added for the choice only; GROUPS > 1: only experts of the BEST
// groups take part, ranked by the sum of their two best.
#buffer logits read array<f32>
#buffer correction read array<f32>
#buffer chosen write array<u32>
#buffer weights write array<f32>

struct Params {
    scale: f32,
}
var<immediate> params: Params;

var<workgroup> scores: array<f32, ${EXPERTS}>;
var<workgroup> ranks: array<f32, ${EXPERTS}>;
var<workgroup> best_rank: array<f32, 64>;
var<workgroup> best_place: array<u32, 64>;
var<workgroup> taken: array<u32, ${ACTIVE}>;

const NONE: f32 = -3.0e38;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x * ${EXPERTS}u;
#if SCORING == 0
    var largest = NONE;
    for (var e = 0u; e < ${EXPERTS}u; e++) { largest = max(largest, logits[row + e]); }
    for (var e = thread; e < ${EXPERTS}u; e += 64u) { scores[e] = exp(logits[row + e] - largest); }
    workgroupBarrier();
    // Everybody adds in the same order.
    var sum = 0.0;
    for (var e = 0u; e < ${EXPERTS}u; e++) { sum += scores[e]; }
    workgroupBarrier();
    for (var e = thread; e < ${EXPERTS}u; e += 64u) { scores[e] /= sum; }
#elif SCORING == 1
    for (var e = thread; e < ${EXPERTS}u; e += 64u) { scores[e] = logits[row + e]; }
#else
    for (var e = thread; e < ${EXPERTS}u; e += 64u) { scores[e] = 1.0 / (1.0 + exp(-logits[row + e])); }
#end
    for (var e = thread; e < ${EXPERTS}u; e += 64u) {
#if CORRECTION == 1
        ranks[e] = scores[e] + correction[e];
#else
        ranks[e] = scores[e];
#end
    }
    workgroupBarrier();
#if GROUPS > 1
    if (thread == 0u) {
        var strengths: array<f32, ${GROUPS}>;
        for (var g = 0u; g < ${GROUPS}u; g++) {
            var first = NONE;
            var second = NONE;
            for (var e = 0u; e < ${EXPERTS / GROUPS}u; e++) {
                let rank = ranks[g * ${EXPERTS / GROUPS}u + e];
                second = max(second, min(first, rank));
                first = max(first, rank);
            }
            strengths[g] = first + second;
        }
        for (var g = 0u; g < ${GROUPS}u; g++) {
            var better = 0u;
            for (var other = 0u; other < ${GROUPS}u; other++) {
                if (strengths[other] > strengths[g] || (strengths[other] == strengths[g] && other < g)) { better++; }
            }
            if (better >= ${BEST}u) {
                for (var e = 0u; e < ${EXPERTS / GROUPS}u; e++) { ranks[g * ${EXPERTS / GROUPS}u + e] = NONE; }
            }
        }
    }
    workgroupBarrier();
#end
    for (var k = 0u; k < ${ACTIVE}u; k++) {
        var rank = NONE;
        var place = ${EXPERTS}u;
        for (var e = thread; e < ${EXPERTS}u; e += 64u) {
            var free = true;
            for (var j = 0u; j < k; j++) { free = free && taken[j] != e; }
            if (free && (place == ${EXPERTS}u || ranks[e] > rank)) {
                rank = ranks[e];
                place = e;
            }
        }
        best_rank[thread] = rank;
        best_place[thread] = place;
        for (var half = 32u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if (thread < half) {
                let other = best_place[thread + half];
                let other_rank = best_rank[thread + half];
                let here = best_place[thread];
                let better = other_rank > best_rank[thread] || (other_rank == best_rank[thread] && other < here);
                if (other < ${EXPERTS}u && (here == ${EXPERTS}u || better)) {
                    best_rank[thread] = other_rank;
                    best_place[thread] = other;
                }
            }
        }
        workgroupBarrier();
        if (thread == 0u) { taken[k] = best_place[0]; }
        workgroupBarrier();
    }
    if (thread == 0u) {
        var chosen_weights: array<f32, ${ACTIVE}>;
        var total = 0.0;
#if SCORING == 1
        let largest = scores[taken[0]];
        for (var k = 0u; k < ${ACTIVE}u; k++) {
            chosen_weights[k] = exp(scores[taken[k]] - largest);
            total += chosen_weights[k];
        }
        for (var k = 0u; k < ${ACTIVE}u; k++) { chosen_weights[k] /= total; }
        total = 0.0;
#else
        for (var k = 0u; k < ${ACTIVE}u; k++) { chosen_weights[k] = scores[taken[k]]; }
#end
#if NORMALIZE == 1
        for (var k = 0u; k < ${ACTIVE}u; k++) { total += chosen_weights[k]; }
#if SCORING == 2
        total += 1.0e-20;
#end
        for (var k = 0u; k < ${ACTIVE}u; k++) { chosen_weights[k] /= total; }
#end
        for (var k = 0u; k < ${ACTIVE}u; k++) {
            chosen[group.x * ${ACTIVE}u + k] = taken[k];
            weights[group.x * ${ACTIVE}u + k] = chosen_weights[k] * params.scale;
        }
    }
}
