// Rows as products with matrices take them: normed or gated, as halves, one row a workgroup of 1024 threads that hold EACH
// values each, all on their way at once. A power of two brings a row's largest value to 2^13 .. 2^14, and its inverse is
// kept in `factors`: no value overflows, and the row alone decides. Behind the columns there are zeros.
enable f16;
#include math
#if INPUT == 2
#include gate
#end
#buffer x read array<f32>
#buffer norm_weight read array<f32>
#buffer out write array<f16>
#buffer factors write array<f32>

#include input_params

#set SUBGROUPS = 1024 / SUBGROUP
#if INPUT == 1
var<workgroup> squares: array<f32, ${SUBGROUPS}>;
#end
var<workgroup> maxima: array<f32, ${SUBGROUPS}>;

@compute @workgroup_size(1024)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let at = (params.first_row + group.x) * params.x_stride;
#for e in 0..EACH
    var value_${e} = 0.0;
    if (thread + ${e * 1024}u < params.columns) {
        let k = at + thread + ${e * 1024}u;
#if INPUT == 2
        value_${e} = gated(x[k], x[k + params.columns], params.alpha, params.limit);
#else
        value_${e} = x[k];
#end
    }
#end
#if INPUT == 1
    var square = 0.0;
#for e in 0..EACH
    square = fma(value_${e}, value_${e}, square);
#end
    square = subgroupAdd(square);
    if (lane == 0u) { squares[subgroup] = square; }
    workgroupBarrier();
    square = 0.0;
    for (var i = lane; i < ${SUBGROUPS}u; i += ${SUBGROUP}u) { square += squares[i]; }
    let inverse = 1.0 / sqrt(subgroupAdd(square) / f32(params.columns) + params.epsilon);
#for e in 0..EACH
    if (thread + ${e * 1024}u < params.columns) {
        value_${e} = value_${e} * inverse * norm_weight[thread + ${e * 1024}u];
    }
#end
#end
    var largest = 0.0;
#for e in 0..EACH
    largest = max(largest, abs(value_${e}));
#end
    largest = subgroupMax(largest);
    if (lane == 0u) { maxima[subgroup] = largest; }
    workgroupBarrier();
    largest = 0.0;
    for (var i = lane; i < ${SUBGROUPS}u; i += ${SUBGROUP}u) { largest = max(largest, maxima[i]); }
    largest = subgroupMax(largest);
    // Exponents of the largest value, of the factor, and of its inverse.
    let exponent = max((bitcast<u32>(largest) >> 23u) & 0xffu, 14u);
    let factor = bitcast<f32>((267u - exponent) << 23u);
    if (thread == 0u) {
        factors[group.x] = bitcast<f32>((exponent - 13u) << 23u);
    }
#for e in 0..EACH
    if (thread + ${e * 1024}u < params.out_stride) {
        out[group.x * params.out_stride + thread + ${e * 1024}u] = f16(value_${e} * factor);
    }
#end
}
