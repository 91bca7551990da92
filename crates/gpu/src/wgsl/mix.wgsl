// out[t, d] = sum over a token's choices, best first, of weight times its expert's row; RESIDUAL: on top of it.
#buffer x read array<f32>
#buffer weights read array<f32>
#buffer residual read array<f32>
#buffer out write array<f32>

struct Params {
    count: u32,
    dim: u32,
    choices: u32,
}
var<immediate> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let e = (group.y * 32768u + group.x) * 256u + thread;
    if (e >= params.count) { return; }
    let token = e / params.dim;
    var sum = 0.0;
    for (var k = 0u; k < params.choices; k++) {
        let pair = token * params.choices + k;
        sum = fma(weights[pair], x[pair * params.dim + e % params.dim], sum);
    }
#if RESIDUAL == 1
    sum = residual[e] + sum;
#end
    out[e] = sum;
}
