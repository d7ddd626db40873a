"""Jobs that are laid out and priced once, however often the same request comes."""

from typing import NamedTuple
from weakref import WeakKeyDictionary

from advisor.catalog import Catalog
from advisor.estimation import estimate_job
from advisor.estimation.documents import Estimate, EstimateRequest
from advisor.estimation.interval import surely_fits
from advisor.estimation.training_job import TrainingJob
from advisor.machine import Machine
from advisor.options.layout import complete_request, laid_out_like

# Neither how much there is to train on nor who is paid changes a layout.
NOT_LAID_OUT = frozenset({"tokens", "examples", "epochs", "provider", "spot", "region"})


class Priced(NamedTuple):
    """A job with its estimate; `sure` where the upper end of the memory interval fits too."""

    job: TrainingJob
    estimate: Estimate
    sure: bool


# What was laid out with a catalogue, for as long as somebody holds it.
_LAID_OUT: WeakKeyDictionary[Catalog, dict[tuple[object, ...], Priced]] = WeakKeyDictionary()


class Prices:
    """What requests cost with one catalogue on one machine; remembers what it has priced."""

    def __init__(self, catalog: Catalog, machine: Machine | None) -> None:
        self._catalog = catalog
        self._machine = machine
        self._priced: dict[tuple[object, ...], Priced] = {}
        self._laid_out = _LAID_OUT.setdefault(catalog, {})

    def of(self, request: EstimateRequest) -> Priced:
        """Return the job of a request, laid out and priced."""
        key = tuple(vars(request).values())
        if key not in self._priced:
            self._priced[key] = self._price(request)
        return self._priced[key]

    def _price(self, request: EstimateRequest) -> Priced:
        laid_out = (value for name, value in vars(request).items() if name not in NOT_LAID_OUT)
        key = (self._machine, *laid_out)
        known = self._laid_out.get(key)
        if known is None:
            job = complete_request(request, catalog=self._catalog, machine=self._machine)
            sure = surely_fits(job, self._catalog.utilisation)
        else:
            job, sure = laid_out_like(known.job, request, self._catalog), known.sure
        priced = Priced(job=job, estimate=estimate_job(job, self._catalog), sure=sure)
        self._laid_out.setdefault(key, priced)
        return priced
