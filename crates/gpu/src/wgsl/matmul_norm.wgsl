    // Sums of squares of each row: those of 256 threads, a quad of columns at a time.
#set NORM_QUADS = 4 / ROWS
#if NORM_QUADS == 0
#set NORM_QUADS = 1
#end
#for m in 0..ROWS
    var square_${m} = 0.0;
    // Several are on their way at once; those behind the columns are zeros.
    for (var k = thread * 4u; k < params.columns; k += ${1024 * NORM_QUADS}u) {
#for q in 0..NORM_QUADS
        let quad_${q} = plain_quad(row_${m}, k + ${q * 1024}u);
#end
#for q in 0..NORM_QUADS
        square_${m} = fma(quad_${q}.w, quad_${q}.w, fma(quad_${q}.z, quad_${q}.z, fma(quad_${q}.y, quad_${q}.y, fma(quad_${q}.x, quad_${q}.x, square_${m}))));
#end
    }
    inputs[${m * 64}u + thread / 4u][thread % 4u] = square_${m};
#end
#include matmul_squares
