// Values of a block as halves, times WEIGHT_FACTOR: what matrix products in hardware take. Small brain floats keep their
// bits that way; half floats are as they are. Behind `weights`; `so` is scale and offset times WEIGHT_FACTOR.
#if CODE == 31
const WEIGHT_FACTOR = 1.0;
#else
const WEIGHT_FACTOR = 64.0;
#end
fn half_scale(raw: RawScale, block: u32, half: u32, global: f32) -> vec2<f32> {
    return WEIGHT_FACTOR * decode_scale(raw, group_of(block, half), global);
}
#for j in 0..8
fn half_${j}(b: Block, so: vec2<f32>) -> vec4<f16> {
#if SCALE > 0
    return vec4<f16>(weight_${j}(b, so));
#elif CODE == 31
    return vec4<f16>(unpack_${j}(b));
#else
    return vec4<f16>(unpack_${j}(b) * so.x);
#end
}
#end
