//! Rows of a dense table by index: the embedding of a batch of tokens.

use crate::dense::DenseMatrix;
use crate::pool::Pool;

/// `out[i, :] = table[ids[i], :]`, widened to f32. `out`: `[ids.len(), table.columns]`. Panics when an id is out of range.
pub fn gather_rows(pool: &Pool, table: &DenseMatrix<'_>, ids: &[u32], out: &mut [f32]) {
    let (columns, bytes) = (table.columns, table.columns * table.dtype.size());
    assert_eq!(out.len(), ids.len() * columns, "[gather] output is not [{}, {columns}]", ids.len());
    assert_eq!(table.data.len(), table.rows * bytes, "[gather] table [{}, {columns}]", table.rows);
    if let Some(id) = ids.iter().find(|&&id| id as usize >= table.rows) {
        panic!("[gather] row {id} of a table of {} rows", table.rows);
    }
    if columns == 0 {
        return;
    }
    let rows = (4096 / columns).max(1);
    pool.run_chunks(out, rows * columns, |index, block| {
        for (i, row) in block.chunks_exact_mut(columns).enumerate() {
            let id = ids[index * rows + i] as usize;
            table.dtype.widen(&table.data[id * bytes..(id + 1) * bytes], row);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dense::DenseType;

    #[test]
    fn takes_rows_of_every_type() {
        let pool = Pool::new(2);
        let values: Vec<f32> = (0..7 * 37).map(|i| i as f32 - 100.0).collect();
        let ids = [6, 0, 3, 3, 1];
        let tables = [
            (DenseType::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>()),
            (DenseType::F16, values.iter().flat_map(|&value| crate::f16::from_f32(value).to_le_bytes()).collect()),
            (DenseType::Bf16, values.iter().flat_map(|&value| crate::bf16::from_f32(value).to_le_bytes()).collect()),
        ];
        for (dtype, data) in tables {
            let table = DenseMatrix { dtype, rows: 7, columns: 37, data: &data };
            let mut out = vec![0.0; 5 * 37];
            gather_rows(&pool, &table, &ids, &mut out);
            for (row, id) in out.chunks_exact(37).zip(ids) {
                assert_eq!(row, &values[id as usize * 37..][..37], "{dtype:?} row {id}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "[gather] row 7 of a table of 7 rows")]
    fn an_id_out_of_range_panics() {
        let table = DenseMatrix { dtype: DenseType::F32, rows: 7, columns: 1, data: &[0; 28] };
        gather_rows(&Pool::new(1), &table, &[2, 7], &mut [0.0; 2]);
    }
}
