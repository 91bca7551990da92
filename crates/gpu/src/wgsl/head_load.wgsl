    // Heads `number_R` of row `of_row` for each R of HEAD_ROUNDS, what norms multiply them by and the angles that turn them are asked
    // for by 64 threads, of which `lane` is one.
#set LANE_VALUES = (HEAD_DIM + 63) / 64
#set LANE_PAIRS = (ROTATED / 2 + 63) / 64
#for i in 0..LANE_VALUES
    let head_at_${i} = min(lane + ${i * 64}u, ${HEAD_DIM - 1}u);
#end
#for r in 0..HEAD_ROUNDS
#for i in 0..LANE_VALUES
    var head_${r}_${i} = qkv[of_row * params.row_stride + number_${r} * ${HEAD_DIM}u + head_at_${i}];
#if NORMS
    var normed_by_${r}_${i} = 0.0;
    if (number_${r} < HEADS) {
        normed_by_${r}_${i} = query_norm[head_at_${i}];
    } else {
        normed_by_${r}_${i} = key_norm[head_at_${i}];
    }
#end
#end
#end
#for i in 0..LANE_PAIRS
    let angle_${i} = angles[of_row * (ROTATED / 2u) + min(lane + ${i * 64}u, ROTATED / 2u - 1u)];
#end
