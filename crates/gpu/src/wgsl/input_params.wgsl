// Parameters of the kernels that make rows for products.
struct Params {
    first_row: u32,
    columns: u32,
    x_stride: u32,
    out_stride: u32,
    epsilon: f32,
    alpha: f32,
    limit: f32,
}
var<immediate> params: Params;
