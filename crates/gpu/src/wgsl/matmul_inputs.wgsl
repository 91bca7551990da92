// What a product by floats reads: rows, by quads where they are whole quads, the matrix, and what a norm multiplies by.
#if QUADS == 1
#buffer x read array<vec4<f32>>
#else
#buffer x read array<f32>
#end
#include weights
#if QUADS == 1
#buffer norm_weight read array<vec4<f32>>
#else
#buffer norm_weight read array<f32>
#end
