        // DEPTH rounds of `matmul_matrix_one`, from block `i` of each part on. MORE: what comes where a round's weights were is asked for.
#for d in 0..DEPTH
#for r in 0..AT_ONCE
        let block_${d}_${r} = first + i + ${d * AT_ONCE + r}u;
#if WHOLE == 1
        let x_${d}_${r} = block_${d}_${r} * ${32 / UNIT}u;
#else
        let x_${d}_${r} = select(${ROW / UNIT}u, block_${d}_${r} * ${32 / UNIT}u, block_${d}_${r} < end);
#end
#for k in 0..STEPS
        let a_${d}_${r}_${k} = coopLoadT<MatrixA>(&row_halves[x_${d}_${r} + ${k * MATRIX / UNIT}u], 0u);
#end
#end
#for u in 0..TURNS
#for s in u * PER_TURN..u * PER_TURN + PER_TURN
        {
#if WHOLE == 1
            let block = first + i + ${d * AT_ONCE}u + item_${s} / ${TURN}u;
#else
            let block = min(first + i + ${d * AT_ONCE}u + item_${s} / ${TURN}u, blocks - 1u);
#end
#if d % TOGETHER == 0
#for h in 0..HALVES
            so_${s}_${h} = half_scale(raw_${s}_${d}_${h}, block, ${h}u, params.global_scale);
#end
#end
#for e in 0..4
            let here_${e} = eight_${e}(codes_${s}_${d}, so_${s}_${e / 2 * (HALVES - 1)});
            stage(staged_${s} + ${e * 8 / UNIT}u, here_${e}.low);
            stage(staged_${s} + ${(e * 8 + 4) / UNIT}u, here_${e}.high);
#end
#if MORE == 1
#if WHOLE == 1 && PEELED
            let next = block + ${DEPTH * AT_ONCE}u;
#else
            let next = min(block + ${DEPTH * AT_ONCE}u, blocks - 1u);
#end
            codes_${s}_${d} = load_block(tile_${s} * blocks + next, place_${s});
#if d % TOGETHER == 0
#for h in 0..HALVES
            raw_${s}_${d}_${h} = raw_scale(tile_${s}, next, blocks, ${h}u, place_${s});
#end
#end
#end
        }
#end
        subgroupBarrier();
#for r in 0..AT_ONCE
#for k in 0..STEPS
#for t in 0..TURN / MATRIX
        let b_${d}_${u}_${r}_${k}_${t} = coopLoad<MatrixB>(&staged[here + ${t * MATRIX * PITCH + (r * 32 + k * MATRIX) / UNIT}u], ${PITCH}u);
        sum_${u * TURN / MATRIX + t} = coopMultiplyAdd(a_${d}_${r}_${k}, b_${d}_${u}_${r}_${k}_${t}, sum_${u * TURN / MATRIX + t});
#end
#end
#end
        subgroupBarrier();
#end
#end
