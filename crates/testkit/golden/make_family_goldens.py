"""Writes `crates/lm/tests/golden/<case>/`: `case.json` (config, tensor descriptions, inputs) and `logits.f32`.

The hub-format folder of a tiny model is generated from hashes, loaded by transformers' own `from_pretrained`
(so the meaning of names and config fields is checked there), and run in float32 with eager attention. The same run
in float64 bounds what rounding can explain. A quantized model is run as the float32 model it stands for. Needs torch and transformers; run by `cargo xtask golden`.
"""

import argparse
import json
import pathlib
import tempfile

import numpy as np
import torch
import transformers

import family_cases
import quantized_cases
from tiny_weights import checksum, hash_words, tensor_bytes, write_safetensors

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "lm" / "tests" / "golden"
CASES = {**family_cases.CASES, **quantized_cases.CASES}
IGNORED_MISSING = ("vision_tower", "multi_modal_projector", "visual")


def input_ids(name: str, vocab: int) -> list[list[int]]:
    lengths = (32, 9)
    return [[int(word % vocab) for word in hash_words(f"{name}/input/{i}", n)] for i, n in enumerate(lengths)]


def write_folder(folder: pathlib.Path, config: dict, specs: list[dict]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    write_safetensors(folder / "model.safetensors", [(s["name"], s["dtype"], s["shape"], tensor_bytes(s)) for s in specs])


def build(name: str) -> tuple[dict, list[dict], "callable | None"]:
    """(config, descriptions, restore); `restore` is there for quantized cases."""
    if name in quantized_cases.CASES:
        return quantized_cases.CASES[name]()
    return *family_cases.CASES[name](), None


def write_restored(folder: pathlib.Path, specs: list[dict], restore) -> dict:
    """Writes the plain float32 model that a quantized one stands for; returns its config."""
    config, values = restore({spec["name"]: quantized_cases.stored(spec) for spec in specs})
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    rows = [(name, "F32", list(value.shape), np.ascontiguousarray(value, "<f4").tobytes()) for name, value in values.items()]
    write_safetensors(folder / "model.safetensors", rows)
    return config


def load_reference(folder: pathlib.Path, config: dict):
    options = {"dtype": torch.float32, "attn_implementation": "eager", "experts_implementation": "eager", "output_loading_info": True}
    if config.get("quantization_config", {}).get("quant_method") == "mxfp4":
        options["quantization_config"] = transformers.Mxfp4Config(dequantize=True)
    model, info = transformers.AutoModelForCausalLM.from_pretrained(folder, **options)
    missing = [key for key in info["missing_keys"] if not any(part in key for part in IGNORED_MISSING)]
    if missing or info["unexpected_keys"] or info["mismatched_keys"]:
        raise SystemExit(f"{folder.name}: missing {missing}, unexpected {info['unexpected_keys']}, {info['mismatched_keys']}")
    return model.float().eval()


def logits_of(model, sequences: list[list[int]]) -> list[np.ndarray]:
    with torch.no_grad():
        return [model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].double().numpy() for ids in sequences]


def relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a - b).max() / np.abs(b).max())


def make(name: str, folder: pathlib.Path) -> None:
    config, specs, restore = build(name)
    write_folder(folder, config, specs)
    text = config.get("text_config", config)
    sequences = input_ids(name, text["vocab_size"] - 8)
    if restore:
        plain = folder.with_name(f"{name}-plain")
        model = load_reference(plain, write_restored(plain, specs, restore))
    else:
        model = load_reference(folder, config)
    logits = logits_of(model, sequences)
    wide = logits_of(model.double(), sequences)
    rounding = max(relative(a, b) for a, b in zip(logits, wide))
    out = GOLDEN / name
    out.mkdir(parents=True, exist_ok=True)
    for spec in specs:
        spec["checksum"] = checksum(tensor_bytes(spec))
    case = {
        "name": name,
        "about": " ".join(CASES[name].__doc__.split()),
        "made_with": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, float32, eager attention",
        "float64_difference": float(f"{rounding:.2g}"),
        "config": config,
        "inputs": sequences,
        "vocab": int(logits[0].shape[1]),
        "tensors": specs,
    }
    (out / "case.json").write_text(compact(case))
    np.concatenate(logits).astype("<f4").tofile(out / "logits.f32")
    spread = float(np.concatenate(logits).std())
    print(f"{name:24} std {spread:7.3f}  float64 differs by {rounding:.1e}  bytes {sum(f.stat().st_size for f in out.iterdir())}")


def compact(case: dict) -> str:
    """JSON with one line per tensor and per input, the rest indented."""
    lines = []
    for key, value in case.items():
        if key in ("tensors", "inputs"):
            rows = ",\n".join("    " + json.dumps(row) for row in value)
            lines.append(f"  {json.dumps(key)}: [\n{rows}\n  ]")
        else:
            lines.append(f"  {json.dumps(key)}: " + json.dumps(value, indent=2).replace("\n", "\n  "))
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help="default: all")
    parser.add_argument("--keep", type=pathlib.Path, help="keep the generated folders here")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        root = arguments.keep or pathlib.Path(temporary)
        for name in arguments.cases or CASES:
            make(name, root / name)


if __name__ == "__main__":
    main()
