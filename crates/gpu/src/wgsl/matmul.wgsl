// out[r, n] = sum over k of input(x)[r, k] * w[n, k]: ROWS input rows by LANES * EACH output features a workgroup.
//
// The order of a sum, whatever the constants are: columns are cut into 32 contiguous parts of whole blocks; a part is one chain
// of fused products from its first column on; the parts are added in order. Tiles and lone rows keep the same order.
//
// LANES threads take a part, EACH features a thread: what is read of the input serves them all. Rows by eight come as they are
// (wgpu/products.rs), all others may be normed or gated here.
#include math
#if INPUT == 2
#include gate
#end
#include matmul_inputs
#buffer bias read array<f32>
#buffer residual read array<f32>
#if EXPERTS == 1
#buffer tiles read array<vec4<u32>>
#buffer pairs read array<u32>
#end
#buffer out write array<f32>
#if RESIDUAL == 2
// The product without the residual.
#buffer plain write array<f32>
#end

struct Params {
    rows: u32,
    features: u32,
    columns: u32,
    x_stride: u32,
    out_stride: u32,
    part_blocks: u32,
    epsilon: f32,
    global_scale: f32,
    alpha: f32,
    limit: f32,
    // Rows of x for each token: its choices share one, or have one each.
    choices: u32,
    // Where the features begin in a row of the output.
    out_first: u32,
}
var<immediate> params: Params;

// Parts that are summed at once, in turns; features of a workgroup.
#set AT_ONCE = 256 / LANES
#set TURNS = 32 / AT_ONCE
#set FEATURES = LANES * EACH
// Blocks of a part whose inputs are here together.
#set CHUNK = 4 / ROWS
#if CHUNK == 0
#set CHUNK = 1
#end
#set SPAN = CHUNK * 8
// Rows whose quads are brought at once, and quads that a thread brings of each of its rows.
#set BESIDE = 1
#if AT_ONCE * SPAN < 256
#set BESIDE = 2
#end
#set BROUGHT = AT_ONCE * SPAN * BESIDE / 256
var<workgroup> inputs: array<vec4<f32>, ${AT_ONCE * ROWS * SPAN}>;
#if INPUT == 1
var<workgroup> squares: array<vec4<f32>, ${8 * ROWS}>;
#end

fn row_columns() -> u32 { return params.columns; }
#include input_quad

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
#include one
    let lane = thread % ${LANES}u;
    let part = thread / ${LANES}u;
    let beside = thread / ${256 / BESIDE}u;
    let blocks = (params.columns + 31u) / 32u;
#if EXPERTS == 1
    // A tile of rows that one expert takes: expert, first place in `pairs`, how many.
    let share = tiles[group.y];
    let tile_rows = share.z;
    if (tile_rows == 0u) { return; }
    let tile = share.x * ((params.features + 31u) / 32u) + group.x / ${32 / FEATURES}u;
#for m in 0..ROWS
    let to_${m} = pairs[share.y + min(${m}u, tile_rows - 1u)];
    let row_${m} = to_${m} / params.choices;
#end
#else
    let tile_rows = min(params.rows - group.y * ${ROWS}u, ${ROWS}u);
    let tile = group.x / ${32 / FEATURES}u;
#for m in 0..ROWS
    let to_${m} = group.y * ${ROWS}u + min(${m}u, tile_rows - 1u);
    let row_${m} = to_${m};
#end
#end
    // The first of this thread's features within its tile.
    let place = group.x % ${32 / FEATURES}u * ${FEATURES}u + lane;
    // What a block takes; where registers suffice it is on its way while the one before is multiplied.
#for t in 0..EACH
    var codes_${t}: Block;
#for h in 0..HALVES
    var raw_${t}_${h}: RawScale;
#end
#end
#if INPUT != 1
#for m in 0..ROWS
    let inverse_${m} = 1.0;
#end
#end
    var whole = 0.0;
    for (var turn = 0u; turn < ${TURNS}u; turn++) {
        let first = (turn * ${AT_ONCE}u + part) * params.part_blocks;
        let end = min(first + params.part_blocks, blocks);
        if (first < end) {
#for t in 0..EACH
            codes_${t} = load_block(tile * blocks + first, place + ${t * LANES}u);
#for h in 0..HALVES
            raw_${t}_${h} = raw_scale(tile, first, blocks, ${h}u, place + ${t * LANES}u);
#end
#end
        }
#if INPUT == 1
        // Behind the weights, which are on their way.
#include matmul_norm
#end
#for m in 0..ROWS
#for t in 0..EACH
        var total_${m}_${t} = 0.0;
#end
#end
        for (var chunk = 0u; chunk < params.part_blocks; chunk += ${CHUNK}u) {
#for e in 0..BROUGHT
            let brought_${e} = (thread + ${e * 256}u) % ${AT_ONCE * SPAN}u;
            let k_${e} = ((turn * ${AT_ONCE}u + brought_${e} / ${SPAN}u) * params.part_blocks + chunk) * 32u + brought_${e} % ${SPAN}u * 4u;
#for m in 0..ROWS / BESIDE
#if BESIDE == 2
            let quad_${m}_${e} = input_quad(select(row_${2 * m}, row_${2 * m + 1}, beside == 1u), k_${e}, 1.0);
#else
            let quad_${m}_${e} = input_quad(row_${m}, k_${e}, inverse_${m});
#end
#end
#end
            workgroupBarrier();
#for e in 0..BROUGHT
#for m in 0..ROWS / BESIDE
            inputs[(brought_${e} / ${SPAN}u * ${ROWS}u + ${m * BESIDE}u + beside) * ${SPAN}u + brought_${e} % ${SPAN}u] = quad_${m}_${e};
#end
#end
            workgroupBarrier();
            let chunk_end = min(first + chunk + ${CHUNK}u, end);
            var x_at = part * ${ROWS * SPAN}u;
            for (var block = first + chunk; block < chunk_end; block++) {
#for t in 0..EACH
                let code_${t} = codes_${t};
#for h in 0..HALVES
                let so_${t}_${h} = decode_scale(raw_${t}_${h}, group_of(block, ${h}u), params.global_scale);
#end
#end
#if PIECES <= 2
#include matmul_next
#end
#for j in 0..8
                {
#for m in 0..ROWS
                    let x_${m} = inputs[x_at + ${m * SPAN + j}u];
#end
#for t in 0..EACH
                    let w_${t} = weight_${j}(code_${t}, so_${t}_${j / 4 * (HALVES - 1)});
#for m in 0..ROWS
                    total_${m}_${t} = fma(w_${t}.x, x_${m}.x, total_${m}_${t});
                    total_${m}_${t} = fma(w_${t}.y, x_${m}.y, total_${m}_${t});
                    total_${m}_${t} = fma(w_${t}.z, x_${m}.z, total_${m}_${t});
                    total_${m}_${t} = fma(w_${t}.w, x_${m}.w, total_${m}_${t});
#end
#end
                }
#end
#if PIECES > 2
                // There are no registers for two blocks of these.
#include matmul_next
#end
                x_at += 8u;
            }
        }
        // The sums lie where the inputs lay: [part][row][feature].
        workgroupBarrier();
#for m in 0..ROWS
#for t in 0..EACH
        inputs[part * ${ROWS * FEATURES / 4}u + ${(m * FEATURES + t * LANES) / 4}u + lane / 4u][lane % 4u] = total_${m}_${t};
#end
#end
        workgroupBarrier();
        if (thread < ${ROWS * FEATURES}u) {
            for (var p = 0u; p < ${AT_ONCE}u; p++) {
                whole += inputs[p * ${ROWS * FEATURES / 4}u + thread / 4u][thread % 4u];
            }
        }
    }
    let m = thread / ${FEATURES}u;
    let feature = group.x * ${FEATURES}u + thread % ${FEATURES}u;
    if (m < tile_rows && feature < params.features) {
        var sum = whole;
#if EXPERTS == 1
        let to = pairs[share.y + m];
        let bias_at = share.x * params.features + feature;
#else
        let to = group.y * ${ROWS}u + m;
        let bias_at = params.out_first + feature;
#end
        let at = to * params.out_stride + params.out_first + feature;
#include matmul_end
    }
}
