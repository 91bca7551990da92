// The product of `matmul` with matrices in hardware, a lone row, which is made into halves here as `matmul_halves` does it for
// many: it stands for all rows of a matrix. 32 features a workgroup; the order of a sum is that of `matmul_matrix_few`.
// DEPTH blocks of weights are on their way while one is multiplied.
#include matrix
#set ROW_TILES = 1
#set ROWS = MATRIX
#set THREADS = 8 * SUBGROUP
#include math
#if INPUT == 2
#include gate
#end
#buffer x read array<f32>
#buffer norm_weight read array<f32>
#include weights
#include matmul_outputs
#include weights_half
#include matmul_store

#set STAGED = 8 * 32 * STRIDE
#include staged
var<workgroup> sums: array<f32, ${AT_ONCE * 32 * ROWS}>;

// The only row, and 32 zeros behind it.
#if UNIT == 1
var<workgroup> row_halves: array<f16, ${EACH * 1024 + 32}>;
#else
var<workgroup> row_halves: array<vec4<f16>, ${EACH * 256 + 8}>;
#end
#include halves_shared

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
    let part = subgroup;
    let tile = group.x;
    let first = part * params.part_blocks;
    let end = min(first + params.part_blocks, blocks);
    let here = part * ${32 * STRIDE}u;
#if MATRIX == 8
    for (var i = thread; i < 64u; i += ${THREADS}u) { zeros[i] = 0.0; }
    workgroupBarrier();
#end
#for d in 0..DEPTH
    let block_${d} = min(first + ${d}u, blocks - 1u);
#for s in 0..32 / SUBGROUP
    var codes_${d}_${s} = load_block(tile * blocks + block_${d}, lane + ${s * SUBGROUP}u);
#for h in 0..HALVES
    var raw_${d}_${s}_${h} = raw_scale(tile, block_${d}, blocks, ${h}u, lane + ${s * SUBGROUP}u);
#end
#end
#end
    let at = params.first_row * params.x_stride;
#include halves
#for j in 0..VIRTUAL
#for e in 0..EACH
#if UNIT == 1
    row_halves[thread + ${j * THREADS + e * 1024}u] = f16(value_${j}_${e} * factor);
#else
    row_halves[thread / 4u + ${(j * THREADS + e * 1024) / 4}u][thread % 4u] = f16(value_${j}_${e} * factor);
#end
#end
#end
    if (thread < ${32 / UNIT}u) {
#if UNIT == 1
        row_halves[${EACH * 1024}u + thread] = 0.0h;
#else
        row_halves[${EACH * 256}u + thread] = vec4<f16>(0.0h);
#end
    }
    workgroupBarrier();
#for t in 0..STEPS
#if MATRIX == 8
    var sum_0_${t} = coopLoadT<MatrixC>(&zeros[0], 8u);
#else
    var sum_0_${t} = MatrixC();
#end
#end
    // A subgroup's blocks, in memory of its own: nobody waits for another. All have as many rounds, the last of them of zeros.
    for (var i = 0u; i < params.part_blocks; i++) {
        let block = min(first + i, blocks - 1u);
        let x_at = select(${EACH * 1024 / UNIT}u, block * ${32 / UNIT}u, first + i < end);
#for s in 0..32 / SUBGROUP
        {
            let at = here + (lane + ${s * SUBGROUP}u) * ${STRIDE}u;
#for h in 0..HALVES
            let so_${h} = half_scale(raw_0_${s}_${h}, block, ${h}u, params.global_scale);
#end
#for j in 0..8
            stage(at + ${j * 4 / UNIT}u, half_${j}(codes_0_${s}, so_${j / 4 * (HALVES - 1)}));
#end
        }
#for d in 1..DEPTH
        codes_${d - 1}_${s} = codes_${d}_${s};
#for h in 0..HALVES
        raw_${d - 1}_${s}_${h} = raw_${d}_${s}_${h};
#end
#end
#end
        let next = min(first + i + ${DEPTH}u, blocks - 1u);
#for s in 0..32 / SUBGROUP
        codes_${DEPTH - 1}_${s} = load_block(tile * blocks + next, lane + ${s * SUBGROUP}u);
#for h in 0..HALVES
        raw_${DEPTH - 1}_${s}_${h} = raw_scale(tile, next, blocks, ${h}u, lane + ${s * SUBGROUP}u);
#end
#end
        subgroupBarrier();
#for k in 0..STEPS
        {
            let a_0 = coopLoadT<MatrixA>(&row_halves[x_at + ${k * MATRIX / UNIT}u], 0u);
#for t in 0..STEPS
            let b_${t} = coopLoad<MatrixB>(&staged[here + ${t * MATRIX * STRIDE + k * MATRIX / UNIT}u], ${STRIDE}u);
            sum_0_${t} = coopMultiplyAdd(a_0, b_${t}, sum_0_${t});
#end
        }
#end
        subgroupBarrier();
    }
#include matrix_join
#for e in 0..OUTPUTS
    {
        let row = (thread + ${e * THREADS}u) / 32u;
        store(row, tile * 32u + (thread + ${e * THREADS}u) % 32u, total_${e} * inverse_factor * (1.0 / WEIGHT_FACTOR));
    }
#end
}
