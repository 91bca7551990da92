    // The sums of the 8 parts, in order: `total_E` is that of element `thread` + 8 SUBGROUP E of ROWS rows of 32.
#set OUTPUTS = 32 * ROWS / (8 * SUBGROUP)
#for e in 0..OUTPUTS
    var total_${e} = 0.0;
#end
    // AT_ONCE parts at a time. A loop of one round or none, for a branch on the subgroup would be taken for one inside it.
#for turn in 0..8 / AT_ONCE
    workgroupBarrier();
    for (var round = part / ${AT_ONCE}u; round == ${turn}u; round = 8u) {
#for r in 0..ROW_TILES
#for t in 0..STEPS
        coopStoreT(sum_${r}_${t}, &sums[((part % ${AT_ONCE}u) * ${ROWS}u + ${r * MATRIX}u) * 32u + ${t * MATRIX}u], 32u);
#end
#end
    }
    workgroupBarrier();
#for e in 0..OUTPUTS
#for p in 0..AT_ONCE
    total_${e} += sums[${p * ROWS * 32 + e * 8 * SUBGROUP}u + thread];
#end
#end
#end
