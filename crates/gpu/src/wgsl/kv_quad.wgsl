// Four neighbouring elements of cached keys or values: f32, f16 or bf16 (ELEMENT 0, 1, 2); 8 and 4 bits (3, 4), whose
// scales stand behind a head's integers: those of the keys of a page, then those of its values. Declares `pages`, with WRITES
// as what is written too. A Raw is a quad as it is stored.
#set KEY_QUADS = KEY_DIM / 4
#set VALUE_QUADS = VALUE_DIM / 4
#if ELEMENT == 0
alias Raw = vec4<f32>;
#elif ELEMENT <= 2
alias Raw = vec2<u32>;
#else
alias Raw = u32;
#end
#if WRITES > 0
#buffer pages update array<Raw>
#else
#buffer pages read array<Raw>
#end
#if ELEMENT == 4
fn kv_raw(index: u32) -> Raw {
    return pages[index / 2u] >> ((index & 1u) * 16u);
}
#else
fn kv_raw(index: u32) -> Raw {
    return pages[index];
}
#end
fn kv_of(raw: Raw) -> vec4<f32> {
#if ELEMENT == 0
    return raw;
#elif ELEMENT == 1
    return vec4<f32>(unpack2x16float(raw.x), unpack2x16float(raw.y));
#elif ELEMENT == 2
    return bitcast<vec4<f32>>(vec4<u32>(raw.x << 16u, raw.x & 0xffff0000u, raw.y << 16u, raw.y & 0xffff0000u));
#elif ELEMENT == 3
    return vec4<f32>((vec4<i32>(bitcast<i32>(raw)) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u));
#else
    return vec4<f32>(2 * vec4<i32>((vec4<u32>(raw) >> vec4<u32>(0u, 4u, 8u, 12u)) & vec4<u32>(15u)) - vec4<i32>(15));
#end
}
fn kv_quad(index: u32) -> vec4<f32> {
    return kv_of(kv_raw(index));
}
#if ELEMENT == 3
#set QUADS_PER_WORD = 1
#else
#set QUADS_PER_WORD = 2
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
