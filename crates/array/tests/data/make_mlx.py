"""Writes mlx.json: what MLX's CPU build answers. Run: python make_mlx.py > mlx.json (needs mlx 0.32)."""
import json
import math

import mlx.core as mx

mx.set_default_device(mx.cpu)
NAMES = "bool_ uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32 float64 complex64".split()
DTYPES = [getattr(mx, name) for name in NAMES]


def name(dtype):
    return str(dtype).split(".")[-1]


def plain(x):
    if isinstance(x, list):
        return [plain(v) for v in x]
    if isinstance(x, float) and not math.isfinite(x):
        return str(x)
    return x


def case(array):
    flat = array.reshape(-1)
    if flat.dtype in (mx.float16, mx.bfloat16):
        flat = flat.astype(mx.float32)
    return {"dtype": name(array.dtype), "shape": list(array.shape), "values": plain(flat.tolist())}


def result_type(function, dtype):
    try:
        return name(function(mx.array([0, 1, 1, 1]).astype(dtype)).dtype)
    except Exception:
        return None


promotion = [[name((mx.zeros(1, a) + mx.zeros(1, b)).dtype) for b in DTYPES] for a in DTYPES]
functions = dict(
    sum=mx.sum, prod=mx.prod, max=mx.max, mean=mx.mean, var=mx.var, logsumexp=mx.logsumexp, cumsum=mx.cumsum,
    cumprod=mx.cumprod, argmax=mx.argmax, softmax=lambda a: mx.softmax(a, -1), abs=mx.abs, square=mx.square,
    sqrt=mx.sqrt, exp=mx.exp, negative=mx.negative, sign=mx.sign, round=mx.round, logical_not=mx.logical_not,
    reciprocal=mx.reciprocal, bitwise_invert=mx.bitwise_invert, power=lambda a: a**a, floor_divide=lambda a: a // a,
    divide=lambda a: a / a, logaddexp=lambda a: mx.logaddexp(a, a), left_shift=lambda a: a << a,
    bitwise_and=lambda a: a & a, maximum=lambda a: mx.maximum(a, a), add_float=lambda a: a + 1.5,
    add_integer=lambda a: a + 1, sort=mx.sort, isnan=mx.isnan, degrees=mx.degrees,
    tril=lambda a: mx.tril(a.reshape(2, 2)), trace=lambda a: mx.trace(a.reshape(2, 2)), median=mx.median,
    clip=lambda a: mx.clip(a, 0.5, 1.5), matmul=lambda a: a.reshape(1, 4) @ a.reshape(4, 1),
)
types = {key: [result_type(function, dtype) for dtype in DTYPES] for key, function in functions.items()}

k = mx.random.key(7)
logits = mx.array([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]])
random = {
    "split": mx.random.split(k, 3),
    "uniform_5": mx.random.uniform(shape=(5,), key=k),
    "uniform_6": mx.random.uniform(shape=(6,), key=k),
    "uniform_range": mx.random.uniform(mx.array([0.0, 1.0]), mx.array([1.0, 5.0]), (3, 2), key=k),
    "uniform_f16": mx.random.uniform(shape=(5,), dtype=mx.float16, key=k),
    "uniform_bf16": mx.random.uniform(shape=(5,), dtype=mx.bfloat16, key=k),
    "normal": mx.random.normal(shape=(64,), key=k),
    "normal_f16": mx.random.normal(shape=(5,), dtype=mx.float16, key=k),
    "randint": mx.random.randint(-5, 100, (64,), key=k),
    "bernoulli": mx.random.bernoulli(0.3, (64,), key=k),
    "gumbel": mx.random.gumbel((16,), key=k),
    "laplace": mx.random.laplace((16,), key=k),
    "truncated_normal": mx.random.truncated_normal(-1.0, 2.0, (64,), key=k),
    "permutation": mx.random.permutation(33, key=k),
    "shuffle": mx.random.permutation(mx.arange(12).reshape(4, 3), key=k),
    "categorical": mx.random.categorical(logits, key=k),
    "categorical_samples": mx.random.categorical(logits, num_samples=9, key=k),
    "categorical_axis_0": mx.random.categorical(logits, axis=0, key=k),
    "key_of_large_seed": mx.random.key(12345678901234),
}
nan = float("nan")
inf = float("inf")
a = mx.array([3.0, nan, 1.0, -0.0, 0.0, nan, 2.0, -inf, inf])
x, y = mx.array([7, -7, 7, -7, 0, 5]), mx.array([2, 2, -2, -2, 3, -5])
m = mx.arange(24).reshape(2, 3, 4)
ties = mx.array([[1, 0, 1, 0, 1], [2, 2, 1, 1, 0]])
values = {
    "sort": mx.sort(a),
    "argsort": mx.argsort(a),
    "argsort_ties": mx.argsort(ties),
    "sort_axis_0": mx.sort(ties, axis=0),
    "argmax": mx.argmax(a),
    "argmin": mx.argmin(a),
    "argmax_ties": mx.argmax(ties, axis=1),
    "max": mx.max(a),
    "min": mx.min(a),
    "cummax": mx.cummax(a),
    "cummin": mx.cummin(a),
    "cumsum_reverse": mx.cumsum(ties, axis=1, reverse=True),
    "cumsum_exclusive": mx.cumsum(ties, axis=0, inclusive=False),
    "cumprod_reverse_exclusive": mx.cumprod(ties, axis=1, reverse=True, inclusive=False),
    "topk": mx.topk(mx.array([5, 3, 1, 4, 2]), 3),
    "maximum_nan": mx.maximum(a, mx.array(2.5)),
    "minimum_nan": mx.minimum(a, mx.array(2.5)),
    "floor_divide": x // y,
    "remainder": x % y,
    "floor_divide_float": x.astype(mx.float32) // y.astype(mx.float32),
    "remainder_float": x.astype(mx.float32) % y.astype(mx.float32),
    "power": mx.abs(y) ** mx.array([3, 0, 5, 1, 2, 4]),
    "logaddexp": mx.logaddexp(a[2:5], a[6:9]),
    "sign": mx.sign(mx.array([3.0, -2.0, 0.0, -0.0, inf, -inf])),
    "round": mx.round(mx.array([0.5, 1.5, 2.5, -0.5, -1.5, 2.4])),
    "round_decimals": mx.round(mx.array([1.2345, -6.789, 155.0]), 2),
    "nan_to_u8": mx.array([300, -1, 77]).astype(mx.uint8),
    "slice_negative_step": m[:, ::-2, 3:0:-1],
    "slice_out_of_range": m[-5:9, 1:2, -3:20],
    "slice_empty": m[:, 2:1],
    "slice_step": mx.arange(10)[8:2:-3],
    "take_negative": mx.take(m, mx.array([[-1, 0], [1, -3]]), axis=1),
    "take_along": mx.take_along_axis(m, mx.array([[[2, 0, 1, 1]], [[0, 0, 2, 1]]]), axis=1),
    "put_along": mx.put_along_axis(m, mx.array([[[3], [0], [1]]]), mx.array(-1), axis=2),
    "roll": mx.roll(m, 5, axis=2),
    "tile": mx.tile(mx.array([[1, 2], [3, 4]]), (2, 1, 2)),
    "repeat": mx.repeat(mx.array([[1, 2], [3, 4]]), 3, axis=1),
    "pad": mx.pad(mx.array([[1, 2], [3, 4]]), [(1, 0), (2, 1)], constant_values=9),
    "pad_edge": mx.pad(mx.array([[1, 2], [3, 4]]), [(1, 0), (2, 1)], mode="edge"),
    "linspace": mx.linspace(-1.5, 4.0, 7),
    "arange": mx.arange(5.0, -2.0, -1.5),
    "eye": mx.eye(3, 4, 1),
    "tri": mx.tri(3, 4, -1),
    "triu": mx.triu(mx.arange(12).reshape(3, 4), 1),
    "var": mx.var(mx.array([[1.0, 2.0, 4.0], [3.0, 3.0, 9.0]]), axis=1, ddof=1),
    "median": mx.median(mx.array([[5.0, 1.0, 4.0, 2.0]]), axis=1),
    "logsumexp": mx.logsumexp(mx.array([[1000.0, 1000.0], [-inf, -inf], [inf, 0.0]]), axis=1),
    "softmax": mx.softmax(mx.array([[1.0, 2.0, 3.0], [1000.0, 0.0, -1000.0]]), axis=-1),
    "erf": mx.erf(mx.array([-3.5, -1.0, -0.1, 0.0, 0.3, 0.9, 2.0, 5.0])),
    "erfinv": mx.erfinv(mx.array([-0.999, -0.9, -0.3, 0.0, 0.1, 0.5, 0.97, 0.99999, 1.0])),
    "tensordot": mx.tensordot(m.astype(mx.float32), mx.ones((4, 3)), axes=[[1, 2], [1, 0]]),
    "matmul_vector": mx.arange(4.0) @ mx.arange(8.0).reshape(4, 2),
    "rms_norm": mx.fast.rms_norm(mx.arange(8.0).reshape(2, 4), mx.array([1.0, 2.0, 0.5, 1.0]), 1e-5),
    "layer_norm": mx.fast.layer_norm(mx.arange(8.0).reshape(2, 4), mx.array([1.0, 2.0, 0.5, 1.0]), mx.ones(4), 1e-5),
    "rope": mx.fast.rope(mx.arange(24.0).reshape(1, 2, 2, 6), 4, traditional=False, base=10000.0, scale=0.5, offset=3),
    "rope_traditional": mx.fast.rope(mx.arange(24.0).reshape(1, 2, 2, 6), 6, traditional=True, base=100.0, scale=1.0, offset=1),
}
q = mx.sin(mx.arange(48.0)).reshape(1, 4, 3, 4)
kv = mx.cos(mx.arange(40.0)).reshape(1, 2, 5, 4)
attend = mx.fast.scaled_dot_product_attention
bias = mx.sin(mx.arange(15.0) * 3).reshape(3, 5)
values |= {
    "attention": attend(q, kv, kv * 0.5, scale=0.5),
    "attention_causal": attend(q, kv, kv * 0.5, scale=0.5, mask="causal"),
    "attention_bias": attend(q, kv, kv * 0.5, scale=0.5, mask=bias),
    "attention_bool": attend(q, kv, kv * 0.5, scale=0.5, mask=bias > -0.5),
    "attention_sinks": attend(q, kv, kv * 0.5, scale=0.5, mask="causal", sinks=mx.array([0.5, -1.0, 2.0, 0.0])),
}
grid = mx.arange(12.0).reshape(3, 4)
rows, columns = mx.array([0, -1, 0]), mx.array([1, 2, 1])
values |= {
    "scatter_add": grid.at[rows, columns].add(mx.array([10.0, 20.0, 30.0])),
    "scatter_max": grid.at[rows].maximum(mx.full((3, 4), 2.5)),
    "gather_rows": grid[mx.array([2, -3])],
    "gather_points": grid[rows, columns],
    "diagonal": mx.diagonal(m, 1, 1, 2),
    "diag": mx.diag(mx.array([1, 2, 3]), -1),
    "diag_of": mx.diag(grid, 1),
    "meshgrid_xy": mx.meshgrid(mx.array([1, 2, 3]), mx.array([4, 5]))[0],
    "meshgrid_ij": mx.meshgrid(mx.array([1, 2, 3]), mx.array([4, 5]), indexing="ij")[1],
    "einsum_matmul": mx.einsum("bij,bkj->bik", m.astype(mx.float32), m.astype(mx.float32)),
    "einsum_trace": mx.einsum("ii", grid[:, :3]),
    "einsum_three": mx.einsum("ij,j,kj->ki", grid, mx.array([1.0, 0.0, 2.0, -1.0]), grid[:2]),
    "nan_to_num": mx.nan_to_num(a, nan=7.0),
}
w = (((mx.arange(3 * 4 * 64) * 37) % 101 - 50).astype(mx.float32) / 32).reshape(3, 4, 64)
x = (((mx.arange(2 * 3 * 64) * 29) % 67 - 33).astype(mx.float32) / 64).reshape(2, 3, 64)
for mode, group, bits in [("affine", 32, 4), ("affine", 64, 3), ("mxfp4", 32, 4), ("mxfp8", 32, 8), ("nvfp4", 16, 4)]:
    options = dict(group_size=group, bits=bits, mode=mode)
    parts = mx.quantize(w, **options)
    label = f"{mode}{bits}"
    values[f"{label}_data"] = parts[0]
    values[f"{label}_scales"] = parts[1]
    values[f"{label}_dequantized"] = mx.dequantize(*parts, dtype=mx.float32, **options)
    first = [part[0] for part in parts]
    values[f"{label}_matmul"] = mx.quantized_matmul(x, *first, **options)
    chosen = dict(lhs_indices=mx.array([1, 0, 1]), rhs_indices=mx.array([2, 0, 2]))
    values[f"{label}_gather"] = mx.gather_qmm(x, *parts, **chosen, **options)
    if mode == "affine":
        back = mx.quantized_matmul(x[..., :4], *first, transpose=False, **options)
        values[f"{label}_not_transposed"] = back
out = {
    "promotion": promotion,
    "types": types,
    "random": {key: case(value) for key, value in random.items()},
    "values": {key: case(value) for key, value in values.items()},
}
sections = []
for key, section in out.items():
    entries = section.items() if isinstance(section, dict) else enumerate(section)
    shown = [f"{json.dumps(str(n)) + ': ' if isinstance(section, dict) else ''}{json.dumps(v)}" for n, v in entries]
    left, right = "{}" if isinstance(section, dict) else "[]"
    sections.append(f'"{key}": {left}\n' + ",\n".join(shown) + f"\n{right}")
print("{" + ",\n".join(sections) + "}")
