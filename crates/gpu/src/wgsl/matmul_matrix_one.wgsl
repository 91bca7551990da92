// The product of `matmul` with matrices in hardware, a lone row, which is made into halves here as `matmul_halves` does it for
// many: it stands for all rows of a matrix. 32 features a workgroup; the order of a sum is that of `matmul_matrix_few`.
// DEPTH blocks of weights are on their way while one is multiplied. Beside rows that come from memory that would not pay: what
// is near would wait for what is far.
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
#buffer bias read array<f32>
#buffer residual read array<f32>
#buffer out write array<f32>
#if RESIDUAL == 2
// The product without the residual.
#buffer plain write array<f32>
#end
#include weights_half
#include matmul_store

#set STAGED = 8 * 32 * STRIDE
#include staged
var<workgroup> sums: array<f32, ${AT_ONCE * 32 * ROWS}>;

// The only row.
#if UNIT == 1
var<workgroup> row_halves: array<f16, ${EACH * 1024}>;
#else
var<workgroup> row_halves: array<vec4<f16>, ${EACH * 256}>;
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
#for t in 0..STEPS
#if MATRIX == 8
    var sum_0_${t} = coopLoadT<MatrixC>(&zeros[0], 8u);
#else
    var sum_0_${t} = MatrixC();
#end
#end
#for d in 0..DEPTH
#for s in 0..32 / SUBGROUP
    var codes_${d}_${s}: Block;
#for h in 0..HALVES
    var raw_${d}_${s}_${h}: RawScale;
#end
#end
    if (first + ${d}u < end) {
#for s in 0..32 / SUBGROUP
        codes_${d}_${s} = load_block(tile * blocks + first + ${d}u, lane + ${s * SUBGROUP}u);
#for h in 0..HALVES
        raw_${d}_${s}_${h} = raw_scale(tile, first + ${d}u, blocks, ${h}u, lane + ${s * SUBGROUP}u);
#end
#end
    }
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
    workgroupBarrier();
    for (var i = 0u; i < params.part_blocks; i += ${DEPTH}u) {
#for d in 0..DEPTH
#if EVEN == 1
        {
#else
        // A loop of one round or none: matrices are not allowed in branches that might not be the same for all.
        for (var step = i + ${d}u; step < params.part_blocks; step = 0xffffffffu) {
#end
            let block = first + i + ${d}u;
            let x_at = min(block, blocks - 1u) * ${32 / UNIT}u;
#for k in 0..STEPS
            let a_${k} = coopLoadT<MatrixA>(&row_halves[x_at + ${k * MATRIX / UNIT}u], 0u);
#end
            workgroupBarrier();
#for s in 0..32 / SUBGROUP
            {
                let at = here + (lane + ${s * SUBGROUP}u) * ${STRIDE}u;
                let is_there = block < end;
#for h in 0..HALVES
                let so_${h} = half_scale(raw_${d}_${s}_${h}, block, ${h}u, params.global_scale);
#end
#if UNIT == 1
#for j in 0..8
                stage(at + ${j * 4}u, select(vec4<f16>(0.0h), half_${j}(codes_${d}_${s}, so_${j / 4 * (HALVES - 1)}), is_there));
#end
#else
                // Lanes 8 to 15 of 16 write neighbours in the other order: so no two are in one bank.
                let turned = (lane & 8u) != 0u;
#for j in 0..4
                {
                    let low = select(vec4<f16>(0.0h), half_${2 * j}(codes_${d}_${s}, so_${j / 2 * (HALVES - 1)}), is_there);
                    let high = select(vec4<f16>(0.0h), half_${2 * j + 1}(codes_${d}_${s}, so_${j / 2 * (HALVES - 1)}), is_there);
                    stage(at + select(${2 * j}u, ${2 * j + 1}u, turned), select(low, high, turned));
                    stage(at + select(${2 * j + 1}u, ${2 * j}u, turned), select(high, low, turned));
                }
#end
#end
            }
#end
            if (block + ${DEPTH}u < end) {
#for s in 0..32 / SUBGROUP
                codes_${d}_${s} = load_block(tile * blocks + block + ${DEPTH}u, lane + ${s * SUBGROUP}u);
#for h in 0..HALVES
                raw_${d}_${s}_${h} = raw_scale(tile, block + ${DEPTH}u, blocks, ${h}u, lane + ${s * SUBGROUP}u);
#end
#end
            }
            workgroupBarrier();
#for k in 0..STEPS
            {
#for t in 0..STEPS
                let b_${t} = coopLoad<MatrixB>(&staged[here + ${t * MATRIX * STRIDE + k * MATRIX / UNIT}u], ${STRIDE}u);
                sum_0_${t} = coopMultiplyAdd(a_${k}, b_${t}, sum_0_${t});
#end
            }
#end
        }
#end
    }
#include matrix_join
#for e in 0..OUTPUTS
    {
        let row = (thread + ${e * THREADS}u) / 32u;
        store(row, tile * 32u + (thread + ${e * THREADS}u) % 32u, total_${e} * inverse_factor * (1.0 / WEIGHT_FACTOR));
    }
#end
}
