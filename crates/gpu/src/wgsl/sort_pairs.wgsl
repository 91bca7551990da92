// Pairs (a token's choices) sorted by expert, and the tiles of TILE_ROWS pairs that they make. One workgroup. Where a
// pair stands among those of its expert does not matter: a row's bits do not depend on its tile.
#buffer chosen read array<u32>
#buffer pairs write array<u32>
#buffer tiles write array<vec4<u32>>

struct Params {
    count: u32,
    max_tiles: u32,
}
var<immediate> params: Params;

var<workgroup> counts: array<atomic<u32>, ${EXPERTS}>;
var<workgroup> starts: array<atomic<u32>, ${EXPERTS}>;

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_index) thread: u32) {
    for (var e = thread; e < ${EXPERTS}u; e += 256u) { atomicStore(&counts[e], 0u); }
    workgroupBarrier();
    for (var i = thread; i < params.count; i += 256u) { atomicAdd(&counts[chosen[i]], 1u); }
    workgroupBarrier();
    if (thread == 0u) {
        var start = 0u;
        var tile = 0u;
        for (var e = 0u; e < ${EXPERTS}u; e++) {
            let count = atomicLoad(&counts[e]);
            atomicStore(&starts[e], start);
            for (var first = 0u; first < count && tile < params.max_tiles; first += ${TILE_ROWS}u) {
                tiles[tile] = vec4<u32>(e, start + first, min(count - first, ${TILE_ROWS}u), 0u);
                tile++;
            }
            start += count;
        }
        for (; tile < params.max_tiles; tile++) { tiles[tile] = vec4<u32>(0u); }
    }
    workgroupBarrier();
    for (var i = thread; i < params.count; i += 256u) {
        pairs[atomicAdd(&starts[chosen[i]], 1u)] = i;
    }
}
