// out[i, :] = x[numbers[i], :], words. With SCATTER: out[numbers[i], :] = x[i, :]. Numbers beyond `rows` do nothing.
#buffer x read array<u32>
#buffer numbers read array<u32>
#buffer out write array<u32>

struct Params {
    count: u32,
    width: u32,
    rows: u32,
}
var<immediate> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let e = (group.y * 32768u + group.x) * 256u + thread;
    if (e >= params.count) { return; }
    let number = numbers[e / params.width];
    if (number >= params.rows) { return; }
    let there = number * params.width + e % params.width;
#if SCATTER == 1
    out[there] = x[e];
#else
    out[e] = x[there];
#end
}
