"""What one step of a job asks of its GPU, whatever GPU that is."""

from typing import NamedTuple

from advisor.estimation.activations import logits_bytes
from advisor.estimation.states import MOMENTS, QUANTIZED_BYTES, element_bytes, trained_bytes
from advisor.estimation.training_job import FSDP_LIKE, TrainingJob
from advisor.estimation.work import linear_again, operations, target_share

# Bytes read and written by everything between the matrix products of one block, in widths: the
# two norms, the two residual sums, the rotation of queries and keys, the activation of the MLP,
# and what the products themselves read and write. Counted on Llama of transformers 5.23, eager.
GATED_MOVES = (28.0, 6.0, 12.0)
PLAIN_MOVES = (12.0, 4.0, 2.0)
# A backward pass moves about twice what a forward pass moves.
BACKWARD_MOVES = 2.0
LOGITS_MOVES = 3.0
# Adapters add two small matrix products to a large one.
ADAPTER_LAUNCHES = 1.5
# A pipeline whose stages hold several slices of the model idles the less for it.
# Source: Narayanan et al. 2021 (arXiv 2104.04473), section 2.2.
INTERLEAVED = 6.0


class Demand(NamedTuple):
    """What one micro step asks of one GPU, and what the step adds that ends an accumulation.

    Operations, bytes moved in its own memory, blocks started, bytes over its links. `idle` is the
    share that a pipeline adds by waiting. `step_tokens` are those of the whole job.
    """

    linear: float
    half: float
    attention: float
    moved: float
    scores_moved: float
    launches: float
    unpacked: float
    gathered: float
    summed: float
    reduced: float
    updated: float
    idle: float
    accumulation: int
    step_tokens: float
    gpus: int


def demand_of(job: TrainingJob) -> Demand:
    """Return what one step of `job` asks of each GPU."""
    each = operations(job)
    tokens = job.micro_tokens / job.model_parallel
    return Demand(
        linear=each.linear * tokens,
        half=each.head * tokens,
        attention=each.attention * tokens,
        moved=_moved_per_token(job) * tokens + _weights_read(job),
        scores_moved=_scores_moved(job) * tokens,
        launches=_launches(job),
        unpacked=_unpacked(job),
        gathered=_gathered(job),
        summed=_summed(job),
        reduced=_reduced(job),
        updated=_updated(job),
        idle=_idle(job),
        accumulation=job.gradient_accumulation,
        step_tokens=job.step_tokens,
        gpus=job.gpus,
    )


def _idle(job: TrainingJob) -> float:
    """Return the share that filling and emptying a pipeline adds; it is fed one sequence a time."""
    slices = job.micro_batch * job.gradient_accumulation
    held = min(job.shape.n_layers / job.pipeline_parallel, INTERLEAVED)
    return (job.pipeline_parallel - 1) / (slices * max(held, 1.0))


def _passes(job: TrainingJob) -> float:
    """Return how many forward passes a micro step is worth in bytes moved and kernels started."""
    return 1 + BACKWARD_MOVES + linear_again(job)


def _moved_per_token(job: TrainingJob) -> float:
    shape = job.shape
    hidden, mlp, heads = GATED_MOVES if shape.gated else PLAIN_MOVES
    attention = (shape.q_width + 2 * shape.kv_width) * shape.attentions / shape.n_layers
    widths = hidden * shape.hidden + mlp * shape.active_intermediate + heads * attention
    block = element_bytes(job) * widths
    return block * _blocks(job) * _passes(job) + LOGITS_MOVES * logits_bytes(job)


def _blocks(job: TrainingJob) -> float:
    """Return how many blocks a token runs through; target tokens are fewer in a decoder."""
    return job.shape.n_layers - (1 - target_share(job)) * job.shape.n_decoder_layers


def _weights_read(job: TrainingJob) -> float:
    """Return the bytes of the weights that a micro step reads, however few its tokens."""
    return 2.0 * job.shape.params * _passes(job) / job.model_parallel


def _scores_moved(job: TrainingJob) -> float:
    """Return the bytes per token of the score matrices of attention that is not fused."""
    shape = job.shape
    each = element_bytes(job) * shape.n_heads * job.seq_len
    return each * shape.attentions * _passes(job)


def _launches(job: TrainingJob) -> float:
    """Return how many passes through a block are started, however few tokens they work on."""
    adapters = ADAPTER_LAUNCHES if job.adapts else 1.0
    return job.shape.attentions / job.pipeline_parallel * _passes(job) * adapters


def _unpacked(job: TrainingJob) -> float:
    """Return the bytes moved to unpack a quantized base: each pass reads 4 bit and writes 16."""
    if job.quantization is None:
        return 0.0
    passes = 2 + linear_again(job)
    return passes * 2.5 * job.shape.block_params / job.model_parallel


def _gathered(job: TrainingJob) -> float:
    """Return the bytes that a GPU receives and sends in a micro step where weights are sharded.

    Weights are gathered forward and backward, gradients scattered once. Source: ZeRO
    (arXiv 1910.02054), section 7.
    """
    if job.sharding not in FSDP_LIKE:
        return 0.0
    others = 1 - 1 / job.data_parallel
    weight = QUANTIZED_BYTES.get(job.quantization or "", 2.0)
    passes = 2 + (job.gradient_checkpointing == "yes") * 0
    return others * (passes * weight * job.shape.params + 2.0 * job.trained_params)


def _reduced(job: TrainingJob) -> float:
    """Return the bytes of one step's gradients that replicas exchange."""
    if job.sharding in FSDP_LIKE or job.data_parallel == 1:
        return 0.0
    others = 1 - 1 / job.data_parallel
    return others * 2 * trained_bytes(job)[1] * job.trained_params / job.model_parallel


def _summed(job: TrainingJob) -> float:
    """Return the bytes of tensor parallelism: activations are summed twice a block and pass.

    Source: Megatron-LM (arXiv 1909.08053), section 3.
    """
    if job.tensor_parallel == 1:
        return 0.0
    others = 1 - 1 / job.tensor_parallel
    passes = 2 + linear_again(job)
    each = 2 * others * 2 * element_bytes(job) * job.shape.hidden * job.micro_tokens
    return passes * each * job.shape.n_layers / job.pipeline_parallel


def _updated(job: TrainingJob) -> float:
    """Return the bytes that the optimizer reads and writes: weights, gradients and moments."""
    weight, gradient, moment = trained_bytes(job)
    moments = MOMENTS.get(job.optimizer, 1.0)
    touched = (2 * weight + gradient + 2 * moments * moment) * job.trained_params
    share = job.data_parallel if job.sharding not in {"single", "ddp"} else 1
    return touched / share / job.model_parallel
