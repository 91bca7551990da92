//! The input of a call as second operands of tiles: packs of up to sixteen rows, rounded to bf16.
//!
//! `[steps][16 pairs of columns][rows of the pack]`, a pair in 32 bits. One row is then just the rounded row.

use super::{Layout, STEP_PAIRS, packs, width};
use crate::dense::panel::{InputRows, Source};
use crate::dense::plan::{Call, Rows};
use crate::pool::{Disjoint, Pool};
use crate::simd::{Avx512, MAX_LANES, Simd};

/// Bring the rows of all groups to packs.
pub fn prepare(pool: &Pool, call: &Call<'_>, layout: &Layout, buffer: &mut [f32]) {
    let shared = Disjoint::new(buffer);
    let mut jobs = Vec::new();
    for (group, rows) in call.groups.iter().enumerate() {
        jobs.extend((0..packs(rows)).map(|pack| (group, pack)));
    }
    pool.run(jobs.len(), &|index| {
        let (group, pack) = jobs[index];
        let rows = &call.groups[group];
        let size = layout.pack(width(rows));
        let start = layout.starts[group] + pack * size;
        // SAFETY: each pack has its own place.
        let out = unsafe { shared.slice(start..start + size) };
        // SAFETY: this module runs on the tier of AMX alone, which has all of AVX-512's.
        unsafe { pack_rows(call, rows, pack * width(rows), out) };
    });
}

/// Rows `first ..` of a group, as many as a pack has and zeros for those beyond the last.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512bf16,avx2,fma,f16c")]
unsafe fn pack_rows(call: &Call<'_>, rows: &Rows<'_>, first: usize, out: &mut [f32]) {
    // SAFETY: the caller's promise.
    let s = unsafe { Avx512::new() };
    let row = |i: usize| rows.input(i);
    let source = InputRows::<true> { x: call.x, columns: call.columns, row: &row };
    let (width, count) = (width(rows), (rows.count() - first).min(width(rows)));
    let mut block = [s.zero(); MAX_LANES];
    for (step, out) in out.chunks_exact_mut(STEP_PAIRS * width).enumerate() {
        if width == 1 {
            s.store_slice(source.vector(s, first, step), out);
            continue;
        }
        source.block(s, first, count, step, &mut block);
        for (pair, &v) in block.iter().enumerate() {
            // What is written beyond the pack's rows is written again by the pairs that follow.
            s.store_slice(v, &mut out[pair * width..]);
        }
    }
}
