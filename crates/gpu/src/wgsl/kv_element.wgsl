// Elements of cached keys and values: f32, f16 or bf16 (ELEMENT 0, 1, 2), the latter two in pairs.
#if ELEMENT == 0
fn kv_load(index: u32) -> f32 {
    return bitcast<f32>(pages[index]);
}
#elif ELEMENT == 1
fn kv_load(index: u32) -> f32 {
    let pair = unpack2x16float(pages[index / 2u]);
    return select(pair.x, pair.y, (index & 1u) == 1u);
}
#else
fn kv_load(index: u32) -> f32 {
    let word = pages[index / 2u];
    return bitcast<f32>(select(word << 16u, word & 0xffff0000u, (index & 1u) == 1u));
}
#end
// First element of a position's key; its value lies PAGE * KEY_DIM + position * (VALUE_DIM - KEY_DIM) further.
fn kv_page(page: u32, head: u32) -> u32 {
    return (page * KV_HEADS + head) * (PAGE * (KEY_DIM + VALUE_DIM));
}
