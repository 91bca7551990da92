// Joining what splits of the keys gave. Products and sums are written as fma, so that no compiler joins them otherwise.
struct Merge { largest: f32, total: f32, before: f32, after: f32 }

fn merge(largest: f32, total: f32, next_largest: f32, next_total: f32) -> Merge {
    let most = max(largest, next_largest);
    let before = exp(largest - most);
    let after = exp(next_largest - most);
    return Merge(most, fma(total, before, next_total * after), before, after);
}

// What a sum is multiplied by to become the mean; a sink is one more key, without a value.
fn finish(largest: f32, total: f32, head: u32) -> f32 {
#if SINKS
    let step = merge(largest, total, sinks[head], 1.0);
    return step.before / step.total;
#else
    return 1.0 / total;
#end
}
