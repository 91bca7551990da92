// A workgroup's memory for `halves`.
#set VIRTUAL = 1024 / THREADS
#set SUBGROUPS = 1024 / SUBGROUP
#if INPUT == 1
var<workgroup> squares: array<f32, ${SUBGROUPS}>;
#end
var<workgroup> maxima: array<f32, ${SUBGROUPS / VIRTUAL}>;
