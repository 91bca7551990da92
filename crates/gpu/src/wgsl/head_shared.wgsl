// What heads are made of, and a workgroup's memory for AT_ONCE of them.
#buffer query_norm read array<f32>
#buffer key_norm read array<f32>
#buffer angles read array<vec2<f32>>

var<workgroup> head: array<f32, ${AT_ONCE * HEAD_DIM}>;
var<workgroup> part: array<f32, ${AT_ONCE * 64}>;
