// The product of `matmul` with matrices in hardware, few rows: ROW_TILES matrices of rows by 32 features a workgroup.
//
// The order of a sum, here, in `matmul_matrix` and in `matmul_matrix_one`: columns are cut into 8 contiguous parts of whole
// blocks of 32 (one for each subgroup here); a part is a chain of matrix products, MATRIX columns each; the parts are added
// in order.
#include matrix
#set ROWS = ROW_TILES * MATRIX
#buffer x read array<f16>
#buffer factors read array<f32>
#include weights
#include matmul_outputs
#include weights_half
#include matmul_store

#set STAGED = 8 * 32 * STRIDE
#include staged
var<workgroup> sums: array<f32, ${AT_ONCE * 32 * ROWS}>;

#include stage

@compute @workgroup_size(${8 * SUBGROUP})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_id) part: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
#include one
    let blocks = (params.columns + 31u) / 32u;
    let tile = group.x;
    let first = part * params.part_blocks;
    let end = min(first + params.part_blocks, blocks);
    let first_row = group.y * ${ROWS}u;
    let here = part * ${32 * STRIDE}u;
#if MATRIX == 8
    for (var i = thread; i < 64u; i += ${8 * SUBGROUP}u) { zeros[i] = 0.0; }
    workgroupBarrier();
#end
#for r in 0..ROW_TILES
#for t in 0..STEPS
#if MATRIX == 8
    var sum_${r}_${t} = coopLoadT<MatrixC>(&zeros[0], 8u);
#else
    var sum_${r}_${t} = MatrixC();
#end
#end
#end
#for s in 0..32 / SUBGROUP
    var codes_${s} = load_block(tile * blocks + min(first, blocks - 1u), lane + ${s * SUBGROUP}u);
#for h in 0..HALVES
    var so_${s}_${h} = half_scale(raw_scale(tile, min(first, blocks - 1u), blocks, ${h}u, lane + ${s * SUBGROUP}u), min(first, blocks - 1u), ${h}u, params.global_scale);
#end
#end
    for (var i = 0u; i < params.part_blocks; i++) {
        let block = first + i;
        workgroupBarrier();
#for s in 0..32 / SUBGROUP
        {
            let at = here + (lane + ${s * SUBGROUP}u) * ${STRIDE}u;
#for i in 0..4
            let here_${i} = eight_${i}(codes_${s}, so_${s}_${i / 2 * (HALVES - 1)});
            stage(at + ${i * 8 / UNIT}u, select(vec4<f16>(0.0h), here_${i}.low, block < end));
            stage(at + ${(i * 8 + 4) / UNIT}u, select(vec4<f16>(0.0h), here_${i}.high, block < end));
#end
        }
#end
        // What the next round takes is on its way while this one multiplies.
        let next = min(block + 1u, blocks - 1u);
#for s in 0..32 / SUBGROUP
        codes_${s} = load_block(tile * blocks + next, lane + ${s * SUBGROUP}u);
#for h in 0..HALVES
        so_${s}_${h} = half_scale(raw_scale(tile, next, blocks, ${h}u, lane + ${s * SUBGROUP}u), next, ${h}u, params.global_scale);
#end
#end
        workgroupBarrier();
        let x_at = first_row * params.x_stride + min(block, blocks - 1u) * 32u;
#for k in 0..STEPS
        {
#for r in 0..ROW_TILES
            let a_${r} = coopLoadT<MatrixA>(&x[x_at + ${r * MATRIX}u * params.x_stride + ${k * MATRIX}u], params.x_stride);
#end
#for t in 0..STEPS
            let b_${t} = coopLoad<MatrixB>(&staged[here + ${t * MATRIX * STRIDE + k * MATRIX / UNIT}u], ${STRIDE}u);
#for r in 0..ROW_TILES
            sum_${r}_${t} = coopMultiplyAdd(a_${r}, b_${t}, sum_${r}_${t});
#end
#end
        }
#end
    }
#include matrix_join
#for e in 0..OUTPUTS
    {
        let row = first_row + (thread + ${e * 8 * SUBGROUP}u) / 32u;
        store(row, tile * 32u + (thread + ${e * 8 * SUBGROUP}u) % 32u, total_${e} * factors[row] * (1.0 / WEIGHT_FACTOR));
    }
#end
}
