"""Tiny encoders: one function per case, returning (config.json, tensor descriptions in hub names)."""

from family_cases import Weights

CASES = {}


def case(function):
    CASES[function.__name__.replace("_", "-")] = function
    return function


def bert_config(model_type, architecture, **fields):
    config = {
        "architectures": [architecture],
        "model_type": model_type,
        "torch_dtype": "float32",
        "vocab_size": 128,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 64,
        "type_vocab_size": 2,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-12,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "pad_token_id": 0,
    }
    config.update(fields)
    return config


def norm(w, name, size):
    w.norm(name, size)
    w.add(f"{name}.bias", [size], 0.3)


def bert_weights(config, prefix="", pooler=False):
    w = Weights("F32")
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    w.embedding(f"{prefix}embeddings.word_embeddings.weight", config["vocab_size"], hidden)
    w.embedding(f"{prefix}embeddings.position_embeddings.weight", config["max_position_embeddings"], hidden, 0.5)
    w.embedding(f"{prefix}embeddings.token_type_embeddings.weight", config["type_vocab_size"], hidden, 0.5)
    norm(w, f"{prefix}embeddings.LayerNorm", hidden)
    for layer in range(config["num_hidden_layers"]):
        at = f"{prefix}encoder.layer.{layer}"
        for name in ("query", "key", "value"):
            w.linear(f"{at}.attention.self.{name}", hidden, hidden, bias=True)
        w.linear(f"{at}.attention.output.dense", hidden, hidden, bias=True)
        norm(w, f"{at}.attention.output.LayerNorm", hidden)
        w.linear(f"{at}.intermediate.dense", inner, hidden, bias=True)
        w.linear(f"{at}.output.dense", hidden, inner, bias=True)
        norm(w, f"{at}.output.LayerNorm", hidden)
    if pooler:
        w.linear(f"{prefix}pooler.dense", hidden, hidden, bias=True)
    return w


@case
def bert():
    """Learned positions, two segments, gelu, norms behind the blocks, biases everywhere."""
    config = bert_config("bert", "BertModel")
    return config, bert_weights(config, pooler=True).specs


@case
def bert_rank():
    """A ranker: pooler and one label on pairs of texts, named under `bert.`."""
    config = bert_config("bert", "BertForSequenceClassification", id2label={"0": "LABEL_0"}, label2id={"LABEL_0": 0})
    w = bert_weights(config, "bert.", pooler=True)
    w.linear("classifier", 1, config["hidden_size"], bias=True)
    return config, w.specs


@case
def xlm_roberta_rank():
    """Positions counted from behind the padding token's, one segment, a head of its own kind."""
    config = bert_config(
        "xlm-roberta",
        "XLMRobertaForSequenceClassification",
        type_vocab_size=1,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        max_position_embeddings=66,
        layer_norm_eps=1e-05,
        id2label={"0": "LABEL_0"},
        label2id={"LABEL_0": 0},
    )
    w = bert_weights(config, "roberta.")
    w.linear("classifier.dense", config["hidden_size"], config["hidden_size"], bias=True)
    w.linear("classifier.out_proj", 1, config["hidden_size"], bias=True)
    return config, w.specs


@case
def nomic_bert():
    """Rotary positions, gated blocks without biases, merged projections as the hub's files have them."""
    config = bert_config("nomic_bert", "NomicBertModel", hidden_act="silu", max_position_embeddings=128)
    config["rope_parameters"] = {"rope_type": "default", "rope_theta": 1000.0}
    w = Weights("F32")
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    w.embedding("embeddings.word_embeddings.weight", config["vocab_size"], hidden)
    w.embedding("embeddings.token_type_embeddings.weight", 2, hidden, 0.5)
    norm(w, "emb_ln", hidden)
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layers.{layer}"
        w.linear(f"{at}.attn.Wqkv", 3 * hidden, hidden)
        w.linear(f"{at}.attn.out_proj", hidden, hidden)
        norm(w, f"{at}.norm1", hidden)
        w.linear(f"{at}.mlp.fc11", inner, hidden)
        w.linear(f"{at}.mlp.fc12", inner, hidden)
        w.linear(f"{at}.mlp.fc2", hidden, inner)
        norm(w, f"{at}.norm2", hidden)
    return config, w.specs
