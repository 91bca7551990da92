    // What norms divide by, of sums of squares of 256 threads: halves are added until one is left, in few meetings.
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
