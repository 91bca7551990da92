// Elements of cached keys and values: f32, f16 or bf16 (ELEMENT 0, 1, 2), the latter two in pairs; 8 and 4 bits (3, 4),
// whose scales stand behind a head's integers: those of the keys of a page, then those of its values.
#if ELEMENT == 0
fn kv_load(index: u32) -> f32 {
    return bitcast<f32>(pages[index]);
}
#elif ELEMENT == 1
fn kv_load(index: u32) -> f32 {
    let pair = unpack2x16float(pages[index / 2u]);
    return select(pair.x, pair.y, (index & 1u) == 1u);
}
#elif ELEMENT == 2
fn kv_load(index: u32) -> f32 {
    let word = pages[index / 2u];
    return bitcast<f32>(select(word << 16u, word & 0xffff0000u, (index & 1u) == 1u));
}
#elif ELEMENT == 3
const PER_WORD: u32 = 4u;
fn kv_load(index: u32) -> f32 {
    return f32(bitcast<i32>(pages[index / 4u] << (24u - (index & 3u) * 8u)) >> 24u);
}
#else
const PER_WORD: u32 = 8u;
fn kv_load(index: u32) -> f32 {
    return f32(2 * i32((pages[index / 8u] >> ((index & 7u) * 4u)) & 15u) - 15);
}
#end
#if ELEMENT >= 3
const INTEGER_WORDS: u32 = PAGE * (KEY_DIM + VALUE_DIM) / PER_WORD;
// `place`: a position in its page, and PAGE more for its value.
fn kv_scale(page: u32, head: u32, place: u32) -> f32 {
    return bitcast<f32>(pages[(page * KV_HEADS + head) * (INTEGER_WORDS + 2u * PAGE) + INTEGER_WORDS + place]);
}
#end
// First element of a position's key; its value lies PAGE * KEY_DIM + position * (VALUE_DIM - KEY_DIM) further.
fn kv_page(page: u32, head: u32) -> u32 {
#if ELEMENT >= 3
    return (page * KV_HEADS + head) * (INTEGER_WORDS + 2u * PAGE) * PER_WORD;
#else
    return (page * KV_HEADS + head) * (PAGE * (KEY_DIM + VALUE_DIM));
#end
}
