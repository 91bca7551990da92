// A value of a row on its way into a product: normed (INPUT 1), gated (2) or as it is, zero behind the columns.
fn input_value(row: u32, k: u32, inverse: f32) -> f32 {
    if (k >= row_columns()) { return 0.0; }
#if INPUT == 1
    return x[row * params.x_stride + k] * inverse * norm_weight[k];
#elif INPUT == 2
    let at = row * params.x_stride + k;
    return gated(x[at], x[at + row_columns()], params.alpha, params.limit);
#else
    return x[row * params.x_stride + k];
#end
}
