// The end of a product: `value` of row `row` of those that `matmul_input` made.
struct Params {
    // Rows from `first_row` on, which of the input stand in memory.
    rows: u32,
    first_row: u32,
    features: u32,
    columns: u32,
    x_stride: u32,
    out_stride: u32,
    part_blocks: u32,
    global_scale: f32,
    out_first: u32,
}
var<immediate> params: Params;

fn store(row: u32, feature: u32, value: f32) {
    if (row >= params.rows || feature >= params.features) { return; }
    var sum = value;
    let bias_at = params.out_first + feature;
    let at = (params.first_row + row) * params.out_stride + bias_at;
#include matmul_end
}
