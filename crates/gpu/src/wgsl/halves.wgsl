    // The row of `x` at `at`, normed or gated: `value_J_E` is column `thread` + THREADS J + 1024 E. Sums are those of 1024
    // threads, of whom each here stands for VIRTUAL. A power of two, `factor`, brings the largest value to 2^13 .. 2^14: no
    // value overflows, and the row alone decides. All values are on their way at once.
#for j in 0..VIRTUAL
#for e in 0..EACH
    var value_${j}_${e} = 0.0;
    if (thread + ${j * THREADS + e * 1024}u < params.columns) {
        let k = at + thread + ${j * THREADS + e * 1024}u;
#if INPUT == 2
        value_${j}_${e} = gated(x[k], x[k + params.columns], params.alpha, params.limit);
#else
        value_${j}_${e} = x[k];
#end
    }
#end
#end
#if INPUT == 1
#for j in 0..VIRTUAL
    var square_${j} = 0.0;
#for e in 0..EACH
    square_${j} = fma(value_${j}_${e}, value_${j}_${e}, square_${j});
#end
    square_${j} = subgroupAdd(square_${j});
    if (lane == 0u) { squares[${j * SUBGROUPS / VIRTUAL}u + subgroup] = square_${j}; }
#end
    workgroupBarrier();
    var square = 0.0;
    for (var i = lane; i < ${SUBGROUPS}u; i += ${SUBGROUP}u) { square += squares[i]; }
    let inverse = 1.0 / sqrt(subgroupAdd(square) / f32(params.columns) + params.epsilon);
#for j in 0..VIRTUAL
#for e in 0..EACH
    if (thread + ${j * THREADS + e * 1024}u < params.columns) {
        value_${j}_${e} = value_${j}_${e} * inverse * norm_weight[thread + ${j * THREADS + e * 1024}u];
    }
#end
#end
#end
    var largest = 0.0;
#for j in 0..VIRTUAL
#for e in 0..EACH
    largest = max(largest, abs(value_${j}_${e}));
#end
#end
    largest = subgroupMax(largest);
    if (lane == 0u) { maxima[subgroup] = largest; }
    workgroupBarrier();
    largest = 0.0;
    for (var i = lane; i < ${SUBGROUPS / VIRTUAL}u; i += ${SUBGROUP}u) { largest = max(largest, maxima[i]); }
    largest = subgroupMax(largest);
    // Exponents of the largest value, of the factor, and of its inverse.
    let exponent = max((bitcast<u32>(largest) >> 23u) & 0xffu, 14u);
    let factor = bitcast<f32>((267u - exponent) << 23u);
    let inverse_factor = bitcast<f32>((exponent - 13u) << 23u);
