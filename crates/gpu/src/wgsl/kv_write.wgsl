// The keys and values of packed rows go to their places in the pages; a thread writes one word.
#buffer qkv read array<f32>
#buffer rows read array<vec2<u32>>
#buffer tables read array<u32>
#buffer pages write array<u32>

struct Params { row_stride: u32, first: u32 }
var<immediate> params: Params;

#if ELEMENT == 0
const PER_WORD: u32 = 1u;
fn word(at: u32) -> u32 {
    return bitcast<u32>(qkv[at]);
}
#elif ELEMENT == 1
const PER_WORD: u32 = 2u;
fn word(at: u32) -> u32 {
    return pack2x16float(vec2<f32>(qkv[at], qkv[at + 1u]));
}
#else
const PER_WORD: u32 = 2u;
fn rounded(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    return (bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u;
}
fn word(at: u32) -> u32 {
    return rounded(qkv[at]) | (rounded(qkv[at + 1u]) << 16u);
}
#end

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = rows[group.y];
    let element = (group.x * 64u + lane) * PER_WORD;
    if (row.x == 0xffffffffu || element >= KV_HEADS * (KEY_DIM + VALUE_DIM)) {
        return;
    }
    let is_value = element >= KV_HEADS * KEY_DIM;
    let width = select(KEY_DIM, VALUE_DIM, is_value);
    let within = select(element, element - KV_HEADS * KEY_DIM, is_value);
    let page = tables[row.y + row.x / PAGE];
    let start = (page * KV_HEADS + within / width) * (PAGE * (KEY_DIM + VALUE_DIM)) + select(0u, PAGE * KEY_DIM, is_value);
    pages[(start + (row.x % PAGE) * width + within % width) / PER_WORD] = word(group.y * params.row_stride + params.first + element);
}
