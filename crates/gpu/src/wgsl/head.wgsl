    // Rotary embedding of head R of each slot. All threads come here together; it lies in `head` then, at HEAD_DIM times the slot.
    // OWN_PAIRS: a thread has both of a pair.
#set OWN_PAIRS = INTERLEAVED == 0 && ROTATED == HEAD_DIM && HEAD_DIM % 128 == 0
    {
        let base = slot * ${HEAD_DIM}u;
#if OWN_PAIRS
#for i in 0..LANE_PAIRS
        let a_${i} = head_${R}_${i};
        let b_${i} = head_${R}_${i + LANE_PAIRS};
        head[base + head_at_${i}] = fma(a_${i}, angle_${i}.x, -(b_${i} * angle_${i}.y));
        head[base + head_at_${i + LANE_PAIRS}] = fma(b_${i}, angle_${i}.x, a_${i} * angle_${i}.y);
#end
#else
#for i in 0..LANE_VALUES
        if (lane + ${i * 64}u < ${HEAD_DIM}u) {
            head[base + head_at_${i}] = head_${R}_${i};
        }
#end
#end
        workgroupBarrier();
#if ROTATED > 0 && !OWN_PAIRS
#for i in 0..LANE_PAIRS
        if (lane + ${i * 64}u < ROTATED / 2u) {
            let pair = lane + ${i * 64}u;
#if INTERLEAVED
            let first = base + 2u * pair;
            let second = first + 1u;
#else
            let first = base + pair;
            let second = first + ROTATED / 2u;
#end
            let a = head[first];
            let b = head[second];
            head[first] = fma(a, angle_${i}.x, -(b * angle_${i}.y));
            head[second] = fma(b, angle_${i}.x, a * angle_${i}.y);
        }
#end
        workgroupBarrier();
#end
    }
