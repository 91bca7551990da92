    // Row `row` of `x`, normed or gated: `value_Q` are four columns from `column_Q` on, eight of them side by side for each thread
    // and EACH times so. A power of two, `factor`, brings the largest value to about 2^13 .. 2^14: no value overflows, and the row
    // alone decides. All values are on their way at once.
#for q in 0..2 * EACH
    let column_${q} = (thread + ${q / 2 * THREADS}u) * 8u + ${q % 2 * 4}u;
#if INPUT == 1
    var value_${q} = plain_quad(row, column_${q});
    let normed_by_${q} = norm_quad(column_${q});
#else
    let value_${q} = input_quad(row, column_${q}, 1.0);
#end
#end
#if INPUT == 1
    var square = 0.0;
#end
    var largest = 0u;
#for q in 0..2 * EACH
    {
#if INPUT == 1
        square = fma(value_${q}.w, value_${q}.w, fma(value_${q}.z, value_${q}.z, fma(value_${q}.y, value_${q}.y, fma(value_${q}.x, value_${q}.x, square))));
        value_${q} = value_${q} * normed_by_${q};
#end
        let size = abs(value_${q});
        largest = max(largest, bitcast<u32>(max(max(size.x, size.y), max(size.z, size.w))));
    }
#end
    // Bits of floats that are not negative have their order.
    largest = subgroupMax(largest);
    if (lane == 0u) { maxima[subgroup] = largest; }
#if INPUT == 1
    square = subgroupAdd(square);
    if (lane == 0u) { squares[subgroup] = square; }
#end
    workgroupBarrier();
    largest = max(max(max(maxima[0], maxima[1]), max(maxima[2], maxima[3])), max(max(maxima[4], maxima[5]), max(maxima[6], maxima[7])));
#if INPUT == 1
    square = ((squares[0] + squares[1]) + (squares[2] + squares[3])) + ((squares[4] + squares[5]) + (squares[6] + squares[7]));
    let inverse = 1.0 / sqrt(square / f32(params.columns) + params.epsilon);
    largest = bitcast<u32>(bitcast<f32>(largest) * inverse);
#end
    // Exponents of the largest value, of the factor, and of its inverse.
    let exponent = max(largest >> 23u, 40u);
    let inverse_factor = bitcast<f32>((exponent - 13u) << 23u);
#if INPUT == 1
    let factor = bitcast<f32>((267u - exponent) << 23u) * inverse;
#else
    let factor = bitcast<f32>((267u - exponent) << 23u);
#end
    // What goes where columns `column_Q` and the four behind it were, in the order of `weights_half`.
#for e in 0..EACH
    let low_${e} = value_${2 * e} * factor;
    let high_${e} = value_${2 * e + 1} * factor;
    let first_${e} = vec4<f16>(vec4<f32>(low_${e}.x, high_${e}.x, low_${e}.y, high_${e}.y));
    let second_${e} = vec4<f16>(vec4<f32>(low_${e}.z, high_${e}.z, low_${e}.w, high_${e}.w));
#end
