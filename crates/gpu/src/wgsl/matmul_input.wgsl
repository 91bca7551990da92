// Rows as tiles of many rows take them: normed or gated as `matmul` does it, in the same order, one row a workgroup.
#include math
#if INPUT == 2
#include gate
#end
#buffer x read array<f32>
#buffer norm_weight read array<f32>
#buffer out write array<f32>

#include input_params

var<workgroup> joined: array<f32, 256>;

fn row_columns() -> u32 { return params.columns; }
#include input_value

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = params.first_row + group.x;
    var inverse = 1.0;
#if INPUT == 1
    var square = 0.0;
    for (var quad = thread * 4u; quad < params.columns; quad += 1024u) {
        for (var k = quad; k < min(quad + 4u, params.columns); k++) {
            let value = x[row * params.x_stride + k];
            square = fma(value, value, square);
        }
    }
    joined[thread] = square;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (thread < half) {
            joined[thread] += joined[thread + half];
        }
    }
    workgroupBarrier();
    inverse = 1.0 / sqrt(joined[0] / f32(params.columns) + params.epsilon);
#end
    let first = group.x * params.out_stride;
    for (var k = thread; k < params.out_stride; k += 256u) {
        out[first + k] = input_value(row, k, inverse);
    }
}
