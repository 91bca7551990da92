// Sorting the places of rows by their values, equal ones in the order of their places: a network of comparisons that all
// put the smaller pair first, so that what is missing behind a row's end never moves. A pair is a number that orders as
// the value does, and a place. MODE 0: pairs from values, stretches of 1024 are sorted. MODE 1: one comparison of each
// pair `distance` apart (or mirrored in a stretch of `distance`). MODE 2: the comparisons within stretches of 1024 that
// end a merge. MODE 3: places, and values, from pairs.
#if MODE == 0
#buffer x read array<f32>
#buffer pairs write array<vec2<u32>>
#elif MODE == 3
#buffer x read array<f32>
#buffer pairs read array<vec2<u32>>
#buffer places write array<u32>
#buffer sorted write array<f32>
#else
#buffer pairs update array<vec2<u32>>
#end

struct Params { dim: u32, x_stride: u32, distance: u32, mirrored: u32 }
var<immediate> params: Params;

fn is_behind(a: vec2<u32>, b: vec2<u32>) -> bool {
    return a.x > b.x || (a.x == b.x && a.y > b.y);
}

#if MODE == 0 || MODE == 2
var<workgroup> here: array<vec2<u32>, 1024>;

// Comparisons of pairs `distance` apart, or mirrored in stretches of `distance`.
fn compare_here(thread: u32, distance: u32, mirrored: bool) {
    for (var i = thread; i < 512u; i += 256u) {
        var low = 0u;
        var high = 0u;
        if (mirrored) {
            let half = distance / 2u;
            low = i / half * distance + i % half;
            high = i / half * distance + distance - 1u - i % half;
        } else {
            low = i / distance * distance * 2u + i % distance;
            high = low + distance;
        }
        let a = here[low];
        let b = here[high];
        if (is_behind(a, b)) {
            here[low] = b;
            here[high] = a;
        }
    }
    workgroupBarrier();
}
#end

#if MODE == 0
// Numbers that order as floats do: both zeros alike, what is no number last.
fn order(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) { return 0xfffffffeu; }
    if ((bits & 0x7fffffffu) == 0u) { return 0x80000000u; }
    return select(bits | 0x80000000u, ~bits, bits >= 0x80000000u);
}
#end

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = group.y * params.dim;
#if MODE == 0 || MODE == 2
    let first = group.x * 1024u;
    for (var i = thread; i < 1024u; i += 256u) {
        var pair = vec2<u32>(0xffffffffu);
        if (first + i < params.dim) {
#if MODE == 0
            pair = vec2<u32>(order(x[group.y * params.x_stride + first + i]), first + i);
#else
            pair = pairs[row + first + i];
#end
        }
        here[i] = pair;
    }
    workgroupBarrier();
#if MODE == 0
    for (var stretch = 2u; stretch <= 1024u; stretch *= 2u) {
        compare_here(thread, stretch, true);
        for (var distance = stretch / 4u; distance > 0u; distance /= 2u) {
            compare_here(thread, distance, false);
        }
    }
#else
    for (var distance = 512u; distance > 0u; distance /= 2u) {
        compare_here(thread, distance, false);
    }
#end
    for (var i = thread; i < 1024u; i += 256u) {
        if (first + i < params.dim) { pairs[row + first + i] = here[i]; }
    }
#elif MODE == 1
    let i = group.x * 256u + thread;
    let distance = params.distance;
    var low = i / distance * distance * 2u + i % distance;
    var high = low + distance;
    if (params.mirrored != 0u) {
        let half = distance / 2u;
        low = i / half * distance + i % half;
        high = i / half * distance + distance - 1u - i % half;
    }
    if (high < params.dim) {
        let a = pairs[row + low];
        let b = pairs[row + high];
        if (is_behind(a, b)) {
            pairs[row + low] = b;
            pairs[row + high] = a;
        }
    }
#else
    let i = group.x * 256u + thread;
    if (i < params.dim) {
        let place = pairs[row + i].y;
        places[row + i] = place;
        sorted[row + i] = x[group.y * params.x_stride + place];
    }
#end
}
