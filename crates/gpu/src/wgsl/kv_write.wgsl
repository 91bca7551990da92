// The keys and values of packed rows go to their places in the pages; a thread writes one word.
#buffer qkv read array<f32>
#buffer rows read array<vec2<u32>>
#buffer tables read array<u32>
#buffer pages write array<u32>

struct Params { row_stride: u32, first: u32 }
var<immediate> params: Params;

#include kv_word

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
    let at = group.y * params.row_stride + params.first + element;
    pages[(start + (row.x % PAGE) * width + within % width) / PER_WORD] = word(qkv[at], qkv[at + PER_WORD - 1u]);
}
