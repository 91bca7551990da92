// Gated units: constant GATE as `ops/elementwise.rs` numbers them.
fn gated(gate: f32, up: f32, alpha: f32, limit: f32) -> f32 {
#if GATE == 0
    return f_silu(gate) * up;
#elif GATE == 1
    return f_gelu_tanh(gate) * up;
#elif GATE == 2
    return f_gelu(gate) * up;
#elif GATE == 3
    return f_relu(gate) * up;
#elif GATE == 4
    return f_sigmoid(gate) * up;
#elif GATE == 5
    return f_relu_squared(gate) * up;
#elif GATE == 6
    return f_gelu_fast(gate) * up;
#else
    // gpt-oss: both halves are bounded.
    let g = min(gate, limit);
    return (clamp(up, -limit, limit) + 1.0) * (g * f_sigmoid(alpha * g));
#end
}
