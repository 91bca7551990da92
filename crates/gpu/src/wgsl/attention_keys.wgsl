    // Quads of slice P of the keys of tile `next` are asked for.
    {
#if PAGE % 64 == 0
        let first = kv_page(tables[here.y + next * 64u / PAGE], kv_head);
#end
#for e in 0..KEYS_EACH
        {
            let item = min(thread + ${e * 256}u, ${64 * KEY_SLICE - 1}u);
            let quad = min(item % ${KEY_SLICE}u + ${P * KEY_SLICE}u, ${KEY_QUADS - 1}u);
#if PAGE % 64 == 0
            key_${e} = kv_raw(first + (next * 64u % PAGE + item / ${KEY_SLICE}u) * ${KEY_QUADS}u + quad);
#else
            let key = seen_or_own(next * 64u + item / ${KEY_SLICE}u, position);
            key_${e} = kv_raw(kv_page(tables[here.y + key / PAGE], kv_head) + key % PAGE * ${KEY_QUADS}u + quad);
#end
        }
#end
#if ELEMENT >= 3 && P == 0
        let scaled = seen_or_own(next * 64u + thread % 64u, position);
        let scaled_page = tables[here.y + scaled / PAGE];
        key_scale = kv_scale(scaled_page, kv_head, scaled % PAGE);
        value_scale = kv_scale(scaled_page, kv_head, PAGE + scaled % PAGE);
#end
    }
