    // Norm, then rotary embedding of the head whose values begin at `start`: they are in `head` then, and back in their place.
    var sum = 0.0;
    for (var d = lane; d < HEAD_DIM; d += 64u) {
        let value = qkv[start + d];
        head[d] = value;
        sum = fma(value, value, sum);
    }
#if NORMS
    part[lane] = sum;
    workgroupBarrier();
    for (var width = 32u; width > 0u; width /= 2u) {
        if (lane < width) {
            part[lane] += part[lane + width];
        }
        workgroupBarrier();
    }
    let scale = 1.0 / sqrt(part[0] / f32(HEAD_DIM) + params.epsilon);
    for (var d = lane; d < HEAD_DIM; d += 64u) {
        let weight = select(key_norm[d], query_norm[d], group.x < HEADS);
        head[d] = head[d] * scale * weight;
    }
#end
    workgroupBarrier();
#if ROTATED > 0
    for (var i = lane; i < ROTATED / 2u; i += 64u) {
#if INTERLEAVED
        let first = 2u * i;
        let second = first + 1u;
#else
        let first = i;
        let second = i + ROTATED / 2u;
#end
        let angle = angles[group.y * (ROTATED / 2u) + i];
        let a = head[first];
        let b = head[second];
        head[first] = fma(a, angle.x, -(b * angle.y));
        head[second] = fma(b, angle.x, a * angle.y);
    }
    workgroupBarrier();
#end
    for (var d = lane; d < HEAD_DIM; d += 64u) {
        qkv[start + d] = head[d];
    }
