    // What norms divide by, of each row: sums of squares of 256 threads, a quad of columns at a time, halves added until one is
    // left, in few meetings.
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
    workgroupBarrier();
    if (thread < ${ROWS * 8}u) {
        let at = thread / 8u * 64u + thread % 8u;
        squares[thread] = ((inputs[at] + inputs[at + 32u]) + (inputs[at + 16u] + inputs[at + 48u]))
            + ((inputs[at + 8u] + inputs[at + 40u]) + (inputs[at + 24u] + inputs[at + 56u]));
    }
    workgroupBarrier();
#for m in 0..ROWS
    let quads_${m} = ((squares[${m * 8}u] + squares[${m * 8 + 4}u]) + (squares[${m * 8 + 2}u] + squares[${m * 8 + 6}u]))
        + ((squares[${m * 8 + 1}u] + squares[${m * 8 + 5}u]) + (squares[${m * 8 + 3}u] + squares[${m * 8 + 7}u]));
    let pair_${m} = quads_${m}.xy + quads_${m}.zw;
    let inverse_${m} = 1.0 / sqrt((pair_${m}.x + pair_${m}.y) / f32(params.columns) + params.epsilon);
#end
