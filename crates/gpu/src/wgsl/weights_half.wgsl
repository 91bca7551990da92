// Values of a block as halves, times WEIGHT_FACTOR: what matrix products in hardware take. Small brain floats keep their
// bits that way; half floats are as they are. Behind `weights`; `so` is scale and offset times WEIGHT_FACTOR.
//
// Eight columns stand in the order 0 4 1 5 2 6 3 7, as rows of the input do (`halves`): two codes of 4 bits whose places in a word
// are 16 bits apart come out of it in one instruction, in the fractions of two halves.
#set PACKED = CODE == 4 && LONG == 0
#if CODE == 31
const WEIGHT_FACTOR = 1.0;
#else
const WEIGHT_FACTOR = 64.0;
#end
struct Eight { low: vec4<f16>, high: vec4<f16> }
#if PACKED == 1
// What every entry point writes into `one`: 1024 twice, as halves.
#set ONE = 1677747200
alias HalfScale = vec2<f16>;
fn two(bits: u32) -> vec2<f16> { return vec2<f16>(unpack2x16float(bits)); }
#else
alias HalfScale = vec2<f32>;
#end
fn half_scale(raw: RawScale, block: u32, half: u32, global: f32) -> HalfScale {
    return HalfScale(WEIGHT_FACTOR * decode_scale(raw, group_of(block, half), global));
}
// Columns 8 i .. 8 i + 7.
#for i in 0..4
fn eight_${i}(b: Block, so: HalfScale) -> Eight {
#if PACKED == 1
    // In the fractions of 1024, and of 64 in the bits that stand four places higher.
    let w = b.p0[${i}];
    let v = w >> 8u;
    let high_one = one - 0x10001000u;
    let low = vec4<f16>(two((w & 0xf000fu) | one), two((w & 0xf000f0u) | high_one));
    let high = vec4<f16>(two((v & 0xf000fu) | one), two((v & 0xf000f0u) | high_one));
    let above = vec4<f16>(1024.0h, 1024.0h, 64.0h, 64.0h);
    return Eight(fma(low - above, vec4<f16>(so.x), vec4<f16>(so.y)), fma(high - above, vec4<f16>(so.x), vec4<f16>(so.y)));
#else
#if SCALE > 0
    let low = weight_${2 * i}(b, so);
    let high = weight_${2 * i + 1}(b, so);
#elif CODE == 31
    let low = unpack_${2 * i}(b);
    let high = unpack_${2 * i + 1}(b);
#else
    let low = unpack_${2 * i}(b) * so.x;
    let high = unpack_${2 * i + 1}(b) * so.x;
#end
    return Eight(vec4<f16>(vec4<f32>(low.x, high.x, low.y, high.y)), vec4<f16>(vec4<f32>(low.z, high.z, low.w, high.w)));
#end
}
#end
