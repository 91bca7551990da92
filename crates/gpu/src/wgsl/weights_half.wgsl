// Values of a block as halves, times WEIGHT_FACTOR: what matrix products in hardware take. Small brain floats keep their
// bits that way; half floats are as they are. Behind `weights`; `so` is scale and offset times WEIGHT_FACTOR.
#if CODE == 31
const WEIGHT_FACTOR = 1.0;
#else
const WEIGHT_FACTOR = 64.0;
#end
// Of a scale for each half of a block, or for all of it.
fn half_scale(tile: u32, block: u32, blocks: u32, half: u32, lane: u32, global: f32) -> vec2<f32> {
#if SCALE == 0
    return vec2<f32>(WEIGHT_FACTOR, 0.0);
#elif HALVES == 2
    return WEIGHT_FACTOR * scale_offset(tile, block * 2u + half, blocks * 2u, lane, global);
#else
    return WEIGHT_FACTOR * scale_offset(tile, block * 32u / ${GROUP}u, blocks * 32u / ${GROUP}u, lane, global);
#end
}
#for j in 0..8
fn half_${j}(b: Block, so: vec2<f32>) -> vec4<f16> {
#if OFFSET == 1
    return vec4<f16>(fma(unpack_${j}(b), PRESCALE * so.x, vec4<f32>(so.y)));
#elif CODE == 31
    return vec4<f16>(unpack_${j}(b));
#else
    return vec4<f16>(unpack_${j}(b) * (PRESCALE * so.x));
#end
}
#end
