// A lone row's product: out[n] = sum over k of input(x)[k] * w[n, k], in the order of sums that `matmul` has.
//
// LANES threads take a part of the columns, which has PART blocks, EACH features a thread. Inputs are brought CHUNK blocks of each
// part at a time, the next ones being on their way while these are multiplied, as are weights, DEPTH blocks of a part. PAIRED:
// features are gates and as many ups, and what they make together goes to `both` too.
#set ROWS = 1
#include math
#if INPUT == 2 || PAIRED == 1
#include gate
#end
#include matmul_inputs
#include matmul_outputs
#include matmul_row_params

#set PARTS = 32
#set LANES = 256 / PARTS
#set FEATURES = LANES * EACH
// Features of a kind, and those of a thread.
#set SHARE = FEATURES / (PAIRED + 1)
#set SIDE = EACH / (PAIRED + 1)
#set SPAN = CHUNK * 8
#set WHOLE = CHUNK == PART
// One more, so that parts lie in different banks.
#set STEP = SPAN + 1
var<workgroup> inputs: array<vec4<f32>, ${PARTS * STEP}>;
// Sums of a part side by side; likewise.
#set SUMS = FEATURES
#if EACH > 1
#set SUMS = FEATURES + 8
#end
var<workgroup> sums: array<f32, ${PARTS * SUMS}>;
#if INPUT == 1
var<workgroup> squares: array<vec4<f32>, 8>;
#end

fn row_columns() -> u32 { return params.columns; }
#include input_quad

// The first column of quad `at` of those that are here at once when block `chunk` of each part is the first.
fn column_of(at: u32, chunk: u32) -> u32 {
    return ((at / ${SPAN}u * ${PART}u + chunk) * 8u + at % ${SPAN}u) * 4u;
}

// The sum of a feature: parts are added in order.
fn joined(first: u32) -> f32 {
    var whole = 0.0;
    for (var p = 0u; p < ${PARTS}u; p++) {
        whole += sums[first + p * ${SUMS}u];
    }
    return whole;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
#include one
    let row_0 = 0u;
    let lane = thread % ${LANES}u;
    let part = thread / ${LANES}u;
    let blocks = (params.columns + 31u) / 32u;
    let first = part * ${PART}u;
    let end = min(first + ${PART}u, blocks);
#if PAIRED == 1
    let ups = params.features / 32u;
#else
    let ups = 0u;
#end
    // What blocks take, on their way while others are multiplied.
#for d in 0..DEPTH
#for t in 0..EACH
    var codes_${t}_${d}: Block;
#for h in 0..HALVES
    var raw_${t}_${d}_${h}: RawScale;
#end
#end
    if (first + ${d}u < end) {
        let block = first + ${d}u;
#include matmul_row_block
    }
#end
    // Quads of the row, of which each thread brings one for each block of a part that is here at once.
#for e in 0..CHUNK
    let at_${e} = thread + ${e * 256}u;
#end
#if INPUT == 1 && WHOLE == 1
    var square_0 = 0.0;
#for e in 0..CHUNK
    var quad_${e} = plain_quad(0u, at_${e} * 4u);
    let normed_by_${e} = norm_quad(at_${e} * 4u);
    square_0 = fma(quad_${e}.w, quad_${e}.w, fma(quad_${e}.z, quad_${e}.z, fma(quad_${e}.y, quad_${e}.y, fma(quad_${e}.x, quad_${e}.x, square_0))));
#end
    inputs[thread / 4u][thread % 4u] = square_0;
#include matmul_squares
#for e in 0..CHUNK
    quad_${e} = quad_${e} * inverse_0 * normed_by_${e};
#end
#else
#if INPUT == 1
#include matmul_norm
#else
    let inverse_0 = 1.0;
#end
#for e in 0..CHUNK
    var quad_${e} = input_quad(0u, column_of(at_${e}, 0u), inverse_0);
#end
#end
#for t in 0..EACH
    var total_${t} = 0.0;
#end
    for (var chunk = 0u; chunk < ${PART}u; chunk += ${CHUNK}u) {
#if WHOLE == 0
        workgroupBarrier();
#end
#for e in 0..CHUNK
        inputs[at_${e} + at_${e} / ${SPAN}u] = quad_${e};
#end
        workgroupBarrier();
#if WHOLE == 0
        if (chunk + ${CHUNK}u < ${PART}u) {
#for e in 0..CHUNK
            quad_${e} = input_quad(0u, column_of(at_${e}, chunk + ${CHUNK}u), inverse_0);
#end
        }
#end
        let chunk_end = min(first + chunk + ${CHUNK}u, end);
        var x_at = part * ${STEP}u;
        for (var some = first + chunk; some < chunk_end; some += ${DEPTH}u) {
#for d in 0..DEPTH
            if (some + ${d}u < chunk_end) {
#for t in 0..EACH
                let code_${t} = codes_${t}_${d};
#for h in 0..HALVES
                let so_${t}_${h} = decode_scale(raw_${t}_${d}_${h}, group_of(some + ${d}u, ${h}u), params.global_scale);
#end
#end
#if PIECES <= 2
#include matmul_row_next
#end
#for j in 0..8
                {
                    let x_0 = inputs[x_at + ${d * 8 + j}u];
#for t in 0..EACH
                    let w_${t} = weight_${j}(code_${t}, so_${t}_${j / 4 * (HALVES - 1)});
                    total_${t} = fma(w_${t}.x, x_0.x, total_${t});
                    total_${t} = fma(w_${t}.y, x_0.y, total_${t});
                    total_${t} = fma(w_${t}.z, x_0.z, total_${t});
                    total_${t} = fma(w_${t}.w, x_0.w, total_${t});
#end
                }
#end
#if PIECES > 2
                // There are no registers for two blocks of these.
#include matmul_row_next
#end
            }
#end
            x_at += ${DEPTH * 8}u;
        }
    }
#for t in 0..EACH
    sums[part * ${SUMS}u + ${t * LANES}u + lane] = total_${t};
#end
    workgroupBarrier();
    let feature = group.x * ${SHARE}u + thread;
    if (thread < ${SHARE}u && feature < params.features) {
        var sum = joined(thread);
#if PAIRED == 1
        var up = joined(${SHARE}u + thread);
#end
#include matmul_row_end
    }
}
