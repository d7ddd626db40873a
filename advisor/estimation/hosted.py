"""What tuning and calling a model at a provider's own service costs."""

from collections.abc import Iterator

from advisor.catalog import Catalog, HostedTuning
from advisor.estimation.documents import Alternative, EstimateRequest
from advisor.estimation.shape import ENCODER
from advisor.estimation.training_job import TrainingJob

TUNING = frozenset({"full_finetune", "lora"})
# Where data must stay on own machines, no service is an alternative.
PRIVATE = frozenset({"on_prem", "air_gapped"})
INTERNAL = "internal"
# The provider does not say how its models are tuned.
UNSAID = "sft"
MILLION = 1e6
BILLION = 1e9


def alternatives_to(job: TrainingJob, catalog: Catalog) -> tuple[Alternative, ...]:
    """Return what services ask for tuning on the tokens of `job`, cheapest first.

    Only where a text model is tuned and its data may leave. Open models are those of its size and
    method; closed models are what they are.
    """
    tunes = job.approach in TUNING and job.shape.kind != ENCODER
    if not tunes or job.request.privacy in PRIVATE:
        return ()
    priced = (_priced(row, job.tokens) for row in catalog.api_tuning if _suits(row, job))
    return tuple(sorted(priced, key=lambda one: (one.usd, one.provider, one.model)))


def hosted_remarks(job: TrainingJob) -> Iterator[str]:
    """Yield who of the services may be used, where that is not all of them."""
    if job.request.privacy == INTERNAL and job.approach in TUNING:
        yield "alternatives: the data is internal, so only a service that is under contract"


def cheapest_to_call(
    request: EstimateRequest, catalog: Catalog, tokens_in: float, tokens_out: float
) -> tuple[HostedTuning, float] | None:
    """Return the tuned model that a call of so many tokens is cheapest with, and its price in USD.

    Only verified prices count, and none where the data may not leave.
    """
    if request.privacy in PRIVATE:
        return None
    calls = [
        (row, (tokens_in * asked + tokens_out * answered) / MILLION)
        for row in catalog.api_tuning
        if (asked := row.input_usd_per_million) is not None
        and (answered := row.output_usd_per_million) is not None
        and row.verified == "yes"
    ]
    return min(calls, key=lambda call: call[1], default=None)


def _suits(row: HostedTuning, job: TrainingJob) -> bool:
    if row.method not in (UNSAID, "full" if job.approach == "full_finetune" else "lora"):
        return False
    size = job.shape.params / BILLION
    above = row.params_from_b is None or size > row.params_from_b
    return above and (row.params_up_to_b is None or size <= row.params_up_to_b)


def _priced(row: HostedTuning, tokens: float) -> Alternative:
    return Alternative.model_construct(
        provider=row.provider,
        model=row.model,
        method=row.method,
        usd=row.usd_per_million_tokens * tokens / MILLION,
        counted=row.counted,
        price_source=row.source,
        price_date=row.date,
        verified=row.verified == "yes",
    )
