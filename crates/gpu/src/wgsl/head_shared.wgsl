// What `head` reads, and a workgroup's memory for it.
#buffer qkv update array<f32>
#buffer query_norm read array<f32>
#buffer key_norm read array<f32>
#buffer angles read array<vec2<f32>>

struct Params { row_stride: u32, epsilon: f32 }
var<immediate> params: Params;

var<workgroup> head: array<f32, HEAD_DIM>;
var<workgroup> part: array<f32, 64>;
