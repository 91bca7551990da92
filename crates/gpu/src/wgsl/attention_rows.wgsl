// Which rows `attention_tile` takes together: neighbours of one sequence, up to the next position that is a multiple of ROWS.
// A tile of a single row is left to `attention`.
#set ROWS = TILE_SLOTS / BLOCK
var<workgroup> follows: array<u32, ${ROWS}>;
var<workgroup> tile_rows: u32;

// Rows of the tile that begins at row `first`; none, if none begins there.
fn rows_of_tile(first: u32, thread: u32) -> u32 {
    let row = rows[first];
    if (thread < ${ROWS}u) {
        let other = rows[min(first + thread, params.count - 1u)];
        let near = first + thread < params.count && row.x % ${ROWS}u + thread < ${ROWS}u;
        follows[thread] = u32(near && other.y == row.y && other.x == row.x + thread);
    }
    workgroupBarrier();
    if (thread == 0u) {
        let before = rows[max(first, 1u) - 1u];
        let goes_on = first > 0u && row.x % ${ROWS}u != 0u && before.y == row.y && before.x + 1u == row.x;
        var count = 0u;
        if (row.x != 0xffffffffu && !goes_on) {
            while (count < ${ROWS}u && follows[min(count, ${ROWS - 1}u)] == 1u) {
                count++;
            }
        }
        tile_rows = count;
    }
    return workgroupUniformLoad(&tile_rows);
}
