// RMS norm (KIND 0) or layer norm (KIND 1) of rows, one a workgroup; with ADD the delta is added to x first and kept.
// Thread t sums every 256th value; the order is that of the norm inside `matmul`.
#include sum_group
#if ADD == 1
#buffer x update array<f32>
#else
#buffer x read array<f32>
#end
#buffer weight read array<f32>
#buffer bias read array<f32>
#buffer delta read array<f32>
#buffer out write array<f32>

struct Params {
    dim: u32,
    x_stride: u32,
    out_stride: u32,
    epsilon: f32,
}
var<immediate> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x * params.x_stride;
    var mean = 0.0;
#if KIND == 1
    var sum = 0.0;
#end
    var squares = 0.0;
    for (var k = thread; k < params.dim; k += 256u) {
#if ADD == 1
        let value = x[row + k] + delta[group.x * params.dim + k];
        x[row + k] = value;
#else
        let value = x[row + k];
#end
#if KIND == 1
        sum += value;
#else
        squares = fma(value, value, squares);
#end
    }
#if KIND == 1
    mean = sum_group(thread, sum) / f32(params.dim);
    for (var k = thread; k < params.dim; k += 256u) {
        let value = x[row + k] - mean;
        squares = fma(value, value, squares);
    }
#end
    let inverse = 1.0 / sqrt(sum_group(thread, squares) / f32(params.dim) + params.epsilon);
    for (var k = thread; k < params.dim; k += 256u) {
        var value = (x[row + k] - mean) * inverse;
#if WEIGHT == 1
        value *= weight[k];
#end
#if BIAS == 1
        value += bias[k];
#end
        out[group.x * params.out_stride + k] = value;
    }
}
