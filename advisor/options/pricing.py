"""An estimate request, whatever it leaves open, gives its estimate."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from advisor.catalog import Catalog, load_catalog
from advisor.estimation import estimate_job, told
from advisor.estimation.documents import Estimate, EstimateRequest, read_request
from advisor.estimation.training_job import LOCAL
from advisor.machine import Machine, detect_machine
from advisor.options.layout import complete_request
from advisor.options.priced import Prices


def estimate(
    request: EstimateRequest | Mapping[str, Any],
    *,
    catalog: Catalog | None = None,
    machine: Machine | None = None,
) -> Estimate:
    """Return memory, time and money of one job; what is left out is chosen as a plan would.

    Raises:
        AdvisorError: `request_invalid` or `name_unknown`, with every fault.
    """
    asked = request if isinstance(request, EstimateRequest) else read_request(request)
    facts = catalog or load_catalog()
    if asked.gpu in (None, "local") and machine is None:
        machine = detect_machine()
    return estimate_job(complete_request(asked, catalog=facts, machine=machine), facts)


def estimator() -> Callable[[Mapping[str, Any]], Estimate]:
    """Return `estimate` for many requests: it reads the tables and looks at the machine once.

    Requests that differ in work and price alone are laid out once.
    """
    catalog = load_catalog()
    anywhere = Prices(catalog, None)
    here = cache(lambda: Prices(catalog, detect_machine()))

    def estimate_one(fields: Mapping[str, Any]) -> Estimate:
        asked = read_request(fields)
        priced = (here() if asked.gpu == LOCAL else anywhere).of(asked)
        return told(priced.estimate, priced.job, catalog)

    return estimate_one
