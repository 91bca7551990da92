// Sums and maxima over the 256 threads of a workgroup, in one order: halves are added until one is left.
var<workgroup> group_values: array<f32, 256>;

fn sum_group(thread: u32, value: f32) -> f32 {
    workgroupBarrier();
    group_values[thread] = value;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (thread < half) {
            group_values[thread] += group_values[thread + half];
        }
    }
    workgroupBarrier();
    return group_values[0];
}

fn maximum_group(thread: u32, value: f32) -> f32 {
    workgroupBarrier();
    group_values[thread] = value;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (thread < half) {
            group_values[thread] = max(group_values[thread], group_values[thread + half]);
        }
    }
    workgroupBarrier();
    return group_values[0];
}
