// The product of `matmul` with matrices in hardware, a lone row, which is made into halves here as `matmul_halves` does it for
// many: it stands for all rows of a matrix. FEATURES features a workgroup; the order of a sum is that of `matmul_matrix_few`.
//
// Each of 8 subgroups has a part of the columns, PART blocks, and brings AT_ONCE of them in a round, for TURN features in memory of its
// own; those of DEPTH rounds are on their way. WHOLE: ROUNDS rounds are all of a part, and all parts have as many blocks. PAIRED: features are
// gates and as many ups, and what they make together goes to `both` too.
#include matrix
#set THREADS = 8 * SUBGROUP
#include math
#if INPUT == 2 || PAIRED == 1
#include gate
#end
#include matmul_inputs
#include matmul_outputs
#include matmul_row_params
#include weights_half
#if WHOLE == 1
fn row_columns() -> u32 { return ${PART * 256}u; }
#else
fn row_columns() -> u32 { return params.columns; }
#end
#include input_quad

// Features of a kind, matrices of features, features that are staged together, and those that a thread brings then and in all.
#set SHARE = FEATURES / (PAIRED + 1)
#set TILES = FEATURES / MATRIX
#set TURN = 32
#if FEATURES < 32
#set TURN = FEATURES
#end
#set TURNS = FEATURES / TURN
#set PER_TURN = TURN * AT_ONCE / SUBGROUP
#set ITEMS = PER_TURN * TURNS
// The last rounds stand behind the loop and ask for nothing; where threads do what matrices do, that is too much code for a compiler.
#set PEELED = MATRIX == 16
// Rounds that follow each other share the scale of a group.
#set TOGETHER = 1
#if AT_ONCE == 1 && GROUP >= 64 && DEPTH % 2 == 0 && WHOLE == 1
#set TOGETHER = 2
#end
// Units of a feature: some more than are staged, so that features do not share banks.
#set PITCH = (AT_ONCE * 32 + 8) / UNIT
#set STAGED = 8 * TURN * PITCH
#include staged
#include stage
// All rows of a matrix are the same: here they lie upon each other. Metal says nowhere that they may.
#set SUMS = 0
#if MATRIX == 8
#set SUMS = FEATURES
#end
#set PART_SUMS = FEATURES + (MATRIX - 1) * SUMS
var<workgroup> sums: array<f32, ${8 * PART_SUMS}>;

// The only row, and zeros behind it.
#set ROW = EACH * 8 * THREADS
#if UNIT == 1
var<workgroup> row_halves: array<f16, ${ROW + 32}>;
#else
var<workgroup> row_halves: array<vec4<f16>, ${(ROW + 32) / 4}>;
#end
#include halves_shared

fn lay(at: u32, value: vec4<f16>) {
#if UNIT == 1
    row_halves[at] = value.x;
    row_halves[at + 1u] = value.y;
    row_halves[at + 2u] = value.z;
    row_halves[at + 3u] = value.w;
#else
    row_halves[at / 4u] = value;
#end
}

// The sum of a feature: parts are added in order.
fn joined(first: u32) -> f32 {
    var whole = 0.0;
#for p in 0..8
    whole += sums[first + ${p * PART_SUMS}u];
#end
    return whole;
}

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
#include one
    let row = 0u;
    let blocks = (row_columns() + 31u) / 32u;
    let first = subgroup * ${PART}u;
    let end = min(first + ${PART}u, blocks);
#if PAIRED == 1
    let last_tile = params.features / 16u - 1u;
#else
    let last_tile = (params.features + 31u) / 32u - 1u;
#end
    let here = subgroup * ${TURN * PITCH}u;
#for s in 0..ITEMS
    // Which feature this thread brings, of which of the blocks, and where that goes.
    let item_${s} = lane + ${s % PER_TURN * SUBGROUP}u;
    let of_${s} = item_${s} % ${TURN}u + ${s / PER_TURN * TURN}u;
#if PAIRED == 1
    let feature_${s} = group.x * ${SHARE}u + of_${s} % ${SHARE}u + of_${s} / ${SHARE}u * params.features;
#else
    let feature_${s} = group.x * ${SHARE}u + of_${s};
#end
    let tile_${s} = min(feature_${s} / 32u, last_tile);
    let place_${s} = feature_${s} % 32u;
    let staged_${s} = here + item_${s} % ${TURN}u * ${PITCH}u + item_${s} / ${TURN}u * ${32 / UNIT}u;
#for d in 0..DEPTH
    let block_${s}_${d} = min(first + ${d * AT_ONCE}u + item_${s} / ${TURN}u, blocks - 1u);
    var codes_${s}_${d} = load_block(tile_${s} * blocks + block_${s}_${d}, place_${s});
#if d % TOGETHER == 0
#for h in 0..HALVES
    var raw_${s}_${d}_${h} = raw_scale(tile_${s}, block_${s}_${d}, blocks, ${h}u, place_${s});
#end
#end
#end
#for h in 0..HALVES
    var so_${s}_${h}: HalfScale;
#end
#end
#if MATRIX == 8
    for (var i = thread; i < 64u; i += ${THREADS}u) { zeros[i] = 0.0; }
#end
    if (thread < 8u) {
        lay(${ROW}u + thread * 4u, vec4<f16>(0.0h));
    }
#include halves
#for e in 0..EACH
    lay(column_${2 * e}, first_${e});
    lay(column_${2 * e + 1}, second_${e});
#end
    workgroupBarrier();
#for t in 0..TILES
#if MATRIX == 8
    var sum_${t} = coopLoadT<MatrixC>(&zeros[0], 8u);
#else
    var sum_${t} = MatrixC();
#end
#end
    // Nobody waits for another subgroup here. All have as many rounds, the last of them of zeros. A subgroup asks all its threads
    // whether it is done: a loop whose turns a driver can count is written out, and processors read long code anew for each product.
#set LAST = (ROUNDS - DEPTH * PEELED) * AT_ONCE
#if LAST > 0
    var i = 0u;
    loop {
        if (subgroupAll(i >= ${LAST}u)) { break; }
#set MORE = 1
#include matmul_matrix_rounds
        i += ${DEPTH * AT_ONCE}u;
    }
#end
#if PEELED
    {
        let i = ${LAST}u;
#set MORE = 0
#include matmul_matrix_rounds
    }
#end
#for t in 0..TILES
    coopStoreT(sum_${t}, &sums[subgroup * ${PART_SUMS}u + ${t * MATRIX}u], ${SUMS}u);
#end
    workgroupBarrier();
    let feature = group.x * ${SHARE}u + thread;
    if (thread < ${SHARE}u && feature < params.features) {
        let back = inverse_factor * (1.0 / WEIGHT_FACTOR);
        var sum = joined(thread) * back;
#if PAIRED == 1
        var up = joined(${SHARE}u + thread) * back;
#end
#include matmul_row_end
    }
}
