"""Writes `gguf.json` beside `case.json`: the GGUF form of a tiny model as a recipe, checked byte for byte.

llama.cpp's own converter turns the tiny folder into a GGUF (vocabulary left out: tokenizer model "none"). For every tensor
of that file this script states how it follows from the hub's tensors, executes the statement and compares the bytes; the
recipe, the metadata and the checksums are kept, the file is not. With `--probe` (llama_logits.cpp, llama.cpp's float32
logits for token ids) the file's logits are compared with transformers', and the difference is recorded.

An entry's operations, applied to its sources in order: stack | reshape shape | permute axes | take axis ranges | add number;
for MXFP4, whose sources are blocks and scales: rows step start.
Needs torch, transformers and a llama.cpp source tree.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

import family_cases
from make_family_goldens import GOLDEN, write_folder
from tiny_weights import bf16_bits, checksum, tensor_bytes

# Cases whose meaning the GGUF form of their architecture can carry.
CASES = (
    "llama llama3 llama-bias-linear mistral smollm3 qwen2 qwen3 qwen3-moe gemma2-gguf gemma3-gguf phi3-longrope gpt-oss-gguf "
    "gpt-oss-bf16 glm4-moe-lite qwen3-next qwen3-5 qwen3-5-moe"
).split()
# llama.cpp multiplies MXFP4 weights with 8-bit activations; the bf16 case checks the same graph.
NO_LOGITS = {"gpt-oss-gguf"}
# llama.cpp rounds the YaRN correction range of every GGUF outward, no key says so. gpt-oss itself does not round, so a reader
# that knows gpt-oss does not either, and this case's logits (made with rounding, to compare with llama.cpp) are not its own.
OTHER_LOGITS = {"gpt-oss-bf16"}
# Written by the converter from the folder's name and date of no meaning to a model.
SKIPPED_KEYS = ("GGUF.", "general.name", "general.basename", "general.size_label", "general.type", "general.finetune", "general.version")


def convert(llama_cpp: pathlib.Path, folder: pathlib.Path, vocab: int, out: pathlib.Path, kind: str) -> None:
    """Runs the converter's classes in this process, with the vocabulary step replaced by "none". `kind` names a file type."""
    sys.path[:0] = [str(llama_cpp), str(llama_cpp / "gguf-py")]
    import conversion
    import gguf
    import torch
    from conversion.base import ModelBase, ModelType, get_model_architecture

    # Gemma 3 trims the embedding to the tokenizer's size.
    tokenizer = {"model": {"vocab": {str(i): i for i in range(vocab)}}, "added_tokens": []}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    with torch.inference_mode():
        architecture = get_model_architecture(ModelBase.load_hparams(folder, False), ModelType.TEXT)
        base = conversion.get_model_class(architecture)

        def set_vocab(self):
            self._set_vocab_none()
            self.gguf_writer.add_vocab_size(vocab)

        cls = type(base.__name__, (base,), {"set_vocab": set_vocab, "model_arch": base.model_arch, "no_mtp": True})
        cls(folder, gguf.LlamaFileType[kind], out, eager=True).write()


def metadata_of(reader) -> list:
    """[key, type, value] of every field that says something about the model."""
    import gguf

    rows = []
    for field in reader.fields.values():
        if field.name.startswith(SKIPPED_KEYS):
            continue
        kinds = [gguf.GGUFValueType(kind).name.lower() for kind in field.types]
        value = field.contents()
        rows.append([field.name, ":".join(kinds), value])
    return rows


class Recipes:
    """The statements: how each GGUF tensor follows from the hub's tensors."""

    def __init__(self, config: dict, names: list[str]):
        self.text = config.get("text_config", config)
        self.names = names
        prefix = next(name for name in names if name.endswith("embed_tokens.weight")).removesuffix("embed_tokens.weight")
        self.prefix = prefix
        self.kind = self.text["model_type"].removesuffix("_text")

    def all(self, gguf_names: set[str]) -> dict:
        out = {}
        for name in self.names:
            for gguf_name, sources, operations in self.one(name):
                if gguf_name in gguf_names:
                    out[gguf_name] = {"from": sources, "operations": operations}
        return out

    def one(self, name: str):
        top = {"embed_tokens.weight": "token_embd.weight", "norm.weight": "output_norm.weight"}
        short = name.removeprefix(self.prefix)
        if short in top:
            yield top[short], [name], self.norm_shift(short)
            return
        if name == "lm_head.weight":
            yield "output.weight", [name], []
            return
        if not short.startswith("layers."):
            return
        _, index, rest = short.split(".", 2)
        for suffix, operations, sources in self.layer(name, rest, f"{self.prefix}layers.{index}."):
            yield f"blk.{index}.{suffix}", sources, operations

    def norm_shift(self, rest: str) -> list:
        shifted = self.kind in ("gemma2", "gemma3", "qwen3_next", "qwen3_5", "qwen3_5_moe")
        return [["add", 1.0]] if shifted and rest.endswith("norm.weight") and "linear_attn" not in rest else []

    NAMES = {
        "input_layernorm": "attn_norm",
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "self_attn.q_norm": "attn_q_norm",
        "self_attn.k_norm": "attn_k_norm",
        "self_attn.qkv_proj": "attn_qkv",
        "self_attn.q_a_proj": "attn_q_a",
        "self_attn.q_a_layernorm": "attn_q_a_norm",
        "self_attn.q_b_proj": "attn_q_b",
        "self_attn.kv_a_proj_with_mqa": "attn_kv_a_mqa",
        "self_attn.kv_a_layernorm": "attn_kv_a_norm",
        "pre_feedforward_layernorm": "ffn_norm",
        "post_feedforward_layernorm": "post_ffw_norm",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "mlp.gate_up_proj": "ffn_up",
        "mlp.gate": "ffn_gate_inp",
        "mlp.router": "ffn_gate_inp",
        "mlp.shared_expert_gate": "ffn_gate_inp_shexp",
        "mlp.shared_expert.gate_proj": "ffn_gate_shexp",
        "mlp.shared_expert.up_proj": "ffn_up_shexp",
        "mlp.shared_expert.down_proj": "ffn_down_shexp",
        "mlp.shared_experts.gate_proj": "ffn_gate_shexp",
        "mlp.shared_experts.up_proj": "ffn_up_shexp",
        "mlp.shared_experts.down_proj": "ffn_down_shexp",
        "linear_attn.norm": "ssm_norm",
    }
    POST_ATTENTION = {"gemma2", "gemma3", "gpt_oss", "qwen3_next", "qwen3_5", "qwen3_5_moe"}

    def layer(self, name: str, rest: str, layer_prefix: str):
        """Yields (GGUF suffix, operations, sources) for one tensor of a layer."""
        module, _, leaf = rest.rpartition(".")
        if rest.startswith("mlp.experts."):
            yield from self.experts(name, rest, layer_prefix)
        elif rest == "post_attention_layernorm.weight":
            suffix = "post_attention_norm" if self.kind in self.POST_ATTENTION else "ffn_norm"
            yield f"{suffix}.weight", self.norm_shift("norm.weight"), [name]
        elif rest == "self_attn.sinks":
            yield "attn_sinks.weight", [], [name]
        elif leaf == "e_score_correction_bias":
            yield "exp_probs_b.bias", [], [name]
        elif module == "self_attn.kv_b_proj":
            yield from self.split_kv_b(name)
        elif rest.startswith("linear_attn.") and module != "linear_attn.norm":
            yield from self.delta_net(name, rest)
        else:
            operations = self.norm_shift(rest) if "norm" in module else self.rope_rows(module, leaf)
            yield f"{self.NAMES[module]}.{leaf}", operations, [name]

    def rope_rows(self, module: str, leaf: str) -> list:
        """llama's rows go from halves to interleaved pairs within each head."""
        if self.kind not in ("llama", "mistral", "smollm3") or module not in ("self_attn.q_proj", "self_attn.k_proj"):
            if module == "mlp.shared_expert_gate":
                return [["reshape", [self.text["hidden_size"]]]]
            return []
        heads = self.text["num_attention_heads" if module.endswith("q_proj") else "num_key_value_heads"]
        dim = self.text.get("head_dim") or self.text["hidden_size"] // self.text["num_attention_heads"]
        tail = [self.text["hidden_size"]] if leaf == "weight" else []
        axes = [0, 2, 1, 3][: 3 + len(tail)]
        return [["reshape", [heads, 2, dim // 2, *tail]], ["permute", axes], ["reshape", [heads * dim, *tail]]]

    def split_kv_b(self, name: str):
        t = self.text
        heads, nope, value, rank = t["num_attention_heads"], t["qk_nope_head_dim"], t["v_head_dim"], t["kv_lora_rank"]
        per_head = ["reshape", [heads, nope + value, rank]]
        yield "attn_k_b.weight", [per_head, ["take", 1, [[0, nope]]], ["permute", [0, 2, 1]]], [name]
        yield "attn_v_b.weight", [per_head, ["take", 1, [[nope, nope + value]]]], [name]

    def experts(self, name: str, rest: str, layer_prefix: str):
        t, parts = self.text, rest.split(".")
        if parts[2].isdecimal():
            if parts[2] == "0":
                count = t.get("num_experts") or t.get("n_routed_experts")
                sources = [f"{layer_prefix}mlp.experts.{i}.{parts[3]}.weight" for i in range(count)]
                yield f"ffn_{parts[3].removesuffix('_proj')}_exps.weight", [["stack"]], sources
        elif self.kind == "qwen3_5_moe":
            inner = t["moe_intermediate_size"]
            if parts[2] == "down_proj":
                yield "ffn_down_exps.weight", [], [name]
            else:
                yield "ffn_gate_exps.weight", [["take", 1, [[0, inner]]]], [name]
                yield "ffn_up_exps.weight", [["take", 1, [[inner, 2 * inner]]]], [name]
        else:
            yield from self.gpt_oss_experts(name, parts[2])

    def gpt_oss_experts(self, name: str, leaf: str):
        t = self.text
        experts, hidden, inner = t["num_local_experts"], t["hidden_size"], t["intermediate_size"]
        halves = [("gate", 0), ("up", 1)]
        if leaf == "down_proj_bias":
            yield "ffn_down_exps.bias", [], [name]
        elif leaf == "gate_up_proj_bias":
            for half, at in halves:
                steps = [["reshape", [experts, inner, 2]], ["take", 2, [[at, at + 1]]], ["reshape", [experts, inner]]]
                yield f"ffn_{half}_exps.bias", steps, [name]
        elif leaf == "down_proj":
            yield "ffn_down_exps.weight", [["permute", [0, 2, 1]]], [name]
        elif leaf == "gate_up_proj":
            for half, at in halves:
                steps = [["permute", [0, 2, 1]], ["reshape", [experts, inner, 2, hidden]], ["take", 2, [[at, at + 1]]]]
                yield f"ffn_{half}_exps.weight", [*steps, ["reshape", [experts, inner, hidden]]], [name]
        elif leaf == "down_proj_blocks":
            yield "ffn_down_exps.weight", [], [name, name.replace("_blocks", "_scales")]
        elif leaf == "gate_up_proj_blocks":
            for half, at in halves:
                # Rows alternate gate, up: for the blocks and, one byte a block, for the scales.
                yield f"ffn_{half}_exps.weight", [["rows", 2, at]], [name, name.replace("_blocks", "_scales")]

    def delta_net(self, name: str, rest: str):
        t = self.text
        key_heads, value_heads = t["linear_num_key_heads"], t["linear_num_value_heads"]
        dk, dv, ratio = t["linear_key_head_dim"], t["linear_value_head_dim"], value_heads // key_heads
        keys, values = key_heads * dk, value_heads * dv
        tiled = self.kind != "qwen3_next" and ratio > 1

        def heads(offset, size):
            """Ranges of the value heads, from grouped by key head to tiled."""
            order = [g * ratio + j for j in range(ratio) for g in range(key_heads)] if tiled else range(value_heads)
            return [[offset + h * size, offset + (h + 1) * size] for h in order]

        leaf = rest.removeprefix("linear_attn.")
        if leaf == "in_proj_qkvz.weight":
            block, v = 2 * dk + 2 * ratio * dv, ratio * dv
            starts = [g * block for g in range(key_heads)]
            spans = [(0, dk), (dk, 2 * dk), (2 * dk, 2 * dk + v)]
            ranges = [[s + a, s + b] for a, b in spans for s in starts]
            yield "attn_qkv.weight", [["take", 0, ranges]], [name]
            yield "attn_gate.weight", [["take", 0, [[s + 2 * dk + v, s + block] for s in starts]]], [name]
        elif leaf == "in_proj_qkv.weight":
            yield "attn_qkv.weight", [["take", 0, [[0, 2 * keys], *heads(2 * keys, dv)]]], [name]
        elif leaf == "conv1d.weight":
            channels = [["reshape", [2 * keys + values, t["linear_conv_kernel_dim"]]]]
            yield "ssm_conv1d.weight", [*channels, ["take", 0, [[0, 2 * keys], *heads(2 * keys, dv)]]], [name]
        elif leaf == "out_proj.weight":
            yield "ssm_out.weight", [["take", 1, heads(0, dv)]], [name]
        elif leaf == "in_proj_ba.weight":
            yield "ssm_ba.weight", [], [name]
        elif leaf == "in_proj_z.weight":
            yield "attn_gate.weight", [["take", 0, heads(0, dv)]], [name]
        elif leaf == "in_proj_b.weight":
            yield "ssm_beta.weight", [["take", 0, heads(0, 1)]], [name]
        elif leaf == "in_proj_a.weight":
            yield "ssm_alpha.weight", [["take", 0, heads(0, 1)]], [name]
        elif leaf == "dt_bias":
            yield "ssm_dt.bias", [["take", 0, heads(0, 1)]], [name]


def value_array(spec: dict) -> np.ndarray:
    data = tensor_bytes(spec)
    if spec["dtype"] == "BF16":
        values = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        values = np.frombuffer(data, {"F32": "<f4", "U8": np.uint8}[spec["dtype"]])
    return values.reshape(spec["shape"])


def execute(recipe: dict, specs: dict, kind: str) -> np.ndarray:
    """The tensor that a recipe states; for MXFP4 its block bytes."""
    arrays = [value_array(specs[name]) for name in recipe["from"]]
    if kind == "MXFP4":
        blocks, scales = arrays
        for operation in recipe["operations"]:
            _, step, start = operation
            blocks, scales = blocks[:, start::step], scales[:, start::step]
        codes = np.stack([blocks & 15, blocks >> 4], -1).reshape(*blocks.shape[:3], 32)
        packed = codes[..., :16] | (codes[..., 16:] << 4)
        return np.concatenate([scales[..., None], packed], -1)
    array = np.stack(arrays) if recipe["operations"][:1] == [["stack"]] else arrays[0]
    for name, *arguments in recipe["operations"]:
        if name == "reshape":
            array = array.reshape(arguments[0])
        elif name == "permute":
            array = array.transpose(arguments[0])
        elif name == "take":
            axis, ranges = arguments
            array = np.take(array, np.concatenate([np.arange(a, b) for a, b in ranges]), axis)
        elif name == "add":
            array = array + np.float32(arguments[0])
    return array


def stored_bytes(array: np.ndarray, kind: str) -> bytes:
    array = np.ascontiguousarray(array)
    return {"BF16": lambda: bf16_bits(array).tobytes(), "F32": lambda: array.astype("<f4").tobytes(), "MXFP4": array.tobytes}[kind]()


def tensor_entries(reader, config: dict, specs: list[dict]) -> list[dict]:
    by_name = {spec["name"]: spec for spec in specs}
    recipes = Recipes(config, list(by_name)).all({tensor.name for tensor in reader.tensors})
    entries, used = [], set()
    for tensor in reader.tensors:
        kind = tensor.tensor_type.name
        entry = {"name": tensor.name, "type": kind, "shape": [int(size) for size in reversed(tensor.shape)]}
        data = tensor.data.tobytes()
        if tensor.name in recipes:
            entry.update(recipes[tensor.name])
            made = stored_bytes(execute(entry, by_name, kind), kind)
            if made != data:
                raise SystemExit(f"{tensor.name}: the recipe's bytes are not the converter's ({len(made)}, {len(data)})")
            used.update(entry["from"])
        else:
            # What the converter computes: RoPE factors, -exp(A_log).
            assert kind == "F32" and tensor.data.size <= 64, tensor.name
            entry["values"] = [float(value) for value in tensor.data.ravel()]
            assert np.array(entry["values"], "<f4").tobytes() == data
        entry["checksum"] = checksum(data)
        entries.append(entry)
    unused = [n for n in by_name if n not in used and "A_log" not in n and "vis" not in n]
    if unused:
        raise SystemExit(f"tensors that reach no GGUF tensor: {unused}")
    return entries


def llama_cpp_difference(probe: pathlib.Path, gguf_path: pathlib.Path, case: dict, logits: np.ndarray) -> float:
    worst, start = 0.0, 0
    # llama.cpp takes the longrope factors by its context size, at least 256: those of the long input.
    inputs = case["inputs"][:1] if "longrope" in case["name"] else case["inputs"]
    for index, ids in enumerate(inputs):
        out = gguf_path.with_suffix(f".{index}.f32")
        subprocess.run([probe, gguf_path, out, *map(str, ids)], check=True, stderr=subprocess.DEVNULL)
        got = np.fromfile(out, "<f4").reshape(len(ids), -1)
        reference = logits[start : start + len(ids)]
        worst = max(worst, float(np.abs(got - reference).max() / np.abs(reference).max()))
        start += len(ids)
    return worst


def make(name: str, folder: pathlib.Path, llama_cpp: pathlib.Path, probe: pathlib.Path | None) -> None:
    config, specs = family_cases.CASES[name]()
    write_folder(folder, config, specs)
    case = json.loads((GOLDEN / name / "case.json").read_text())
    path = folder / "model.gguf"
    convert(llama_cpp, folder, case["vocab"], path, "MOSTLY_BF16")
    import gguf

    reader = gguf.GGUFReader(path)
    entries = tensor_entries(reader, config, specs)
    out = {"same_logits": name not in OTHER_LOGITS, "metadata": metadata_of(reader)}
    if probe and name not in NO_LOGITS:
        logits = np.fromfile(GOLDEN / name / "logits.f32", "<f4").reshape(-1, case["vocab"])
        # With float32 weights llama.cpp does not round the activations.
        wide = folder / "float32.gguf"
        convert(llama_cpp, folder, case["vocab"], wide, "ALL_F32")
        out["llama_cpp_difference"] = float(f"{llama_cpp_difference(probe.resolve(), wide, case, logits):.2g}")
    rows = ",\n".join("    " + json.dumps(entry) for entry in entries)
    fields = ",\n".join("    " + json.dumps(row) for row in out.pop("metadata"))
    rest = "".join(f"  {json.dumps(key)}: {json.dumps(value)},\n" for key, value in out.items())
    text = f'{{\n{rest}  "metadata": [\n{fields}\n  ],\n  "tensors": [\n{rows}\n  ]\n}}\n'
    (GOLDEN / name / "gguf.json").write_text(text)
    print(f"{name:20} {len(entries):4} tensors, {path.stat().st_size} bytes, llama.cpp {out.get('llama_cpp_difference')}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help="default: all that have a GGUF form")
    parser.add_argument("--llama-cpp", type=pathlib.Path, required=True, help="source tree")
    parser.add_argument("--probe", type=pathlib.Path, help="program: MODEL OUT IDS… writes float32 logits")
    parser.add_argument("--keep", type=pathlib.Path, help="keep the generated folders here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = arguments.keep or pathlib.Path(temporary)
        for name in arguments.cases or CASES:
            make(name, root / name, arguments.llama_cpp, arguments.probe)


if __name__ == "__main__":
    main()
