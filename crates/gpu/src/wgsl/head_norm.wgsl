    // The norms of heads that `head_load` asked for. All threads come here together; 64 of them are the `slot`th of AT_ONCE.
#if NORMS
#for r in 0..HEAD_ROUNDS
    {
        var sum = 0.0;
#for i in 0..LANE_VALUES
        if (lane + ${i * 64}u < ${HEAD_DIM}u) {
            sum = fma(head_${r}_${i}, head_${r}_${i}, sum);
        }
#end
        part[(slot + ${r * AT_ONCE}u) * 16u + lane / 4u][lane % 4u] = sum;
    }
#end
    workgroupBarrier();
#for r in 0..HEAD_ROUNDS
    {
        // Every thread halves the 64 sums until there is one.
#for i in 0..8
        let sum_8_${i} = part[(slot + ${r * AT_ONCE}u) * 16u + ${i}u] + part[(slot + ${r * AT_ONCE}u) * 16u + ${i + 8}u];
#end
#for i in 0..4
        let sum_4_${i} = sum_8_${i} + sum_8_${i + 4};
#end
        let sums = (sum_4_0 + sum_4_2) + (sum_4_1 + sum_4_3);
        let sum = (sums.x + sums.z) + (sums.y + sums.w);
        let scale = inverseSqrt(fma(sum, 1.0 / ${HEAD_DIM}.0, params.epsilon));
#for i in 0..LANE_VALUES
        head_${r}_${i} = head_${r}_${i} * scale * normed_by_${r}_${i};
#end
    }
#end
#end
