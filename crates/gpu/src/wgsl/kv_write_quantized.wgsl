// The keys and values of packed rows go to their places in pages of 8 or 4 bits (ELEMENT 3, 4): rotated, as integers with
// one scale for each position and head. One vector a workgroup. The steps are those of the CPU's cache.
#buffer qkv read array<f32>
#buffer rows read array<vec2<u32>>
#buffer tables read array<u32>
#buffer pages write array<u32>

struct Params { row_stride: u32, first: u32 }
var<immediate> params: Params;

#set PER_WORD = 4
#if ELEMENT == 4
#set PER_WORD = 8
#end
#set WIDEST = KEY_DIM
#if VALUE_DIM > KEY_DIM
#set WIDEST = VALUE_DIM
#end
const PER_WORD: u32 = ${PER_WORD}u;
const INTEGER_WORDS: u32 = PAGE * (KEY_DIM + VALUE_DIM) / PER_WORD;

#include rotation
var<workgroup> parts: array<f32, 16>;
var<workgroup> others: array<f32, 16>;

fn sum_parts() -> f32 {
    var sum = 0.0;
    for (var i = 0u; i < 16u; i++) { sum += parts[i]; }
    return sum;
}

#if ELEMENT == 4
// Odd integers of -15 .. 15.
fn level(value: f32, inverse: f32) -> f32 {
    return 2.0 * clamp(floor(value * inverse), -8.0, 7.0) + 1.0;
}
#end

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let row = rows[group.y];
    if (row.x == 0xffffffffu) {
        return;
    }
    let head = group.x / 2u;
    let is_value = group.x % 2u == 1u;
    let width = select(KEY_DIM, VALUE_DIM, is_value);
    let start = group.y * params.row_stride + params.first
        + select(head * KEY_DIM, KV_HEADS * KEY_DIM + head * VALUE_DIM, is_value);
    for (var i = thread; i < width; i += 64u) {
        vector[i] = qkv[start + i];
    }
    let block = 1u << countTrailingZeros(width);
    rotate(thread, width, block);
    let factor = 1.0 / sqrt(f32(block));
    for (var i = thread; i < width; i += 64u) {
        vector[i] *= factor;
    }
    workgroupBarrier();
    if (thread < 16u) {
        var part = 0.0;
        for (var i = thread; i < width; i += 16u) {
#if ELEMENT == 3
            // What is no number makes the scale none.
            part = select(part, abs(vector[i]), !(abs(vector[i]) <= part));
#else
            part += vector[i] * vector[i];
#end
        }
        parts[thread] = part;
    }
    workgroupBarrier();
#if ELEMENT == 3
    var most = 0.0;
    for (var i = 0u; i < 16u; i++) {
        most = select(most, parts[i], !(parts[i] <= most));
    }
    let inverse = select(0.0, 127.0 / most, most > 0.0);
    let scale = most / 127.0;
#else
    let half_step = sqrt(sum_parts() / f32(width)) * 0.1676;
    let inverse = select(0.0, 0.5 / half_step, half_step > 0.0);
    workgroupBarrier();
    if (thread < 16u) {
        var product = 0.0;
        var square = 0.0;
        for (var i = thread; i < width; i += 16u) {
            let l = level(vector[i], inverse);
            product += l * vector[i];
            square += l * l;
        }
        parts[thread] = product;
        others[thread] = square;
    }
    workgroupBarrier();
    var squares = 0.0;
    for (var i = 0u; i < 16u; i++) { squares += others[i]; }
    let scale = sum_parts() / squares;
#end
    let first = (tables[row.y + row.x / PAGE] * KV_HEADS + head) * (INTEGER_WORDS + 2u * PAGE);
    let place = row.x % PAGE;
    let words = first + select(place * KEY_DIM, PAGE * KEY_DIM + place * VALUE_DIM, is_value) / PER_WORD;
    for (var w = thread; w < width / PER_WORD; w += 64u) {
        var word = 0u;
        for (var i = 0u; i < PER_WORD; i++) {
            let value = vector[w * PER_WORD + i];
#if ELEMENT == 3
            word |= (bitcast<u32>(i32(clamp(round(value * inverse), -127.0, 127.0))) & 0xffu) << (i * 8u);
#else
            word |= (u32(level(value, inverse) + 15.0) / 2u) << (i * 4u);
#end
        }
        pages[words + w] = word;
    }
    if (thread == 0u) {
        pages[first + INTEGER_WORDS + select(0u, PAGE, is_value) + place] = bitcast<u32>(scale);
    }
}
