"""The tiny models: one function per case, returning (config.json, tensor descriptions in hub names).

Every feature of a family is on, norms and biases are random (a dropped one changes the logits), heads are grouped.
"""

import math

CASES = {}


def case(function):
    CASES[function.__name__.replace("_", "-")] = function
    return function


class Weights:
    """Collects tensor descriptions; the scales keep activations near one."""

    def __init__(self, dtype="BF16"):
        self.dtype = dtype
        self.specs = []

    def add(self, name, shape, scale, offset=0.0, dtype=None):
        # Six significant digits: the JSON text and the float32 that both languages parse are then the same.
        self.specs.append(
            {"name": name, "dtype": dtype or self.dtype, "shape": list(shape), "scale": float(f"{scale:.6g}"), "offset": offset}
        )

    def integers(self, name, shape, dtype, low, high):
        self.specs.append({"name": name, "dtype": dtype, "shape": list(shape), "low": low, "high": high})

    def linear(self, prefix, out_features, in_features, bias=False, gain=1.2):
        self.add(f"{prefix}.weight", [out_features, in_features], gain * math.sqrt(3 / in_features))
        if bias:
            self.add(f"{prefix}.bias", [out_features], 0.4)

    def norm(self, prefix, size, offset=1.0):
        self.add(f"{prefix}.weight", [size], 0.4, offset)

    def embedding(self, name, vocab, hidden, scale=1.0):
        self.add(name, [vocab, hidden], scale)

    def head(self, name, vocab, hidden):
        self.add(name, [vocab, hidden], 2 * math.sqrt(3 / hidden))


def base(model_type, architecture, **fields):
    config = {
        "architectures": [architecture],
        "model_type": model_type,
        "torch_dtype": "bfloat16",
        "bos_token_id": 1,
        "eos_token_id": 2,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "use_cache": True,
        "hidden_act": "silu",
        "vocab_size": 128,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 128,
        "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
    }
    config.update(fields)
    return {key: value for key, value in config.items() if value is not ...}


def head_dim_of(config):
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def attention(w, prefix, config, qkv_bias=False, out_bias=False, qk_norm=False, query_factor=1, norm_offset=1.0):
    hidden, dim = config["hidden_size"], head_dim_of(config)
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    w.linear(f"{prefix}.q_proj", heads * dim * query_factor, hidden, qkv_bias)
    w.linear(f"{prefix}.k_proj", groups * dim, hidden, qkv_bias)
    w.linear(f"{prefix}.v_proj", groups * dim, hidden, qkv_bias)
    w.linear(f"{prefix}.o_proj", hidden, heads * dim, out_bias)
    if qk_norm:
        w.norm(f"{prefix}.q_norm", dim, norm_offset)
        w.norm(f"{prefix}.k_norm", dim, norm_offset)


def gated_mlp(w, prefix, hidden, inner, bias=False):
    w.linear(f"{prefix}.gate_proj", inner, hidden, bias)
    w.linear(f"{prefix}.up_proj", inner, hidden, bias)
    w.linear(f"{prefix}.down_proj", hidden, inner, bias)


def decoder(config, layer, prefix="model", norm_offset=1.0, norms=("input_layernorm", "post_attention_layernorm"), dtype="BF16"):
    """Embedding, layers (`layer(w, layer_prefix, index)`), norms, final norm and, untied, the head."""
    w = Weights(dtype)
    hidden, vocab = config["hidden_size"], config["vocab_size"]
    w.embedding(f"{prefix}.embed_tokens.weight", vocab, hidden)
    for index in range(config["num_hidden_layers"]):
        for norm in norms:
            w.norm(f"{prefix}.layers.{index}.{norm}", hidden, norm_offset)
        layer(w, f"{prefix}.layers.{index}", index)
    w.norm(f"{prefix}.norm", hidden, norm_offset)
    if not config["tie_word_embeddings"]:
        w.head("lm_head.weight", vocab, hidden)
    return w.specs


def plain_decoder(config, **options):
    """Llama-shaped: attention with optional biases and q/k norms, gated MLP with optional biases."""
    mlp_bias = options.pop("mlp_bias", False)

    def layer(w, prefix, _):
        attention(w, f"{prefix}.self_attn", config, **options)
        gated_mlp(w, f"{prefix}.mlp", config["hidden_size"], config["intermediate_size"], mlp_bias)

    return config, decoder(config, layer)


@case
def llama():
    """Llama 1/2: no head_dim in the config, plain RoPE."""
    return plain_decoder(base("llama", "LlamaForCausalLM", attention_bias=False, rope_scaling=None))


@case
def llama3():
    """Llama 3.1+: RoPE with the llama3 scaling (all three bands occur), tied embeddings."""
    scaling = {
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
        "rope_type": "llama3",
    }
    fields = {"rope_theta": 500.0, "rope_scaling": scaling, "head_dim": 16, "num_hidden_layers": 3}
    config = base("llama", "LlamaForCausalLM", tie_word_embeddings=True, attention_bias=False, mlp_bias=False, **fields)
    return plain_decoder(config)


@case
def llama_bias_linear():
    """Llama with every bias, linear RoPE scaling and a head_dim that is not hidden / heads."""
    fields = {"rope_scaling": {"type": "linear", "factor": 4.0}, "head_dim": 24}
    config = base("llama", "LlamaForCausalLM", attention_bias=True, mlp_bias=True, **fields)
    return plain_decoder(config, qkv_bias=True, out_bias=True, mlp_bias=True)


@case
def llama_dynamic():
    """Llama with dynamic-NTK RoPE past its trained length."""
    fields = {"rope_scaling": {"type": "dynamic", "factor": 2.0}, "max_position_embeddings": 16}
    return plain_decoder(base("llama", "LlamaForCausalLM", attention_bias=False, **fields))


@case
def mistral():
    """Mistral v0.2+: no window, head_dim apart from hidden / heads (as Nemo has)."""
    return plain_decoder(base("mistral", "MistralForCausalLM", head_dim=24, sliding_window=None, rope_theta=1000000.0))


@case
def mistral_window():
    """Mistral v0.1: a sliding window on every layer."""
    return plain_decoder(base("mistral", "MistralForCausalLM", sliding_window=8))


@case
def smollm3():
    """SmolLM3: every fourth layer without RoPE (1 in `no_rope_layers` means RoPE), tied embeddings."""
    fields = {"no_rope_layers": [1, 1, 1, 0], "no_rope_layer_interval": 4, "layer_types": ["full_attention"] * 4}
    config = base(
        "smollm3",
        "SmolLM3ForCausalLM",
        num_hidden_layers=4,
        tie_word_embeddings=True,
        rope_theta=5000000.0,
        rope_scaling=None,
        use_sliding_window=False,
        sliding_window=None,
        attention_bias=False,
        mlp_bias=False,
        pad_token_id=2,
        **fields,
    )
    return plain_decoder(config)


@case
def qwen2():
    """Qwen2/2.5: biases on q, k, v; tied embeddings; a window that is configured and switched off."""
    fields = {"use_sliding_window": False, "sliding_window": 8, "max_window_layers": 1}
    config = base("qwen2", "Qwen2ForCausalLM", tie_word_embeddings=True, rms_norm_eps=1e-06, rope_theta=1000000.0, **fields)
    return plain_decoder(config, qkv_bias=True)


@case
def qwen2_window_yarn():
    """Qwen2 with YaRN and the window on the layers from `max_window_layers` on."""
    yarn = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32}
    fields = {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1, "rope_scaling": yarn}
    config = base("qwen2", "Qwen2ForCausalLM", rms_norm_eps=1e-06, num_hidden_layers=3, **fields)
    return plain_decoder(config, qkv_bias=True)


def qwen3_config(**fields):
    options = {
        "head_dim": 32,
        "attention_bias": False,
        "use_sliding_window": False,
        "sliding_window": None,
        "max_window_layers": 2,
        "rope_scaling": None,
        "rope_theta": 1000000.0,
        "rms_norm_eps": 1e-06,
        "tie_word_embeddings": True,
    }
    options.update(fields)
    return base("qwen3", "Qwen3ForCausalLM", **options)


@case
def qwen3():
    """Qwen3: RMS norm over each head of q and k, head_dim apart from hidden / heads, tied embeddings."""
    return plain_decoder(qwen3_config(), qk_norm=True)


def per_expert_mlp(w, prefix, hidden, inner, experts, router_bias=False):
    w.linear(f"{prefix}.gate", experts, hidden, gain=2.0)
    if router_bias:
        w.add(f"{prefix}.gate.e_score_correction_bias", [experts], 0.4, dtype="F32")
    for expert in range(experts):
        gated_mlp(w, f"{prefix}.experts.{expert}", hidden, inner)


def qwen3_moe_config(**fields):
    options = {
        "head_dim": 32,
        "attention_bias": False,
        "use_sliding_window": False,
        "sliding_window": None,
        "max_window_layers": 2,
        "rope_scaling": None,
        "rope_theta": 1000000.0,
        "rms_norm_eps": 1e-06,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [],
        "moe_intermediate_size": 32,
        "norm_topk_prob": True,
        "num_experts": 8,
        "num_experts_per_tok": 3,
        "output_router_logits": False,
        "router_aux_loss_coef": 0.001,
    }
    options.update(fields)
    return base("qwen3_moe", "Qwen3MoeForCausalLM", **options)


def qwen3_moe_weights(config):
    def layer(w, prefix, index):
        attention(w, f"{prefix}.self_attn", config, qk_norm=True)
        if index in config["mlp_only_layers"]:
            gated_mlp(w, f"{prefix}.mlp", config["hidden_size"], config["intermediate_size"])
        else:
            per_expert_mlp(w, f"{prefix}.mlp", config["hidden_size"], config["moe_intermediate_size"], config["num_experts"])

    return config, decoder(config, layer)


@case
def qwen3_moe():
    """Qwen3-MoE: softmax router, top-k renormalised, every layer sparse."""
    return qwen3_moe_weights(qwen3_moe_config())


@case
def qwen3_moe_mixed():
    """Qwen3-MoE with a dense layer in the middle and top-k weights left as they are."""
    return qwen3_moe_weights(qwen3_moe_config(mlp_only_layers=[1], norm_topk_prob=False, num_hidden_layers=3))


GEMMA_NORMS = ("input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")


def gemma_weights(config, prefix="model", head_dim=None, qk_norm=False):
    def layer(w, layer_prefix, _):
        attention(w, f"{layer_prefix}.self_attn", config, qk_norm=qk_norm, norm_offset=0.2)
        gated_mlp(w, f"{layer_prefix}.mlp", config["hidden_size"], config["intermediate_size"])

    return decoder(config, layer, prefix, norm_offset=0.2, norms=GEMMA_NORMS)


@case
def gemma2():
    """Gemma 2: soft caps, window on even layers, 1 + w norms before and after each block, own query scale, scaled embedding."""
    config = base(
        "gemma2",
        "Gemma2ForCausalLM",
        hidden_act="gelu_pytorch_tanh",
        hidden_activation="gelu_pytorch_tanh",
        num_hidden_layers=4,
        head_dim=16,
        query_pre_attn_scalar=24,
        attn_logit_softcapping=4.0,
        final_logit_softcapping=6.0,
        sliding_window=8,
        attention_bias=False,
        tie_word_embeddings=True,
        rms_norm_eps=1e-06,
        cache_implementation="hybrid",
        pad_token_id=0,
    )
    return config, gemma_weights(config)


@case
def gemma2_gguf():
    """Gemma 2 within what its GGUF form can say: the query scale is head_dim (as in 2B and 9B)."""
    config, _ = gemma2()
    config["query_pre_attn_scalar"] = config["head_dim"]
    return config, gemma_weights(config)


def gemma3_text_config(**fields):
    options = {
        "hidden_act": ...,
        "hidden_activation": "gelu_pytorch_tanh",
        "num_hidden_layers": 4,
        "head_dim": 32,
        "query_pre_attn_scalar": 48,
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "sliding_window": 8,
        "sliding_window_pattern": 3,
        "rope_theta": 1000000.0,
        "rope_local_base_freq": 10000.0,
        "rope_scaling": {"factor": 8.0, "rope_type": "linear"},
        "attention_bias": False,
        "tie_word_embeddings": True,
        "rms_norm_eps": 1e-06,
        "pad_token_id": 0,
    }
    options.update(fields)
    return base("gemma3_text", "Gemma3ForCausalLM", **options)


@case
def gemma3():
    """Gemma 3 text: two RoPE bases (linear scaling on the global one), window pattern, q/k norms, Gemma norms."""
    config = gemma3_text_config()
    return config, gemma_weights(config, qk_norm=True)


@case
def gemma3_gguf():
    """Gemma 3 within what its GGUF form can say: window pattern 6, query scale head_dim (all sizes but 27B)."""
    config = gemma3_text_config(num_hidden_layers=7, sliding_window_pattern=6, query_pre_attn_scalar=32, intermediate_size=64)
    return config, gemma_weights(config, qk_norm=True)


@case
def gemma3_vision():
    """Gemma 3 as the hub stores the multimodal models: `language_model.` prefix, nested text config, vision tensors beside."""
    text = {key: value for key, value in gemma3_text_config().items() if key not in ("architectures", "torch_dtype")}
    del text["tie_word_embeddings"]
    vision = {
        "model_type": "siglip_vision_model",
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 28,
        "patch_size": 14,
        "vision_use_head": False,
    }
    config = {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "model_type": "gemma3",
        "torch_dtype": "bfloat16",
        "boi_token_index": 125,
        "eoi_token_index": 126,
        "image_token_index": 127,
        "eos_token_id": [1, 106],
        "initializer_range": 0.02,
        "mm_tokens_per_image": 4,
        "text_config": text,
        "vision_config": vision,
    }
    specs = gemma_weights({**text, "tie_word_embeddings": True}, "language_model.model", qk_norm=True)
    w = Weights()
    w.add("multi_modal_projector.mm_input_projection_weight", [16, 64], 0.3)
    w.norm("multi_modal_projector.mm_soft_emb_norm", 16, 0.0)
    w.add("vision_tower.vision_model.embeddings.patch_embedding.bias", [16], 0.3)
    w.add("vision_tower.vision_model.embeddings.patch_embedding.weight", [16, 3, 14, 14], 0.1)
    return config, specs + w.specs


def phi3_weights(config):
    hidden, inner, dim = config["hidden_size"], config["intermediate_size"], head_dim_of(config)
    rows = (config["num_attention_heads"] + 2 * config["num_key_value_heads"]) * dim

    def layer(w, prefix, _):
        w.linear(f"{prefix}.self_attn.qkv_proj", rows, hidden)
        w.linear(f"{prefix}.self_attn.o_proj", hidden, config["num_attention_heads"] * dim)
        w.linear(f"{prefix}.mlp.gate_up_proj", 2 * inner, hidden)
        w.linear(f"{prefix}.mlp.down_proj", hidden, inner)

    return config, decoder(config, layer)


@case
def phi3():
    """Phi-3 mini: fused qkv and gate/up, sliding window."""
    fields = {"sliding_window": 8, "rope_scaling": None, "original_max_position_embeddings": 128, "pad_token_id": 0}
    return phi3_weights(base("phi3", "Phi3ForCausalLM", resid_pdrop=0.0, embd_pdrop=0.0, **fields))


@case
def phi3_longrope():
    """Phi-4 mini: RoPE on three quarters of a head, longrope factors, tied embeddings; the first input is past the trained length."""
    scaling = {
        "type": "longrope",
        "short_factor": [1.0, 1.05, 1.1, 1.2, 1.4, 1.5],
        "long_factor": [1.0, 1.5, 2.5, 4.0, 7.0, 9.0],
    }
    fields = {"rope_scaling": scaling, "original_max_position_embeddings": 16, "partial_rotary_factor": 0.75, "pad_token_id": 0}
    config = base("phi3", "Phi3ForCausalLM", sliding_window=512, tie_word_embeddings=True, resid_pdrop=0.0, embd_pdrop=0.0, **fields)
    return phi3_weights(config)


def gpt_oss_config(truncate=False, **fields):
    yarn = {
        "beta_fast": 32.0,
        "beta_slow": 1.0,
        "factor": 4.0,
        "original_max_position_embeddings": 64,
        "rope_type": "yarn",
        "truncate": truncate,
    }
    options = {
        "num_hidden_layers": 3,
        "intermediate_size": 32,
        "head_dim": 16,
        "max_position_embeddings": 256,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "experts_per_token": 2,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "attention_bias": True,
        "rope_theta": 150000,
        "rope_scaling": yarn,
        "swiglu_limit": 1.5,
        "initial_context_length": 64,
        "output_router_logits": False,
        "router_aux_loss_coef": 0.9,
        "pad_token_id": 0,
    }
    options.update(fields)
    return base("gpt_oss", "GptOssForCausalLM", **options)


def gpt_oss_weights(config, quantized):
    hidden, inner, experts = config["hidden_size"], config["intermediate_size"], config["num_local_experts"]

    def layer(w, prefix, _):
        attention(w, f"{prefix}.self_attn", config, qkv_bias=True, out_bias=True)
        w.add(f"{prefix}.self_attn.sinks", [config["num_attention_heads"]], 1.0, 0.5)
        w.linear(f"{prefix}.mlp.router", experts, hidden, True, gain=2.0)
        for name, rows, columns in [("gate_up_proj", 2 * inner, hidden), ("down_proj", hidden, inner)]:
            if quantized:
                w.integers(f"{prefix}.mlp.experts.{name}_blocks", [experts, rows, columns // 32, 16], "U8", 0, 255)
                # 2^-5 … 2^-3, times FP4 values up to 6
                w.integers(f"{prefix}.mlp.experts.{name}_scales", [experts, rows, columns // 32], "U8", 122, 124)
            else:
                w.add(f"{prefix}.mlp.experts.{name}", [experts, columns, rows], 2.5 * math.sqrt(3 / columns))
            w.add(f"{prefix}.mlp.experts.{name}_bias", [experts, rows], 0.4)

    return config, decoder(config, layer)


MXFP4_EXPERTS = {
    "modules_to_not_convert": ["model.layers.*.self_attn", "model.layers.*.mlp.router", "model.embed_tokens", "lm_head"],
    "quant_method": "mxfp4",
}


@case
def gpt_oss():
    """gpt-oss as on the hub: MXFP4 experts (blocks and scales), sinks, alternating windows, YaRN, every bias, SwiGLU clamped low."""
    return gpt_oss_weights(gpt_oss_config(quantization_config=MXFP4_EXPERTS), True)


@case
def gpt_oss_gguf():
    """gpt-oss within what its GGUF form can say: the clamp at 7."""
    return gpt_oss_weights(gpt_oss_config(quantization_config=MXFP4_EXPERTS, swiglu_limit=7.0), True)


@case
def gpt_oss_bf16():
    """gpt-oss as fine-tunes store it: bf16 experts, [experts, in, out]; clamp at 7 and YaRN range rounded, as llama.cpp has them."""
    return gpt_oss_weights(gpt_oss_config(truncate=True, swiglu_limit=7.0), False)


def glm4_moe_lite_case(**fields):
    options = {
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "num_hidden_layers": 3,
        "attention_bias": False,
        "q_lora_rank": 24,
        "kv_lora_rank": 32,
        "qk_nope_head_dim": 12,
        "qk_rope_head_dim": 8,
        "v_head_dim": 20,
        "first_k_dense_replace": 1,
        "moe_intermediate_size": 32,
        "n_routed_experts": 8,
        "n_shared_experts": 1,
        "num_experts_per_tok": 3,
        "n_group": 1,
        "topk_group": 1,
        "topk_method": "noaux_tc",
        "scoring_func": "sigmoid",
        "norm_topk_prob": True,
        "routed_scaling_factor": 1.8,
        "num_nextn_predict_layers": 1,
        "partial_rotary_factor": 1.0,
        "rope_theta": 1000000,
        "rope_scaling": None,
        "pad_token_id": 0,
    }
    options.update(fields)
    config = base("glm4_moe_lite", "Glm4MoeLiteForCausalLM", **options)
    hidden, heads, rank = config["hidden_size"], config["num_attention_heads"], config["kv_lora_rank"]
    query = heads * (config["qk_nope_head_dim"] + config["qk_rope_head_dim"])

    def layer(w, prefix, index):
        attn = f"{prefix}.self_attn"
        if config["q_lora_rank"]:
            w.linear(f"{attn}.q_a_proj", config["q_lora_rank"], hidden)
            w.norm(f"{attn}.q_a_layernorm", config["q_lora_rank"])
            w.linear(f"{attn}.q_b_proj", query, config["q_lora_rank"])
        else:
            w.linear(f"{attn}.q_proj", query, hidden)
        w.linear(f"{attn}.kv_a_proj_with_mqa", rank + config["qk_rope_head_dim"], hidden)
        w.norm(f"{attn}.kv_a_layernorm", rank)
        w.linear(f"{attn}.kv_b_proj", heads * (config["qk_nope_head_dim"] + config["v_head_dim"]), rank)
        w.linear(f"{attn}.o_proj", hidden, heads * config["v_head_dim"])
        if index < config["first_k_dense_replace"]:
            gated_mlp(w, f"{prefix}.mlp", hidden, config["intermediate_size"])
        else:
            inner = config["moe_intermediate_size"]
            per_expert_mlp(w, f"{prefix}.mlp", hidden, inner, config["n_routed_experts"], router_bias=True)
            gated_mlp(w, f"{prefix}.mlp.shared_experts", hidden, inner * config["n_shared_experts"])

    return config, decoder(config, layer)


@case
def glm4_moe_lite():
    """GLM-4.7-Flash: MLA, sigmoid router with a correction bias, shared expert, one dense layer first."""
    return glm4_moe_lite_case()


@case
def glm4_moe_lite_groups():
    """The same with group-limited routing, two shared experts, YaRN with mscale and no query compression."""
    yarn = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "mscale": 1.0, "mscale_all_dim": 0.8}
    return glm4_moe_lite_case(n_group=4, topk_group=2, q_lora_rank=None, n_shared_experts=2, rope_scaling=yarn)


def hybrid_config(**fields):
    options = {
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "attention_bias": False,
        "full_attention_interval": 4,
        "linear_conv_kernel_dim": 4,
        "linear_key_head_dim": 16,
        "linear_value_head_dim": 16,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "rms_norm_eps": 1e-06,
        "rope_theta": 10000000,
        "partial_rotary_factor": 0.25,
    }
    options.update(fields)
    return options


def delta_net(w, prefix, config, fused):
    hidden = config["hidden_size"]
    key = config["linear_num_key_heads"] * config["linear_key_head_dim"]
    value_heads = config["linear_num_value_heads"]
    value = value_heads * config["linear_value_head_dim"]
    if fused:
        w.linear(f"{prefix}.in_proj_qkvz", 2 * key + 2 * value, hidden)
        w.linear(f"{prefix}.in_proj_ba", 2 * value_heads, hidden)
    else:
        w.linear(f"{prefix}.in_proj_qkv", 2 * key + value, hidden)
        w.linear(f"{prefix}.in_proj_z", value, hidden)
        w.linear(f"{prefix}.in_proj_b", value_heads, hidden)
        w.linear(f"{prefix}.in_proj_a", value_heads, hidden)
    w.add(f"{prefix}.conv1d.weight", [2 * key + value, 1, config["linear_conv_kernel_dim"]], 0.8)
    w.add(f"{prefix}.dt_bias", [value_heads], 1.0, 0.25)
    w.add(f"{prefix}.A_log", [value_heads], 1.0, 0.0, dtype=None if fused else "F32")
    w.add(f"{prefix}.norm.weight", [config["linear_value_head_dim"]], 0.4, 1.0, dtype=None if fused else "F32")
    w.linear(f"{prefix}.out_proj", hidden, value)


def hybrid_layer(config, fused, experts):
    """Three gated delta-net layers, then one gated-attention layer. `experts`: "each", "stacked" or None for a dense MLP."""
    hidden = config["hidden_size"]

    def layer(w, prefix, index):
        if (index + 1) % config["full_attention_interval"]:
            delta_net(w, f"{prefix}.linear_attn", config, fused)
        else:
            attention(w, f"{prefix}.self_attn", config, qk_norm=True, query_factor=2, norm_offset=0.2)
        mlp = f"{prefix}.mlp"
        if not experts:
            gated_mlp(w, mlp, hidden, config["intermediate_size"])
            return
        count, inner = config["num_experts"], config["moe_intermediate_size"]
        if experts == "each":
            per_expert_mlp(w, mlp, hidden, inner, count)
        else:
            w.linear(f"{mlp}.gate", count, hidden, gain=2.0)
            w.add(f"{mlp}.experts.gate_up_proj", [count, 2 * inner, hidden], 1.2 * math.sqrt(3 / hidden))
            w.add(f"{mlp}.experts.down_proj", [count, hidden, inner], 1.2 * math.sqrt(3 / inner))
        gated_mlp(w, f"{mlp}.shared_expert", hidden, config["shared_expert_intermediate_size"])
        w.linear(f"{mlp}.shared_expert_gate", 1, hidden)

    return layer


MOE = {
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 48,
    "num_experts": 8,
    "num_experts_per_tok": 3,
    "output_router_logits": False,
    "router_aux_loss_coef": 0.001,
}


def qwen3_next_case(**fields):
    options = hybrid_config(decoder_sparse_step=1, mlp_only_layers=[], norm_topk_prob=True, rope_scaling=None, **MOE)
    config = base("qwen3_next", "Qwen3NextForCausalLM", **{**options, **fields})
    return config, decoder(config, hybrid_layer(config, True, "each"), norm_offset=0.2)


@case
def qwen3_next():
    """Qwen3-Next: gated delta-net (fused, head-interleaved projections) and gated attention, MoE with a gated shared expert."""
    return qwen3_next_case()


@case
def qwen3_next_wide():
    """Qwen3-Next with value heads wider than key heads, three to one, and a shorter convolution."""
    return qwen3_next_case(linear_value_head_dim=24, linear_num_value_heads=6, linear_conv_kernel_dim=3)


def qwen3_5_case(model_type, architecture, text_type, experts, **fields):
    options = hybrid_config(**fields)
    partial, theta = options.pop("partial_rotary_factor"), options.pop("rope_theta")
    text = base(text_type, "", hidden_act="silu", **options)
    for key in ("architectures", "torch_dtype", "rope_theta", "bos_token_id"):
        text.pop(key, None)
    if experts:
        del text["intermediate_size"]
    interval = text["full_attention_interval"]
    kinds = ["linear_attention" if (i + 1) % interval else "full_attention" for i in range(text["num_hidden_layers"])]
    text.update(
        dtype="bfloat16",
        attn_output_gate=True,
        layer_types=kinds,
        mamba_ssm_dtype="float32",
        rope_parameters={
            "mrope_interleaved": True,
            "mrope_section": [2, 1, 1],
            "rope_type": "default",
            "rope_theta": theta,
            "partial_rotary_factor": partial,
        },
    )
    vision = {
        "model_type": model_type,
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_heads": 2,
        "out_hidden_size": text["hidden_size"],
        "patch_size": 4,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [],
    }
    config = {
        "architectures": [architecture],
        "model_type": model_type,
        "image_token_id": 125,
        "video_token_id": 126,
        "vision_start_token_id": 123,
        "vision_end_token_id": 124,
        "tie_word_embeddings": text["tie_word_embeddings"],
        "text_config": text,
        "vision_config": vision,
    }
    specs = decoder(text, hybrid_layer(text, False, experts), "model.language_model", norm_offset=0.2)
    w = Weights()
    w.add("model.visual.patch_embed.proj.bias", [16], 0.3)
    w.add("model.visual.patch_embed.proj.weight", [16, 3, 2, 4, 4], 0.1)
    return config, specs + w.specs


@case
def qwen3_5():
    """Qwen3.5 dense as on the hub: multimodal wrapper, split projections, float32 A_log and gated norm, tied embeddings."""
    return qwen3_5_case(
        "qwen3_5", "Qwen3_5ForConditionalGeneration", "qwen3_5_text", None, tie_word_embeddings=True, rms_norm_eps=1e-06
    )


@case
def qwen3_5_moe():
    """Qwen3.5 MoE as on the hub: stacked experts `gate_up_proj` and `down_proj`, gated shared expert."""
    return qwen3_5_case("qwen3_5_moe", "Qwen3_5MoeForConditionalGeneration", "qwen3_5_moe_text", "stacked", **MOE)
