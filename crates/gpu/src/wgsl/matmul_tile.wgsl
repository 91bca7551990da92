// The product of `matmul` for many rows without matrices in hardware: 64 rows by 64 features a workgroup, 4 by 4 a
// thread. Every sum has the order of `matmul.wgsl`, so a row's bits are those of a row alone.
#buffer x read array<f32>
#include weights
#buffer bias read array<f32>
#buffer residual read array<f32>
#buffer out write array<f32>
#include matmul_store

var<workgroup> inputs: array<vec4<f32>, ${8 * 65}>;
var<workgroup> codes_here: array<vec4<f32>, ${8 * 64}>;
#if SCALE > 0
var<workgroup> scales: array<vec2<f32>, ${HALVES * 64}>;
#end
#if OFFSET == 1
var<workgroup> sums: array<f32, ${HALVES * 64}>;
#end

fn input_value(at: u32, k: u32) -> f32 {
    if (k >= params.columns) { return 0.0; }
    return x[at + k];
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let blocks = (params.columns + 31u) / 32u;
    let tiles = (params.features + 31u) / 32u;
    // The feature whose codes this thread brings, and a quarter of a block.
    let brought = thread & 63u;
    let quarter = thread >> 6u;
    let tile = min(group.x * 2u + brought / 32u, tiles - 1u);
    let lane = brought & 31u;
    // Its own features and rows: every 16th.
    let feature = thread & 15u;
    let row = thread >> 4u;
#for i in 0..4
#for k in 0..4
    var whole_${i}_${k} = 0.0;
#end
#end
#for s in 0..2
    let row_at_${s} = min(group.y * 64u + (thread >> 3u) + ${s * 32}u, params.rows - 1u) * params.x_stride;
#end
    for (var first = 0u; first < blocks; first += params.part_blocks) {
        let end = min(first + params.part_blocks, blocks);
#for i in 0..4
#for k in 0..4
        var total_${i}_${k} = 0.0;
#end
#end
        for (var block = first; block < end; block++) {
            let codes = load_block(tile * blocks + block, lane);
#for s in 0..2
            let k_${s} = block * 32u + (thread & 7u) * 4u;
            let x_${s} = PRESCALE * vec4<f32>(
                input_value(row_at_${s}, k_${s}), input_value(row_at_${s}, k_${s} + 1u),
                input_value(row_at_${s}, k_${s} + 2u), input_value(row_at_${s}, k_${s} + 3u));
#end
            workgroupBarrier();
#for s in 0..2
            inputs[(thread & 7u) * 65u + (thread >> 3u) + ${s * 32}u] = x_${s};
#end
#for q in 0..4
            if (quarter == ${q}u) {
                codes_here[${q * 128}u + brought] = unpack_${q * 2}(codes);
                codes_here[${q * 128 + 64}u + brought] = unpack_${q * 2 + 1}(codes);
            }
#end
#if SCALE > 0
            if (quarter < ${HALVES}u) {
                scales[thread] = scale_offset(tile, block, blocks, quarter, lane, params.global_scale);
            }
#end
            workgroupBarrier();
#if OFFSET == 1
            if (quarter < ${HALVES}u) {
                var sum = vec4<f32>(0.0);
                for (var j = 0u; j < ${8 / HALVES}u; j++) {
                    sum += inputs[(quarter * ${8 / HALVES}u + j) * 65u + brought] * UNSCALE;
                }
                sums[thread] = (sum.x + sum.y) + (sum.z + sum.w);
            }
            workgroupBarrier();
#end
#for p in 0..2
            {
#for i in 0..4
#for k in 2 * p..2 * p + 2
                var dot_${i}_${k} = vec4<f32>(0.0);
#end
#end
#for j in 0..8
                {
#for k in 2 * p..2 * p + 2
                    let w_${k} = codes_here[${j * 64 + k * 16}u + feature];
#end
#for i in 0..4
                    let x_${i} = inputs[${j * 65 + i * 16}u + row];
#for k in 2 * p..2 * p + 2
                    dot_${i}_${k} = fma(w_${k}, x_${i}, dot_${i}_${k});
#end
#end
                }
#if j == 7 || (j == 3 && HALVES == 2)
#for k in 2 * p..2 * p + 2
#if SCALE > 0
                let so_${j}_${k} = scales[${j / 4 * (HALVES - 1) * 64 + k * 16}u + feature];
#end
#for i in 0..4
                {
                    let joined = (dot_${i}_${k}.x + dot_${i}_${k}.y) + (dot_${i}_${k}.z + dot_${i}_${k}.w);
#if SCALE > 0
                    total_${i}_${k} = fma(so_${j}_${k}.x, joined, total_${i}_${k});
#else
                    total_${i}_${k} += joined;
#end
#if OFFSET == 1
                    total_${i}_${k} = fma(so_${j}_${k}.y, sums[${j / 4 * (HALVES - 1) * 64 + i * 16}u + row], total_${i}_${k});
#end
                    dot_${i}_${k} = vec4<f32>(0.0);
                }
#end
#end
#end
#end
            }
#end
        }
#for i in 0..4
#for k in 0..4
        whole_${i}_${k} += total_${i}_${k};
#end
#end
    }
#for i in 0..4
#for k in 0..4
    store(group.y * 64u + row + ${i * 16}u, group.x * 64u + feature + ${k * 16}u, whole_${i}_${k});
#end
#end
}
