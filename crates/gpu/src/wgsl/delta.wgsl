// The gated delta rule: 32 columns of one value head's state of one sequence a workgroup, through all of its rows. Four
// threads share a column, each with a quarter of the keys in registers; their sums are joined in order.
// S = decay * S; S += k (x) beta * (v - S^T k); out = S^T q; k and q of unit length, q over sqrt(KEY_DIM).
#buffer queries read array<f32>
#buffer keys read array<f32>
#buffer values read array<f32>
#buffer decay read array<f32>
#buffer beta read array<f32>
#buffer spans read array<vec4<u32>>
#buffer states update array<f32>
#buffer out write array<f32>

struct Params {
    key_heads: u32,
    value_heads: u32,
    query_stride: u32,
    key_stride: u32,
    value_stride: u32,
    gate_stride: u32,
    out_stride: u32,
}
var<immediate> params: Params;

#set PART = KEY_DIM / 4
var<workgroup> key: array<f32, ${KEY_DIM}>;
var<workgroup> query: array<f32, ${KEY_DIM}>;
var<workgroup> partial: array<f32, 256>;

@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let span = spans[group.z];
    if (span.y == 0u) { return; }
    let head = group.y;
    let key_head = head / (params.value_heads / params.key_heads);
    let lane = thread & 31u;
    let part = thread >> 5u;
    let column = group.x * 32u + lane;
    let is_column = column < ${VALUE_DIM}u;
    let at = ((span.z * params.value_heads + head) * ${KEY_DIM}u + part * ${PART}u) * ${VALUE_DIM}u + min(column, ${VALUE_DIM - 1}u);
#for i in 0..PART
    var s_${i} = states[at + ${i * VALUE_DIM}u];
#end
    for (var row = span.x; row < span.x + span.y; row++) {
        var squares = vec2<f32>(0.0);
        for (var i = thread; i < ${KEY_DIM}u; i += 128u) {
            let q = queries[row * params.query_stride + key_head * ${KEY_DIM}u + i];
            let k = keys[row * params.key_stride + key_head * ${KEY_DIM}u + i];
            query[i] = q;
            key[i] = k;
            squares = fma(vec2<f32>(q, k), vec2<f32>(q, k), squares);
        }
        partial[thread] = squares.x;
        partial[128u + thread] = squares.y;
        for (var half = 64u; half > 0u; half /= 2u) {
            workgroupBarrier();
            if (thread < half) {
                partial[thread] += partial[thread + half];
                partial[128u + thread] += partial[128u + thread + half];
            }
        }
        workgroupBarrier();
        let query_factor = 1.0 / sqrt(partial[0] + 1.0e-6) / sqrt(f32(${KEY_DIM}));
        let key_factor = 1.0 / sqrt(partial[128] + 1.0e-6);
        let left = decay[row * params.gate_stride + head];
        var found = 0.0;
#for i in 0..PART
        s_${i} *= left;
        found = fma(s_${i}, key[part * ${PART}u + ${i}u], found);
#end
        workgroupBarrier();
        partial[thread] = found;
        workgroupBarrier();
        let sum = ((partial[lane] + partial[32u + lane]) + partial[64u + lane]) + partial[96u + lane];
        let value = values[row * params.value_stride + head * ${VALUE_DIM}u + min(column, ${VALUE_DIM - 1}u)];
        let step = beta[row * params.gate_stride + head] * fma(-key_factor, sum, value) * key_factor;
        var answer = 0.0;
#for i in 0..PART
        s_${i} = fma(step, key[part * ${PART}u + ${i}u], s_${i});
        answer = fma(s_${i}, query[part * ${PART}u + ${i}u], answer);
#end
        workgroupBarrier();
        partial[thread] = answer;
        workgroupBarrier();
        if (part == 0u && is_column) {
            let all = ((partial[lane] + partial[32u + lane]) + partial[64u + lane]) + partial[96u + lane];
            out[row * params.out_stride + head * ${VALUE_DIM}u + column] = all * query_factor;
        }
        workgroupBarrier();
    }
    if (is_column) {
#for i in 0..PART
        states[at + ${i * VALUE_DIM}u] = s_${i};
#end
    }
}
