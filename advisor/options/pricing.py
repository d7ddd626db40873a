"""An estimate request, whatever it leaves open, gives its estimate."""

from collections.abc import Mapping
from typing import Any

from advisor.catalog import Catalog, load_catalog
from advisor.estimation import estimate_job
from advisor.estimation.documents import Estimate, EstimateRequest, read_request
from advisor.machine import Machine, detect_machine
from advisor.options.layout import complete_request


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
