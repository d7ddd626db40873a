"""What each objective makes of records, and of the rows that they became."""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from numpy.random import Generator

from ..reading.findings import Findings
from ..records import Record
from ..settings import Settings
from .answering import SequenceToSequence
from .causal import Causal
from .encoding import Encoder
from .labelling import Classification, Extraction
from .masked import Masked
from .packing import Block, Layout, Page
from .rendering import Tokens


class Objective(Protocol):
    """How records become rows, and rows what the model reads.

    `answers` tells that labels are tokens of their own; `page` is how text fills rows.
    """

    answers: bool
    page: Page

    def place(self, records: Sequence[Record], layout: Layout, findings: Findings) -> None:
        """Give usable records their places in rows."""
        ...

    def block(self, ids: Tokens, labels: Tokens, chance: Callable[[], Generator]) -> Block:
        """Return a row as the model reads it; what is random is drawn from `chance()`."""
        ...


OBJECTIVES: Final[dict[str, Callable[..., Objective]]] = {
    "clm": Causal,
    "mlm": Masked,
    "seq2seq": SequenceToSequence,
    "classification": Classification,
    "extraction": Extraction,
}


def objective_of(settings: Settings, tokenizer: Any, *, packing: bool) -> Objective:  # noqa: ANN401
    """Return what makes rows as the settings say."""
    return OBJECTIVES[settings.objective](settings, Encoder(tokenizer), packing=packing)
