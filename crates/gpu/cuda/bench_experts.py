# Times the kernels of mixtures of experts alone, on a Hopper card with PyTorch: `python bench_experts.py [SHAPE...]`.
# `bits`: the first token alone and among all. TILES=8,64,128 tries tiles of other heights than the engine's, TOKENS=1,16 other
# numbers of tokens. Correctness is the conformance table's matter. Read next: bench.py, which this takes its tools from.
import sys
SHAPES = {"a3b": ("bits4", 2, 64, 128, 8, 2048, 768), "oss": ("e2m1", 7, 32, 32, 4, 2880, 2880)}
CHOSEN = sys.argv[1:] or list(SHAPES); sys.argv[1:] = ["none"]
from bench import *
import bench
def fn(file, name, known=bench.fn):
    f = known(file, name); cu.cuFuncSetAttribute(f, 8, 232448 - (0 if file == "experts_own" else 16384)); return f
class Router(C.Structure): _fields_ = [("correction", V), ("experts", U), ("active", U), ("scoring", U), ("normalize", U), ("groups", U), ("best", U), ("scale", F)]
class Route(C.Structure): _fields_ = [("router", Router), ("logits", V), ("chosen", V), ("weights", V), ("tokens", U)]
class Sort(C.Structure): _fields_ = [("chosen", V), ("pairs", V), ("tiles", V), ("filled", V), ("places", V), ("count", U), ("max_tiles", U), ("experts", U), ("tile_rows", U)]
class RouteSort(C.Structure): _fields_ = [("route", Route), ("sort", Sort)]
class Spread(C.Structure): _fields_ = [("source", RowSource), ("places", V), ("rows", V), ("factors", V), ("x_stride", U), ("stride", U), ("order", U), ("arrangement", U), ("copies", U)]
class RouteSortRows(C.Structure): _fields_ = [("sort", RouteSort), ("rows", Spread), ("ahead", V), ("apart", V), ("matrices", U), ("bytes", U)]
class Mix(C.Structure): _fields_ = [("x", V), ("weights", V), ("residual", V), ("out", V), ("leaves", Left), ("count", U), ("dim", U), ("choices", U)]
class Up(C.Structure): _fields_ = [("w", W), ("source", RowSource), ("router", Router), ("logits", V), ("awaited", V), ("bias", V), ("y", V), ("chosen", V), ("mixing", V), ("leaves", Left), ("width", U), ("k", U), ("stride", U), ("act", U), ("alpha", F), ("limit", F)]
class Down(C.Structure): _fields_ = [("w", W), ("chosen", V), ("mixing", V), ("x", V), ("bias", V), ("residual", V), ("y", V), ("left", Left), ("leaves", Left), ("awaited", V), ("n", U), ("k", U), ("stride", U), ("active", U)]
class ExpertsFew(C.Structure): _fields_ = [("w", W), ("tiles", V), ("filled", V), ("rows", V), ("pairs", V), ("factors", V), ("bias", V), ("y", V), ("n", U), ("k", U), ("stride", U), ("gated", U), ("act", U), ("alpha", F), ("limit", F)]
class Experts(C.Structure): _fields_ = [("x", Map), ("w", W), ("tiles", V), ("filled", V), ("pairs", V), ("factors", V), ("bias", V), ("y", V), ("n", U), ("k", U), ("panels", U), ("gated", U), ("act", U), ("alpha", F), ("limit", F)]
class Own(C.Structure): _fields_ = [("codes", Map), ("scales", Map), ("w", W), ("tiles", V), ("rows", V), ("factors", V), ("values", V), ("pairs", V), ("bias", V), ("y", V), ("n", U), ("k", U), ("stride", U), ("choices", U), ("most", U), ("count", U), ("words_log2", U), ("depth", U), ("held", U), ("gated", U), ("act", U), ("alpha", F), ("limit", F)]
LAYERS = 6
for shape in CHOSEN:
    code, kind, group, experts, active, hidden, width = SHAPES[shape]
    layers = [(matrix(code, experts * 2 * width, hidden, kind, group, check=False), matrix(code, experts * hidden, width, kind, group, check=False)) for _ in range(LAYERS)]
    bytes_of = lambda M, share: (M.codes.numel() + M.scales.numel() * 4) * share
    numbers = lambda name, usual: [int(v) for v in os.environ[name].split(",")] if name in os.environ else usual
    height = lambda mean: 8 if mean < 6 else 64 if mean < 40 else 128
    for tokens, n in [(tokens, n) for tokens in numbers("TOKENS", [1, 16, 64, 512, 2048]) for n in numbers("TILES", [height(tokens * active // experts)])]:
        pairs = tokens * active; x = torch.randn(tokens, hidden, device=dv); logits = torch.randn(tokens, experts, device=dv); y = torch.zeros(tokens, hidden, device=dv); norm = torch.ones(hidden, device=dv)
        used = len(set(logits.topk(active).indices.flatten().tolist())); router = Router(0, experts, active, 0, 1, 1, 1, 1.0)
        most = min(pairs, pairs // n + experts)
        I = lambda *s: torch.zeros(*s, device=dv, dtype=torch.int32); H = lambda *s: torch.zeros(*s, device=dv, dtype=torch.int16)
        ids, by, table, weights, places = I(pairs), I(pairs), I(most + 1, 4), torch.zeros(pairs, device=dv), I(pairs)
        r1, f1, r2, f2 = H(pairs, r128(hidden)), torch.ones(pairs, device=dv), H(pairs, r128(width)), torch.ones(pairs, device=dv)
        joined, last = torch.zeros(pairs, width, device=dv), torch.zeros(pairs, hidden, device=dv); res = {}
        first, alone, choice, mixing = torch.zeros(active, width, device=dv), torch.zeros(hidden, device=dv), I(active), torch.zeros(active, device=dv)
        between = Left()
        if width % 128 == 0: r0, e0 = H(active, width), torch.zeros(active, width // 16, device=dv, dtype=torch.uint8); between = Left(P(r0), P(e0), 0, 0, width, UPN[code], 0)
        def up(M): launch(fn("chosen", f"chosen_up_{name(M)}"), (min(active * width // 16, SMS), 1, 1), 512, r128(hidden) * 2, Up(M.w, RowSource(P(x), P(norm), hidden, 1, 0, 0, 0, 1e-6), router, P(logits), 0, 0, P(first), P(choice), P(mixing), between, width, hidden, r128(hidden), 0, 0, 0))
        def down(M):
            length = (width + 1023) // 1024 * 128
            launch(fn("chosen", f"chosen_down_{name(M)}"), (-(-hidden // 32) * 2, 1, 1), 256, active * (r128(width) * 2 + -(-width // length) * 64) + -(-active * width // 256) * 16, Down(M.w, P(choice), P(mixing), P(first), 0, P(x), P(alone), between, Left(), 0, hidden, width, r128(width), active))
        route = Route(router, P(logits), P(ids), P(weights), tokens); sort = Sort(P(ids), P(by), P(table), P(table) + most * 16, P(places), pairs, most, experts, n)
        def choose():
            if tokens <= 64: launch(fn("moe", "route_sort"), (1, 1, 1), 512, (16 * experts + 2 * tokens * active) * 4, RouteSort(route, sort)); return
            launch(fn("moe", "route"), (-(-tokens // 4), 1, 1), 128, 0, route); launch(fn("moe", "sort_pairs"), (1, 1, 1), 1024, 0, sort)
        def spread_of(src, w, places_, to, fa, k, mode, copies): return Spread(RowSource(P(src), P(w), k, mode, 0, 0, 0, 1e-6), P(places_), P(to), P(fa), k, r128(k), UPN[code], 0 if n == 8 else 2, copies)
        def spread(src, w, places_, to, fa, k, mode, count, copies): launch(fn("moe", "spread_f16" + ("" if mode else "_narrow")), (count, 1, 1), 256 if mode else 64, r128(k) * 2, spread_of(src, w, places_, to, fa, k, mode, copies))
        def own_shape(M, k):
            slice = (k + 1023) // 1024; stage = max(2, min(slice, 4)); together = 2 if slice == 1 else 1; wl = 2 - (M.w.gl + M.w.gw - 5); stages = -(-k // (stage * 128))
            of_stage = 16 * (together * (stage * 1024 + r128((stage << wl) * 64)) + 8); rest = 16 * (stages * stage * 256 + 72) + 64 + 16 * (most + 1) + 8 * pairs
            depth = min((232448 - rest) // of_stage, 2 if slice == 2 else 8); return slice, stage, wl, depth if slice <= 4 else 0, depth * of_stage + rest
        def own(M, rows_, fa, values, out, nn, k, gated):
            slice, stage, wl, depth, shared = own_shape(M, k); nb, nw = M.w.blocks, M.w.words; majors = experts * (2 if gated else 1); tl = M.codes.numel() // (512 * nb) // majors; eights, of = (1, 2) if gated else (2, 1)
            codes = encode(M.codes, [64, nb, 4, tl, majors], [512, 128, nb * 512, tl * nb * 512], [64, 4 * stage, eights, 1, of], 3, False)
            scales = encode(M.scales, [16, nw, 4, tl, majors], [128, 32, nw * 128, tl * nw * 128], [16, stage << wl, eights, 1, of], 0, False)
            a = Own(codes, scales, M.w, P(table), P(rows_), P(fa), P(values), P(by), 0, P(out), nn, k, r128(k), active, most, pairs, wl, depth, 2, gated, 0, 0, 0)
            launch(fn("experts_own", f"own{slice}{stage}_{name(M)}"), (SMS, 1, 1), 512, shared, a)
        def grouped(M, rows_, fa, out, nn, k, gated, pairs_):
            if n == 8: launch(fn("experts_few", f"experts8_{name(M)}"), (SMS, 1, 1), 512, 8 * 16384 + 8 * r128(k) * 2 + 64, ExpertsFew(M.w, P(table), P(table) + most * 16, P(rows_), P(pairs_), P(fa), 0, P(out), nn, k, r128(k), gated, 0, 0, 0)); return
            panels = -(-width // 64) if gated else -(-nn // 128); a = Experts(encode(rows_, [r128(k), pairs], [r128(k) * 2], [64, n], 3, False), M.w, P(table), P(table) + most * 16, P(pairs_), P(fa), 0, P(out), nn, k, panels, gated, 0, 0, 0)
            launch(fn("experts", f"experts{n}_{name(M)}"), (min(most * panels, SMS), 1, 1), 256, 4 * n * 256 + 128 + n * 512, a)
        parts = {"choose": lambda M: choose(), "rows up": lambda M: spread(x, norm, places, r1, f1, hidden, 1, tokens, active), "up": lambda M: grouped(M[0], r1, f1, joined, 2 * width, hidden, 1, None),
            "rows down": lambda M: spread(joined, None, None, r2, f2, width, 0, pairs, 1), "down": lambda M: grouped(M[1], r2, f2, last, hidden, width, 0, by),
            "mix": lambda M: launch(fn("moe", "mix"), (-(-tokens * hidden // 1024), 1, 1), 256, 0, Mix(P(last), P(weights), P(x), P(y), Left(), tokens * hidden, hidden, active))}
        if n == 8 and own_shape(layers[0][0], hidden)[3] > 1 and tokens <= 64:
            parts = {"choose and rows": lambda M: launch(fn("moe", "route_sort_rows"), (1 + tokens, 1, 1), 512, max((16 * experts + 2 * tokens * active) * 4, r128(hidden) * 2), RouteSortRows(RouteSort(route, sort), spread_of(x, norm, None, r1, f1, hidden, 1, 1), 0, 0, 0, 0)),
                "up": lambda M: own(M[0], r1, f1, None, joined, 2 * width, hidden, 1), "down": lambda M: own(M[1], None, None, joined, last, hidden, width, 0), "mix": parts["mix"]}
        for p in (*parts.values(), lambda M: up(M[0]), lambda M: down(M[1])): p(layers[0])
        torch.cuda.synchronize(); same = torch.equal(y[0], alone) and bool(y.isfinite().all()) and y.std().item() > 1e-3
        if tokens == 1: parts = {"up": lambda M: up(M[0]), "down": lambda M: down(M[1])}
        for what, part in {**parts, "all": lambda M: [p(M) for p in parts.values()]}.items(): res[what] = timed(graph(lambda: [part(M) for M in layers])) / LAYERS
        gb = [bytes_of(M, used / experts) / res[w] / 1e3 for M, w in zip(layers[0], ("up", "down"))]; tf = [2 * pairs * 3 * hidden * width * s / 3 / res[w] / 1e6 for s, w in ((2, "up"), (1, "down"))]
        print(f"{shape} {tokens} tokens, {used} experts, tiles of {n}, bits {same}:", ", ".join(f"{k} {v:.1f}" for k, v in res.items()), f"us; up {gb[0]:.0f} GB/s {tf[0]:.0f} TF, down {gb[1]:.0f} GB/s {tf[1]:.0f} TF", flush=True)
