// Norm, then rotary embedding of head `number` of row `row`, by 64 threads of which `lane` is one; a workgroup has AT_ONCE times
// so many, of which this is the `slot`th. All come here together; the head lies in `head` then, HEAD_DIM values a slot.
#set LANE_VALUES = (HEAD_DIM + 63) / 64
#set LANE_PAIRS = (ROTATED / 2 + 63) / 64
fn make_head(row: u32, number: u32, slot: u32, lane: u32) {
    let start = row * params.row_stride + number * HEAD_DIM;
    let base = slot * HEAD_DIM;
    // All is on its way at once.
#for i in 0..LANE_VALUES
    let d_${i} = min(lane + ${i * 64}u, HEAD_DIM - 1u);
    var value_${i} = qkv[start + d_${i}];
#if NORMS
    var weight_${i} = 0.0;
    if (number < HEADS) {
        weight_${i} = query_norm[d_${i}];
    } else {
        weight_${i} = key_norm[d_${i}];
    }
#end
#end
#for i in 0..LANE_PAIRS
    let angle_${i} = angles[row * (ROTATED / 2u) + min(lane + ${i * 64}u, ROTATED / 2u - 1u)];
#end
    workgroupBarrier();
#if NORMS
    var sum = 0.0;
#for i in 0..LANE_VALUES
    if (lane + ${i * 64}u < HEAD_DIM) {
        sum = fma(value_${i}, value_${i}, sum);
    }
#end
    part[slot * 64u + lane] = sum;
    workgroupBarrier();
    for (var width = 32u; width > 0u; width /= 2u) {
        if (lane < width) {
            part[slot * 64u + lane] += part[slot * 64u + lane + width];
        }
        workgroupBarrier();
    }
    let scale = inverseSqrt(fma(part[slot * 64u], 1.0 / f32(HEAD_DIM), params.epsilon));
#for i in 0..LANE_VALUES
    value_${i} = value_${i} * scale * weight_${i};
#end
#end
#for i in 0..LANE_VALUES
    if (lane + ${i * 64}u < HEAD_DIM) {
        head[base + d_${i}] = value_${i};
    }
#end
    workgroupBarrier();
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
#if ROTATED > 0
    workgroupBarrier();
#end
}
