"""How many bytes a forward pass keeps for the backward pass, token by token."""

from advisor.estimation.blocks import (
    TARGET_SHARE,
    active_width,
    block_bytes,
    norm_bytes,
    scores_bytes,
    widths_of,
)
from advisor.estimation.habits import habits_of
from advisor.estimation.shape import ENCODER_DECODER
from advisor.estimation.states import element_bytes, in_autocast
from advisor.estimation.training_job import TrainingJob

# Log-probabilities in fp32, and two gradients of them: 4 + 4 + 4; logits themselves are gone.
LOGITS_BYTES = 12.0
# Megatron's loss over a split vocabulary works in place on an fp32 copy of 16-bit logits.
# Source: Megatron-LM, tensor_parallel/cross_entropy.py.
MEGATRON_LOGITS_BYTES = 6.0
# PyTorch's keeps the exponentials and their product with the gradient too: 5 x 4.
# Source: PyTorch, torch/distributed/tensor/parallel/loss.py.
PARALLEL_LOGITS_BYTES = 20.0
FROZEN_SHARE = 0.25


def kept_bytes(job: TrainingJob) -> float:
    """Return the bytes per token that one block keeps under the checkpointing of `job`."""
    if job.gradient_checkpointing == "no":
        return block_bytes(job)
    if job.gradient_checkpointing == "selective":
        return _selective_bytes(job)
    return float(widths_of(job).stream * job.shape.hidden)


def _selective_bytes(job: TrainingJob) -> float:
    """Return what stays where products are kept and the rest is recomputed.

    Megatron recomputes the scores only. PyTorch's per-operator policy keeps the input of a block,
    the result of attention and every second matrix product: q, v, the first of the MLP, its last.
    Source: torchtitan, activation checkpointing of mode selective, option op.
    """
    shape, widths = job.shape, widths_of(job)
    attentions = shape.attentions / shape.n_layers
    if job.sharding == "tp_pp":
        return block_bytes(job) - attentions * scores_bytes(job)
    products = attentions * (2 * shape.q_width + shape.kv_width) + active_width(shape)
    last = shape.hidden if shape.gated else 0
    kept = widths.stream * shape.hidden + widths.size * (products + last)
    return min(kept, block_bytes(job))


def blocks_at_work(job: TrainingJob) -> float:
    """Return how many blocks keep activations; decoder blocks of a seq2seq see fewer tokens."""
    shape = job.shape
    blocks = float(shape.n_layers)
    if shape.kind == ENCODER_DECODER:
        blocks -= (1 - TARGET_SHARE) * shape.n_decoder_layers
    return blocks * FROZEN_SHARE if job.method == "frozen" else blocks


def outer_bytes(job: TrainingJob) -> float:
    """Return the bytes per token that norms outside of the blocks and the head keep."""
    shape, widths = job.shape, widths_of(job)
    head = widths.size if widths.trained else 0
    norms = norm_bytes(shape, widths) * shape.anatomy.outer_norms
    return shape.hidden * (norms + head + bool(widths.habits.masks))


def logits_bytes(job: TrainingJob) -> float:
    """Return the bytes per token that the vocabulary's scores take at their peak."""
    if job.objective == "classification":
        return 0.0
    share = TARGET_SHARE if job.shape.kind == ENCODER_DECODER else job.labelled_share
    # Logits that are bent by a tanh leave its result behind.
    bent = element_bytes(job) if habits_of(job.shape.anatomy.family).capped else 0
    return (_loss_bytes(job) + bent) * job.shape.vocab * share


def _loss_bytes(job: TrainingJob) -> float:
    """Return the bytes of a logit at the gradient of the loss, which causal LMs lift to fp32."""
    if job.sharding == "tp_pp":
        return MEGATRON_LOGITS_BYTES
    if job.tensor_parallel > 1:
        return PARALLEL_LOGITS_BYTES
    lifts = job.objective == "clm" or habits_of(job.shape.anatomy.family).lifts_loss
    lifted = lifts or job.adapts or in_autocast(job)
    return LOGITS_BYTES if lifted else LOGITS_BYTES * element_bytes(job) / 4
