// Four values of a row on their way into a product, from column `k` on: normed (INPUT 1), gated (2) or as they are, zero
// behind the columns. QUADS: rows begin at whole quads and end with one.
#if QUADS == 1
fn plain_quad(row: u32, k: u32) -> vec4<f32> {
    if (k >= row_columns()) { return vec4<f32>(0.0); }
    return x[(row * params.x_stride + k) / 4u];
}
fn norm_quad(k: u32) -> vec4<f32> {
    if (k >= row_columns()) { return vec4<f32>(0.0); }
    return norm_weight[k / 4u];
}

fn input_quad(row: u32, k: u32, inverse: f32) -> vec4<f32> {
    if (k >= row_columns()) { return vec4<f32>(0.0); }
    let at = (row * params.x_stride + k) / 4u;
#if INPUT == 1
    return x[at] * inverse * norm_weight[k / 4u];
#elif INPUT == 2
    let gate = x[at];
    let up = x[at + row_columns() / 4u];
    return vec4<f32>(
        gated(gate.x, up.x, params.alpha, params.limit), gated(gate.y, up.y, params.alpha, params.limit),
        gated(gate.z, up.z, params.alpha, params.limit), gated(gate.w, up.w, params.alpha, params.limit));
#else
    return x[at];
#end
}
#else
#include input_value
fn plain_value(row: u32, k: u32) -> f32 {
    if (k >= row_columns()) { return 0.0; }
    return x[row * params.x_stride + k];
}
fn plain_quad(row: u32, k: u32) -> vec4<f32> {
    return vec4<f32>(plain_value(row, k), plain_value(row, k + 1u), plain_value(row, k + 2u), plain_value(row, k + 3u));
}
fn norm_value(k: u32) -> f32 {
    if (k >= row_columns()) { return 0.0; }
    return norm_weight[k];
}
fn norm_quad(k: u32) -> vec4<f32> {
    return vec4<f32>(norm_value(k), norm_value(k + 1u), norm_value(k + 2u), norm_value(k + 3u));
}
fn input_quad(row: u32, k: u32, inverse: f32) -> vec4<f32> {
    return vec4<f32>(
        input_value(row, k, inverse), input_value(row, k + 1u, inverse),
        input_value(row, k + 2u, inverse), input_value(row, k + 3u, inverse));
}
#end
