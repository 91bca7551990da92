// Four neighbouring elements of cached keys or values: f32, f16 or bf16 (ELEMENT 0, 1, 2); 8 and 4 bits (3, 4), whose
// scales stand behind a head's integers: those of the keys of a page, then those of its values. Declares `pages`.
#set KEY_QUADS = KEY_DIM / 4
#set VALUE_QUADS = VALUE_DIM / 4
#if ELEMENT == 0
#buffer pages read array<vec4<f32>>
fn kv_quad(index: u32) -> vec4<f32> {
    return pages[index];
}
#elif ELEMENT == 1
#buffer pages read array<vec2<u32>>
fn kv_quad(index: u32) -> vec4<f32> {
    let pair = pages[index];
    return vec4<f32>(unpack2x16float(pair.x), unpack2x16float(pair.y));
}
#elif ELEMENT == 2
#buffer pages read array<vec2<u32>>
fn kv_quad(index: u32) -> vec4<f32> {
    let pair = pages[index];
    return bitcast<vec4<f32>>(vec4<u32>(pair.x << 16u, pair.x & 0xffff0000u, pair.y << 16u, pair.y & 0xffff0000u));
}
#elif ELEMENT == 3
#buffer pages read array<u32>
#set QUADS_PER_WORD = 1
fn kv_quad(index: u32) -> vec4<f32> {
    return vec4<f32>((vec4<i32>(bitcast<i32>(pages[index])) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u));
}
#else
#buffer pages read array<u32>
#set QUADS_PER_WORD = 2
fn kv_quad(index: u32) -> vec4<f32> {
    let word = pages[index / 2u] >> ((index & 1u) * 16u);
    return vec4<f32>(2 * vec4<i32>((vec4<u32>(word) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u)) - vec4<i32>(15));
}
#end
#if ELEMENT >= 3
#set INTEGER_WORDS = PAGE * (KEY_QUADS + VALUE_QUADS) / QUADS_PER_WORD
// `place`: a position in its page, and PAGE more for its value.
fn kv_scale(page: u32, head: u32, place: u32) -> f32 {
    return bitcast<f32>(pages[(page * KV_HEADS + head) * ${INTEGER_WORDS + 2 * PAGE}u + ${INTEGER_WORDS}u + place]);
}
#end
// First quad of a head's keys in a page; its values stand PAGE keys further.
fn kv_page(page: u32, head: u32) -> u32 {
#if ELEMENT >= 3
    return (page * KV_HEADS + head) * ${(INTEGER_WORDS + 2 * PAGE) * QUADS_PER_WORD}u;
#else
    return (page * KV_HEADS + head) * ${PAGE * (KEY_QUADS + VALUE_QUADS)}u;
#end
}
