// The product of `matmul` for many rows without matrices in hardware: 16 STEPS rows by 16 STEPS features a workgroup,
// STEPS by STEPS a thread. Every sum has the order of `matmul.wgsl`, so a row's bits are those of a row alone.
#include row_x
#include weights
#include matmul_outputs
#include matmul_store

#set SIDE = 16 * STEPS
// Quads of a block (four columns each) that a thread brings: of rows 32 apart, and of one feature, by so many threads.
#set X_BROUGHT = STEPS / 2
#set BRINGERS = 16 / STEPS
#set WEIGHTS_BROUGHT = STEPS / 2

// Rows change places by their quad, so that threads that write together meet different banks.
var<workgroup> inputs: array<vec4<f32>, ${8 * SIDE}>;
var<workgroup> weights_here: array<vec4<f32>, ${8 * SIDE}>;

// QUADS: rows begin at whole quads and end with one.
fn input_quad(row_at: u32, k: u32) -> vec4<f32> {
#if QUADS == 1
    if (k >= params.columns) { return vec4<f32>(0.0); }
    return x[(row_at + k) / 4u];
#else
    return vec4<f32>(input_one(row_at, k), input_one(row_at, k + 1u), input_one(row_at, k + 2u), input_one(row_at, k + 3u));
#end
}
#if QUADS == 0
fn input_one(row_at: u32, k: u32) -> f32 {
    if (k >= params.columns) { return 0.0; }
    return x[row_at + k];
}
#end

// Of a block what `bringer` wants.
fn load_wanted(block: u32, lane: u32, bringer: u32) -> Block {
#if PIECES == 1
    return load_block(block, lane);
#else
    var b: Block;
#for j in 0..8
    if (bringer == ${j / WEIGHTS_BROUGHT}u) {
        b.p${j * PIECES / 8} = weight_codes[(block * ${PIECES}u + ${j * PIECES / 8}u) * 32u + lane];
    }
#end
    return b;
#end
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
#include one
    let blocks = (params.columns + 31u) / 32u;
    let tiles = (params.features + 31u) / 32u;
    // The feature whose weights this thread brings, and which of them; the quad of the input that it brings.
    let brought = thread & ${SIDE - 1}u;
    let bringer = thread / ${SIDE}u;
    let tile = min(group.x * ${SIDE / 32}u + brought / 32u, tiles - 1u);
    let lane = brought & 31u;
    let quad = thread & 7u;
    let brought_row = thread >> 3u;
    // Its own features and rows: every 16th. Neighbours of 32 have 8 by 4 of them.
    let feature = (thread & 7u) + (thread >> 2u & 8u);
    let row = (thread >> 3u & 3u) + (thread >> 4u & 12u);
#for s in 0..X_BROUGHT
    let row_at_${s} = min(group.y * ${SIDE}u + brought_row + ${s * 32}u, params.rows - 1u) * params.x_stride;
    var x_${s} = input_quad(row_at_${s}, quad * 4u);
#end
    var codes = load_wanted(tile * blocks, lane, bringer);
#for h in 0..HALVES
    var raw_${h} = raw_scale(tile, 0u, blocks, ${h}u, lane);
#end
#for i in 0..STEPS
#for k in 0..STEPS
    var whole_${i}_${k} = 0.0;
    var total_${i}_${k} = 0.0;
#end
#end
    var part_end = params.part_blocks;
    for (var block = 0u; block < blocks; block++) {
#for h in 0..HALVES
        let so_${h} = decode_scale(raw_${h}, group_of(block, ${h}u), params.global_scale);
#end
        workgroupBarrier();
#for s in 0..X_BROUGHT
        inputs[quad * ${SIDE}u + ((brought_row + ${s * 32}u) ^ quad)] = x_${s};
#end
#for j in 0..8
        if (bringer == ${j / WEIGHTS_BROUGHT}u) {
            weights_here[${j * SIDE}u + brought] = weight_${j}(codes, so_${j / 4 * (HALVES - 1)});
        }
#end
        workgroupBarrier();
        // The next block is on its way while this one is multiplied.
        let next = min(block + 1u, blocks - 1u);
        codes = load_wanted(tile * blocks + next, lane, bringer);
#for h in 0..HALVES
        raw_${h} = raw_scale(tile, next, blocks, ${h}u, lane);
#end
#for s in 0..X_BROUGHT
        x_${s} = input_quad(row_at_${s}, next * 32u + quad * 4u);
#end
#for j in 0..8
        {
#for k in 0..STEPS
            let w_${k} = weights_here[${j * SIDE + k * 16}u + feature];
#end
#for i in 0..STEPS
            let v_${i} = inputs[${j * SIDE + i * 16}u + (row ^ ${j}u)];
#for c in 0..4
#for k in 0..STEPS
            total_${i}_${k} = fma(w_${k}[${c}], v_${i}[${c}], total_${i}_${k});
#end
#end
#end
        }
#end
        if (block + 1u == min(part_end, blocks)) {
            part_end += params.part_blocks;
#for i in 0..STEPS
#for k in 0..STEPS
            whole_${i}_${k} += total_${i}_${k};
            total_${i}_${k} = 0.0;
#end
#end
        }
    }
#for i in 0..STEPS
#for k in 0..STEPS
    store(group.y * ${SIDE}u + row + ${i * 16}u, group.x * ${SIDE}u + feature + ${k * 16}u, whole_${i}_${k});
#end
#end
}
