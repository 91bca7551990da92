// Where halves wait for their matrices, STAGED units of them, and the zeros that sums of 8 by 8 begin with.
#if UNIT == 1
var<workgroup> staged: array<f16, ${STAGED}>;
#else
var<workgroup> staged: array<vec4<f16>, ${STAGED}>;
#end
#if MATRIX == 8
var<workgroup> zeros: array<f32, 64>;
#end
