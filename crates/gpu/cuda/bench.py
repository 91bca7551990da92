# Checks the kernels of kernels.bin against float64 and times them, on a Hopper card with PyTorch: `python bench.py`.
# What is checked: every format and shape, rows alone and together, attention on all its ways; bits must be equal.
# `python bench.py PART...`: only products, chains, pairs, gemm, attention (clusters: all kinds of them), parts or whole.
import ctypes as C, os, zlib
import torch
import sys
want = lambda part: len(sys.argv) < 2 or part in sys.argv[1:]
HERE = os.path.dirname(os.path.abspath(__file__))
cu = C.CDLL("libcuda.so.1")
torch.cuda.init(); torch.zeros(1, device="cuda")
def ck(r, what=""):
    if r != 0:
        s = C.c_char_p(); cu.cuGetErrorString(r, C.byref(s)); raise RuntimeError(f"{what}: {r} {s.value}")
ck(cu.cuInit(0)); ctx = C.c_void_p(); dev = C.c_int(); cu.cuDeviceGet(C.byref(dev), 0)
ck(cu.cuDevicePrimaryCtxRetain(C.byref(ctx), dev)); ck(cu.cuCtxSetCurrent(ctx))
STREAM = torch.cuda.Stream(); S = C.c_void_p(STREAM.cuda_stream)
SMS = torch.cuda.get_device_properties(0).multi_processor_count
class Config(C.Structure):
    _fields_ = [("g", C.c_uint * 3), ("b", C.c_uint * 3), ("smem", C.c_uint), ("stream", C.c_void_p), ("attrs", C.c_void_p), ("n", C.c_uint)]
class Attr(C.Structure):
    _fields_ = [("id", C.c_int), ("pad", C.c_char * 4), ("value", C.c_uint * 16)]
mods = {}
def cubins(arch):
    data = open(f"{HERE}/kernels.bin", "rb").read(); i = data.index(b"\n"); n = int(data[:i]); at = i + 1 + n; found = {}
    for line in data[i + 1:at].decode().splitlines()[1:]:
        name, of, _, size = line.split()
        if of == arch: found[name] = zlib.decompress(data[at:at + int(size)])
        at += int(size)
    return found
CUBINS = cubins("90a")
def fn(file, name):
    if file not in mods:
        m = C.c_void_p(); ck(cu.cuModuleLoadData(C.byref(m), CUBINS[file]), file); mods[file] = (m, {})
    m, fs = mods[file]
    if name not in fs:
        f = C.c_void_p(); ck(cu.cuModuleGetFunction(C.byref(f), m, name.encode()), name)
        cu.cuFuncSetAttribute(f, 8, 232448 - (16384 if file in ("rows", "attention", "plain") else 0))  # max dynamic shared
        fs[name] = f
    return fs[name]
def launch(f, grid, block, smem, args, pdl=True, cluster=None):
    c = Config(); c.g[:] = grid; c.b[:] = (block, 1, 1); c.smem = smem; c.stream = S
    a = (Attr * 2)(); n = 0
    if pdl: a[n].id = 6; a[n].value[0] = 1; n += 1
    if cluster: a[n].id = 4; a[n].value[0] = cluster; a[n].value[1] = 1; a[n].value[2] = 1; n += 1
    c.attrs = C.addressof(a); c.n = n
    buf = C.create_string_buffer(C.sizeof(args) + 256); C.memmove(buf, C.byref(args), C.sizeof(args))
    pp = (C.c_void_p * 1)(C.addressof(buf))
    ck(cu.cuLaunchKernelEx(C.byref(c), f, pp, None), "launch")
def graph(work):
    torch.cuda.synchronize()
    g = C.c_void_p(); e = C.c_void_p()
    ck(cu.cuStreamBeginCapture_v2(S, 2)); work(); ck(cu.cuStreamEndCapture(S, C.byref(g)))
    ck(cu.cuGraphInstantiateWithFlags(C.byref(e), g, C.c_ulonglong(0)), "instantiate")
    return lambda: ck(cu.cuGraphLaunch(e, S))
def timed(run, reps=20, warm=3):
    for _ in range(warm): run()
    ts = []
    with torch.cuda.stream(STREAM):
        for _ in range(reps):
            a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            a.record(STREAM); run(); b.record(STREAM); b.synchronize(); ts.append(a.elapsed_time(b) * 1e3)
    torch.cuda.synchronize()
    return sorted(ts)[len(ts) // 2]
P = lambda t: t.data_ptr() if t is not None else 0
U, F, V = C.c_uint, C.c_float, C.c_void_p

class W(C.Structure): _fields_ = [("codes", V), ("high", V), ("scales", V), ("supers", V), ("kind", U), ("gl", U), ("zero", U), ("blocks", U), ("words", U), ("gw", U), ("factor", F), ("code_up", F), ("offset_up", F)]
class RowSource(C.Structure): _fields_ = [("values", V), ("weight", V), ("k", U), ("mode", U), ("act", U), ("alpha", F), ("limit", F), ("eps", F)]
class Left(C.Structure): _fields_ = [("rows", V), ("exponents", V), ("squares", V), ("weight", V), ("columns", U), ("order", U), ("arrangement", U), ("brain", U), ("act", U), ("alpha", F), ("limit", F), ("eps", F), ("gated", U)]
class Few(C.Structure): _fields_ = [("w", W), ("source", RowSource), ("rows", V), ("factors", V), ("tiles", V), ("pairs", V), ("bias", V), ("residual", V), ("y", V), ("plain", V), ("left", Left), ("leaves", Left),
    ("m", U), ("n", U), ("k", U), ("stride", U), ("out_stride", U), ("halves", U), ("groups", U), ("choices", U)]
class Rows(C.Structure): _fields_ = [("values", V), ("weight", V), ("pairs", V), ("rows", V), ("factors", V), ("k", U), ("x_stride", U), ("stride", U), ("mode", U), ("act", U), ("order", U), ("products", U), ("choices", U), ("alpha", F), ("limit", F), ("eps", F)]
class Map(C.Structure): _fields_ = [("w", C.c_ulonglong * 16)]
class Some(C.Structure): _fields_ = [("x", Map), ("w", W), ("factors", V), ("bias", V), ("residual", V), ("y", V), ("plain", V), ("source", RowSource), ("left", Left), ("leaves", Left), ("m", U), ("n", U), ("k", U), ("out_stride", U), ("x_stride", U), ("parts", U), ("stages", U)]
class Team(C.Structure): _fields_ = [("w", W), ("rows", V), ("factors", V), ("bias", V), ("residual", V), ("y", V), ("plain", V), ("source", RowSource), ("left", Left), ("leaves", Left), ("m", U), ("n", U), ("k", U), ("out_stride", U), ("x_stride", U), ("parts", U), ("halves", U), ("groups", U)]
class Gemm(C.Structure): _fields_ = [("x", Map), ("w", Map), ("offsets", V), ("pairs", V), ("factors", V), ("bias", V), ("residual", V), ("y", V), ("plain", V), ("factor", F), ("alpha", F), ("limit", F),
    ("m", U), ("n", U), ("k", U), ("out_stride", U), ("gated", U), ("act", U), ("experts", U)]
class Unpack(C.Structure): _fields_ = [("w", W), ("out", V), ("rows", U)]
def encode(t, dims, strides, box, swizzle, bf16):
    raw = C.create_string_buffer(256); at = (C.addressof(raw) + 63) & ~63; r = len(dims)
    ck(cu.cuTensorMapEncodeTiled(V(at), 9 if bf16 else 6, r, V(P(t)), (C.c_uint64 * r)(*dims), (C.c_uint64 * (r - 1))(*strides), (C.c_uint * r)(*box), (C.c_uint * r)(*[1] * r), 0, swizzle, 2, 0), "tensormap")
    m = Map(); C.memmove(C.byref(m), at, 128); return m
r128 = lambda k: (k + 127) // 128 * 128
dv = "cuda"
CODES = dict(bits4=(4, 0), bits5=(4, 1), bits6=(4, 2), bits8=(8, 0), signed8=(8, 0), e2m1=(4, 0), bf16=(16, 0), f16=(16, 0))
GW = {1: 0, 2: 0, 4: 1, 5: 1, 6: 2, 7: 2, 8: 2}
class Matrix: pass
# What scales and offsets are multiplied by on their way to halves, and products afterwards; scales of 4 bits are below 1/32 here.
def UPS(code): return (2.0 ** 21, 0.125) if code in ("bits4", "bits5", "bits6") else (16384.0, 0.0) if code == "e2m1" else (256.0, 256.0)
def FACT(code): return 1.0 if code in ("bf16", "f16", "e2m1") else 1 / UPS(code)[1]
def tiles(t, n):  # [n, ...] -> pad rows to 32 and split
    p = (-n) % 32
    if p: t = torch.cat([t, torch.zeros(p, *t.shape[1:], dtype=t.dtype, device=dv)])
    return t.reshape(-1, 32, *t.shape[1:])
def high_place(width, i): q = i // 8 * 2 + i // 2 % 2; return q % (4 // width) * width + q // (4 // width) * 8 + i % 2 * 4 + i // 4 % 2 * 16
def matrix(code, n, k, kind=0, group=32, zero=0, check=True):
    M = Matrix(); M.code, M.n, M.k = code, n, k; bits, high = CODES[code]; nb = k // 32; w = W(); M.w = w
    w.kind, w.zero, w.blocks, w.factor = kind, zero, nb, FACT(code); w.code_up, w.offset_up = UPS(code); w.gl = group.bit_length() - 1; w.gw = GW.get(kind, 0)
    if bits == 16:
        v = (torch.randn(n, k, device=dv) * 0.05).to(torch.bfloat16 if code == "bf16" else torch.half)
        M.codes = tiles(v, n).reshape(-1, 32, nb, 4, 8).permute(0, 2, 3, 1, 4).contiguous(); w.codes = P(M.codes); M.value = v; return M
    if check: q = torch.randint(0, 256 if bits == 8 else 1 << (bits + high), (n, k), device=dv, dtype=torch.int32)
    if bits == 8:
        if not check: M.codes = torch.randint(0, 256, (-(-n // 32), nb, 2, 32, 16), device=dv, dtype=torch.uint8)
        else: M.codes = tiles(q.to(torch.uint8), n).reshape(-1, 32, nb, 2, 16).permute(0, 2, 3, 1, 4).contiguous()
    elif not check: M.codes = torch.randint(0, 256, (-(-n // 32), nb, 32, 16), device=dv, dtype=torch.uint8)
    else:
        low = (q & 15).reshape(n, nb, 16, 2); by = (low[..., 0] | low[..., 1] << 4).to(torch.uint8); M.codes = tiles(by, n).permute(0, 2, 1, 3).contiguous()
        if high:
            h = (q >> 4).reshape(n, nb, high, 32 // high).long(); sh = torch.tensor([high_place(high, i) if bits == 4 else i for i in range(32 // high)], device=dv)
            wd = (h << sh).sum(-1); wd = torch.where(wd >= 2**31, wd - 2**32, wd).int(); M.high = tiles(wd, n).permute(0, 2, 1, 3).contiguous(); w.high = P(M.high)
    w.codes = P(M.codes); G = k // group; rnd = lambda *s: torch.rand(*s, device=dv)
    sup = None
    if kind in (1, 2):
        dt = torch.half if kind == 1 else torch.bfloat16; s = (rnd(n, G) * 0.01 + 0.002).to(dt); b = (-(2 ** (bits + high - 1)) * s.float() + (rnd(n, G) - .5) * 0.02).to(dt)
        wd = (s.view(torch.int16).int() & 0xffff) | (b.view(torch.int16).int() << 16); S_, B_ = s.double(), b.double()
    elif kind == 4:
        s = (rnd(n, G) * 0.01 + 0.002).half(); x = s.view(torch.int16).int() & 0xffff; x = torch.nn.functional.pad(x, (0, G % 2)); wd = x[:, ::2] | x[:, 1::2] << 16; S_ = s.double(); B_ = -zero * S_
    elif kind == 5:
        d, dm = (rnd(n, k // 256) * 2e-4 + 1e-4).half(), (rnd(n, k // 256) * 2e-3).half(); sc, mn = [torch.randint(0, 64, (n, G), device=dv, dtype=torch.int32) for _ in range(2)]
        x = sc | mn << 8; wd = x[:, ::2] | x[:, 1::2] << 16; sup = (d.view(torch.int16).int() & 0xffff) | (dm.view(torch.int16).int() << 16)
        e = lambda t: t.double().repeat_interleave(256 // group, 1); S_, B_ = e(d) * sc, -e(dm) * mn
    elif kind == 6:
        d = (rnd(n, k // 256) * 1e-4 + 1e-4).half(); sc = torch.randint(-128, 128, (n, G), device=dv, dtype=torch.int32); x = (sc & 255).reshape(n, G // 4, 4)
        wd = x[..., 0] | x[..., 1] << 8 | x[..., 2] << 16 | x[..., 3] << 24; sup = d.view(torch.int16).int() & 0xffff; S_ = d.double().repeat_interleave(256 // group, 1) * sc; B_ = -zero * S_
    elif kind == 7:
        e = torch.randint(115, 122, (n, G), device=dv, dtype=torch.int32); x = torch.nn.functional.pad(e, (0, (-G) % 4)).reshape(n, -1, 4); wd = x[..., 0] | x[..., 1] << 8 | x[..., 2] << 16 | x[..., 3] << 24; S_ = 2.0 ** (e.double() - 127); B_ = 0 * S_
    w.words = wd.shape[1]; M.scales = tiles(wd.int(), n).permute(0, 2, 1).contiguous(); w.scales = P(M.scales)
    if sup is not None: M.supers = tiles(sup.int(), n).permute(0, 2, 1).contiguous(); w.supers = P(M.supers)
    if check:
        v = q.double()
        if code == "signed8": v = torch.where(v >= 128, v - 256, v)
        if code == "e2m1": tab = torch.tensor([0, .5, 1, 1.5, 2, 3, 4, 6], device=dv, dtype=torch.double); v = torch.where(q >= 8, -tab[q & 7], tab[q & 7])
        M.value = v * S_.repeat_interleave(group, 1) + B_.repeat_interleave(group, 1)
    return M
UPN = dict(bits4=1, bits5=1, bits6=1, bits8=2, signed8=2, e2m1=1, bf16=0, f16=0)
def element(M): return "bf16" if M.code == "bf16" else "f16"
def name(M):
    if M.code == "e2m1" and M.w.kind == 7: return "e2m1_exponent"
    if M.code == "bits6" and M.w.kind == 6: return "bits6_signed"
    if M.code != "bits4": return M.code
    return "bits4_pair" if M.w.kind == 2 else "bits4_single" if M.w.kind == 4 else "bits4_minima" if M.w.kind == 5 else "bits4"
# Kernels for slices of whole stretches: product.rs, slices_name.
LEAST_WHOLE = 4096
def whole(M): return "whole_" if M.k % 4096 == 0 and M.n >= LEAST_WHOLE and (M.code == "e2m1" or name(M) in ("bits4_pair", "bits4_single", "bits4_minima")) else ""
def best_group(halves, teams, least=1): return min((of for of in (4, 2, 1) if of >= least and halves % of == 0), key=lambda of: -(-(halves // of) // teams) * of)
def arranged(m): return 0 if m == 1 else 3 if m <= 16 else 2 if m <= 64 else 1
# Room for rows that are left to a product with M; they are made of `x`.
def leaving(M, m, x, mode, norm=None):
    a = Left(); bf = M.code == "bf16"; most = 1 if m == 1 else 16 if m <= 16 else 64; e, v, q = torch.randn(most, M.k, device=dv).to(torch.bfloat16 if bf else torch.half), torch.full((most * M.k // 16,), 127, device=dv, dtype=torch.uint8), torch.ones(most * M.k // 16 + 64, device=dv)
    q.view(torch.int32)[-64:] = -1; v[most * M.k // 32:] = 0
    a.keep = e, v, q, norm, x; a.rows, a.exponents, a.squares, a.weight = P(e), 0 if bf else P(v), P(q) if mode == 1 else 0, P(norm)
    a.columns, a.order, a.arrangement, a.brain, a.eps, a.gated = M.k, UPN[M.code], arranged(m), bf, 1e-6, mode == 2; a.of, a.stride = RowSource(P(x), P(norm), M.k, mode, 0, 0, 0, 1e-6), x.shape[-1]; return a
def few(M, y, m, source=None, rows=None, factors=None, bias=None, residual=None, halves=None, pdl=True, left=None, leaves=None):
    a = Few(); a.w = M.w; n, k = M.n, M.k; all_ = -(-n // 32) * 2
    if source: a.source = source
    if leaves: a.leaves = leaves
    a.rows, a.factors, a.bias, a.residual, a.y = P(rows), P(factors), P(bias), P(residual), P(y)
    if left: a.left, a.source, a.rows = left, left.of, left.rows
    a.m, a.n, a.k, a.stride, a.out_stride, a.choices = m, n, k, r128(k), n, 1
    cols, teams = (1, 2) if m == 1 else (8, 1)
    smem = lambda of: teams * of * 2 * 8 * cols * 64 + 256 + m * a.stride * 2
    blocks = SMS * (1 if teams == 2 else max(1, min(2, (232448 + 1024) // (smem(4) + 1024))))
    a.halves = halves or best_group(all_, blocks * teams, 2 if leaves and leaves.gated else 1); a.groups = all_ // a.halves
    if smem(a.halves) > 232448: raise RuntimeError(f"smem {smem(a.halves)}")
    launch(fn("few", f"few{cols}_{whole(M) if m == 1 else ''}{name(M)}"), (min(a.groups, blocks), 1, 1), 256 * teams, smem(a.halves), a, pdl)
def best_panels(n, width):  # groups of warps, blocks of a cluster
    three, two = -(-n // 192), -(-n // 128); clusters = lambda p: SMS // p - SMS // p // 8
    if width == 64: return (3, 8) if three <= clusters(8) else (3, 4) if three <= clusters(4) else (2, 2) if two * 2 <= SMS else (3, 2) if three * 2 <= SMS else (3, 1) if two > SMS and three <= SMS else (2, 1)
    return (2, 8) if two * 8 <= SMS * 2 else (2, 2) if two * 2 <= SMS * 2 else (2, 1)
def some(M, y, m, rows, factors, bias=None, residual=None, parts=None, pdl=True, stages=None, groups=None, left=None, leaves=None):
    a = Some(); n, k = M.n, M.k; width = max(32, 1 << (m - 1).bit_length())
    if not parts: groups, parts = best_panels(n, width)
    groups = groups or 2; panel = 64 * groups; panels = -(-n // panel)
    if left: a.left, a.source, a.x_stride, rows = left, left.of, left.stride, left.keep[0]
    if leaves: a.leaves = leaves
    a.x = encode(rows, (r128(k), m), (r128(k) * 2,), (64, width), 3, element(M) == "bf16"); a.w = M.w
    a.factors, a.bias, a.residual, a.y = P(factors), P(bias), P(residual), P(y); a.m, a.n, a.k, a.out_stride, a.parts = m, n, k, n, parts
    length = -(-k // 1024) * 128; a.stages = stages or STAGES.get((groups, width), 8 if groups == 3 else 3 if width == 32 else 4); sums = (1 if parts == 1 else 8 // parts) * width * panel * 4; a.stages = max(2, min(a.stages, (232448 - 1536 - sums) // (width * 256), -(-min(k, 8 // parts * length) // 128)))
    launch(fn("some", f"some{width}{'_wide' if groups == 3 else ''}_{name(M)}"), (panels * parts, 1, 1), panel * 2, a.stages * width * 256 + 1536 + sums, a, pdl, parts if parts > 1 else None)
STAGES = {}
def team(M, y, m, rows, factors, bias=None, residual=None, parts=None, halves=None, pdl=True, clusters=None, left=None, leaves=None):
    a = Team(); n, k = M.n, M.k; all_ = -(-n // 32) * 2; of_slice = -(-k // 1024); smem = lambda p, h: 8 // p * of_slice * 4096 + 32768 * h + 8 // p * 8 + p * 64 + 64
    least = 2 if leaves and leaves.gated else 1; most = best_group(all_, SMS * 2, least); parts, halves = (parts, max(halves or 1, least)) if parts else next((p, h) for p, h in ((2, most), (2, least), (4, least), (8, least)) if smem(p, h) <= 232448); clusters = clusters or SMS // parts - (SMS // parts // 8 if parts > 2 else 0)
    if leaves: a.leaves = leaves
    a.w = M.w; a.rows, a.factors, a.bias, a.residual, a.y = P(rows), P(factors), P(bias), P(residual), P(y); a.m, a.n, a.k, a.out_stride, a.parts, a.halves, a.groups = m, n, k, n, parts, halves, all_ // halves
    if left: a.left, a.source, a.rows, a.x_stride = left, left.of, left.rows, left.stride
    if smem(parts, halves) > 232448: raise RuntimeError(f"smem {smem(parts, halves)}")
    launch(fn("team", f"team_{whole(M)}{name(M)}"), (min(clusters, -(-a.groups // (2 * parts))) * parts, 1, 1), 512, smem(parts, halves), a, pdl, parts if parts > 1 else None)
def rows(values, weight, out, factors, k, mode, M, m, products=0, stride=None, apart=None):
    wide = mode == 2; a = Rows(P(values), P(weight), 0, P(out), P(factors), k, stride or (2 * k if wide else k), r128(k), mode, 0, UPN[M.code], products, 1, 0, 0, 1e-6)
    parts = 8 if wide else 4; kernel = element(M) + ("_wide" if wide else ""); many = "" if m <= 64 or a.x_stride % 4 or k % 4 else "_normed" if mode == 1 and k <= 4096 else "_plain" if mode == 0 and k <= 4096 else "_long" if mode == 0 else ""
    if many: launch(fn("rows", "rows_" + element(M) + many), (m, 1, 1), 512 if many == "_long" else 256, 0, a)
    elif APART < m or k < 4096 or m == 1 or M.code in ("bf16", "f16") and m <= 16 or apart is False: launch(fn("rows", "rows_" + kernel), (m, 1, 1), 1024 if wide else 256, 0, a)
    else: launch(fn("rows_apart", "rows_apart_" + kernel), (m * parts, 1, 1), 128 if wide else 64, 0, a, cluster=parts)
APART = 64
def unpack(M):
    if M.code in ("bf16", "f16"): return M.codes
    o = torch.empty(-(-M.n // 32), r128(M.k) // 32, 4, 32, 8, device=dv, dtype=torch.int16); torch.cuda.synchronize()
    unpack_to(M, o); return o
def unpack_to(M, o): launch(fn("unpack", "unpack_" + M.code), (-(-(-(-M.n // 32) * r128(M.k) // 128) // 8), 1, 1), 256, 0, Unpack(M.w, P(o), (M.n + 31) // 32 * 32))
# `joined`: the features are gates and ups, and y is what they give; rows of bf16 where it has 16 bits.
def gemm(x, M, w, m, y, factors, bias=None, residual=None, bn=192, joined=False):
    a = Gemm(); bf = element(M) == "bf16"; n, k = M.n, M.k; T = (n + 31) // 32; nb = k // 32 if M.code in ("bf16", "f16") else r128(k) // 32
    a.x = encode(x, (r128(k), m), (r128(k) * 2,), (64, 128), 3, bf)
    h = 2 if joined else 1; a.w = encode(w, (256, T // h, h, nb * 4), (nb * 2048, T // h * nb * 2048, 512), (256, bn // 32 // h, h, 4), 0, bf)
    a.factors, a.bias, a.residual, a.y = P(factors), P(bias), P(residual), P(y)
    a.factor, a.m, a.n, a.k, a.out_stride, a.gated = M.w.factor, m, n, k, n // h, joined and y.element_size() == 2
    t = -(-m // 128) * -(-n // bn); st = 4 if bn == 192 else 5
    launch(fn("gemm", f"gemm_{'gated_' if joined else ''}{element(M)}_{bn}"), (min(t, SMS), 1, 1), 512, st * (128 + bn) * 128 + 64 * (bn + 8) * 4 + 1024 + 128, a, cluster=2 if -(-m // 128) % 2 == 0 else None)

# Products: values, and bits of one row, a few, some and many.
torch.manual_seed(1)
def rel(a, r): return ((a.double() - r).norm() / r.norm()).item()
M_ = 64; bad = 0
ALL = [("bits4", 2, 64, 0), ("bf16", 0, 32, 0), ("bits4", 4, 32, 8), ("bits4", 5, 32, 0), ("bits4", 1, 32, 0), ("bits6", 6, 16, 32), ("bits5", 5, 32, 0), ("bits5", 4, 32, 16), ("signed8", 4, 32, 0), ("bits8", 2, 64, 0), ("e2m1", 7, 32, 0), ("f16", 0, 32, 0)]
if want("products"):
    LEAST_WHOLE = 0
    for k in (4096, 12288, 768, 2880, 320):
        for code, kind, group, zero in ALL:
            if kind in (5, 6) and k % 256 or k % group: continue
            n = 1056; X = matrix(code, n, k, kind, group, zero)
            x = torch.randn(M_, k, device=dv) * 3; nw = torch.rand(k, device=dv) + 0.5
            xn = x.double() * torch.rsqrt((x.double() ** 2).mean(-1, keepdim=True) + 1e-6) * nw.double(); ref = xn @ X.value.double().T
            rf, rn, rs, rt = [torch.empty(M_, r128(k), device=dv, dtype=torch.int16) for _ in range(4)]; fa = torch.empty(M_, device=dv); torch.cuda.synchronize()
            rows(x, nw, rf, fa, k, 1, X, M_, apart=False); rows(x, nw, rn, fa, k, 1, X, M_, 1); rows(x, nw, rs, fa, k, 1, X, M_, 2); rows(x, nw, rt, fa, k, 1, X, 16, 3); w = unpack(X); torch.cuda.synchronize()
            ys = {}
            for way in ("f1", "f3", "f8", "t2", "t13", "t16", "s17", "s31", "s64", "g192", "g128"):
                m = M_ if way[0] == "g" else int(way[1:]); y = torch.full((m, n), float("nan"), device=dv); torch.cuda.synchronize()
                try:
                    if way[0] == "f": few(X, y, m, RowSource(P(x), P(nw), k, 1, 0, 0, 0, 1e-6), rf if m > 1 else None, fa)
                    elif way[0] == "t":
                        for parts, halves, clusters in ((2, 1, 3), (2, 2, 5), (4, 2, 1), (8, 1, 2)): y.fill_(float("nan")); torch.cuda.synchronize(); team(X, y, m, rt, fa, parts=parts, halves=halves, clusters=clusters); torch.cuda.synchronize(); ys[f"{way}/{parts}/{halves}"] = y.clone()
                    elif way[0] == "s":
                        for parts, groups in ((1, 2), (2, 2), (4, 2), (8, 2), (1, 3), (2, 3), (4, 3), (8, 3))[:8 if m == 64 else 4]: y.fill_(float("nan")); torch.cuda.synchronize(); some(X, y, m, rs, fa, parts=parts, groups=groups, stages=3); torch.cuda.synchronize(); ys[f"{way}/{parts}/{groups}"] = y.clone()
                    else: gemm(rn, X, w, m, y, fa, bn=int(way[1:]))
                except RuntimeError as e: print("skip", code, k, way, e); continue
                torch.cuda.synchronize(); ys[way] = y
            r = {a: rel(b, ref[:b.shape[0]]) for a, b in ys.items()}; e = {a: torch.equal(b, ys["g192"][:b.shape[0]]) for a, b in ys.items()}
            ok = all(v < 4e-3 for v in r.values()) and all(e.values()); bad += not ok
            if not ok or k == 4096: print(k, code, kind, "ok" if ok else "BAD", f"{r['f1']:.1e}", {} if ok else {a: (f"{v:.1e}", e[a]) for a, v in r.items()}, flush=True)
    # What a product leaves to the next one: the same as rows that are made.
    for (code, kind, group, zero), (code2, kind2, group2, zero2) in ((ALL[0], ALL[0]), (ALL[1], ALL[1]), (ALL[0], ALL[1]), (ALL[1], ALL[2]), (ALL[8], ALL[9]), (ALL[10], ALL[5])):
        for n, k in ((4096, 512), (1024, 3072), (12288, 256)):
            for way in ("plain", "norm", "gates"):
                if way == "gates": A, B = matrix(code, 2 * n, k, kind, group, zero, check=code in ("bf16", "e2m1")), matrix(code2, 256, n, kind2, group2, zero2)
                else: A, B = matrix(code, n, k, kind, group, zero, check=code in ("bf16", "e2m1")), matrix(code2, 256, n, kind2, group2, zero2)
                nw = torch.rand(n, device=dv) + .5 if way == "norm" else None
                for m in (1, 2, 13, 16, 33, 47, 64):
                    if m > 16 and (UPN[code], element(A)) != (UPN[code2], element(B)): continue
                    x = torch.randn(m, k, device=dv); res = None if way == "gates" else torch.randn(m, n, device=dv) * 2.0 ** (torch.randint(-40, 12, (m, n), device=dv) - 4 * (torch.arange(m, device=dv)[:, None] % 16) - (2 if n == 4096 else 0)).float()
                    if res is not None and m == 47: res = torch.randn(m, n, device=dv)
                    rf = torch.empty(64, max(r128(k), n), device=dv, dtype=torch.int16); fa = torch.empty(64, device=dv); y1, y2 = torch.full((m, A.n), float("nan"), device=dv), torch.full((m, A.n), float("nan"), device=dv); z1, z2 = torch.full((m, 256), float("nan"), device=dv), torch.full((m, 256), float("nan"), device=dv)
                    mode = {"plain": 0, "norm": 1, "gates": 2}[way]; go = lambda M, y, **kw: few(M, y, 1, None if "left" in kw else None, None if "left" in kw else rf, fa, **kw) if m == 1 else (team if m <= 16 else some)(M, y, m, rf, fa, **kw)
                    left = leaving(B, m, y1, mode, nw); torch.cuda.synchronize(); make = lambda t, w, k_, mode_, M: rows(t, w, rf, fa, k_, mode_, M, m, arranged(m))
                    make(x, None, k, 0, A); go(A, y1, residual=res, leaves=left); go(B, z1, left=left); make(x, None, k, 0, A); go(A, y2, residual=res); make(y2, nw, n, mode, B); go(B, z2); torch.cuda.synchronize()
                    same = torch.equal(y1, y2) and torch.equal(z1, z2) and bool(z1.isfinite().all()); bad += not same
                    if not same or (m == 1 and n == 4096): print("left", code, code2, n, k, way, m, "ok" if same else f"BAD {torch.equal(y1, y2)} {(z1 != z2).sum().item()} {rel(z1, z2.double()):.1e}", flush=True)
    print("BAD COUNT", bad); LEAST_WHOLE = 4096
# So that sums and gates stay of usual size.
def modest(M):
    x, y = torch.randn(1, M.k, device=dv), torch.empty(1, M.n, device=dv); rf, fa = torch.empty(1, r128(M.k), device=dv, dtype=torch.int16), torch.empty(1, device=dv); torch.cuda.synchronize()
    rows(x, None, rf, fa, M.k, 0, M, 1); few(M, y, 1, None, rf, fa); torch.cuda.synchronize(); M.w.factor *= 2 / y.std().item(); return M
def chain(code, kind, group, m, hidden=4096, q=4096, kv=1024, inter=12288, layers=36, pdl=True, parts=None, made=False):
    mk = lambda n, k: modest(matrix(code, n, k, kind, group, 8 if kind == 4 else 0, check=False))
    L = [(mk(q + 2 * kv, hidden), mk(hidden, q), mk(2 * inter, hidden), mk(hidden, inter)) for _ in range(layers)]
    x = torch.randn(m, hidden, device=dv); qkv = torch.zeros(m, q + 2 * kv, device=dv); act = torch.zeros(m, 2 * inter, device=dv); nw = torch.rand(hidden, device=dv) + .5
    att = torch.randn(m, q, device=dv); r1 = torch.empty(max(m, 16), max(inter, hidden), device=dv, dtype=torch.int16); fa = torch.empty(m, device=dv)
    def step(M, t, k, mode, y, **kw):
        if made or 16 < m <= 32: rows(t, nw if mode == 1 else None, r1, fa, k, mode, M, m, arranged(m)); some(M, y, m, r1, fa, pdl=pdl, parts=parts)
        elif m > 16: some(M, y, m, None, None, pdl=pdl, parts=parts, **kw)
        elif m > 1: team(M, y, m, None, None, pdl=pdl, parts=parts, **kw)
        else: few(M, y, m, pdl=pdl, **kw)
    def go():
        for a, b, c, d in L: step(a, x, hidden, 1, qkv, left=lefts[0]); step(b, att, q, 0, x, left=lefts[1], leaves=lefts[2]); step(c, x, hidden, 1, act, left=lefts[2], leaves=lefts[3]); step(d, act, inter, 2, x, left=lefts[3], leaves=lefts[0])
    lefts = [leaving(L[0][0], m, x, 1, nw), leaving(L[0][1], m, att, 0), leaving(L[0][2], m, x, 1, nw), leaving(L[0][3], m, act, 2)]
    torch.cuda.synchronize(); go(); torch.cuda.synchronize(); t = timed(graph(go))
    bits, high = CODES[code]; bpw = (bits + high + (32 / group if kind in (1, 2) else 16 / 32 if kind in (4,5) else 0.5 if kind == 6 else 0)) / 8
    gb = layers * (hidden * (2 * q + 2 * kv) + 3 * hidden * inter) * bpw / 1e9
    print(f"chain {code}/{kind} m={m} h={hidden} pdl={pdl} parts={parts}{' rows made' if made else ''}: {t:.0f} us, {t / layers:.1f} a layer, {gb / t * 1e6:.0f} GB/s, {gb:.2f} GB; largest {max(x.abs().max().item(), act.abs().max().item()):.1e}", flush=True)
if want("chains"):
    A = ("bits4", 2, 64)
    for kw in (dict(), dict(pdl=False)): chain(*A, 1, **kw)
    for m in (2, 16, 32, 64): chain(*A, m)
    for m in (16, 64): chain(*A, m, pdl=False)
    chain("bits4", 4, 32, 1); chain("bits4", 5, 32, 1); chain("signed8", 4, 32, 1); chain("e2m1", 7, 32, 1)
    for m in (1, 16, 64): chain("bf16", 0, 32, m)
    Q = dict(hidden=1024, q=2048, kv=1024, inter=3072, layers=28)
    for m in (1, 16, 64): chain(*A, m, **Q)
if want("pairs"):
    for n, k in ((6144, 4096), (4096, 4096), (24576, 4096), (4096, 12288), (151936, 4096)):
        c = max(1, int(600e6 / (n * k * .5625))); ws = [matrix("bits4", n, k, 2, 64, check=False) for _ in range(c)]; r = []
        for m in (1, 16, 64):
            x = torch.randn(m, k, device=dv); y = torch.zeros(m, n, device=dv); r1 = torch.zeros(max(m, 16), r128(k), device=dv, dtype=torch.int16); fa = torch.ones(m, device=dv)
            for parts, stages in [(2, 1), (2, 2)] if m == 16 else [(p, s) for p in (1, 2, 4, 8) for s in (3, 4)] if m > 1 else (("made", 0), ("inside", 0)):
                if m > 16 and stages * max(16, m) * 256 + 256 + (1 if parts == 1 else 8 // parts) * max(16, m) * 512 > 232448: continue
                def go():
                    for w in ws:
                        if m == 1 and parts == "made": few(w, y, 1, None, r1, fa)
                        elif m == 1: few(w, y, 1, RowSource(P(x), 0, k, 0, 0, 0, 0, 0))
                        elif m == 16: team(w, y, m, r1, fa, parts=parts, halves=stages if k < 8192 else 1)
                        else: some(w, y, m, r1, fa, parts=parts, stages=stages)
                torch.cuda.synchronize(); go(); torch.cuda.synchronize(); t = timed(graph(go)) / c; r.append((t, f"m{m}/{parts}/{stages} {t:.2f} us {n * k * .5625 / t / 1e3:.0f}"))
            print(f"pair {n}x{k} m{m}:", [x for _, x in sorted(r)[:8]], flush=True); r = []
        del ws

# Many rows, beside the library's product; gates joined at a product's end, and by the rows behind it.
if want("gemm"):
    for code in ("bf16", "f16"):
        for m, n, k in ((2048, 6144, 4096), (300, 1088, 12288), (129, 512, 320)):
            M = matrix(code, n, k); D = matrix(code, 32, n // 2); x = torch.zeros(m, r128(k), device=dv, dtype=M.value.dtype); x[:, :k] = torch.randn(m, k, device=dv); fa, fb, fc = [torch.ones(m, device=dv) for _ in range(3)]; g = torch.empty(m, n, device=dv); j = torch.full((m, n // 2), float("nan"), device=dv); ra, rb = [torch.empty(m, r128(n // 2), device=dv, dtype=torch.int16) for _ in range(2)]; torch.cuda.synchronize()
            gemm(x, M, M.codes, m, g, fa); gemm(x, M, M.codes, m, j, fa, joined=True); rows(g, None, ra, fb, n // 2, 2, D, m, 1); rows(j, None, rb, fc, n // 2, 0, D, m, 1); torch.cuda.synchronize(); same = torch.equal(ra, rb) and torch.equal(fb, fc)
            if code == "bf16" and n % 256 == 0: rb.fill_(-1); torch.cuda.synchronize(); gemm(x, M, M.codes, m, rb, fa, joined=True); torch.cuda.synchronize(); same = same and torch.equal(ra, rb)
            print("gates of many rows joined", code, m, n, k, "ok" if same else "BAD")
    for code in ("bf16", "f16"):
        for n, k in ((6144, 4096), (4096, 4096), (24576, 4096), (4096, 12288), (4096, 2048)):
            ws = [matrix(code, n, k) for _ in range(3)]; x = (torch.randn(2048, k, device=dv)).to(ws[0].value.dtype); y = torch.zeros(2048, n, device=dv); fa = torch.ones(2048, device=dv); r = []
            for bn in (192, 128):
                def go():
                    for w in ws: gemm(x, w, w.codes, 2048, y, fa, bn=bn)
                torch.cuda.synchronize(); go(); torch.cuda.synchronize(); t = timed(graph(go)) / 3; r.append(f"bn{bn} {t:.0f} us {2 * 2048 * n * k / t / 1e6:.0f} TF")
            def lib():
                with torch.cuda.stream(STREAM):
                    for w in ws: torch.matmul(x, w.value.T)
            t = timed(lib) / 3
            print(f"gemm {code} 2048x{n}x{k}:", ", ".join(r), f"cublas {t:.0f} us {2 * 2048 * n * k / t / 1e6:.0f} TF", flush=True); del ws
    M = matrix("bits4", 24576, 4096, 2, 64, check=False); o = torch.empty(768, 128, 4, 32, 8, device=dv, dtype=torch.int16)
    torch.cuda.synchronize(); t = timed(lambda: unpack_to(M, o)); print("unpack 24576x4096", t, "us", 24576 * 4096 * 2.5625 / t / 1e3, "GB/s")

# Attention.
torch.manual_seed(3)
class Att(C.Structure): _fields_ = [("qkv", V), ("rows", V), ("tables", V), ("pages", V), ("sinks", V), ("scratch", V), ("out", V), ("count", U), ("heads", U), ("group", U), ("kvh", U), ("kd", U), ("vd", U), ("page", U), ("element", U), ("rs", U), ("os", U), ("spans", U), ("window", U), ("scale", F), ("cap", F)]
def setup(seqs, heads, kvh, dim, page=32, el=2, win=0, cap=0.0, sinks=False, past=0):
    S_ = type("S", (), {})(); dt = torch.bfloat16 if el == 2 else torch.half if el == 1 else torch.float; count = sum(n for n, _ in seqs); S_.count = count
    rs, tb, npages = [], [], 0; S_.ref = []
    total = sum(-(-(p + n) // page) for n, p in seqs); perm = torch.randperm(total).tolist()
    pages = torch.randn(total, kvh, 2, page, dim, device=dv).to(dt); S_.pages = pages; S_.seqs = seqs; used = 0
    for n, p in seqs:
        base = len(tb); k = -(-(p + n) // page); tb += perm[used:used + k]; used += k
        for i in range(n): rs.append((p + i, base))
    S_.rows = torch.tensor(rs, device=dv, dtype=torch.int32); S_.tables = torch.tensor(tb, device=dv, dtype=torch.int32); S_.tb = tb
    S_.qkv = torch.randn(count, heads * dim, device=dv); S_.out = torch.full((count, heads * dim), float("nan"), device=dv); S_.sinks = torch.randn(heads, device=dv) if sinks else None
    S_.p = (heads, kvh, dim, page, el, win, cap); return S_
def spans_of(tiles): return min(tiles, 64) + max(0, -(-(tiles - 64) // RUN))
def args(S_, sub=None, out=None, scratch=None, spans=0):
    heads, kvh, dim, page, el, win, cap = S_.p
    lo, hi = sub or (0, S_.count); a = Att(); a.qkv = S_.qkv[lo].data_ptr(); a.rows = S_.rows[lo].data_ptr(); a.tables = P(S_.tables); a.pages = P(S_.pages); a.sinks = P(S_.sinks); a.scratch = P(scratch); a.out = P(out)
    a.count, a.heads, a.group, a.kvh, a.kd, a.vd, a.page, a.element, a.rs, a.os, a.spans, a.window, a.scale, a.cap = hi - lo, heads, heads // kvh, kvh, dim, dim, page, el, heads * dim, heads * dim, spans, win, dim ** -0.5, cap
    return a
NM = {1: "f16", 2: "bf16"}
RUN = 8  # tiles of a span behind the first 64, which are one each
def across(tiles, others):
    work = -(-tiles // 2); of = min(range(1, 17), key=lambda of: -(-(-(-work // of) * others) // (3 * SMS)) * (of + 0.75))
    return -(-work // of)
def prefill(S_, sub=None):
    heads, kvh, dim, page, el, *_ = S_.p; lo, hi = sub or (0, S_.count); out = torch.full((hi - lo, heads * dim), float("nan"), device=dv); torch.cuda.synchronize()
    launch(fn("attention", f"attention_prefill_{NM[el]}_{dim}"), (kvh, -(-(hi - lo) // (64 // (heads // kvh))), 1), 128, 4 * 64 * dim * 2, args(S_, sub, out)); return out
def prompt(S_, sub=None):
    heads, kvh, dim, page, el, *_ = S_.p; lo, hi = sub or (0, S_.count); out = torch.full((hi - lo, heads * dim), float("nan"), device=dv); torch.cuda.synchronize()
    prompt_launch(step_args(S_.pages, args(S_, sub, out), None, None, None, dim, el, 0), kvh, heads // kvh, hi - lo, el, dim); return out
def decode(S_, sub, most):
    heads, kvh, dim, page, el, *_ = S_.p; lo, hi = sub; out = torch.full((hi - lo, heads * dim), float("nan"), device=dv); spans = spans_of(-(-most // 256) * 4)
    scratch = torch.full(((hi - lo) * heads * spans * (dim + 4),), float("nan"), device=dv); torch.cuda.synchronize(); a = args(S_, sub, out, scratch, spans); S_.keep = scratch
    s = step_args(S_.pages, a, None, None, None, dim, el, 0); S_.tiles = lambda: long_launch(s, el, dim); S_.long = lambda: (S_.tiles(), join_launch(a, hi - lo))
    go = lambda: (launch(fn("attention", f"attention_decode_{NM[el]}_{dim}"), (across(spans, kvh * -(-(heads // kvh) // 16) * (hi - lo)), kvh * -(-(heads // kvh) // 16), hi - lo), 64, 2 * 64 * dim * 4, a), join_launch(a, hi - lo))
    go(); S_.go = go; return out
def close_shared(tiles, here, dim): return 2 * 64 * dim * 4 + tiles * here * (dim + 2) * 4
def is_close(tiles, others, here=4, dim=128): return tiles <= 16 and others >= SMS and 2 * (close_shared(tiles, here, dim) + 16384) <= 232448
def closely(S_, sub, most):
    heads, kvh, dim, page, el, *_ = S_.p; lo, hi = sub; out = torch.full((hi - lo, heads * dim), float("nan"), device=dv); tiles = -(-most // 256) * 4; a = args(S_, sub, out, None, tiles); g = heads // kvh; torch.cuda.synchronize()
    S_.close = lambda: launch(fn("attention", f"attention_close_{NM[el]}_{dim}"), (1, kvh * -(-g // 16), hi - lo), 64, close_shared(tiles, min(16, g), dim), a)
    S_.close(); return out
class StepA(C.Structure): _fields_ = [("map", Map), ("a", Att), ("qkv", V), ("qn", V), ("kn", V), ("angles", V), ("keys", U), ("normed", U), ("rotated", U), ("inter", U), ("eps", F), ("stages", U), ("leaves", Left)]
def step_shared(blocks, quads, stages, tiles, here, dim): return quads * (stages * 64 * dim * 4 + 6400) + 128 + (dim + 8) * (4 * (here + 2) + 2 * (here + 3)) + tiles * -(-(here * dim // 64) // blocks) * 272
def cluster_of(tiles, others, here, dim):  # blocks, quads, stages, shared memory
    way = lambda blocks, quads, stages: (blocks, quads, stages, step_shared(blocks, quads, stages, tiles, here, dim)); resident = lambda w: min(233472 // (w[3] + 1024), 4 // w[1])
    lone = [w for w in (way(1, 1, 2), way(1, 1, 1), way(1, 2, 1), way(1, 4, 1)) if resident(w)] if 2 * others > SMS or tiles <= (8 if 4 * others > SMS else 4) else []
    if lone: return min(lone, key=lambda w: -(-others // (SMS * resident(w))) * (2 * -(-tiles // w[1]) + 4 + w[1] * (2 * others > SMS))) if tiles <= 64 else None
    quads, stages, most = ((2, 2, 1), (1, 2, 2), (1, 1, 2))[min(-(-others // SMS), 3) - 1]; least = next((b for b in (2, 4) if b * quads >= tiles or 2 * b * others > SMS), 8)
    return next((w for w in (way(b, quads, stages) for b in (2, 4, 8) if b >= least) if tiles <= 64 and most * (w[3] + 1024) <= 233472), None)
def step_args(pages, a, qkv, norm, angles, dim, el, keys, leaves=None):
    s = StepA(); page = a.page; s.map = encode(pages, (64, 8, dim // 64, pages.numel() // dim // 8), (dim * 2, 128, 16 * dim), (64, 8, dim // 64, min(page, 64) // 8), 3, el == 2)
    s.a = a; s.qkv, s.qn, s.kn, s.angles, s.keys, s.rotated, s.eps = P(qkv), P(norm), P(norm), P(angles), keys, dim if angles is not None else 0, 1e-6; s.normed = norm is not None
    if leaves: s.leaves = leaves
    return s
def step_launch(s, cluster, others, rows_, el, dim): s.stages = cluster[2]; launch(fn("attention_step", f"attention_{('lone_' if s.leaves.rows else 'lone') if cluster[0] == 1 else '' if s.leaves.rows else 'step'}{'leaving' if s.leaves.rows else ''}_{NM[el]}_{dim}"), (cluster[0], others, rows_), cluster[1] * 128, cluster[3], s, cluster=cluster[0])
def prompt_launch(s, kvh, group, rows_, el, dim, most=1 << 20):
    units = lambda teams: -(-rows_ // (teams * (64 // group))) * kvh; teams = 2 if units(1) > SMS else 1
    launch(fn("attention_prompt", f"attention_prompt_{NM[el]}_{dim}"), (min(SMS, units(teams)), 1, 1), 128 * (teams + 1), 131072 + 256 + (512 * dim if most > 4096 else 0), s)
def long_launch(s, el, dim): launch(fn("attention_step", f"attention_long_{NM[el]}_{dim}"), (SMS, 1, 1), 192, 640 // dim * (256 * dim + 32) + 40 + 64 * (dim + 8) + 772, s)
def join_launch(a, rows_): launch(fn("attention", "attention_join"), (a.heads, rows_, a.vd // 32), 128, 17408 + 8192 * min(4, -(-a.spans // 64)), a)
def anyone(S_, sub=None):
    heads, kvh, dim, *_ = S_.p; lo, hi = sub or (0, S_.count); out = torch.full((hi - lo, heads * dim), float("nan"), device=dv); torch.cuda.synchronize()
    launch(fn("attention", "attention_any"), (heads, hi - lo, 1), 128, 0, args(S_, sub, out)); return out
def reference(S_):
    heads, kvh, dim, page, el, win, cap = S_.p; outs = []; at = 0
    for n, p in S_.seqs:
        base = int(S_.rows[at, 1]); ids = S_.tb[base: base + -(-(p + n) // page)]; pg = S_.pages[ids].double(); K = pg[:, :, 0].permute(1, 0, 2, 3).reshape(kvh, -1, dim)[:, :p + n]; Vv = pg[:, :, 1].permute(1, 0, 2, 3).reshape(kvh, -1, dim)[:, :p + n]
        q = S_.qkv[at:at + n].double().reshape(n, kvh, heads // kvh, dim); s = torch.einsum("nkgd,ktd->nkgt", q, K) * dim ** -0.5
        if cap: s = cap * torch.tanh(s / cap)
        pos = torch.arange(p, p + n, device=dv)[:, None]; t = torch.arange(p + n, device=dv)[None]; m = (t <= pos) & ((t + win > pos) if win else True); s = s.masked_fill(~m[:, None, None], float("-inf"))
        if S_.sinks is not None: s = torch.cat([s, S_.sinks.double().reshape(1, kvh, -1, 1).expand(n, -1, -1, 1)], -1)
        w = s.softmax(-1)[..., :p + n]; outs.append(torch.einsum("nkgt,ktd->nkgd", w, Vv).reshape(n, heads * dim)); at += n
    return torch.cat(outs)
TRY = "clusters" in sys.argv
if want("attention"):
    for cfg in (dict(seqs=[(70, 0), (1, 300), (5, 1000), (130, 37)], heads=32, kvh=8, dim=128), dict(seqs=[(33, 200), (1, 5), (1, 700)], heads=14, kvh=2, dim=64, el=1, page=16), dict(seqs=[(40, 500), (3, 130)], heads=16, kvh=2, dim=64, win=128, sinks=True), dict(seqs=[(20, 90)], heads=8, kvh=8, dim=128, cap=30.0, page=64), dict(seqs=[(64, 100)], heads=28, kvh=4, dim=128), dict(seqs=[(70, 4060), (1, 5000), (30, 4590), (1, 6200)], heads=32, kvh=8, dim=128), dict(seqs=[(100, 4550), (1, 9100)], heads=14, kvh=2, dim=64, el=1, page=16, win=700, sinks=True)):
        S_ = setup(**cfg); r = reference(S_); a = prefill(S_); g = anyone(S_); p = prompt(S_); torch.cuda.synchronize(); same = [torch.equal(p, a)]
        if not same[0]: print("prompt", rel(p, r), rel(p, a.double()))
        for lo, hi in ((0, 1), (S_.count - 1, S_.count), (S_.count // 2, S_.count // 2 + 7)):
            hi = min(hi, S_.count); most = max(n + p for n, p in S_.seqs); d = decode(S_, (lo, hi), most); torch.cuda.synchronize(); same.append(torch.equal(d, a[lo:hi])); d.fill_(float("nan")); torch.cuda.synchronize(); S_.long(); torch.cuda.synchronize(); same.append(torch.equal(d, a[lo:hi]))
            if most <= 1280: same.append((closely(S_, (lo, hi), most), torch.cuda.synchronize())[0].equal(d))
            b = prefill(S_, (lo, hi)); torch.cuda.synchronize(); same.append(torch.equal(b, a[lo:hi]))
        print("attention", {k: v for k, v in cfg.items() if k != "seqs"}, f"prefill {rel(a, r):.1e} any {rel(g, r):.1e}", same, flush=True)
    S_ = setup([(2048, 0)], 32, 8, 128); a = prefill(S_); o = torch.empty_like(a); ar = args(S_, None, o); torch.cuda.synchronize()
    s = step_args(S_.pages, ar, None, None, None, 128, 2, 0); t = timed(lambda: prompt_launch(s, 8, 4, 2048, 2, 128, 2048)); print(f"prompt 2048 x 32/8 x 128: {t:.0f} us {4 * 2048 * 1024 * 4096 / t / 1e6:.0f} TF")
    t = timed(lambda: launch(fn("attention", "attention_prefill_bf16_128"), (8, 128, 1), 128, 65536, ar)); print(f"prefill 2048 x 32/8 x 128: {t:.0f} us {4 * 2048 * 1024 * 4096 / t / 1e6:.0f} TF")
    for past in (0, 6144):
        S2 = setup([(8192 - past, past)], 32, 8, 128); o2 = torch.empty(8192 - past, 4096, device=dv); s2 = step_args(S2.pages, args(S2, None, o2), None, None, None, 128, 2, 0); torch.cuda.synchronize()
        print(f"prompt {8192 - past} behind {past}: {timed(lambda: prompt_launch(s2, 8, 4, 8192 - past, 2, 128, 8192)):.0f} us"); del S2
    for heads, kvh, n in ((32, 8, 8192), (32, 8, 12288), (32, 8, 20480), (32, 8, 32768), (32, 8, 131072), (32, 4, 32768), (32, 4, 131072), (16, 8, 32768), (16, 8, 131072), (64, 8, 32768)):
        several = [setup([(1, n - 1)], heads, kvh, 128) for _ in range(max(1, -(-400000000 // (n * kvh * 512))))]
        for S_ in several: decode(S_, (0, 1), n)
        torch.cuda.synchronize(); t, t1 = [timed(graph(lambda: [(S_.tiles if of else S_.long)() for i in range(20) for S_ in [several[i % len(several)]]])) / 20 for of in (0, 1)]
        print(f"long {heads} / {kvh} heads, {n}: {t:.1f} us with join, {t1:.1f} us without, {n * kvh * 512 / t / 1e3:.0f} GB/s", flush=True); del several
    for n, rows_ in ((128, 1), (512, 1), (2048, 1), (4096, 1), (4500, 16), (32768, 16), (128, 16), (512, 16), (2048, 16), (512, 64), (2048, 64)):
        S_ = setup([(1, n - 1)] * rows_, 32, 8, 128); decode(S_, (0, rows_), n); torch.cuda.synchronize(); t = timed(S_.go); t1 = timed(graph(lambda: [S_.go() for _ in range(20)])) / 20; 
        if n <= 1024:
            closely(S_, (0, rows_), n); torch.cuda.synchronize(); print(f"close {rows_} x {n}: {timed(graph(lambda: [S_.close() for _ in range(20)])) / 20:.1f} us")
        tl = timed(graph(lambda: [S_.long() for _ in range(20)])) / 20; room = max(4, 1 << (-(-n // 64) - 1).bit_length()); qkv = torch.randn(rows_, 48 * 128, device=dv); o = torch.empty(rows_, 4096, device=dv); nw_ = torch.rand(128, device=dv); an = torch.randn(rows_, 64, 2, device=dv)
        r = []
        best = cluster_of(room, 8 * rows_, 4, 128)
        for cl in [best] + [c for c in ((b, n, k, step_shared(b, n, k, room, 4, 128)) for b in (1, 2, 4, 8) for n in (1, 2, 4) for k in (1, 2)) if TRY and (n < 4 or b == 1) and c[3] <= 232448 and c[0] * c[1] <= room and c != best]:
            if cl is None: continue
            a = args(S_, None, o, None, room); a.rs, a.os = 48 * 128, 4096; a.qkv = P(qkv); s = step_args(S_.pages, a, qkv, nw_, an, 128, 2, 4096); torch.cuda.synchronize()
            ts = timed(graph(lambda: [step_launch(s, cl, 8, rows_, 2, 128) for _ in range(20)])) / 20; r.append(f"step {cl}: {ts:.1f} us")
        print(f"long {rows_} x {n}: {tl:.1f} us {rows_ * n * 4096 / tl / 1e3:.0f} GB/s", r)
        print(f"decode {rows_} x {n}: {t:.1f} us, in a row {t1:.1f} us {rows_ * n * 8 * 256 * 2 / t1 / 1e3:.0f} GB/s", flush=True)

# A whole step of a decoder as the runtime starts it, random weights: the products, heads, cache and attention of all
# layers and the output matrix; no embedding, no choice of the token.
class KvWrite(C.Structure): _fields_ = [("qkv", V), ("rows", V), ("tables", V), ("pages", V), ("kvh", U), ("kd", U), ("vd", U), ("page", U), ("element", U), ("rs", U), ("first", U)]
class Heads(C.Structure): _fields_ = [("cache", KvWrite), ("qkv", V), ("qn", V), ("kn", V), ("angles", V), ("heads", U), ("dim", U), ("rotated", U), ("inter", U), ("rs", U), ("eps", F), ("count", U)]
def product(M, x, m, k, mode, norm, y, rf, fa, scratch, residual=None, joined=False, left=None, leaves=None):
    if left and m == 1: few(M, y, 1, residual=residual, left=left, leaves=leaves); return
    if left: (team if m <= 16 else some)(M, y, m, None, None, residual=residual, left=left, leaves=leaves); return
    if m == 1 and mode != 2: few(M, y, 1, RowSource(P(x), P(norm), k, mode, 0, 0, 0, 1e-6), residual=residual, leaves=leaves); return
    if mode is not None: rows(x, norm, rf, fa, k, mode, M, m, arranged(m))
    else: rf, fa = x, None
    if m == 1: few(M, y, 1, None, rf, fa, residual=residual)
    elif m > 64:
        w = M.codes
        if M.code != "bf16": unpack_to(M, scratch); w = scratch
        waves = lambda b: -(-(-(-m // 128) * -(-M.n // b)) // SMS); bn = 128 if not joined and waves(128) * 128 * 21 < waves(192) * 192 * 20 else 192
        gemm(rf, M, w, m, y, fa, residual=residual, bn=bn, joined=joined)
    elif m > 16: some(M, y, m, rf, fa, residual=residual, leaves=leaves)
    else: team(M, y, m, rf, fa, residual=residual, leaves=leaves)
def whole(label, code, kind, group, hidden, heads, kvh, inter, layers, vocabulary, m, context, prefill_=False):
    dim, page = 128, 32; q, kv = heads * dim, kvh * dim; mk = lambda n, k: modest(matrix(code, n, k, kind, group, check=False))
    L = [(mk(q + 2 * kv, hidden), mk(hidden, q), mk(2 * inter, hidden), mk(hidden, inter)) for _ in range(layers)]; head = mk(vocabulary, hidden)
    pages_of = -(-context // page); seqs = 1 if prefill_ else m
    pools = [torch.randn(seqs * pages_of, kvh, 2, page, dim, device=dv).bfloat16() for _ in range(min(layers, 8))]
    rws = torch.tensor([(i if prefill_ else context - 1, 0 if prefill_ else i * pages_of) for i in range(m)], device=dv, dtype=torch.int32); tables = torch.randperm(seqs * pages_of, device=dv).int()
    x, qkv, att, gu = [torch.randn(m, n, device=dv) for n in (hidden, q + 2 * kv, q, 2 * inter)]; logits = torch.zeros(1 if prefill_ else m, vocabulary, device=dv)
    nw, hn = torch.rand(hidden, device=dv) + .5, torch.rand(dim, device=dv) + .5; angles = torch.randn(m, dim // 2, 2, device=dv); rf = torch.empty(max(m, 16), max(inter, hidden, q), device=dv, dtype=torch.int16); fa = torch.ones(m, device=dv)
    scratch = torch.empty(max(2 * inter * hidden, (q + 2 * kv) * hidden), device=dv, dtype=torch.int16); tl = max(4, 1 << (-(-context // 64) - 1).bit_length()); part = torch.empty(m * heads * spans_of(tl) * (dim + 4), device=dv) if not prefill_ else None; jo = torch.zeros(m if m > 64 else 1, inter, device=dv, dtype=torch.bfloat16 if code == "bf16" else torch.float)
    lefts = [leaving(L[0][0], m, x, 1, nw), leaving(L[0][1], m, att, 0), leaving(L[0][2], m, x, 1, nw), leaving(L[0][3], m, gu, 2)] if (m <= 16 or 32 < m <= 64) and not prefill_ else [None] * 4
    def go():
        for i, (a, b, c, d) in enumerate(L):
            pool = pools[i % len(pools)]
            product(a, x, m, hidden, 1, nw, qkv, rf, fa, scratch, left=lefts[0] if i else None)
            cl = None if prefill_ or m > 64 else cluster_of(tl, kvh * m, heads // kvh, dim)
            if not cl: launch(fn("plain", "heads_128"), (-(-(heads + 2 * kvh) // (48 if m > 64 else 8)), m, 1), 256, 0, Heads(KvWrite(P(qkv), P(rws), P(tables), P(pool), kvh, dim, dim, page, 2, q + 2 * kv, q), P(qkv), P(hn), P(hn), P(angles), heads, dim, dim, 0, q + 2 * kv, 1e-6, heads + 2 * kvh))
            A = Att(); A.qkv, A.rows, A.tables, A.pages, A.scratch, A.out = P(qkv), P(rws), P(tables), P(pool), P(part), P(att)
            A.count, A.heads, A.group, A.kvh, A.kd, A.vd, A.page, A.element, A.rs, A.os, A.spans, A.scale = m, heads, heads // kvh, kvh, dim, dim, page, 2, q + 2 * kv, q, spans_of(tl), dim ** -0.5
            if prefill_: prompt_launch(step_args(pool, A, None, None, None, dim, 2, 0), kvh, heads // kvh, m, 2, dim, context)
            elif cl: step_launch(step_args(pool, A, qkv, hn, angles, dim, 2, q, lefts[1]), cl, kvh, m, 2, dim)
            elif is_close(tl, kvh * m): launch(fn("attention", "attention_close_bf16_128"), (1, kvh, m), 64, close_shared(tl, heads // kvh, dim), A)
            else:
                long_launch(step_args(pool, A, None, None, None, dim, 2, 0), 2, dim); join_launch(A, m)
            product(b, att, m, q, 0, None, x, rf, fa, scratch, residual=x, left=lefts[1] if cl else None, leaves=lefts[2])
            if m > 64: product(c, x, m, hidden, 1, nw, jo, rf, fa, scratch, joined=True); product(d, jo, m, inter, None if code == "bf16" else 0, None, x, rf, fa, scratch, residual=x); continue
            product(c, x, m, hidden, 1, nw, gu, rf, fa, scratch, left=lefts[2], leaves=lefts[3]); product(d, gu, m, inter, 2, None, x, rf, fa, scratch, residual=x, left=lefts[3], leaves=lefts[0] if i + 1 < len(L) else None)
        product(head, x, logits.shape[0], hidden, 1, nw, logits, rf, fa, scratch)
    torch.cuda.synchronize(); go(); torch.cuda.synchronize(); t = timed(graph(go), reps=10)
    print(f"{label} {code} {'prefill' if prefill_ else 'decode'} rows {m} context {context}: {t:.0f} us, {m / t * 1e6:.0f} tok/s; largest {max(x.abs().max().item(), gu.abs().max().item()):.1e}", flush=True)
# What stands between the products of a prompt of 2,048.
if want("parts"):
    m, hidden, heads, kvh, inter, dim, page = 2048, 4096, 32, 8, 12288, 128, 32; q, kv = heads * dim, kvh * dim; M = matrix("bits4", 32, hidden, 2, 64, check=False)
    x, qkv, gu = torch.randn(m, hidden, device=dv), torch.randn(m, q + 2 * kv, device=dv), torch.randn(m, 2 * inter, device=dv); rf = torch.empty(m, inter, device=dv, dtype=torch.int16); fa = torch.ones(m, device=dv); nw, hn = torch.rand(hidden, device=dv), torch.rand(dim, device=dv); angles = torch.randn(m, dim // 2, 2, device=dv)
    pool = torch.randn(m // page, kvh, 2, page, dim, device=dv).bfloat16(); rws = torch.tensor([(i, 0) for i in range(m)], device=dv, dtype=torch.int32); tables = torch.randperm(m // page, device=dv).int()
    H = Heads(KvWrite(P(qkv), P(rws), P(tables), P(pool), kvh, dim, dim, page, 2, q + 2 * kv, q), P(qkv), P(hn), P(hn), P(angles), heads, dim, dim, 0, q + 2 * kv, 1e-6, heads + 2 * kvh)
    for label, work in (("rows normed", lambda: rows(x, nw, rf, fa, hidden, 1, M, m, 1)), ("rows plain", lambda: rows(x, None, rf, fa, hidden, 0, M, m, 1)), ("rows of joined gates", lambda: rows(gu, None, rf, fa, inter, 0, M, m, 1)), ("rows gated", lambda: rows(gu, None, rf, fa, inter, 2, M, m, 1)), ("heads", lambda: launch(fn("plain", "heads_128"), (-(-(heads + 2 * kvh) // (48 if m > 64 else 8)), m, 1), 256, 0, H))):
        torch.cuda.synchronize(); print(label, f"{timed(graph(lambda: [work() for _ in range(10)])) / 10:.1f} us")
    for m in (1, 16, 64):
        for label, work in (("rows normed", lambda: rows(x, nw, rf, fa, hidden, 1, M, m, 2)), ("rows gated", lambda: rows(gu, None, rf, fa, inter, 2, M, m, 2)), ("heads", lambda: launch(fn("plain", "heads_128"), (-(-(heads + 2 * kvh) // (48 if m > 64 else 8)), m, 1), 256, 0, H))):
            torch.cuda.synchronize(); print(m, label, f"{timed(graph(lambda: [work() for _ in range(20)])) / 20:.1f} us")
if want("whole"):
    B8 = (4096, 32, 8, 12288, 36, 151936); B06 = (1024, 16, 8, 3072, 28, 151936)
    for code, kind, group in (("bits4", 2, 64), ("bf16", 0, 32)):
        for m, ctx in ((1, 512), (1, 2048), (16, 512), (64, 512), (1, 32768)): whole("8B", code, kind, group, *B8, m, ctx)
        whole("8B", code, kind, group, *B8, 2048, 2048, True)
    whole("8B", "bits4", 4, 32, *B8, 1, 512); whole("8B", "bits4", 5, 32, *B8, 1, 512)
    whole("0.6B", "bits4", 2, 64, *B06, 1, 512); whole("0.6B", "bits4", 2, 64, *B06, 16, 512); whole("0.6B", "bits4", 2, 64, *B06, 2048, 2048, True)
