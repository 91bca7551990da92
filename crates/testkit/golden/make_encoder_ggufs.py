"""Writes `gguf.json` beside the `case.json` of tiny encoders: their GGUF form as a recipe, as `make_family_ggufs.py` does.

llama.cpp's converter writes a file of float32 from the tiny folder; for every tensor the hub's tensor with the same bytes is
looked up (positions of some begin a few rows later). Needs torch, transformers and a llama.cpp source tree.
"""

import argparse
import json
import pathlib
import sys
import tempfile

import encoder_cases
from make_encoder_goldens import GOLDEN
from make_family_ggufs import convert, metadata_of
from make_family_goldens import write_folder
from tiny_weights import checksum, tensor_bytes


def source_of(data: bytes, shape: list[int], specs: list[dict]) -> tuple[str, list]:
    for spec in specs:
        whole = tensor_bytes(spec)
        if whole == data:
            return spec["name"], []
        rows = spec["shape"][0]
        if len(shape) == 2 and rows > shape[0] and whole.endswith(data):
            return spec["name"], [["take", 0, [[rows - shape[0], rows]]]]
    raise SystemExit(f"no tensor of the hub has the bytes of one of shape {shape}")


def hub_config(config: dict) -> dict:
    """The converter knows Nomic's own names of 2024, not those that the library took over."""
    if config["model_type"] != "nomic_bert":
        return config
    return config | {
        "architectures": ["NomicBertModel"],
        "model_type": "nomic_bert",
        "vocab_size": config["vocab_size"],
        "n_embd": config["hidden_size"],
        "n_head": config["num_attention_heads"],
        "n_inner": config["intermediate_size"],
        "n_layer": config["num_hidden_layers"],
        "n_positions": 8192,  # as in the hub, where texts were of 2048
        "max_trained_positions": 2048,
        "type_vocab_size": config["type_vocab_size"],
        "layer_norm_epsilon": config["layer_norm_eps"],
        "activation_function": "swiglu",
        "causal": False,
        "qkv_proj_bias": False,
        "mlp_fc1_bias": False,
        "mlp_fc2_bias": False,
        "prenorm": False,
        "rotary_emb_base": config["rope_parameters"]["rope_theta"],
        "rotary_emb_fraction": 1.0,
        "rotary_emb_interleaved": False,
        "rotary_emb_scale_base": None,
    }


def make(name: str, folder: pathlib.Path, llama_cpp: pathlib.Path) -> None:

    config, specs = encoder_cases.CASES[name]()
    write_folder(folder, hub_config(config), specs)
    out = folder.with_suffix(".gguf")
    sys.path[:0] = [str(llama_cpp), str(llama_cpp / "gguf-py")]
    import conversion.bert

    # The tiny folder has no vocabulary to tell by.
    conversion.bert.NomicBertModel._is_tokenizer_xlmroberta = lambda self: False
    convert(llama_cpp, folder, config["vocab_size"], out, "ALL_F32")
    import gguf  # only now: the source tree's own was put in front

    reader = gguf.GGUFReader(out)
    tensors = []
    for tensor in reader.tensors:
        data, shape = tensor.data.tobytes(), [int(size) for size in reversed(tensor.shape)]
        source, operations = source_of(data, shape, specs)
        tensors.append(
            {"name": tensor.name, "type": tensor.tensor_type.name, "shape": shape, "from": [source], "operations": operations, "checksum": checksum(data)}
        )
    lines = [json.dumps(row) for row in metadata_of(reader)], [json.dumps(row) for row in tensors]
    metadata, rows = (",\n".join("    " + line for line in part) for part in lines)
    text = f'{{\n  "same_logits": true,\n  "metadata": [\n{metadata}\n  ],\n  "tensors": [\n{rows}\n  ]\n}}\n'
    (GOLDEN / name / "gguf.json").write_text(text)
    print(f"{name:24} {len(tensors)} tensors")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--llama-cpp", type=pathlib.Path, required=True)
    parser.add_argument("cases", nargs="*", help="default: all")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for name in arguments.cases or encoder_cases.CASES:
            make(name, pathlib.Path(temporary) / name, arguments.llama_cpp)


if __name__ == "__main__":
    main()
