    // Quads of slice P of the values of tile `next` are asked for.
    {
#if PAGE % 64 == 0
        let first = kv_page(tables[here.y + next * 64u / PAGE], kv_head) + ${PAGE * KEY_QUADS}u;
#end
#for e in 0..VALUES_EACH
        {
            let item = min(thread + ${e * 256}u, ${64 * VALUE_SLICE - 1}u);
            let quad = min(item % ${VALUE_SLICE}u + ${P * VALUE_SLICE}u, ${VALUE_QUADS - 1}u);
#if PAGE % 64 == 0
            value_${e} = kv_raw(first + (next * 64u % PAGE + item / ${VALUE_SLICE}u) * ${VALUE_QUADS}u + quad);
#else
            let key = seen_or_own(next * 64u + item / ${VALUE_SLICE}u, position);
            value_${e} = kv_raw(kv_page(tables[here.y + key / PAGE], kv_head) + ${PAGE * KEY_QUADS}u + key % PAGE * ${VALUE_QUADS}u + quad);
#end
        }
#end
    }
