"""Jobs that are laid out and priced once, however often the same request comes."""

from typing import NamedTuple
from weakref import WeakKeyDictionary

from advisor.catalog import Catalog
from advisor.estimation import price_job
from advisor.estimation.documents import Estimate, EstimateRequest
from advisor.estimation.interval import surely_fits
from advisor.estimation.training_job import TrainingJob
from advisor.machine import Machine
from advisor.options.layout import complete_request, laid_out_like

# Neither how much there is to train on, nor who is paid, nor what comes after changes a layout.
NOT_LAID_OUT = frozenset(
    {
        "tokens",
        "examples",
        "epochs",
        "provider",
        "spot",
        "region",
        "depreciation_years",
        "privacy",
        "calls_per_day",
        "latency_ms",
        "input_tokens_per_call",
        "output_tokens_per_call",
    }
)


# How much there is to pretrain on says how many GPUs are needed where nobody says.
WORK = frozenset({"tokens", "examples", "epochs"})


class Priced(NamedTuple):
    """A job, and its estimate as far as that decides.

    `sure` where the upper end of the memory interval fits too.
    """

    job: TrainingJob
    estimate: Estimate
    sure: bool


# Some hundred MB: a batch may be of any length.
MOST_REMEMBERED = 10_000

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
        found = self._priced.get(key)
        if found is None:
            found = self._price(request)
            _remember(self._priced, key, found)
        return found

    def _price(self, request: EstimateRequest) -> Priced:
        key = (self._machine, *_layout_key(request))
        known = self._laid_out.get(key)
        if known is None:
            job = complete_request(request, catalog=self._catalog, machine=self._machine)
            sure = surely_fits(job, self._catalog.utilisation)
        else:
            job, sure = laid_out_like(known.job, request, self._catalog), known.sure
        priced = Priced(job=job, estimate=price_job(job, self._catalog), sure=sure)
        if known is None:
            _remember(self._laid_out, key, priced)
        return priced


def _remember(
    known: dict[tuple[object, ...], Priced], key: tuple[object, ...], priced: Priced
) -> None:
    """Add to what is known; when that is too much, begin anew."""
    if len(known) >= MOST_REMEMBERED:
        known.clear()
    known[key] = priced


def _layout_key(request: EstimateRequest) -> tuple[object, ...]:
    """Return what a layout of `request` depends on."""
    counted = request.approach == "pretrain" and request.gpus is None
    ignored = NOT_LAID_OUT - WORK if counted else NOT_LAID_OUT
    return tuple(value for name, value in vars(request).items() if name not in ignored)
