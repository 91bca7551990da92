                // What the next block takes.
                if (block + 1u < end) {
#for t in 0..EACH
                    codes_${t} = load_block(tile * blocks + block + 1u, place + ${t * LANES}u);
#for h in 0..HALVES
                    raw_${t}_${h} = raw_scale(tile, block + 1u, blocks, ${h}u, place + ${t * LANES}u);
#end
#end
                }
