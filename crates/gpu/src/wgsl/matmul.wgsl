// out[r, n] = sum over k of input(x)[r, k] * w[n, k]: ROWS input rows by 32 output features a workgroup.
//
// The order of a sum, whatever ROWS is: columns are cut into 8 contiguous parts (one for each 32 threads) of whole
// blocks; a part is one chain of fused products from its first column on; the parts are added in order. The tile kernel
// keeps the same order.
#include math
#if INPUT == 2
#include gate
#end
#buffer x read array<f32>
#include weights
#buffer norm_weight read array<f32>
#buffer bias read array<f32>
#buffer residual read array<f32>
#if EXPERTS == 1
#buffer tiles read array<vec4<u32>>
#buffer pairs read array<u32>
#end
#buffer out write array<f32>

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

#set CHUNK = 8
#if ROWS == 2 || ROWS == 4
#set CHUNK = 4
#elif ROWS == 8
#set CHUNK = 2
#end
#set SPAN = CHUNK * 8
// Blocks that are on their way while one is multiplied.
#set AHEAD = 8 / PIECES
#if ROWS > 1
#set AHEAD = 4 / PIECES
#end
#if AHEAD > CHUNK
#set AHEAD = CHUNK
#elif AHEAD == 0
#set AHEAD = 1
#end
var<workgroup> inputs: array<vec4<f32>, ${8 * ROWS * SPAN}>;
var<workgroup> joined: array<f32, ${256 * ROWS}>;

#if INPUT == 1
#for m in 0..ROWS
var<private> inverse_${m}: f32;
#end
#end

#include input_value

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let lane = thread & 31u;
    let part = thread >> 5u;
    let blocks = (params.columns + 31u) / 32u;
#if EXPERTS == 1
    // A tile of rows that one expert takes: expert, first place in `pairs`, how many.
    let share = tiles[group.y];
    let tile_rows = share.z;
    if (tile_rows == 0u) { return; }
    let tile = share.x * ((params.features + 31u) / 32u) + group.x;
#for m in 0..ROWS
    let to_${m} = pairs[share.y + min(${m}u, tile_rows - 1u)];
    let row_${m} = to_${m} / params.choices;
#end
#else
    let tile_rows = min(params.rows - group.y * ${ROWS}u, ${ROWS}u);
    let tile = group.x;
#for m in 0..ROWS
    let to_${m} = group.y * ${ROWS}u + min(${m}u, tile_rows - 1u);
    let row_${m} = to_${m};
#end
#end
    let first = part * params.part_blocks;
    let end = min(first + params.part_blocks, blocks);
#for a in 0..AHEAD
    var codes_${a}: Block;
#for h in 0..HALVES
    var raw_${a}_${h}: RawScale;
#end
    if (first + ${a}u < end) {
        codes_${a} = load_block(tile * blocks + first + ${a}u, lane);
#for h in 0..HALVES
        raw_${a}_${h} = raw_scale(tile, first + ${a}u, blocks, ${h}u, lane);
#end
    }
#end
#if INPUT == 1
#for m in 0..ROWS
    var square_${m} = 0.0;
    for (var k = thread; k < params.columns; k += 256u) {
        let value = x[row_${m} * params.x_stride + k];
        square_${m} = fma(value, value, square_${m});
    }
    joined[${m * 256}u + thread] = square_${m};
#end
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (thread < half) {
#for m in 0..ROWS
            joined[${m * 256}u + thread] += joined[${m * 256}u + thread + half];
#end
        }
    }
    workgroupBarrier();
#for m in 0..ROWS
    inverse_${m} = 1.0 / sqrt(joined[${m * 256}u] / f32(params.columns) + params.epsilon);
#end
#end
#for m in 0..ROWS
    var total_${m} = 0.0;
#end
    for (var chunk = 0u; chunk < params.part_blocks; chunk += ${CHUNK}u) {
        workgroupBarrier();
        for (var i = lane; i < min(${SPAN}u, (params.part_blocks - chunk) * 8u); i += 32u) {
            let k = (first + chunk) * 32u + i * 4u;
#for m in 0..ROWS
#if INPUT == 1
            let inverse${m} = inverse_${m};
#else
            let inverse${m} = 1.0;
#end
            inputs[(part * ${ROWS}u + ${m}u) * ${SPAN}u + i] = vec4<f32>(
                input_value(row_${m}, k, inverse${m}), input_value(row_${m}, k + 1u, inverse${m}),
                input_value(row_${m}, k + 2u, inverse${m}), input_value(row_${m}, k + 3u, inverse${m}));
#end
        }
        workgroupBarrier();
        for (var c = 0u; c < ${CHUNK}u; c += ${AHEAD}u) {
#for a in 0..AHEAD
            {
                let block = first + chunk + c + ${a}u;
                if (block < end) {
#for h in 0..HALVES
                    let so_${h} = decode_scale(raw_${a}_${h}, group_of(block, ${h}u), params.global_scale);
#end
#for j in 0..8
                    {
                        let w = weight_${j}(codes_${a}, so_${j / 4 * (HALVES - 1)});
#for m in 0..ROWS
                        let x_${m} = inputs[(part * ${ROWS}u + ${m}u) * ${SPAN}u + c * 8u + ${a * 8 + j}u];
                        total_${m} = fma(w.x, x_${m}.x, total_${m});
                        total_${m} = fma(w.y, x_${m}.y, total_${m});
                        total_${m} = fma(w.z, x_${m}.z, total_${m});
                        total_${m} = fma(w.w, x_${m}.w, total_${m});
#end
                    }
#end
                }
                if (block + ${AHEAD}u < end) {
                    codes_${a} = load_block(tile * blocks + block + ${AHEAD}u, lane);
#for h in 0..HALVES
                    raw_${a}_${h} = raw_scale(tile, block + ${AHEAD}u, blocks, ${h}u, lane);
#end
                }
            }
#end
        }
    }
    workgroupBarrier();
#for m in 0..ROWS
    joined[${m * 256}u + thread] = total_${m};
#end
    workgroupBarrier();
    let m = part;
    let feature = group.x * 32u + lane;
    if (m < tile_rows && feature < params.features) {
        var sum = joined[m * 256u + lane];
        for (var p = 1u; p < 8u; p++) {
            sum += joined[m * 256u + p * 32u + lane];
        }
#if EXPERTS == 1
        let to = pairs[share.y + m];
#else
        let to = group.y * ${ROWS}u + m;
#end
        let at = to * params.out_stride + params.out_first + feature;
#if BIAS == 1
#if EXPERTS == 1
        sum += bias[share.x * params.features + feature];
#else
        sum += bias[params.out_first + feature];
#end
#end
#if RESIDUAL == 1
        sum = residual[at] + sum;
#end
        out[at] = sum;
    }
}
