// Elements of up to four dimensions from any strides to any strides, with a change of type: 0 words, 1 f16, 2 bf16.
// Where the result has 16 bits it has no gaps, and a thread writes two elements.
#buffer input read array<u32>
#buffer out write array<u32>

struct Params {
    count: u32,
    n1: u32,
    n2: u32,
    n3: u32,
    from_0: i32,
    from_1: i32,
    from_2: i32,
    from_3: i32,
    from_start: u32,
    to_0: i32,
    to_1: i32,
    to_2: i32,
    to_3: i32,
    to_start: u32,
}
var<immediate> params: Params;

fn place(e: u32, strides: vec4<i32>) -> u32 {
    let i3 = e % params.n3;
    let r3 = e / params.n3;
    let i2 = r3 % params.n2;
    let r2 = r3 / params.n2;
    let at = vec4<i32>(vec4<u32>(r2 / params.n1, r2 % params.n1, i2, i3)) * strides;
    return bitcast<u32>(at.x + at.y + at.z + at.w);
}

fn value(e: u32) -> u32 {
    let at = params.from_start + place(e, vec4<i32>(params.from_0, params.from_1, params.from_2, params.from_3));
#if SOURCE == 0
    return input[at];
#elif SOURCE == 1
    return bitcast<u32>(unpack2x16float(input[at / 2u] >> ((at & 1u) * 16u)).x);
#else
    return (input[at / 2u] >> ((at & 1u) * 16u)) << 16u;
#end
}

fn round_bf16(bits: u32) -> u32 {
    return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let e = (group.y * 32768u + group.x) * 256u + thread;
#if TARGET == 0
    if (e >= params.count) { return; }
    out[params.to_start + place(e, vec4<i32>(params.to_0, params.to_1, params.to_2, params.to_3))] = value(e);
#else
    if (e * 2u >= params.count) { return; }
    let low = value(e * 2u);
    let high = select(0u, value(min(e * 2u + 1u, params.count - 1u)), e * 2u + 1u < params.count);
#if TARGET == 1
    out[params.to_start / 2u + e] = pack2x16float(vec2<f32>(bitcast<f32>(low), bitcast<f32>(high)));
#else
    out[params.to_start / 2u + e] = round_bf16(low) | (round_bf16(high) << 16u);
#end
#end
}
