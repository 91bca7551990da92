// Rows as products with matrices take them: normed or gated, as halves, one row a workgroup. Behind the columns there are
// zeros.
enable f16;
#set THREADS = 8 * SUBGROUP
#include math
#if INPUT == 2
#include gate
#end
#include row_x
#include row_norm
#buffer out write array<vec4<f16>>
#buffer factors write array<f32>

#include input_params
fn row_columns() -> u32 { return params.columns; }
#include input_quad
#include halves_shared

@compute @workgroup_size(${THREADS})
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let row = params.first_row + group.x;
#include halves
    if (thread == 0u) {
        factors[group.x] = inverse_factor;
    }
#for e in 0..EACH
    if (column_${2 * e} < params.out_stride) {
        let at = (group.x * params.out_stride + column_${2 * e}) / 4u;
        out[at] = first_${e};
        out[at + 1u] = second_${e};
    }
#end
}
