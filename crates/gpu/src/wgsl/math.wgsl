// Functions of formulas and activations: the names of `expression.rs`.
fn f_negative(x: f32) -> f32 { return -x; }
fn f_absolute(x: f32) -> f32 { return abs(x); }
fn f_exp(x: f32) -> f32 { return exp(x); }
fn f_log(x: f32) -> f32 { return log(x); }
fn f_log1p(x: f32) -> f32 {
    // The rounding of 1 + x is undone by the quotient.
    let u = 1.0 + x;
    if (u == 1.0) { return x; }
    return log(u) * (x / (u - 1.0));
}
fn f_rsqrt(x: f32) -> f32 { return 1.0 / sqrt(x); }
fn f_sqrt(x: f32) -> f32 { return sqrt(x); }
fn f_sin(x: f32) -> f32 { return sin(x); }
fn f_cos(x: f32) -> f32 { return cos(x); }
fn f_tanh(x: f32) -> f32 {
    // Beyond 10 it is 1 in f32, and exp would overflow.
    let e = exp(2.0 * clamp(x, -10.0, 10.0));
    if (abs(x) < 0.02) { return x - x * x * x * 0.33333334; }
    return (e - 1.0) / (e + 1.0);
}
fn f_sigmoid(x: f32) -> f32 { return 1.0 / (1.0 + exp(-clamp(x, -88.0, 88.0))); }
fn f_silu(x: f32) -> f32 { return x * f_sigmoid(x); }
fn f_erf(x: f32) -> f32 {
    // Abramowitz and Stegun 7.1.26 far from zero, its series near it.
    let a = abs(x);
    if (a < 0.5) {
        let s = x * x;
        return x * fma(s, fma(s, fma(s, fma(s, fma(s, -0.00075757575, 0.0046296296), -0.023809524), 0.1), -0.33333334), 1.0) * 1.1283792;
    }
    let t = 1.0 / (1.0 + 0.3275911 * a);
    let p = t * fma(t, fma(t, fma(t, fma(t, 1.061405429, -1.453152027), 1.421413741), -0.284496736), 0.254829592);
    return sign(x) * (1.0 - p * exp(-a * a));
}
fn f_gelu(x: f32) -> f32 { return 0.5 * x * (1.0 + f_erf(x * 0.70710678)); }
fn f_gelu_tanh(x: f32) -> f32 { return 0.5 * x * (1.0 + f_tanh(0.7978845608 * (x + 0.044715 * x * x * x))); }
fn f_gelu_fast(x: f32) -> f32 { return x * f_sigmoid(1.702 * x); }
fn f_relu(x: f32) -> f32 { return max(x, 0.0); }
fn f_relu_squared(x: f32) -> f32 { let y = max(x, 0.0); return y * y; }
fn f_softplus(x: f32) -> f32 { return max(x, 0.0) + f_log1p(exp(-abs(x))); }
fn f_floor(x: f32) -> f32 { return floor(x); }
fn f_ceil(x: f32) -> f32 { return ceil(x); }
fn f_round(x: f32) -> f32 { return round(x); }
fn f_add(a: f32, b: f32) -> f32 { return a + b; }
fn f_subtract(a: f32, b: f32) -> f32 { return a - b; }
fn f_multiply(a: f32, b: f32) -> f32 { return a * b; }
fn f_divide(a: f32, b: f32) -> f32 { return a / b; }
fn f_maximum(a: f32, b: f32) -> f32 { return max(a, b); }
fn f_minimum(a: f32, b: f32) -> f32 { return min(a, b); }
fn f_power(a: f32, b: f32) -> f32 { return pow(a, b); }
fn f_less(a: f32, b: f32) -> f32 { return select(0.0, 1.0, a < b); }
fn f_less_equal(a: f32, b: f32) -> f32 { return select(0.0, 1.0, a <= b); }
fn f_equal(a: f32, b: f32) -> f32 { return select(0.0, 1.0, a == b); }
fn f_select(c: f32, a: f32, b: f32) -> f32 { return select(b, a, c != 0.0); }
