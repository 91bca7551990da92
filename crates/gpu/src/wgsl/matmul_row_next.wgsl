                // What the block takes that comes where this one was.
                if (some + ${d + DEPTH}u < end) {
                    let block = some + ${d + DEPTH}u;
#include matmul_row_block
                }
