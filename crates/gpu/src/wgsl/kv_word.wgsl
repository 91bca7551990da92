// A word of cached keys or values: one f32, two f16 or two bf16 (ELEMENT 0, 1, 2).
#if ELEMENT == 0
const PER_WORD: u32 = 1u;
fn word(first: f32, second: f32) -> u32 {
    return bitcast<u32>(first);
}
#elif ELEMENT == 1
const PER_WORD: u32 = 2u;
fn word(first: f32, second: f32) -> u32 {
    return pack2x16float(vec2<f32>(first, second));
}
#else
const PER_WORD: u32 = 2u;
fn rounded(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}
fn word(first: f32, second: f32) -> u32 {
    return rounded(first) | (rounded(second) << 16u);
}
#end
