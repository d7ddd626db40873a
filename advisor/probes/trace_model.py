"""Builds the model of a traced job at a small depth: the real classes, without memory."""

from typing import Any, Final

import torch
import transformers
from peft import IA3Config, LoraConfig, PromptTuningConfig, get_peft_model
from transformers import CONFIG_MAPPING, AutoConfig
from transformers.initialization import no_init_weights

AUTO: Final = {
    "clm": transformers.AutoModelForCausalLM,
    "mlm": transformers.AutoModelForMaskedLM,
    "seq2seq": transformers.AutoModelForSeq2SeqLM,
    "classification": transformers.AutoModelForSequenceClassification,
}
TASKS: Final = {"clm": "CAUSAL_LM", "seq2seq": "SEQ_2_SEQ_LM", "classification": "SEQ_CLS"}
# Of a config.json: code of its own is not run, and packing is up to the job.
LEFT_OUT: Final = frozenset({"model_type", "auto_map", "quantization_config"})
# What families call a width, after Hugging Face's own names for it.
WIDTHS: Final = {
    "n_layers": ("num_hidden_layers",),
    "n_encoder_layers": ("encoder_layers", "num_layers", "num_hidden_layers"),
    "n_decoder_layers": ("num_decoder_layers", "decoder_layers"),
    "hidden": ("hidden_size",),
    "n_heads": ("num_attention_heads", "encoder_attention_heads"),
    "n_decoder_heads": ("decoder_attention_heads",),
    "n_kv_heads": ("num_key_value_heads",),
    "head_dim": ("head_dim", "d_kv"),
    "intermediate": ("intermediate_size", "n_inner", "d_ff", "ffn_dim", "encoder_ffn_dim"),
    "decoder_intermediate": ("decoder_ffn_dim",),
    "vocab": ("vocab_size",),
    "embedding_width": ("embedding_size", "word_embed_proj_dim"),
    "max_context": ("max_position_embeddings",),
    "n_experts": ("num_local_experts", "num_experts", "n_routed_experts"),
    "moe_intermediate": ("moe_intermediate_size",),
    "top_k": ("num_experts_per_tok",),
    "tied": ("tie_word_embeddings",),
}
# Ends of the names that families give to the matrices of a block; some hold several in one.
ENDINGS: Final = {
    "q": "q_proj|query|q|c_attn|query_key_value|qkv_proj|Wqkv|q_lin",
    "k": "k_proj|key|k|c_attn|query_key_value|qkv_proj|Wqkv|k_lin",
    "v": "v_proj|value|v|c_attn|query_key_value|qkv_proj|Wqkv|v_lin",
    "o": r"o_proj|out_proj|o|attn\.c_proj|attention\.dense|attention\.output\.dense|out_lin",
    "gate": "gate_proj|wi_0|gate_up_proj",
    "up": r"up_proj|wi|wi_1|gate_up_proj|c_fc|fc1|dense_h_to_4h|intermediate\.dense|lin1",
    "down": r"down_proj|wo|mlp\.c_proj|fc2|dense_4h_to_h|layer\.\d+\.output\.dense|lin2",
}


def config_of(family: str, given: dict[str, Any], widths: dict[str, Any], *, gated: bool) -> Any:  # noqa: ANN401
    """Return the family's configuration: as `given`, with `widths` under the family's names."""
    if family not in CONFIG_MAPPING:
        raise ValueError(f"transformers {transformers.__version__} has no class for it")
    default = AutoConfig.for_model(family)
    known = default.to_dict()
    if "vocab_size" not in known:
        raise ValueError(f"{family} is made of several models, of which only one reads text")
    fields = {name: value for name, value in given.items() if name not in LEFT_OUT}
    for width, value in widths.items():
        for alias in WIDTHS[width]:
            name = default.attribute_map.get(alias, alias)
            if name in known:
                fields[name] = value
                break
    fields.setdefault("pad_token_id", 0)
    if default.is_encoder_decoder:
        fields.setdefault("decoder_start_token_id", 0)
    if "feed_forward_proj" in known and "feed_forward_proj" not in given:
        fields["feed_forward_proj"] = "gated-gelu" if gated else "relu"
    if "attention_types" in known:
        fields["attention_types"] = [[["global"], widths["n_layers"]]]
    return AutoConfig.for_model(family, **_shortened(fields, widths))


def _shortened(fields: dict[str, Any], widths: dict[str, Any]) -> dict[str, Any]:
    """Cut lists that have an entry for each block to the number of blocks."""
    kinds = fields.get("layer_types")
    if not isinstance(kinds, list):
        return fields
    return fields | {"layer_types": kinds[: widths["n_layers"]]}


def build(config: Any, job: dict[str, Any], dtype: torch.dtype) -> Any:  # noqa: ANN401
    """Return the model in training mode, with the attention that the job asks for."""
    config.use_cache = False
    auto: Any = AUTO[job["objective"]]
    with no_init_weights():
        model = auto.from_config(config, dtype=dtype, attn_implementation=job["attention"])
    model.tie_weights()
    head, table = model.get_output_embeddings(), model.get_input_embeddings()
    if head is not None and head.weight is table.weight and not job["widths"]["tied"]:
        # Some families tie by default what the files of some of their models hold apart.
        head.weight = torch.nn.Parameter(torch.empty_like(head.weight))
    return model.train()


def materialised(model: Any) -> Any:  # noqa: ANN401
    """Give every tensor of a model of the meta device a storage: fake where those are in force.

    PyTorch's own `to_empty` cannot do it with fake tensors.
    """
    made: dict[int, Any] = {}

    def storage_for(tensor: torch.Tensor) -> Any:  # noqa: ANN401
        if id(tensor) not in made:
            new = torch.zeros(tensor.shape, dtype=tensor.dtype)
            learned = isinstance(tensor, torch.nn.Parameter)
            made[id(tensor)] = torch.nn.Parameter(new, tensor.requires_grad) if learned else new
        return made[id(tensor)]

    for module in model.modules():
        for tensors in (module._parameters, module._buffers):  # noqa: SLF001 - no other way
            for name, tensor in tensors.items():
                if tensor is not None:
                    tensors[name] = storage_for(tensor)
    # Where peft learns a prompt, it keeps the numbers of its tokens aside.
    prompts = getattr(model, "prompt_tokens", {})
    prompts.update({name: storage_for(tokens) for name, tokens in prompts.items()})
    return model


def adapted(model: Any, objective: str, method: str, lora: dict[str, Any]) -> Any:  # noqa: ANN401
    """Return `model` prepared for `method`: adapters on a frozen base, or itself."""
    if method == "full":
        return model
    task = TASKS.get(objective)
    if method == "ia3":
        return get_peft_model(model, IA3Config(task_type=task))
    if method == "prompt":
        tokens = {"num_virtual_tokens": lora["prompt_tokens"]}
        return get_peft_model(model, PromptTuningConfig(task_type=task, **tokens))
    config = LoraConfig(
        task_type=task,
        r=lora["rank"],
        lora_dropout=lora["dropout"],
        target_modules=_matrices(lora["targets"]),
        modules_to_save=_tables(model, lora["targets"]),
        use_rslora=method == "rslora",
        use_dora=method == "dora",
    )
    return get_peft_model(model, config)


def _matrices(targets: list[str]) -> str:
    """Return what peft calls the matrices: all linear layers, or a pattern of their names."""
    if {"q", "k", "v", "o", "up", "down"} <= set(targets):
        return "all-linear"
    names = "|".join(ENDINGS[target] for target in targets if target in ENDINGS)
    return rf".*\.({names})"


def _tables(model: Any, targets: list[str]) -> list[str] | None:  # noqa: ANN401
    """Return the names of the vocabulary tables that are trained whole beside the adapters."""
    tables = {
        "embeddings": model.get_input_embeddings(),
        "lm_head": model.get_output_embeddings(),
    }
    wanted = [tables[target] for target in targets if target in tables]
    named = [name for name, module in model.named_modules() if any(module is x for x in wanted)]
    return [name.rpartition(".")[2] for name in named] or None
