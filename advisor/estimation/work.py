"""Floating-point operations of a job: what the model needs, and what is run."""

from typing import NamedTuple

from advisor.estimation.blocks import TARGET_SHARE
from advisor.estimation.shape import ENCODER, ENCODER_DECODER
from advisor.estimation.training_job import TrainingJob

# Full checkpointing repeats the forward pass of every block. Op-level selective checkpointing
# repeats every second matrix product; where frameworks split tensors it repeats attention alone.
# Sources: torchtitan, ac_mode selective; Korthikanti et al. 2022 (arXiv 2205.05198), section 5.
LINEAR_AGAIN = {"no": 0.0, "selective": 0.5, "yes": 1.0}
# Frameworks that split tensors can repeat as many blocks as memory asks for; a few, as a rule.
TUNED_AGAIN = 0.2
ATTENTION_AGAIN = {"no": 0.0, "selective": 0.0, "yes": 1.0}
# Fused attention does two products forward and five backward: it computes the scores once more.
# Source: FlashAttention-2 (arXiv 2307.08691), section 3.1.
ATTENTION_BACKWARD = 2.5
# T5 pretrains on spans: 114 of 512 tokens are targets (arXiv 1910.10683, section 3.1.4); other
# denoisers write the whole text anew (BART, arXiv 1910.13461).
SPAN_SHARE = 114 / 512


class Operations(NamedTuple):
    """Operations per token of one forward and backward pass, recomputation included.

    `linear` are the blocks' matrices, which low precision speeds up; `head` the vocabulary's;
    `attention` the scores and values. `model` is what the model needs, `again` what checkpointing
    repeats of it: publications count either the first or both.
    """

    linear: float
    head: float
    attention: float
    model: float

    again: float


def operations(job: TrainingJob) -> Operations:
    """Return the operations per token of `job`.

    Forward 2N, backward 4N; frozen weights need no weight gradient, so 2N; recomputation repeats
    the forward pass; causal attention adds 2 x width x length forward. Sources: Kaplan et al. 2020
    (arXiv 2001.08361); Korthikanti et al. 2022 (arXiv 2205.05198), section 6; Hu et al. 2021
    (LoRA, arXiv 2106.09685).
    """
    linear, head, attention = _forward(job)
    back = _backward_share(job)
    extra = 6.0 * job.trained_params if job.adapts else 0.0
    again = linear * linear_again(job), attention * ATTENTION_AGAIN[job.gradient_checkpointing]
    return Operations(
        linear=linear * (1 + back) + extra + again[0],
        head=head * (1 + back),
        attention=attention * (1 + ATTENTION_BACKWARD) + again[1],
        model=(linear + head) * (1 + back) + 3 * attention + extra,
        again=sum(again),
    )


def _backward_share(job: TrainingJob) -> float:
    """Return the work of the backward pass beside the forward pass of the same matrices."""
    if job.method == "frozen":
        # Only the upper quarter of the blocks sees the backward pass.
        return 0.5
    return 1.0 if job.adapts else 2.0


def linear_again(job: TrainingJob) -> float:
    """Return which share of the blocks' forward products is repeated in the backward pass."""
    if job.sharding != "tp_pp":
        return LINEAR_AGAIN[job.gradient_checkpointing]
    if job.request.gradient_checkpointing == "yes":
        return 1.0
    return TUNED_AGAIN if job.gradient_checkpointing == "yes" else 0.0


def _forward(job: TrainingJob) -> tuple[float, float, float]:
    """Return the forward operations per token of (matrices, vocabulary, attention)."""
    shape = job.shape
    matrices = shape.active_block_params
    head = 0.0 if job.objective == "classification" else shape.table_params * job.labelled_share
    if shape.kind == ENCODER_DECODER:
        # A decoder block has a second attention, so about 4/3 of an encoder block's weights.
        decoders = shape.n_decoder_layers * 4 / 3
        decoder = decoders / max(shape.n_layers - shape.n_decoder_layers + decoders, 1)
        matrices *= 1 - decoder * (1 - target_share(job))
        head *= target_share(job)
    return 2.0 * matrices, 2.0 * head, forward_attention(job)


def forward_attention(job: TrainingJob) -> float:
    """Return the operations of scores and values per token, forward; half where causal."""
    causal = 0.5 if job.shape.kind != ENCODER else 1.0
    return 4.0 * job.shape.attentions * job.shape.q_width * job.seq_len * causal


def target_share(job: TrainingJob) -> float:
    """Return how many target tokens an encoder-decoder has for each token of input."""
    if job.approach != "pretrain":
        return TARGET_SHARE
    return SPAN_SHARE if "t5" in (job.shape.name or "").lower() else 1.0
