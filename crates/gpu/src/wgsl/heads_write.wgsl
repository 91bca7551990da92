// What `heads` and `kv_write` do, in one: behind the query and key heads stand those of the values, which only go to their
// pages.
#buffer qkv update array<f32>
#set AT_ONCE = 1
#set HEAD_ROUNDS = 1
#include head_shared
#buffer rows read array<vec2<u32>>
#buffer tables read array<u32>
#buffer pages write array<u32>

struct Params { row_stride: u32, epsilon: f32 }
var<immediate> params: Params;

#include kv_word

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let row = rows[group.y];
    let is_there = row.x != 0xffffffffu;
    let place = row.x % PAGE;
    if (group.x >= HEADS + KV_HEADS) {
        if (!is_there) { return; }
        let kv_head = group.x - HEADS - KV_HEADS;
        let start = group.y * params.row_stride + (HEADS + KV_HEADS) * HEAD_DIM + kv_head * VALUE_DIM;
        let to = page_of(row, kv_head) + PAGE * HEAD_DIM + place * VALUE_DIM;
        for (var d = lane * PER_WORD; d < VALUE_DIM; d += 64u * PER_WORD) {
            pages[(to + d) / PER_WORD] = word(qkv[start + d], qkv[start + d + PER_WORD - 1u]);
        }
        return;
    }
    let slot = 0u;
    let of_row = group.y;
    let number_0 = group.x;
#include head_load
#include head_norm
#set R = 0
#include head
    for (var d = lane; d < HEAD_DIM; d += 64u) {
        qkv[group.y * params.row_stride + group.x * HEAD_DIM + d] = head[d];
    }
    if (is_there && group.x >= HEADS) {
        let to = page_of(row, group.x - HEADS) + place * HEAD_DIM;
        for (var d = lane * PER_WORD; d < HEAD_DIM; d += 64u * PER_WORD) {
            pages[(to + d) / PER_WORD] = word(head[d], head[d + PER_WORD - 1u]);
        }
    }
}

// The first element of a head in the row's page.
fn page_of(row: vec2<u32>, kv_head: u32) -> u32 {
    return (tables[row.y + row.x / PAGE] * KV_HEADS + kv_head) * (PAGE * (HEAD_DIM + VALUE_DIM));
}
