// What a product by floats reads: rows, by quads where they are whole quads, the matrix, and what a norm multiplies by.
#include row_x
#include weights
#include row_norm
