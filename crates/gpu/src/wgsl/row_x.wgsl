// Rows of a product's input, by quads where they are whole quads.
#if QUADS == 1
#buffer x read array<vec4<f32>>
#else
#buffer x read array<f32>
#end
