// A formula over INPUTS inputs, element by element. Element e of input i is (e / divide) % modulo of its values.
#include math
#for i in 0..INPUTS
#buffer input_${i} read array<f32>
#end
#buffer out write array<f32>

struct Params {
    count: u32,
#for i in 0..INPUTS
    divide_${i}: u32,
    modulo_${i}: u32,
#end
#for i in 0..EXTRA
    p${i}: f32,
#end
}
var<immediate> params: Params;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let e = (group.y * 32768u + group.x) * 256u + thread;
    if (e >= params.count) { return; }
#for i in 0..INPUTS
    let x${i} = input_${i}[(e / params.divide_${i}) % params.modulo_${i}];
#end
#for i in 0..EXTRA
    let p${i} = params.p${i};
#end
    out[e] = $EXPRESSION;
}
