"""Writes `crates/lm/tests/golden-encoders/<case>/`: `case.json` and `logits.f32`, the hidden states of all tokens.

As `make_family_goldens.py`, for encoders: transformers' own `from_pretrained` reads the folder, float32, eager attention.
Rankers are also asked for the score of each input, whose second text begins at `seconds`. Run by `cargo xtask golden`.
"""

import argparse
import pathlib
import tempfile

import numpy as np
import torch
import transformers

import encoder_cases
from make_family_goldens import compact, input_ids, write_folder
from tiny_weights import checksum, tensor_bytes

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "lm" / "tests" / "golden-encoders"


def load(folder: pathlib.Path, ranks: bool):
    options = {"dtype": torch.float32, "attn_implementation": "eager", "output_loading_info": True}
    kind = transformers.AutoModelForSequenceClassification if ranks else transformers.AutoModel
    model, info = kind.from_pretrained(folder, **options)
    missing = [key for key in info["missing_keys"] if "pooler" not in key]
    if missing or info["unexpected_keys"] or info["mismatched_keys"]:
        raise SystemExit(f"{folder.name}: missing {missing}, unexpected {info['unexpected_keys']}, {info['mismatched_keys']}")
    return model.float().eval()


def run(model, ids: list[int], second: int, config: dict):
    arguments = {"input_ids": torch.tensor([ids]), "attention_mask": torch.ones(1, len(ids), dtype=torch.long)}
    if config["type_vocab_size"] > 1:
        arguments["token_type_ids"] = torch.tensor([[int(index >= second) for index in range(len(ids))]])
    with torch.no_grad():
        out = model(**arguments, output_hidden_states=True)
    hidden = out.hidden_states[-1][0].double().numpy()
    return hidden, out.logits[0].double().tolist() if hasattr(out, "logits") else None


def make(name: str, folder: pathlib.Path) -> None:
    config, specs = encoder_cases.CASES[name]()
    write_folder(folder, config, specs)
    ranks = config["architectures"][0].endswith("ForSequenceClassification")
    # Special ids below 3 mean padding to some models.
    sequences = [[3 + token for token in ids] for ids in input_ids(name, config["vocab_size"] - 8)]
    seconds = [len(sequences[0]) // 3, len(sequences[1])]
    model = load(folder, ranks)
    results = [run(model, ids, second, config) for ids, second in zip(sequences, seconds)]
    for spec in specs:
        spec["checksum"] = checksum(tensor_bytes(spec))
    case = {
        "name": name,
        "about": " ".join(encoder_cases.CASES[name].__doc__.split()),
        "made_with": f"transformers {transformers.__version__}, torch {torch.__version__.split('+')[0]}, float32, eager attention",
        "config": config,
        "inputs": sequences,
        "seconds": seconds,
        "scores": [scores for _, scores in results],
        "vocab": config["hidden_size"],
        "tensors": specs,
    }
    out = GOLDEN / name
    out.mkdir(parents=True, exist_ok=True)
    (out / "case.json").write_text(compact(case))
    hidden = np.concatenate([hidden for hidden, _ in results])
    hidden.astype("<f4").tofile(out / "logits.f32")
    print(f"{name:24} std {hidden.std():7.3f}  scores {case['scores']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help="default: all")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        for name in arguments.cases or encoder_cases.CASES:
            make(name, pathlib.Path(temporary) / name)


if __name__ == "__main__":
    main()
