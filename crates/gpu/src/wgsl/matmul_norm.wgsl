    // What norms divide by, of each row: sums of squares of 256 threads, a quad of columns at a time, halves added until one is
    // left, in few meetings.
#for m in 0..ROWS
    var square_${m} = 0.0;
    for (var k = thread * 4u; k < params.columns; k += 1024u) {
        let quad = plain_quad(row_${m}, k);
        square_${m} = fma(quad.w, quad.w, fma(quad.z, quad.z, fma(quad.y, quad.y, fma(quad.x, quad.x, square_${m}))));
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
