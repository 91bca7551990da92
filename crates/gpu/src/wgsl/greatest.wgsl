// The COUNT greatest of each part of 1,024 elements of a row, greatest first, equal ones by number; as pairs of value and
// number. FIRST: elements are values, numbered by their place, and with SUMS each part gives its maximum m and the sum of
// exp((x - m) * factor); else elements are pairs of an earlier pass. NaN counts as the least value, -0 as 0.
#if SUMS == 1
#include sum_group
#end
#buffer input read array<u32>
#buffer out write array<vec2<u32>>
#if SUMS == 1
#buffer factors read array<f32>
#buffer sums write array<vec2<f32>>
#end

struct Params {
    dim: u32,
    parts: u32,
}
var<immediate> params: Params;

var<workgroup> keys: array<u32, 1024>;
var<workgroup> numbers: array<u32, 1024>;

// Larger values have larger keys; 0 is that of NaN and of nothing.
fn key_of(bits: u32) -> u32 {
    if ((bits & 0x7fffffffu) > 0x7f800000u) { return 0u; }
    if (bits == 0x80000000u) { return bits; }
    return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

fn value_of(key: u32) -> u32 {
    return select(~key, key & 0x7fffffffu, (key & 0x80000000u) != 0u);
}

fn is_before(a: u32, b: u32) -> bool {
    return keys[a] > keys[b] || (keys[a] == keys[b] && numbers[a] < numbers[b]);
}

fn put_in_order(a: u32, b: u32, forward: bool) {
    if (is_before(b, a) == forward) {
        let key = keys[a];
        let number = numbers[a];
        keys[a] = keys[b];
        numbers[a] = numbers[b];
        keys[b] = key;
        numbers[b] = number;
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let first = group.x * 1024u;
#if SUMS == 1
    var largest = -3.4e38;
#end
#for i in 0..4
    {
        let at = thread + ${256 * i}u;
        let place = first + at;
        var key = 0u;
        var number = 0xffffffffu;
        if (place < params.dim) {
#if FIRST == 1
            let bits = input[group.y * params.dim + place];
            number = place;
#else
            let bits = input[(group.y * params.dim + place) * 2u];
            number = input[(group.y * params.dim + place) * 2u + 1u];
#end
            key = key_of(bits);
#if SUMS == 1
            largest = max(largest, bitcast<f32>(bits));
#end
        }
        keys[at] = key;
        numbers[at] = number;
    }
#end
#if SUMS == 1
    largest = maximum_group(thread, largest);
    let factor = factors[group.y];
    var sum = 0.0;
#for i in 0..4
    {
        let place = first + thread + ${256 * i}u;
        if (place < params.dim) {
            sum += exp((max(bitcast<f32>(input[group.y * params.dim + place]), -3.4e38) - largest) * factor);
        }
    }
#end
    sum = sum_group(thread, sum);
    if (thread == 0u) {
        sums[group.y * params.parts + group.x] = vec2<f32>(largest, sum);
    }
#end
    workgroupBarrier();
    // Each run of COUNT elements is sorted.
    for (var size = 2u; size <= COUNT; size *= 2u) {
        for (var stride = size / 2u; stride > 0u; stride /= 2u) {
            for (var pair = thread; pair < 512u; pair += 256u) {
                let a = pair / stride * stride * 2u + pair % stride;
                put_in_order(a, a + stride, size == COUNT || (a & size) == 0u);
            }
            workgroupBarrier();
        }
    }
    // Half of the runs stay: the better ones of a run and another one backwards, which need little sorting.
    for (var runs = ${512 / COUNT}u; runs > 0u; runs /= 2u) {
        for (var a = thread; a < runs * COUNT; a += 256u) {
            let b = runs * COUNT + a / COUNT * COUNT + (COUNT - 1u - a % COUNT);
            if (is_before(b, a)) {
                keys[a] = keys[b];
                numbers[a] = numbers[b];
            }
        }
        workgroupBarrier();
        for (var stride = COUNT / 2u; stride > 0u; stride /= 2u) {
            for (var pair = thread; pair < runs * COUNT / 2u; pair += 256u) {
                let a = pair / stride * stride * 2u + pair % stride;
                put_in_order(a, a + stride, true);
            }
            workgroupBarrier();
        }
    }
    if (thread < COUNT) {
        out[(group.y * params.parts + group.x) * COUNT + thread] = vec2<u32>(value_of(keys[thread]), numbers[thread]);
    }
}
