// Parameters of the attention kernels, and what they share: a score from its sums, and the weights of tiles of 64 keys.
// A slot is a query head of a row in one tile; eight threads weigh one, and their order is that of its sum.
struct Params {
    row_stride: u32,
    out_stride: u32,
    splits: u32,
    scale: f32,
    window: u32,
    cap: f32,
    count: u32,
#if HEADS > 0
    // Of the norms of heads.
    epsilon: f32,
#end
}
var<immediate> params: Params;

const NONE: f32 = -3.0e38;

var<workgroup> parts: array<f32, ${8 * SLOTS}>;
var<workgroup> tile_largest: array<f32, ${SLOTS}>;
var<workgroup> tile_total: array<f32, ${SLOTS}>;

// Of four sums, each of every fourth product.
fn score(sums: vec4<f32>, key_scale: f32, seen: bool) -> f32 {
#if ELEMENT >= 3
    var score = ((sums.x + sums.y) + (sums.z + sums.w)) * key_scale * params.scale;
#else
    var score = ((sums.x + sums.y) + (sums.z + sums.w)) * params.scale;
#end
#if CAP
    score = params.cap * tanh(score / params.cap);
#end
    return select(NONE, score, seen);
}

fn is_seen(key: u32, position: u32) -> bool {
    return key <= position && (params.window == 0u || key + params.window > position);
}

fn first_key(position: u32) -> u32 {
    return select(0u, position + 1u - params.window, params.window != 0u && position + 1u > params.window);
}

// Scores become weights (those of a tile without keys: zeros), `tile_largest` and `tile_total` are set. A thread has an eighth
// of every 32nd slot.
#set TURNS = (SLOTS + 31) / 32
fn weigh(thread: u32) {
    let eighth = thread % 8u;
#for t in 0..TURNS
    let slot_${t} = thread / 8u + ${t * 32}u;
    let here_${t} = slot_${t} < ${SLOTS}u;
    var a_${t} = vec4<f32>(NONE);
    var b_${t} = vec4<f32>(NONE);
    if (here_${t}) {
        a_${t} = scores_of(slot_${t}, eighth * 2u);
        b_${t} = scores_of(slot_${t}, eighth * 2u + 1u);
        let both = max(a_${t}, b_${t});
        parts[slot_${t} * 8u + eighth] = max(max(both.x, both.y), max(both.z, both.w));
    }
#end
    workgroupBarrier();
#for t in 0..TURNS
    var most_${t} = NONE;
    if (here_${t}) {
        for (var i = 0u; i < 8u; i++) {
            most_${t} = max(most_${t}, parts[slot_${t} * 8u + i]);
        }
    }
    a_${t} = exp(a_${t} - max(most_${t}, -1.0e38));
    b_${t} = exp(b_${t} - max(most_${t}, -1.0e38));
#end
    workgroupBarrier();
#for t in 0..TURNS
    if (here_${t}) {
        parts[slot_${t} * 8u + eighth] = ((a_${t}.x + a_${t}.y) + (a_${t}.z + a_${t}.w)) + ((b_${t}.x + b_${t}.y) + (b_${t}.z + b_${t}.w));
        keep_weights(slot_${t}, eighth * 2u, a_${t});
        keep_weights(slot_${t}, eighth * 2u + 1u, b_${t});
    }
#end
    workgroupBarrier();
#for t in 0..TURNS
    if (here_${t} && eighth == 0u) {
        var sum = parts[slot_${t} * 8u];
        for (var i = 1u; i < 8u; i++) {
            sum += parts[slot_${t} * 8u + i];
        }
        tile_largest[slot_${t}] = most_${t};
        tile_total[slot_${t}] = sum;
    }
#end
    workgroupBarrier();
}
