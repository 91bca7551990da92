// Running results along rows, one row a workgroup: KIND 0 sum, 1 product, 2 maximum, 3 minimum. Each of 256 threads has
// an equal stretch of 2048 values, the stretches are joined in order: the row alone decides the order.
#buffer x read array<f32>
#buffer out write array<f32>

struct Params { dim: u32, x_stride: u32, reverse: u32, exclusive: u32 }
var<immediate> params: Params;

#if KIND == 0
const NEUTRAL: f32 = 0.0;
fn join(a: f32, b: f32) -> f32 { return a + b; }
#elif KIND == 1
const NEUTRAL: f32 = 1.0;
fn join(a: f32, b: f32) -> f32 { return a * b; }
#elif KIND == 2
const NEUTRAL: f32 = -3.4028234e38;
fn join(a: f32, b: f32) -> f32 { return max(a, b); }
#else
const NEUTRAL: f32 = 3.4028234e38;
fn join(a: f32, b: f32) -> f32 { return min(a, b); }
#end

var<workgroup> joined: array<f32, 256>;

// Where value `k` of the scan stands in a row.
fn place(k: u32) -> u32 {
    return select(k, params.dim - 1u - k, params.reverse != 0u);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let x_row = group.x * params.x_stride;
    let out_row = group.x * params.dim;
    var before = NEUTRAL;
    for (var chunk = 0u; chunk < params.dim; chunk += 2048u) {
        let first = chunk + thread * 8u;
        let end = min(first + 8u, params.dim);
        var value = NEUTRAL;
        for (var k = first; k < end; k++) {
            value = join(value, x[x_row + place(k)]);
        }
        joined[thread] = value;
        for (var step = 1u; step < 256u; step *= 2u) {
            workgroupBarrier();
            var sum = joined[thread];
            if (thread >= step) {
                sum = join(joined[thread - step], sum);
            }
            workgroupBarrier();
            joined[thread] = sum;
        }
        workgroupBarrier();
        var running = before;
        if (thread > 0u) {
            running = join(before, joined[thread - 1u]);
        }
        for (var k = first; k < end; k++) {
            let next = join(running, x[x_row + place(k)]);
            out[out_row + place(k)] = select(next, running, params.exclusive != 0u);
            running = next;
        }
        before = join(before, joined[255]);
        workgroupBarrier();
    }
}
