"""How many bytes the forward pass keeps for the backward pass."""

from advisor.estimation.shape import ENCODER_DECODER
from advisor.estimation.training_job import FSDP_LIKE, LORA_METHODS, TrainingJob

HALF = frozenset({"bf16", "fp16", "fp8"})
# bitsandbytes bases are prepared with fp32 norms and tables, which makes the residual stream fp32.
# Source: peft, prepare_model_for_kbit_training.
UPCAST = frozenset({"nf4", "nf4_dq", "int8"})
# Log-probabilities and their gradient in fp32, logits and their gradient in 16 bit: 4 + 4 + 2 + 2.
LOGITS_BYTES = 12.0
# Op-level selective checkpointing keeps the input of a block, the output of attention and every
# second matrix product: about 15 of 49 bytes a column in Llama (torchtitan, ac_mode selective).
SELECTIVE_SHARE = 0.35
# Targets are about half as long as inputs: summaries and translations lie on either side.
TARGET_SHARE = 0.5
FROZEN_SHARE = 0.25


def element_bytes(job: TrainingJob) -> int:
    """Return the bytes of one activation."""
    return 2 if job.precision in HALF else 4


def in_autocast(job: TrainingJob) -> bool:
    """Whether fp32 weights are cast as they are used, so that the residual stream is fp32."""
    return (
        job.precision in HALF
        and job.master_weights
        and not job.adapts
        and job.sharding not in FSDP_LIKE
        and job.sharding != "tp_pp"
    )


def block_bytes(job: TrainingJob) -> float:
    """Return the bytes that one block keeps per token when nothing is recomputed.

    Source: counted with saved-tensor hooks on Llama, GPT-2 and BERT of transformers 5.23 under
    PyTorch 2.13 (tests/test_estimation.py repeats the count); with fused attention no score matrix
    is kept. Agrees with Korthikanti et al. 2022 (arXiv 2205.05198) less its score matrices.
    """
    shape, size = job.shape, element_bytes(job)
    attention = size * 2 * (shape.q_width + shape.kv_width)
    row_statistics = 8 + 4 * shape.n_heads
    per_block = shape.attentions / shape.n_layers
    linear = _frozen_block(job, size) if job.adapts else _trained_block(job, size)
    return per_block * (attention + row_statistics) + linear


def _trained_block(job: TrainingJob, size: int) -> float:
    """Norms, inputs of the linear layers and the MLP, where weights get gradients."""
    shape = job.shape
    if shape.gated:
        widths = 26 if in_autocast(job) else 16 if size == 2 else 24  # noqa: PLR2004
        return float(widths * shape.hidden + 4 * size * shape.active_intermediate)
    widths = 16 if in_autocast(job) or size == 4 else 10  # noqa: PLR2004
    return float(widths * shape.hidden + 2 * size * shape.active_intermediate)


def _frozen_block(job: TrainingJob, size: int) -> float:
    """Norms and the MLP, where weights are frozen: only inputs of adapters are kept."""
    shape = job.shape
    norms = 8 if shape.gated else 2 * size
    mlp = (3 if shape.gated else 1) * size * shape.active_intermediate
    if job.quantization in UPCAST:
        # bitsandbytes keeps the input of every product with a quantized matrix.
        mlp += size * (2 * shape.hidden + shape.active_intermediate)
    return norms * shape.hidden + mlp + _adapter_inputs(job) * size


def _adapter_inputs(job: TrainingJob) -> float:
    """Return the elements per token and block that the adapters of `job` keep."""
    shape = job.shape
    if job.method in LORA_METHODS:
        widths = shape.linear_widths()
        active = {"gate": shape.top_k, "up": shape.top_k, "down": shape.top_k}
        blocks = [name for name in job.lora_targets if name in widths]
        # Dropout keeps a mask of one byte an element beside the dropped 16-bit copy.
        return sum(1.5 * widths[name][0] * active.get(name, 1) for name in blocks)
    if job.method == "ia3":
        return 2 * shape.kv_width + shape.active_intermediate
    return 2 * shape.hidden if job.method == "adapter" else 0.0


def kept_bytes(job: TrainingJob) -> float:
    """Return the bytes per token that one block keeps under the checkpointing of `job`."""
    if job.gradient_checkpointing == "no":
        return block_bytes(job)
    if job.gradient_checkpointing == "selective":
        return SELECTIVE_SHARE * block_bytes(job)
    stream = 4 if in_autocast(job) or job.quantization in UPCAST else element_bytes(job)
    return float(stream * job.shape.hidden)


def activation_bytes(job: TrainingJob) -> tuple[float, float]:
    """Return the bytes of (activations, logits) at the peak of one forward and backward pass.

    With full checkpointing the peak is either the logits or one recomputed block, whichever is
    more: the other is counted as 0.
    """
    tokens = job.micro_tokens / job.tensor_parallel
    # A pipeline holds as many micro-batches as it has stages; a large one is cut into them.
    tokens /= min(job.pipeline_parallel, job.micro_batch)
    stored = kept_bytes(job) * blocks_at_work(job) * tokens
    logits = logits_bytes(job) * tokens
    if job.gradient_checkpointing != "yes":
        return stored, logits
    block = block_bytes(job) * tokens
    return (stored, logits) if logits >= block else (stored + block, 0.0)


def blocks_at_work(job: TrainingJob) -> float:
    """Return how many blocks keep activations; decoder blocks of a seq2seq see fewer tokens."""
    shape = job.shape
    blocks = float(shape.n_layers)
    if shape.kind == ENCODER_DECODER:
        blocks -= (1 - TARGET_SHARE) * shape.n_decoder_layers
    return blocks * FROZEN_SHARE if job.method == "frozen" else blocks


def logits_bytes(job: TrainingJob) -> float:
    """Return the bytes per token that the vocabulary's scores take at their peak."""
    if job.objective == "classification":
        return 0.0
    share = TARGET_SHARE if job.shape.kind == ENCODER_DECODER else 1.0
    return LOGITS_BYTES * job.shape.vocab * share
