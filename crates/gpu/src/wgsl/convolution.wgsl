// Causal convolution of each channel by itself: a thread takes a channel of a sequence through all of its rows. States
// are [slot, KERNEL - 1, channels], oldest first.
#include math
#buffer input read array<f32>
#buffer weight read array<f32>
#buffer bias read array<f32>
#buffer spans read array<vec4<u32>>
#buffer states update array<f32>
#buffer out write array<f32>

struct Params {
    channels: u32,
    input_stride: u32,
    out_stride: u32,
}
var<immediate> params: Params;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let channel = group.x * 64u + thread;
    // First row, rows, slot.
    let span = spans[group.y];
    if (channel >= params.channels || span.y == 0u) { return; }
    let state = span.z * ${KERNEL - 1}u * params.channels + channel;
#for i in 0..KERNEL
    let w_${i} = weight[${i}u * params.channels + channel];
#end
#for i in 0..KERNEL - 1
    var x_${i} = states[state + ${i}u * params.channels];
#end
    for (var row = span.x; row < span.x + span.y; row++) {
        let x_${KERNEL - 1} = input[row * params.input_stride + channel];
#if BIAS == 1
        var sum = bias[channel];
#else
        var sum = 0.0;
#end
#for i in 0..KERNEL
        sum = fma(w_${i}, x_${i}, sum);
#end
#if SILU == 1
        sum = f_silu(sum);
#end
        out[row * params.out_stride + channel] = sum;
#for i in 0..KERNEL - 1
        x_${i} = x_${i + 1};
#end
    }
#for i in 0..KERNEL - 1
    states[state + ${i}u * params.channels] = x_${i};
#end
}
