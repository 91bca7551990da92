// Reading matrices in the layout of `ops/weights.rs`. Constants CODE, SCALE, GROUP, ZERO; the includer's place in the
// order of bindings is that of the four parts. Declares BLOCK_SUMS: sums of a block that carry their own scale.
#set PIECES = 1
#if CODE == 8 || CODE == 9 || CODE == 21
#set PIECES = 2
#elif CODE == 30 || CODE == 31
#set PIECES = 4
#elif CODE == 32
#set PIECES = 8
#end
#set HALVES = 1
#if GROUP == 16
#set HALVES = 2
#end
#set OFFSET = 0
#if SCALE == 1 || SCALE == 2 || SCALE == 3 || SCALE == 5 || ZERO > 0
#set OFFSET = 1
#end
// Scales and offsets with more bits than a half has: PRESCALE must not be large beside them.
#set LONG = 0
#if SCALE == 3 || SCALE == 5
#set LONG = 1
#end
#if CODE == 2 || CODE == 3
#buffer weight_codes read array<vec2<u32>>
#else
#buffer weight_codes read array<vec4<u32>>
#end
#if CODE == 6
#buffer weight_high read array<vec2<u32>>
#else
#buffer weight_high read array<u32>
#end
#buffer weight_scales read array<u32>
#buffer weight_supers read array<u32>

struct Block {
#for i in 0..PIECES
#if CODE == 2 || CODE == 3
    p${i}: vec2<u32>,
#else
    p${i}: vec4<u32>,
#end
#end
#if CODE == 6
    h: vec2<u32>,
#elif CODE == 3 || CODE == 5
    h: u32,
#end
}

// `block` counts blocks over all tiles: tile * blocks of a row + block.
fn load_block(block: u32, lane: u32) -> Block {
    var b: Block;
#for i in 0..PIECES
    b.p${i} = weight_codes[(block * ${PIECES}u + ${i}u) * 32u + lane];
#end
#if CODE == 6 || CODE == 3 || CODE == 5
    b.h = weight_high[block * 32u + lane];
#end
    return b;
}

#if PIECES == 4
// Half a block, in p0 and p1.
fn load_half(block: u32, half: u32, lane: u32) -> Block {
    var b: Block;
    b.p0 = weight_codes[(block * 4u + half * 2u) * 32u + lane];
    b.p1 = weight_codes[(block * 4u + half * 2u + 1u) * 32u + lane];
    return b;
}
#end

#if CODE == 20
fn e2m1(code: vec4<u32>) -> vec4<f32> {
    let doubled = vec4<f32>((vec4<u32>(0xc8643210u) >> ((code & vec4<u32>(7u)) * 4u)) & vec4<u32>(15u));
    return select(doubled, -doubled, (code & vec4<u32>(8u)) != vec4<u32>(0u)) * 0.5;
}
#elif CODE == 21
fn e4m3(code: vec4<u32>) -> vec4<f32> {
    let low = vec4<f32>(code & vec4<u32>(7u)) * 0.001953125;
    let normal = bitcast<vec4<f32>>(((code & vec4<u32>(0x7fu)) << vec4<u32>(20u)) + vec4<u32>(0x3c000000u));
    let magnitude = select(normal, low, (code & vec4<u32>(0x78u)) == vec4<u32>(0u));
    return select(magnitude, -magnitude, (code & vec4<u32>(0x80u)) != vec4<u32>(0u));
}
#end

// Integers below 2^23 as floats: their bits in the fraction of 2^23. Conversions have a fraction of the speed of sums.
fn small(code: vec4<u32>) -> vec4<f32> {
    return bitcast<vec4<f32>>(code | vec4<u32>(0x4b000000u)) - vec4<f32>(8388608.0);
}

#if CODE == 4
#set ONE = 1065353216
// The bits of 1.0, which every entry point writes here first, from what no compiler knows: with a constant for it `(code & mask)
// | one` would be two instructions, each at half the speed of a sum.
var<private> one: u32;
#end

// Codes 4 j .. 4 j + 3 of a block. Those of 2 bits come times powers of two, which PRESCALE takes back; those of 4 bits in the
// fraction of 1.0, of which PRESCALE times what is above 1.0 is the code.
#for j in 0..8
fn unpack_${j}(b: Block) -> vec4<f32> {
#if CODE == 4
    let w = b.p0[${j / 2}];
#if LONG == 1 && j % 2 == 0
    return bitcast<vec4<f32>>((vec4<u32>(w << 19u, w << 15u, w << 11u, w << 7u) & vec4<u32>(0x780000u)) | vec4<u32>(one));
#elif LONG == 1
    return bitcast<vec4<f32>>((vec4<u32>(w << 3u, w >> 1u, w >> 5u, w >> 9u) & vec4<u32>(0x780000u)) | vec4<u32>(one));
#else
#if j % 2 == 0
    let codes = vec4<u32>(vec2<u32>(w << 15u), vec2<u32>(w << 7u));
#else
    let codes = vec4<u32>(vec2<u32>(w >> 1u), vec2<u32>(w >> 9u));
#end
    return bitcast<vec4<f32>>((codes & vec4<u32>(0x78000u, 0x780000u, 0x78000u, 0x780000u)) | vec4<u32>(one));
#end
#elif CODE == 2
    return small(vec4<u32>(b.p0[${j / 4}] >> ${j % 4 * 8}u) & vec4<u32>(0x3u, 0xcu, 0x30u, 0xc0u));
#elif CODE == 3
    let low = (vec4<u32>(b.p0[${j / 4}] >> ${j % 4 * 8}u) >> vec4<u32>(0u, 2u, 4u, 6u)) & vec4<u32>(3u);
    let high = (vec4<u32>(b.h >> ${j * 4}u) >> vec4<u32>(0u, 1u, 2u, 3u)) & vec4<u32>(1u);
    return small(low | (high << vec4<u32>(2u)));
#elif CODE == 5
    let low = (vec4<u32>(b.p0[${j / 2}] >> ${j % 2 * 16}u) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u);
    let high = (vec4<u32>(b.h >> ${j / 2 % 2 * 2 + j / 4 * 8 + j % 2 * 16}u) >> vec4<u32>(0u, 4u, 1u, 5u)) & vec4<u32>(1u);
    return small(low | (high << vec4<u32>(4u)));
#elif CODE == 6
    let low = (vec4<u32>(b.p0[${j / 2}] >> ${j % 2 * 16}u) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u);
    let high = (vec4<u32>(b.h[${j / 4}] >> ${j % 4 / 2 * 8 + j % 2 * 16}u) >> vec4<u32>(0u, 4u, 2u, 6u)) & vec4<u32>(3u);
    return small(low | (high << vec4<u32>(4u)));
#elif CODE == 8
    return small((vec4<u32>(b.p${j / 4}[${j % 4}]) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u));
#elif CODE == 9
    return vec4<f32>((vec4<i32>(bitcast<i32>(b.p${j / 4}[${j % 4}])) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u));
#elif CODE == 20
    return e2m1(vec4<u32>(b.p0[${j / 2}] >> ${j % 2 * 16}u) >> vec4<u32>(0u, 4u, 8u, 12u));
#elif CODE == 21
    return e4m3(vec4<u32>(b.p${j / 4}[${j % 4}]) >> vec4<u32>(0u, 8u, 16u, 24u));
#elif CODE == 30
    let w = vec2<u32>(b.p${j / 2}[${j % 2 * 2}], b.p${j / 2}[${j % 2 * 2 + 1}]);
    return bitcast<vec4<f32>>(vec4<u32>(w.x << 16u, w.x & 0xffff0000u, w.y << 16u, w.y & 0xffff0000u));
#elif CODE == 31
    let low = unpack2x16float(b.p${j / 2}[${j % 2 * 2}]);
    let high = unpack2x16float(b.p${j / 2}[${j % 2 * 2 + 1}]);
    return vec4<f32>(low, high);
#else
    return bitcast<vec4<f32>>(b.p${j});
#end
}
#end

// What takes back the powers of two that codes come with.
#if CODE == 4 && LONG == 1
const PRESCALE = vec4<f32>(16.0);
#elif CODE == 4
const PRESCALE = vec4<f32>(256.0, 16.0, 256.0, 16.0);
#elif CODE == 2
const PRESCALE = vec4<f32>(1.0, 0.25, 0.0625, 0.015625);
#else
const PRESCALE = vec4<f32>(1.0);
#end

// The values of columns 4 j .. 4 j + 3; `so` is the scale and the offset of their group.
#for j in 0..8
fn weight_${j}(b: Block, so: vec2<f32>) -> vec4<f32> {
#if CODE == 4
    return fma(unpack_${j}(b), PRESCALE * so.x, fma(PRESCALE, vec4<f32>(-so.x), vec4<f32>(so.y)));
#elif OFFSET == 1
    return fma(unpack_${j}(b), PRESCALE * so.x, vec4<f32>(so.y));
#elif SCALE > 0
    return unpack_${j}(b) * (PRESCALE * so.x);
#else
    return unpack_${j}(b);
#end
}
#end

// The words that the scale and the offset of a group are in: they are asked for long before they are needed.
struct RawScale { scale: u32, other: u32 }

// Of group `group` of a row, `groups` groups a row.
fn load_scale(tile: u32, group: u32, groups: u32, lane: u32) -> RawScale {
    var raw: RawScale;
#if SCALE == 1 || SCALE == 2
    raw.scale = weight_scales[(tile * groups + group) * 32u + lane];
#elif SCALE == 3
    raw.scale = weight_scales[(tile * groups + group) * 64u + lane];
    raw.other = weight_scales[(tile * groups + group) * 64u + lane + 32u];
#elif SCALE == 4 || SCALE == 5
    raw.scale = weight_scales[(tile * ((groups + 1u) / 2u) + group / 2u) * 32u + lane];
#elif SCALE >= 6 && SCALE <= 9
    raw.scale = weight_scales[(tile * ((groups + 3u) / 4u) + group / 4u) * 32u + lane];
#end
#if SCALE == 5 || SCALE == 6 || SCALE == 9
    raw.other = weight_supers[(tile * ((groups * ${GROUP}u + 255u) / 256u) + group * ${GROUP}u / 256u) * 32u + lane];
#end
    return raw;
}

// Scale and offset from those words; `global` is the factor of the whole matrix.
fn decode_scale(raw: RawScale, group: u32, global: f32) -> vec2<f32> {
#if SCALE == 1
    return unpack2x16float(raw.scale);
#elif SCALE == 2
    return vec2<f32>(bitcast<f32>(raw.scale << 16u), bitcast<f32>(raw.scale & 0xffff0000u));
#elif SCALE == 3
    return vec2<f32>(bitcast<f32>(raw.scale), bitcast<f32>(raw.other));
#elif SCALE == 4
    let s = unpack2x16float(raw.scale >> ((group & 1u) * 16u)).x;
    return vec2<f32>(s, s * -${ZERO}.0);
#elif SCALE == 5
    let w = raw.scale >> ((group & 1u) * 16u);
    let d = unpack2x16float(raw.other);
    return vec2<f32>(d.x * f32(w & 0xffu), d.y * -f32((w >> 8u) & 0xffu));
#elif SCALE == 6
    let d = unpack2x16float(raw.other);
    let s = d.x * f32((bitcast<i32>(raw.scale) << (24u - (group & 3u) * 8u)) >> 24u);
    return vec2<f32>(s, s * -${ZERO}.0);
#elif SCALE == 7
    let w = (raw.scale >> ((group & 3u) * 8u)) & 0xffu;
    return vec2<f32>(bitcast<f32>(max(w << 23u, 0x400000u)), 0.0);
#elif SCALE == 8 || SCALE == 9
    let w = (raw.scale >> ((group & 3u) * 8u)) & 0x7fu;
    let s = select(bitcast<f32>((w << 20u) + 0x3c000000u), f32(w) * 0.001953125, w < 8u);
#if SCALE == 9
    return vec2<f32>(s * bitcast<f32>(raw.other) * global, 0.0);
#else
    return vec2<f32>(s * global, 0.0);
#end
#else
    return vec2<f32>(1.0, 0.0);
#end
}

// Number of a block's group: there is one for each half of a block, or one for all of it.
fn group_of(block: u32, half: u32) -> u32 {
#if HALVES == 2
    return block * 2u + half;
#elif SCALE == 0
    return 0u;
#else
    return block * 32u / ${GROUP}u;
#end
}
fn raw_scale(tile: u32, block: u32, blocks: u32, half: u32, lane: u32) -> RawScale {
#if HALVES == 2
    return load_scale(tile, group_of(block, half), blocks * 2u, lane);
#elif SCALE == 0
    return RawScale();
#else
    return load_scale(tile, group_of(block, half), blocks * 32u / ${GROUP}u, lane);
#end
}
fn scale_offset(tile: u32, block: u32, blocks: u32, half: u32, lane: u32, global: f32) -> vec2<f32> {
    return decode_scale(raw_scale(tile, block, blocks, half, lane), group_of(block, half), global);
}
