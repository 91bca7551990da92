"""Tiny models in quantized checkpoint layouts: MLX folders (also MLX's own tensor names) and the hub's NVFP4 folders.

A case starts from a plain case of `family_cases`, replaces matrices by packed words and scales (all of them hashes again),
and says how the plain float32 model that transformers runs follows from them: (config, descriptions, restore), where
`restore(values)` takes {name: stored array} and returns {hub name: float32 array}.
"""

import math
import re

import numpy as np

import family_cases
from tiny_weights import tensor_bytes

CASES = {}

# The sixteen E2M1 codes.
E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)
E2M1 = np.concatenate([E2M1, -E2M1])
E2M1_RMS = float(np.sqrt((E2M1**2).mean()))
# Clears the exponent's top bit of each E4M3 byte: no NaN, magnitudes below two.
E4M3_MASK = 0xBFBFBFBF
E4M3_MASKED_RMS = 0.59


def case(function):
    CASES[function.__name__.replace("_", "-")] = function
    return function


def e4m3(codes: np.ndarray) -> np.ndarray:
    """Float8 E4M3 bit patterns (no NaN) → float32."""
    codes = codes.astype(np.int32)
    exponent, mantissa = (codes >> 3) & 15, codes & 7
    magnitude = np.where(exponent == 0, mantissa / 8 * 2.0**-6, (1 + mantissa / 8) * 2.0 ** (exponent - 7))
    return (np.where(codes & 128, -1, 1) * magnitude).astype(np.float32)


def unpack(words: np.ndarray, bits: int) -> np.ndarray:
    """The last axis as a little-endian stream of `bits`-wide codes."""
    stream = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=-1, bitorder="little")
    codes = stream.reshape(*stream.shape[:-1], -1, bits).astype(np.int64)
    return codes @ (1 << np.arange(bits))


def dequantize(mode: dict, weight: np.ndarray, scales: np.ndarray, biases: np.ndarray | None) -> np.ndarray:
    """MLX's definition of its modes, in float32."""
    group, bits = mode["group_size"], mode["bits"]
    kind = mode.get("mode", "affine")
    if kind == "affine":
        codes = unpack(weight, bits).astype(np.float32)
        return codes * np.repeat(scales, group, -1) + np.repeat(biases, group, -1)
    codes = unpack(weight, bits)
    values = e4m3(codes) if kind == "mxfp8" else E2M1[codes]
    factors = e4m3(scales) if kind == "nvfp4" else np.ldexp(np.float32(1), scales.astype(np.int32) - 127)
    return values * np.repeat(factors, group, -1)


def triple(path: str, shape: list[int], spread: float, mode: dict) -> list[dict]:
    """Descriptions of one quantized matrix whose values shall spread like uniform [-spread, spread)."""
    group, bits, kind = mode["group_size"], mode["bits"], mode.get("mode", "affine")
    *rows, columns = shape
    assert columns % group == 0 and columns * bits % 32 == 0, (path, shape, mode)
    weight = {"name": f"{path}.weight", "dtype": "U32", "shape": [*rows, columns * bits // 32], "low": 0, "high": 2**32 - 1}
    if kind == "mxfp8":
        weight["mask"] = E4M3_MASK
    grouped, out = [*rows, columns // group], [weight]
    if kind == "affine":
        step = 2 * spread / (2**bits - 1)
        for name, scale, offset in [("scales", 0.3 * step, step), ("biases", 0.2 * spread, -spread)]:
            numbers = {"scale": float(f"{scale:.6g}"), "offset": float(f"{offset:.6g}")}
            out.append({"name": f"{path}.{name}", "dtype": "BF16", "shape": grouped, **numbers})
        return out
    target = spread / math.sqrt(3) / (E4M3_MASKED_RMS if kind == "mxfp8" else E2M1_RMS)
    if kind == "nvfp4":
        middle = round((math.log2(target) + 7) * 8)
        low, high = max(middle - 4, 1), middle + 4
    else:
        middle = 127 + round(math.log2(target))
        low, high = middle - 1, middle + 1
    out.append({"name": f"{path}.scales", "dtype": "U8", "shape": grouped, "low": low, "high": high})
    return out


def stored(spec: dict) -> np.ndarray:
    """The array as the file has it; floats as float32."""
    data, shape = tensor_bytes(spec), spec["shape"]
    if spec["dtype"] == "BF16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32).reshape(shape)
    kinds = {"F32": "<f4", "U8": np.uint8, "U32": "<u4", "F8_E4M3": np.uint8}
    return np.frombuffer(data, kinds[spec["dtype"]]).reshape(shape)


class MlxFolder:
    """Turns a plain case into MLX's names and layouts, remembering the way back."""

    def __init__(self, specs: list[dict], mode_of, gemma_norms=False, prefix=("", "")):
        self.mode_of = mode_of
        self.out, self.back = [], []
        self.gemma_norms = gemma_norms
        self.prefix = prefix
        for spec in self.stack_experts(specs):
            self.add(spec)

    @staticmethod
    def stack_experts(specs):
        """Per-expert matrices → one `switch_mlp` description that lists its parts."""
        stacks, out = {}, []
        for spec in specs:
            match = re.fullmatch(r"(.*\.mlp)\.experts\.(\d+)\.(\w+)\.weight", spec["name"])
            if not match:
                out.append(spec)
                continue
            name = f"{match[1]}.switch_mlp.{match[3]}.weight"
            if name not in stacks:
                stacks[name] = {**spec, "name": name, "parts": []}
                out.append(stacks[name])
            stacks[name]["parts"].append(spec["name"])
        for spec in stacks.values():
            spec["shape"] = [len(spec["parts"]), *spec["shape"]]
        return out

    def rename(self, name: str) -> str:
        old, new = self.prefix
        return new + name.removeprefix(old) if name.startswith(old) else new.removesuffix("model.") + name

    def add(self, spec: dict):
        name, parts = spec["name"], spec.get("parts")
        spec = {key: value for key, value in spec.items() if key != "parts"}
        mlx_name = self.rename(name)
        path = mlx_name.removesuffix(".weight")
        if name.endswith("conv1d.weight"):
            channels, _, taps = spec["shape"]
            self.plain({**spec, "name": mlx_name, "shape": [channels, taps, 1]}, name, lambda x: x.transpose(0, 2, 1))
        elif self.gemma_norms and name.endswith("norm.weight") and "linear_attn" not in name:
            self.plain({**spec, "name": mlx_name, "offset": spec["offset"] + 1}, name, lambda x: x - np.float32(1))
        elif name.endswith(".mlp.experts.gate_up_proj"):
            self.split_stack(spec, mlx_name.replace("experts.gate_up_proj", "switch_mlp"), name)
        elif name.endswith(".mlp.experts.down_proj"):
            self.matrix(spec, mlx_name.replace("experts.down_proj", "switch_mlp.down_proj"), lambda x: {name: x})
        elif name.endswith(".weight") and len(spec["shape"]) > 1:
            restore = (lambda x: dict(zip(parts, x))) if parts else (lambda x: {name: x})
            self.matrix(spec, path, restore)
        else:
            self.plain({**spec, "name": mlx_name}, name, lambda x: x)

    def plain(self, spec: dict, name: str, function):
        self.out.append(spec)
        self.back.append(lambda values: {name: function(values[spec["name"]])})

    def split_stack(self, spec: dict, path: str, name: str):
        count, rows, columns = spec["shape"]
        halves = []
        for half in ("gate_proj", "up_proj"):
            self.matrix({**spec, "shape": [count, rows // 2, columns]}, f"{path}.{half}", lambda x: halves.append(x) or {})
        self.back.append(lambda _: {name: np.concatenate(halves[-2:], 1)})

    def matrix(self, spec: dict, path: str, restore):
        mode = self.mode_of(path)
        if not mode:
            self.out.append({**spec, "name": f"{path}.weight"})
            self.back.append(lambda values: restore(values[f"{path}.weight"]))
            return
        self.out += triple(path, spec["shape"], spec["scale"], mode)
        keys = [f"{path}.{leaf}" for leaf in ("weight", "scales", "biases")]
        self.back.append(lambda values: restore(dequantize(mode, *[values.get(key) for key in keys])))

    def restore(self, values: dict) -> dict:
        out = {}
        for function in self.back:
            out.update(function(values))
        return out


def mlx_case(plain, default: dict, overrides=None, prefix=("", ""), gemma_norms=False):
    """`overrides(path)`: a mode, False for an unquantized module or None for the default."""
    config, specs = plain
    specs = [spec for spec in specs if "visual" not in spec["name"]]
    table = dict(default)

    def mode_of(path):
        mode = overrides(path) if overrides else None
        if mode is not None:
            table[path] = mode
            return mode
        return default

    folder = MlxFolder(specs, mode_of, gemma_norms, prefix)
    return {**config, "quantization": table, "quantization_config": table}, folder.out, lambda v: (config, folder.restore(v))


def qwen3_plain(**fields):
    """Rows of 64 and 128 everywhere, so that every group size fits."""
    return family_cases.plain_decoder(family_cases.qwen3_config(intermediate_size=128, **fields), qk_norm=True)


@case
def qwen3_affine4():
    """Qwen3 in an MLX folder: affine 4-bit, groups of 64, the tied embedding quantized too."""
    return mlx_case(qwen3_plain(), {"group_size": 64, "bits": 4, "mode": "affine"})


@case
def qwen3_affine8():
    """Qwen3 in an MLX folder: affine 8-bit, groups of 64, no `mode` in the config (as older versions wrote it)."""
    return mlx_case(qwen3_plain(), {"group_size": 64, "bits": 8})


@case
def qwen3_affine_mixed():
    """Qwen3 in an MLX folder with a mode per module: 2, 3, 5 and 6 bits, groups of 32 and 128, modules left in bf16."""
    modes = {
        "self_attn.q_proj": {"group_size": 32, "bits": 3},
        "self_attn.k_proj": {"group_size": 64, "bits": 5},
        "self_attn.v_proj": {"group_size": 64, "bits": 6},
        "self_attn.o_proj": {"group_size": 128, "bits": 6},
        "mlp.down_proj": {"group_size": 128, "bits": 3},
        "mlp.up_proj": {"group_size": 32, "bits": 2},
        "layers.1.mlp.gate_proj": False,
        "lm_head": False,
    }

    def overrides(path):
        return next((mode for suffix, mode in modes.items() if path.endswith(suffix)), None)

    return mlx_case(qwen3_plain(tie_word_embeddings=False), {"group_size": 64, "bits": 4, "mode": "affine"}, overrides)


@case
def qwen3_mxfp4():
    """Qwen3 in an MLX folder: mxfp4."""
    return mlx_case(qwen3_plain(), {"group_size": 32, "bits": 4, "mode": "mxfp4"})


@case
def qwen3_mxfp8():
    """Qwen3 in an MLX folder: mxfp8."""
    return mlx_case(qwen3_plain(), {"group_size": 32, "bits": 8, "mode": "mxfp8"})


@case
def qwen3_nvfp4():
    """Qwen3 in an MLX folder: nvfp4."""
    return mlx_case(qwen3_plain(), {"group_size": 16, "bits": 4, "mode": "nvfp4"})


def gates_in_8_bits(path):
    return {"group_size": 64, "bits": 8} if path.endswith(("mlp.gate", "shared_expert_gate")) else None


@case
def qwen3_moe_mlx():
    """Qwen3-MoE in an MLX folder: stacked `switch_mlp` experts in 4 bits, the router in 8."""
    plain = family_cases.qwen3_moe_weights(family_cases.qwen3_moe_config())
    return mlx_case(plain, {"group_size": 32, "bits": 4, "mode": "affine"}, gates_in_8_bits)


@case
def qwen3_next_mlx():
    """Qwen3-Next in an MLX folder: norms with the one added, convolution as [channels, taps, 1], stacked experts."""
    plain = family_cases.qwen3_next_case(shared_expert_intermediate_size=32)
    return mlx_case(plain, {"group_size": 32, "bits": 4, "mode": "affine"}, gates_in_8_bits, gemma_norms=True)


@case
def qwen3_5_moe_mlx():
    """Qwen3.5 MoE in an MLX folder: `language_model.model.` names, split stacked experts, folded norms."""
    moe = {**family_cases.MOE, "shared_expert_intermediate_size": 32}
    plain = family_cases.qwen3_5_case(
        "qwen3_5_moe", "Qwen3_5MoeForConditionalGeneration", "qwen3_5_moe_text", "stacked", **moe
    )
    prefix = ("model.language_model.", "language_model.model.")
    return mlx_case(plain, {"group_size": 32, "bits": 4, "mode": "affine"}, gates_in_8_bits, prefix, gemma_norms=True)


@case
def gpt_oss_mlx():
    """gpt-oss in an MLX folder: mxfp4 experts split into gate and up, everything else affine 8-bit by overrides."""
    config, specs = family_cases.gpt_oss_weights(family_cases.gpt_oss_config(), False)
    experts_mode, other = {"group_size": 32, "bits": 4, "mode": "mxfp4"}, {"group_size": 64, "bits": 8, "mode": "affine"}
    dense = [spec for spec in specs if ".mlp.experts." not in spec["name"]]
    folder = MlxFolder(dense, lambda _: other)
    table = {**experts_mode, **{s["name"].removesuffix(".scales"): other for s in folder.out if s["name"].endswith(".scales")}}
    count, hidden, inner = config["num_local_experts"], config["hidden_size"], config["intermediate_size"]
    out, shapes = folder.out, {"gate_proj": (inner, hidden), "up_proj": (inner, hidden), "down_proj": (hidden, inner)}
    for index in range(config["num_hidden_layers"]):
        for name, (rows, columns) in shapes.items():
            path = f"model.layers.{index}.mlp.experts.{name}"
            out += triple(path, [count, rows, columns], 2.5 * math.sqrt(3 / columns), experts_mode)
            out.append({"name": f"{path}.bias", "dtype": "BF16", "shape": [count, rows], "scale": 0.4, "offset": 0.0})

    def restore(values):
        result = folder.restore(values)
        for index in range(config["num_hidden_layers"]):
            path = f"model.layers.{index}.mlp.experts"
            weight = {n: dequantize(experts_mode, values[f"{path}.{n}.weight"], values[f"{path}.{n}.scales"], None) for n in shapes}
            gate_up = np.stack([weight["gate_proj"], weight["up_proj"]], 2).reshape(count, 2 * inner, hidden)
            biases = [values[f"{path}.{n}.bias"] for n in ("gate_proj", "up_proj")]
            result[f"{path}.gate_up_proj"] = gate_up.transpose(0, 2, 1)
            result[f"{path}.gate_up_proj_bias"] = np.stack(biases, 2).reshape(count, 2 * inner)
            result[f"{path}.down_proj"] = weight["down_proj"].transpose(0, 2, 1)
            result[f"{path}.down_proj_bias"] = values[f"{path}.down_proj.bias"]
        return config, result

    return {**config, "quantization": table, "quantization_config": table}, out, restore


@case
def glm4_moe_lite_mlx():
    """GLM-4.7-Flash in an MLX folder, bf16: kv_b_proj split into `embed_q` and `unembed_out`, stacked experts."""
    config, specs = family_cases.glm4_moe_lite_case()
    heads, nope, value = config["num_attention_heads"], config["qk_nope_head_dim"], config["v_head_dim"]
    rank = config["kv_lora_rank"]
    folder = MlxFolder([spec for spec in specs if "kv_b_proj" not in spec["name"]], lambda _: None)
    out = folder.out
    for index in range(config["num_hidden_layers"]):
        for leaf, shape in [("embed_q", [heads, rank, nope]), ("unembed_out", [heads, value, rank])]:
            scale = float(f"{1.2 * math.sqrt(3 / rank):.6g}")
            name = f"model.layers.{index}.self_attn.{leaf}.weight"
            out.append({"name": name, "dtype": "BF16", "shape": shape, "scale": scale, "offset": 0.0})

    def restore(values):
        result = folder.restore(values)
        for index in range(config["num_hidden_layers"]):
            path = f"model.layers.{index}.self_attn"
            parts = [values[f"{path}.embed_q.weight"].transpose(0, 2, 1), values[f"{path}.unembed_out.weight"]]
            result[f"{path}.kv_b_proj.weight"] = np.concatenate(parts, 1).reshape(heads * (nope + value), rank)
        return config, result

    return config, out, restore


def hub_nvfp4(model: tuple, names: dict, global_scale: float, divide: bool, quantization: dict):
    """Packed E2M1 bytes, E4M3 scales of 16 values and one float32 scale a matrix, which multiplies or divides."""
    config, specs = model
    factor = 1 / global_scale if divide else global_scale
    out, quantized = [], []
    for spec in specs:
        if not spec["name"].endswith("_proj.weight"):
            out.append(spec)
            continue
        path = spec["name"].removesuffix(".weight")
        rows, columns = spec["shape"]
        quantized.append(path)
        middle = round((math.log2(spec["scale"] / math.sqrt(3) / E2M1_RMS / factor) + 7) * 8)
        scalars = {"scale": float(f"{names['spread'] * global_scale:.6g}"), "offset": global_scale}
        shape = names["scalar_shape"]
        out += [
            {"name": f"{path}.{names['weight']}", "dtype": "U8", "shape": [rows, columns // 2], "low": 0, "high": 255},
            {"name": f"{path}.weight_scale", "dtype": "F8_E4M3", "shape": [rows, columns // 16], "low": middle - 4, "high": middle + 4},
            {"name": f"{path}.{names['global']}", "dtype": "F32", "shape": shape, **scalars},
            {"name": f"{path}.{names['input']}", "dtype": "F32", "shape": shape, "scale": 0.1, "offset": 1.0},
        ]

    def restore(values):
        result = {spec["name"]: values[spec["name"]] for spec in specs if spec["name"] in values and "_proj" not in spec["name"]}
        for path in quantized:
            codes = E2M1[unpack(values[f"{path}.{names['weight']}"], 4)]
            number = values[f"{path}.{names['global']}"].reshape(())
            factor = np.float32(1) / number if divide else number
            result[f"{path}.weight"] = codes * np.repeat(e4m3(values[f"{path}.weight_scale"]), 16, -1) * factor
        return config, result

    return {**config, "quantization_config": quantization}, out, restore


def modelopt(model: tuple, global_scale: float, spread: float):
    """`weight` bytes, `weight_scale`, `weight_scale_2` (a factor)."""
    quantization = {
        "config_groups": {
            "group_0": {
                "input_activations": {"dynamic": False, "num_bits": 4, "type": "float", "group_size": 16},
                "weights": {"dynamic": False, "num_bits": 4, "type": "float", "group_size": 16},
                "targets": ["Linear"],
            }
        },
        "ignore": ["lm_head"],
        "quant_algo": "NVFP4",
        "producer": {"name": "modelopt", "version": "0.35.0"},
        "quant_method": "modelopt",
    }
    names = {"weight": "weight", "global": "weight_scale_2", "input": "input_scale", "scalar_shape": [], "spread": spread}
    return hub_nvfp4(model, names, global_scale, False, quantization)


@case
def qwen3_nvfp4_modelopt():
    """Qwen3 as NVIDIA's ModelOpt writes NVFP4: `weight` bytes, `weight_scale`, `weight_scale_2` (a factor)."""
    return modelopt(qwen3_plain(tie_word_embeddings=False), 2.0**-5, 0.2)


@case
def qwen3_moe_nvfp4_modelopt():
    """Qwen3-MoE as NVIDIA's ModelOpt writes NVFP4: `weight_scale` near its largest, experts' `weight_scale_2` differ."""
    return modelopt(family_cases.qwen3_moe_weights(family_cases.qwen3_moe_config()), 2.0**-12, 0.5)


@case
def qwen3_nvfp4_compressed():
    """Qwen3 as compressed-tensors writes NVFP4: `weight_packed`, `weight_scale`, `weight_global_scale` (a divisor)."""
    numbers = {"num_bits": 4, "type": "float", "symmetric": True, "strategy": "tensor_group", "group_size": 16}
    group = {
        "targets": ["Linear"],
        "weights": {**numbers, "dynamic": False},
        "input_activations": {**numbers, "dynamic": "local"},
        "format": "nvfp4-pack-quantized",
    }
    quantization = {
        "config_groups": {"group_0": group},
        "format": "nvfp4-pack-quantized",
        "ignore": ["lm_head"],
        "quant_method": "compressed-tensors",
        "quantization_status": "compressed",
    }
    names = {"weight": "weight_packed", "global": "weight_global_scale", "input": "input_global_scale", "scalar_shape": [1], "spread": 0.2}
    return hub_nvfp4(qwen3_plain(tie_word_embeddings=False), names, 2.0**5, True, quantization)
