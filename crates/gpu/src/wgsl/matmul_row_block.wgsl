        // What block `block` takes.
#for t in 0..EACH
        {
            let tile = group.x / ${32 / SHARE}u + ${t / SIDE}u * ups;
            let place = group.x % ${32 / SHARE}u * ${SHARE}u + ${t % SIDE * LANES}u + lane;
            codes_${t}_${d} = load_block(tile * blocks + block, place);
#for h in 0..HALVES
            raw_${t}_${d}_${h} = raw_scale(tile, block, blocks, ${h}u, place);
#end
        }
#end
