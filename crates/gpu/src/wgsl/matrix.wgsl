// Matrices in hardware, MATRIX by MATRIX, and how halves lie in a workgroup's memory: rows of 32 and some more, so that
// rows do not share banks, in elements of UNIT halves. Metal knows pointers to scalars only, and no `{}` that is certainly zero.
enable f16;
enable wgpu_cooperative_matrix;
#if MATRIX == 8
alias MatrixA = coop_mat8x8<f16, A>;
alias MatrixB = coop_mat8x8<f16, B>;
alias MatrixC = coop_mat8x8<f32, C>;
#else
alias MatrixA = coop_mat16x16<f16, A>;
alias MatrixB = coop_mat16x16<f16, B>;
alias MatrixC = coop_mat16x16<f32, C>;
#end
#set STRIDE = 40 / UNIT
#set STEPS = 32 / MATRIX
#set ELEMENTS = MATRIX * MATRIX / SUBGROUP
