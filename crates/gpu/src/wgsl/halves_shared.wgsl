// A workgroup's memory for `halves`: it has 8 subgroups.
#if INPUT == 1
var<workgroup> squares: array<f32, 8>;
#end
var<workgroup> maxima: array<u32, 8>;
