"""How many bytes one block of a model keeps for the backward pass, token by token.

Counted on the families of transformers 5.23 under PyTorch 2.13 (tests/test_trace.py repeats the
count); agrees with Korthikanti et al. 2022 (arXiv 2205.05198) less its score matrices, which fused
attention does not keep.
"""

from functools import lru_cache
from typing import NamedTuple

from advisor.estimation.habits import GELU_NEW, RELU, XIELU, Habits, habits_of
from advisor.estimation.shape import ENCODER_DECODER, Shape
from advisor.estimation.states import element_bytes, in_autocast, upcast
from advisor.estimation.training_job import LORA_METHODS, SHAPES_KEPT, TrainingJob

# Targets are about half as long as inputs: summaries and translations lie on either side.
TARGET_SHARE = 0.5
EAGER = "eager"
FP32 = 4
# A vector of fp32 for each head is all that fused attention keeps of the scores.
STATISTICS_BYTES = 4


class Widths(NamedTuple):
    """How wide things are kept: bytes of an element, and of one of the residual stream.

    `wide` is autocast over trained fp32 weights, `fused` are kernels that keep no steps.
    """

    habits: Habits
    size: int
    stream: int
    wide: bool
    trained: bool
    fused: bool

    @property
    def half_base(self) -> bool:
        """Whether adapters are trained on a 16-bit base, in autocast."""
        return not self.trained and self.stream < FP32


def widths_of(job: TrainingJob) -> Widths:
    """Return how wide the forward pass of `job` keeps things."""
    size, wide = element_bytes(job), in_autocast(job)
    lifted = job.adapts and upcast(job)
    return Widths(
        habits=habits_of(job.shape.anatomy.family),
        size=size,
        stream=FP32 if wide or lifted else size,
        wide=wide,
        trained=not job.adapts,
        fused=job.compiled or job.sharding == "tp_pp",
    )


def block_bytes(job: TrainingJob) -> float:
    """Return the bytes that one block keeps per token when nothing is recomputed.

    Of a seq2seq model it is the mean block, per token of the inputs that works on it.
    """
    shape, widths = job.shape, widths_of(job)
    if shape.kind != ENCODER_DECODER:
        return _block(job, widths, attentions=1 if shape.attentions else 0)
    decoders = shape.n_decoder_layers
    encoders = shape.n_layers - decoders
    one = TARGET_SHARE * _block(job, widths, attentions=2) + _crossed(shape, widths)
    whole = encoders * _block(job, widths, attentions=1) + decoders * one
    return whole / (encoders + TARGET_SHARE * decoders)


def _block(job: TrainingJob, widths: Widths, *, attentions: int) -> float:
    shape, habits = job.shape, widths.habits
    crosses = attentions > 1
    norms = (1 if habits.parallel else shape.anatomy.norms or 2) + crosses
    kept = norms * shape.hidden * norm_bytes(shape, widths)
    kept += (habits.masks + (habits.masks > 0) * crosses) * shape.hidden
    kept += attentions * (_attention(shape, widths) + _scores(job, widths))
    if habits.position_bias:
        # The same for every sequence of a batch, but each layer's own; a pipeline cuts the batch.
        length = job.seq_len * (TARGET_SHARE if crosses else 1)
        sequences = job.micro_batch if job.pipeline_parallel == 1 else 1
        kept += widths.size * shape.n_heads * length / sequences
    kept += _mlp(shape, widths)
    if widths.trained:
        return kept + _product_inputs(shape, widths, attentions)
    return kept + _frozen_inputs(job, widths)


def _crossed(shape: Shape, widths: Widths) -> float:
    """Keys and values of the inputs that a decoder block holds beyond those of its targets."""
    casts = 2 * shape.hidden if widths.wide and widths.trained else 0
    return (1 - TARGET_SHARE) * widths.size * (2 * shape.kv_width + casts)


def norm_bytes(shape: Shape, widths: Widths) -> float:
    """Return the bytes for each column of a norm: its input, and its result before scaling."""
    if widths.fused:
        return widths.size
    if widths.habits.plain_norms or shape.anatomy.norm_bias:
        return FP32 if widths.half_base else widths.stream
    scaled = FP32 if widths.habits.wide_norms or widths.wide else widths.size
    # T5 multiplies its 16-bit input, and takes the variance of an fp32 copy.
    twice = widths.size if widths.habits.position_bias and widths.stream < FP32 else 0
    return FP32 + twice + (scaled if widths.trained else 0)


def _attention(shape: Shape, widths: Widths) -> float:
    """Queries, keys, values and the result; norms of queries and keys where there are any."""
    anatomy, both = shape.anatomy, shape.q_width + shape.kv_width
    kept = 2.0 * widths.size * both + STATISTICS_BYTES * shape.n_heads
    if widths.habits.one_product and widths.habits.rotated:
        # Values are a view of a tensor that also holds queries and keys as they were.
        kept += widths.size * both
    if anatomy.qk_head_norm or anatomy.qk_width_norm:
        scaled = FP32 if widths.habits.wide_norms else widths.size
        kept += both * (FP32 + (scaled if widths.trained else 0))
    return kept


def scores_bytes(job: TrainingJob) -> float:
    """Return the bytes per token and attention of score matrices that are written out."""
    return _scores(job, widths_of(job))


def _scores(job: TrainingJob, widths: Widths) -> float:
    """One value for each token, head and key: probabilities in fp32, and as they are multiplied."""
    if job.attention != EAGER:
        return 0.0
    each, half = 4.0, widths.size < FP32
    if half:
        each += widths.size
    if widths.habits.score_dropout:
        each += 1.0 if half else 1.0 + FP32
    if widths.habits.capped:
        each += widths.size
    return each * job.shape.n_heads * job.seq_len


def widest_bytes(job: TrainingJob) -> float:
    """Return the bytes per token of the widest tensor of a block: of its MLP, or of its scores."""
    scores = job.shape.n_heads * job.seq_len if job.attention == EAGER else 0
    return float(element_bytes(job) * max(active_width(job.shape), scores))


def active_width(shape: Shape) -> int:
    """Return the width of the MLPs that one token runs through, with those that all share."""
    return shape.active_intermediate + shape.anatomy.shared_intermediate


def _mlp(shape: Shape, widths: Widths) -> float:
    """What the MLP keeps but its input; experts also the rows they were sent, in and out."""
    kept = _mlp_column(widths, gated=shape.gated) * active_width(shape)
    if shape.n_experts > 1:
        kept += 2 * widths.size * shape.top_k * shape.hidden
    return kept


def _mlp_column(widths: Widths, *, gated: bool) -> float:
    """Return the bytes for each column of the MLP."""
    if widths.fused:
        return (3.0 if gated else 2.0) * widths.size
    habits = widths.habits
    size = widths.size if widths.trained else widths.stream
    # Powers are taken in fp32 under autocast, and what is made of them stays so.
    powers = habits.activation == GELU_NEW and (widths.wide or widths.half_base)
    kept = _steps(widths, size) + ((FP32 if powers else size) + size if gated else 0.0)
    if widths.trained or (habits.activation == RELU and not gated):
        kept += size
    if habits.mlp_dropout:
        kept += 1.0 + (size if habits.activation == RELU else 0.0)
    return kept


def _steps(widths: Widths, size: int) -> float:
    """Return the bytes a column that computing the activation keeps, its result apart."""
    mixed = widths.wide or widths.half_base
    if widths.habits.activation == GELU_NEW:
        # x and tanh and 1 + tanh in fp32, x / 2.
        return 14.0 if mixed else 4.0 * size
    if widths.habits.activation == XIELU:
        # x, its exponential, their products with trained scalars, a mask.
        return (15.0 if widths.trained else 11.0) if mixed else 4.0 * size + 1
    return 0.0 if widths.habits.activation == RELU else float(size)


def _product_inputs(shape: Shape, widths: Widths, attentions: int) -> float:
    """Inputs of attention and MLP, for the gradients of weights; autocast casts each anew."""
    entered = shape.anatomy.norms != 1
    if not widths.wide:
        return float(widths.size * shape.hidden * (attentions + entered))
    attended = 1 if widths.habits.one_product else 3
    halves = 2 if shape.gated and not widths.habits.one_gate else 1
    return 2.0 * shape.hidden * (attended * attentions + halves)


def _frozen_inputs(job: TrainingJob, widths: Widths) -> float:
    """Inputs that adapters keep, and those of products with 8-bit matrices."""
    kept = _adapter_inputs(job) * widths.size
    if job.quantization == "int8":
        kept += widths.size * (2 * job.shape.hidden + active_width(job.shape))
    return kept


def _adapter_inputs(job: TrainingJob) -> float:
    """Return the elements per token and block that the adapters of `job` keep."""
    shape = job.shape
    if job.method in LORA_METHODS:
        return _lora_inputs(shape, job.lora_targets, job.method)
    if job.method == "ia3":
        # The input of the last matrix is scaled in fp32.
        return 2 * shape.kv_width + 2 * shape.active_intermediate
    return 2 * shape.hidden if job.method == "adapter" else 0.0


@lru_cache(SHAPES_KEPT)
def _lora_inputs(shape: Shape, targets: tuple[str, ...], method: str) -> float:
    """Return the elements per token and block that the matrices of LoRA keep."""
    habits = habits_of(shape.anatomy.family)
    merged = {"k", "v"} if habits.one_product else set[str]()
    merged |= {"gate"} if habits.one_gate else set[str]()
    kept = 0.0
    for linear in shape.linears():
        if linear.name in targets and linear.name not in merged:
            # Dropout keeps a mask of one byte an element beside the dropped 16-bit copy.
            kept += 1.5 * linear.inputs * linear.active
        if linear.name in targets and method == "dora":
            kept += 2 * linear.outputs * linear.active
    return kept / (1 if shape.anatomy.shared_blocks else shape.n_layers)
