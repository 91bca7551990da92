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

// Of each eighth of a slot's keys the largest score, and the sum of what weighs them.
var<workgroup> largest_parts: array<vec4<f32>, ${2 * SLOTS}>;
var<workgroup> total_parts: array<vec4<f32>, ${2 * SLOTS}>;

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

fn tile_largest(slot: u32) -> f32 {
    let most = max(largest_parts[slot * 2u], largest_parts[slot * 2u + 1u]);
    return max(max(most.x, most.y), max(most.z, most.w));
}

fn tile_total(slot: u32) -> f32 {
    let a = total_parts[slot * 2u];
    let b = total_parts[slot * 2u + 1u];
    return ((((((a.x + a.y) + a.z) + a.w) + b.x) + b.y) + b.z) + b.w;
}

// Scores become weights (those of a tile without keys: zeros), and `tile_largest` and `tile_total` are what they are made of. A thread
// has an eighth of every 32nd slot.
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
        largest_parts[slot_${t} * 2u + eighth / 4u][eighth % 4u] = max(max(both.x, both.y), max(both.z, both.w));
    }
#end
    workgroupBarrier();
#for t in 0..TURNS
    if (here_${t}) {
        let most = max(tile_largest(slot_${t}), -1.0e38);
        a_${t} = exp(a_${t} - most);
        b_${t} = exp(b_${t} - most);
        total_parts[slot_${t} * 2u + eighth / 4u][eighth % 4u] = ((a_${t}.x + a_${t}.y) + (a_${t}.z + a_${t}.w)) + ((b_${t}.x + b_${t}.y) + (b_${t}.z + b_${t}.w));
        keep_weights(slot_${t}, eighth * 2u, a_${t});
        keep_weights(slot_${t}, eighth * 2u + 1u, b_${t});
    }
#end
    workgroupBarrier();
}
