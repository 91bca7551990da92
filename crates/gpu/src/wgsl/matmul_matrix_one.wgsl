// The product of `matmul` with matrices in hardware, a lone row, which is made into halves here as `matmul_halves` does it for
// many: it stands for all rows of a matrix. FEATURES features a workgroup; the order of a sum is that of `matmul_matrix_few`.
//
// Each of 8 subgroups has a part of the columns, AT_ONCE blocks of them at a time for TURN features in memory of its own; DEPTH times as
// many blocks are on their way. PAIRED: features are gates and as many ups, and what they make together goes to `both` too.
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
    let blocks = (params.columns + 31u) / 32u;
    let part_blocks = (blocks + 7u) / 8u;
    let first = subgroup * part_blocks;
    let end = min(first + part_blocks, blocks);
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
#for h in 0..HALVES
    var raw_${s}_${d}_${h} = raw_scale(tile_${s}, block_${s}_${d}, blocks, ${h}u, place_${s});
#end
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
    // Nobody waits for another subgroup here. All have as many rounds, the last of them of zeros.
    for (var i = 0u; i < part_blocks; i += ${AT_ONCE}u) {
#for r in 0..AT_ONCE
        let x_${r} = select(${ROW / UNIT}u, (first + i + ${r}u) * ${32 / UNIT}u, first + i + ${r}u < end);
#for k in 0..STEPS
        let a_${r}_${k} = coopLoadT<MatrixA>(&row_halves[x_${r} + ${k * MATRIX / UNIT}u], 0u);
#end
#end
#for u in 0..TURNS
#for s in u * PER_TURN..u * PER_TURN + PER_TURN
        {
            let block = min(first + i + item_${s} / ${TURN}u, blocks - 1u);
#for h in 0..HALVES
            let so_${h} = half_scale(raw_${s}_0_${h}, block, ${h}u, params.global_scale);
#end
#for e in 0..4
            let here_${e} = eight_${e}(codes_${s}_0, so_${e / 2 * (HALVES - 1)});
            stage(staged_${s} + ${e * 8 / UNIT}u, here_${e}.low);
            stage(staged_${s} + ${(e * 8 + 4) / UNIT}u, here_${e}.high);
#end
        }
#for d in 1..DEPTH
        codes_${s}_${d - 1} = codes_${s}_${d};
#for h in 0..HALVES
        raw_${s}_${d - 1}_${h} = raw_${s}_${d}_${h};
#end
#end
        let next_${s} = min(first + i + ${DEPTH * AT_ONCE}u + item_${s} / ${TURN}u, blocks - 1u);
        codes_${s}_${DEPTH - 1} = load_block(tile_${s} * blocks + next_${s}, place_${s});
#for h in 0..HALVES
        raw_${s}_${DEPTH - 1}_${h} = raw_scale(tile_${s}, next_${s}, blocks, ${h}u, place_${s});
#end
#end
        subgroupBarrier();
#for r in 0..AT_ONCE
#for k in 0..STEPS
#for t in 0..TURN / MATRIX
        let b_${u}_${r}_${k}_${t} = coopLoad<MatrixB>(&staged[here + ${t * MATRIX * PITCH + (r * 32 + k * MATRIX) / UNIT}u], ${PITCH}u);
        sum_${u * TURN / MATRIX + t} = coopMultiplyAdd(a_${r}_${k}, b_${u}_${r}_${k}_${t}, sum_${u * TURN / MATRIX + t});
#end
#end
#end
        subgroupBarrier();
#end
    }
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
