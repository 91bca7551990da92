// Random words: Threefry-2x32 with 20 rounds of a key, as `array`'s generator makes them: word i of the first half comes
// with word i of the second; of an odd number, the middle one stands alone.
#buffer key read array<u32>
#buffer out write array<u32>

struct Params { words: u32 }
var<immediate> params: Params;

fn threefry(key: vec2<u32>, counter: vec2<u32>) -> vec2<u32> {
    let keys = array<u32, 3>(key.x, key.y, key.x ^ key.y ^ 0x1BD11BDAu);
    var a = counter.x + keys[0];
    var b = counter.y + keys[1];
#for g in 0..5
#if g % 2 == 0
#set R0 = 13
#set R1 = 15
#set R2 = 26
#set R3 = 6
#else
#set R0 = 17
#set R1 = 29
#set R2 = 16
#set R3 = 24
#end
    a += b;
    b = ((b << ${R0}u) | (b >> ${32 - R0}u)) ^ a;
    a += b;
    b = ((b << ${R1}u) | (b >> ${32 - R1}u)) ^ a;
    a += b;
    b = ((b << ${R2}u) | (b >> ${32 - R2}u)) ^ a;
    a += b;
    b = ((b << ${R3}u) | (b >> ${32 - R3}u)) ^ a;
    a += keys[${(g + 1) % 3}];
    b += keys[${(g + 2) % 3}] + ${g + 1}u;
#end
    return vec2<u32>(a, b);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let word = (group.y * 32768u + group.x) * 256u + thread;
    let half = params.words / 2u;
    let second = params.words - half;
    if (word >= second) { return; }
    let made = threefry(vec2<u32>(key[0], key[1]), vec2<u32>(word, select(0u, word + second, word < half)));
    out[word] = made.x;
    if (word < half) { out[word + second] = made.y; }
}
