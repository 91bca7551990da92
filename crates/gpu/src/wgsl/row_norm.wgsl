// What a norm multiplies a row by, as `row_x` has it.
#if QUADS == 1
#buffer norm_weight read array<vec4<f32>>
#else
#buffer norm_weight read array<f32>
#end
