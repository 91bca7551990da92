// What kernels of a lone row are told. PAIRED: features are gates and as many ups, and what they make together goes to `both`.
#if PAIRED == 1
#buffer both write array<f32>
#end

struct Params {
    // Of gates alone where they are paired with ups.
    features: u32,
    columns: u32,
    x_stride: u32,
    epsilon: f32,
    global_scale: f32,
    alpha: f32,
    limit: f32,
    // Where the features begin in a row of the output.
    out_first: u32,
}
var<immediate> params: Params;
