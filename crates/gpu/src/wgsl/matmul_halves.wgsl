// Rows as products with matrices take them: normed or gated, as halves, one row a workgroup of 1024 threads. Behind the
// columns there are zeros.
enable f16;
#set THREADS = 1024
#include math
#if INPUT == 2
#include gate
#end
#buffer x read array<f32>
#buffer norm_weight read array<f32>
#buffer out write array<f16>
#buffer factors write array<f32>

#include input_params
#include halves_shared

@compute @workgroup_size(1024)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let at = (params.first_row + group.x) * params.x_stride;
#include halves
    if (thread == 0u) {
        factors[group.x] = inverse_factor;
    }
#for e in 0..EACH
    if (thread + ${e * 1024}u < params.out_stride) {
        out[group.x * params.out_stride + thread + ${e * 1024}u] = f16(value_0_${e} * factor);
    }
#end
}
