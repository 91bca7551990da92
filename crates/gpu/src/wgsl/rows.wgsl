// One row a workgroup: KIND 0 softmax, 1 sum, 2 mean, 3 maximum, 4 minimum, 5 place of the (first) maximum, as a word.
#include sum_group
#buffer x read array<f32>
#buffer out write array<f32>

struct Params {
    dim: u32,
    x_stride: u32,
    scale: f32,
}
var<immediate> params: Params;

#if KIND == 5
var<workgroup> places: array<u32, 256>;
#end

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.x * params.x_stride;
#if KIND == 0
    var largest = -3.4e38;
    for (var k = thread; k < params.dim; k += 256u) {
        largest = max(largest, x[row + k] * params.scale);
    }
    largest = maximum_group(thread, largest);
    var sum = 0.0;
    for (var k = thread; k < params.dim; k += 256u) {
        let e = exp(x[row + k] * params.scale - largest);
        sum += e;
        out[group.x * params.dim + k] = e;
    }
    sum = sum_group(thread, sum);
    for (var k = thread; k < params.dim; k += 256u) {
        out[group.x * params.dim + k] /= sum;
    }
#elif KIND == 5
    var best = -3.4e38;
    var place = 0xffffffffu;
    for (var k = thread; k < params.dim; k += 256u) {
        let value = x[row + k];
        if (value > best || place == 0xffffffffu) {
            best = value;
            place = k;
        }
    }
    group_values[thread] = best;
    places[thread] = place;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (thread < half) {
            let other = group_values[thread + half];
            let better = other > group_values[thread] || (other == group_values[thread] && places[thread + half] < places[thread]);
            if (places[thread + half] != 0xffffffffu && (better || places[thread] == 0xffffffffu)) {
                group_values[thread] = other;
                places[thread] = places[thread + half];
            }
        }
    }
    if (thread == 0u) {
        out[group.x] = bitcast<f32>(places[0]);
    }
#else
#if KIND == 3
    var value = -3.4e38;
#elif KIND == 4
    var value = -3.4e38;
#else
    var value = 0.0;
#end
    for (var k = thread; k < params.dim; k += 256u) {
#if KIND == 3
        value = max(value, x[row + k]);
#elif KIND == 4
        value = max(value, -x[row + k]);
#else
        value += x[row + k];
#end
    }
#if KIND == 3
    value = maximum_group(thread, value);
#elif KIND == 4
    value = -maximum_group(thread, value);
#else
    value = sum_group(thread, value);
#end
    if (thread == 0u) {
#if KIND == 2
        value /= f32(params.dim);
#end
        out[group.x] = value * params.scale;
    }
#end
}
