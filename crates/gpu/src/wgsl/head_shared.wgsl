// What heads are made of, and a workgroup's memory for AT_ONCE of them, HEAD_ROUNDS times.
#buffer query_norm read array<f32>
#buffer key_norm read array<f32>
#buffer angles read array<vec2<f32>>

var<workgroup> head: array<f32, ${AT_ONCE * HEAD_DIM}>;
var<workgroup> part: array<vec4<f32>, ${AT_ONCE * HEAD_ROUNDS * 16}>;
