// The product of `matmul` with matrices in hardware, many rows: each of 8 subgroups has ROW_TILES by COLUMN_TILES
// matrices, SUB_ROWS by SUB_COLUMNS subgroups make a tile. Blocks of 32 columns are decoded once a workgroup, into one
// of two buffers while the other is multiplied. The order of a sum is that of `matmul_matrix_few`.
#include matrix
#set THREADS = 8 * SUBGROUP
#set TILE_ROWS = SUB_ROWS * ROW_TILES * MATRIX
#set TILE_FEATURES = SUB_COLUMNS * COLUMN_TILES * MATRIX
#set QUADS = TILE_FEATURES * 8 / THREADS
#if QUADS > 8
#set QUADS = 8
#end
#set WEIGHT_ITEMS = TILE_FEATURES * 8 / THREADS / QUADS
#set INPUT_ITEMS = TILE_ROWS * 8 / THREADS
#set BUFFER = (TILE_ROWS + TILE_FEATURES) * STRIDE
#buffer x read array<vec4<f16>>
#buffer factors read array<f32>
#include weights
#include matmul_outputs
#include weights_half
#include matmul_store
// Whether a thread asks for half a block, where that has 16 bits a weight: of others it asks for all, which is one load or two.
#set HALF = PIECES == 4 && QUADS == 4

#set STAGED = 2 * BUFFER
#include staged
var<workgroup> results: array<f32, ${8 * MATRIX * MATRIX}>;

#include stage

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
#include one
    let blocks = (params.columns + 31u) / 32u;
    let tiles = (params.features + 31u) / 32u;
    let x_quads = params.x_stride / 4u;
    let sub_row = subgroup / ${SUB_COLUMNS}u;
    let sub_column = subgroup % ${SUB_COLUMNS}u;
    let result = subgroup * ${MATRIX * MATRIX}u;
    let a_here = sub_row * ${ROW_TILES * MATRIX * STRIDE}u;
    let b_here = (${TILE_ROWS}u + sub_column * ${COLUMN_TILES * MATRIX}u) * ${STRIDE}u;
    // What this thread brings: pieces of features and of rows.
#for s in 0..WEIGHT_ITEMS
    let feature_${s} = (thread + ${s * THREADS}u) % ${TILE_FEATURES}u;
    let piece_${s} = (thread + ${s * THREADS}u) / ${TILE_FEATURES}u;
    let tile_${s} = min((group.x * ${TILE_FEATURES}u + feature_${s}) / 32u, tiles - 1u);
    let lane_${s} = feature_${s} % 32u;
#if HALF
    var codes_${s} = load_half(tile_${s} * blocks, piece_${s}, lane_${s});
#else
    var codes_${s} = load_block(tile_${s} * blocks, lane_${s});
#end
#for h in 0..HALVES
    var raw_${s}_${h} = raw_scale(tile_${s}, 0u, blocks, ${h}u, lane_${s});
#end
#end
    let x_row = thread / 8u;
    let x_quad = thread % 8u;
    let x_at = (group.y * ${TILE_ROWS}u + x_row) * x_quads + x_quad;
#for s in 0..INPUT_ITEMS
    var x_${s} = x[x_at + ${s * THREADS / 8}u * x_quads];
#end
#if MATRIX == 8
    for (var i = thread; i < 64u; i += ${THREADS}u) { zeros[i] = 0.0; }
    workgroupBarrier();
#for r in 0..ROW_TILES
#for c in 0..COLUMN_TILES
#for e in 0..ELEMENTS
    var total_${r}_${c}_${e} = 0.0;
#end
#end
#end
#else
#for r in 0..ROW_TILES
#for c in 0..COLUMN_TILES
    var total_${r}_${c} = MatrixC();
#end
#end
#end
    for (var first = 0u; first < blocks; first += params.part_blocks) {
        let end = min(first + params.part_blocks, blocks);
#for r in 0..ROW_TILES
#for c in 0..COLUMN_TILES
#if MATRIX == 8
        var sum_${r}_${c} = coopLoadT<MatrixC>(&zeros[0], 8u);
#else
        var sum_${r}_${c} = MatrixC();
#end
#end
#end
        for (var block = first; block < end; block++) {
            let buffer = (block & 1u) * ${BUFFER}u;
#for s in 0..INPUT_ITEMS
            stage(buffer + (x_row + ${s * THREADS / 8}u) * ${STRIDE}u + x_quad * ${4 / UNIT}u, x_${s});
#end
#for s in 0..WEIGHT_ITEMS
            {
                let at = buffer + (${TILE_ROWS}u + feature_${s}) * ${STRIDE}u;
#for h in 0..HALVES
                let so_${h} = half_scale(raw_${s}_${h}, block, ${h}u, params.global_scale);
#end
#if HALF
#for i in 0..2
                let here_${i} = eight_${i}(codes_${s}, so_0);
                stage(at + piece_${s} * ${16 / UNIT}u + ${i * 8 / UNIT}u, here_${i}.low);
                stage(at + piece_${s} * ${16 / UNIT}u + ${(i * 8 + 4) / UNIT}u, here_${i}.high);
#end
#else
#for p in 0..8 / QUADS
                if (piece_${s} == ${p}u) {
#for i in p * QUADS / 2..p * QUADS / 2 + QUADS / 2
                    let here_${i} = eight_${i}(codes_${s}, so_${i / 2 * (HALVES - 1)});
                    stage(at + ${i * 8 / UNIT}u, here_${i}.low);
                    stage(at + ${(i * 8 + 4) / UNIT}u, here_${i}.high);
#end
                }
#end
#end
            }
#end
            workgroupBarrier();
            let next = min(block + 1u, blocks - 1u);
#for s in 0..WEIGHT_ITEMS
#if HALF
            codes_${s} = load_half(tile_${s} * blocks + next, piece_${s}, lane_${s});
#else
            codes_${s} = load_block(tile_${s} * blocks + next, lane_${s});
#end
#for h in 0..HALVES
            raw_${s}_${h} = raw_scale(tile_${s}, next, blocks, ${h}u, lane_${s});
#end
#end
#for s in 0..INPUT_ITEMS
            x_${s} = x[x_at + ${s * THREADS / 8}u * x_quads + next * 8u];
#end
#for k in 0..STEPS
            {
#for r in 0..ROW_TILES
                let a_${r} = coopLoadT<MatrixA>(&staged[buffer + a_here + ${r * MATRIX * STRIDE + k * MATRIX / UNIT}u], ${STRIDE}u);
#end
#for c in 0..COLUMN_TILES
                let b_${c} = coopLoad<MatrixB>(&staged[buffer + b_here + ${c * MATRIX * STRIDE + k * MATRIX / UNIT}u], ${STRIDE}u);
#for r in 0..ROW_TILES
                sum_${r}_${c} = coopMultiplyAdd(a_${r}, b_${c}, sum_${r}_${c});
#end
#end
            }
#end
        }
#for r in 0..ROW_TILES
#for c in 0..COLUMN_TILES
#if MATRIX == 8
        workgroupBarrier();
        coopStoreT(sum_${r}_${c}, &results[result], 8u);
        workgroupBarrier();
#for e in 0..ELEMENTS
        total_${r}_${c}_${e} += results[result + lane + ${e * SUBGROUP}u];
#end
#else
        total_${r}_${c} = total_${r}_${c} + sum_${r}_${c};
#end
#end
#end
    }
    let first_row = group.y * ${TILE_ROWS}u + sub_row * ${ROW_TILES * MATRIX}u;
    let first_feature = group.x * ${TILE_FEATURES}u + sub_column * ${COLUMN_TILES * MATRIX}u;
#for r in 0..ROW_TILES
#for c in 0..COLUMN_TILES
#if MATRIX == 16
    workgroupBarrier();
    coopStoreT(total_${r}_${c}, &results[result], ${MATRIX}u);
    workgroupBarrier();
#end
#for e in 0..ELEMENTS
    {
        let at = lane + ${e * SUBGROUP}u;
        let row = first_row + ${r * MATRIX}u + at / ${MATRIX}u;
#if MATRIX == 8
        let value = total_${r}_${c}_${e};
#else
        let value = results[result + at];
#end
        store(row, first_feature + ${c * MATRIX}u + at % ${MATRIX}u, value * factors[row] * (1.0 / WEIGHT_FACTOR));
    }
#end
#end
#end
}
