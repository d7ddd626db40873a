"""General text beside one's own, so that the model keeps what it could: replayed or held out."""

from collections.abc import Iterator
from typing import Final

from ..reading.corpus import Corpus
from ..reading.split import key_of
from ..records import Record

ROLE: Final = "general"
HELD_SHARE: Final = 0.1


def held_general(corpus: Corpus) -> Iterator[Record]:
    """Yield the general records that are never trained on, to measure forgetting by.

    A tenth of them where the others are replayed, by a seeded hash of their content, else all.
    """
    settings = corpus.stage.settings
    for record in corpus.records(ROLE):
        if not settings.replay_share or _chance(record, settings.seed) < HELD_SHARE:
            yield record


def replayed(corpus: Corpus) -> Iterator[Record]:
    """Yield the general records to train on, each once: none that anything is measured on.

    The reader stops when it has enough. So that it then has some from everywhere, the files are
    read in as many rounds as they hold times what is wanted, other records in each.
    """
    settings = corpus.stage.settings
    rounds = _rounds(corpus)
    for number in range(rounds):
        for record in corpus.records(ROLE):
            chance = _chance(record, settings.seed)
            measured = chance < HELD_SHARE or corpus.holds_out(record)
            if not measured and int(chance * 1e9) % rounds == number:
                yield record


def _rounds(corpus: Corpus) -> int:
    share = corpus.stage.settings.replay_share
    general, own = (
        sum(file.bytes for file in corpus.stage.files if file.role == role)
        for role in (ROLE, "train")
    )
    return max(1, round(general / max(1, own) * (1 - share) / share))


def _chance(record: Record, seed: int) -> float:
    """Return a number from 0 to 1 that follows from seed and content."""
    return int.from_bytes(key_of(record, seed)) / 2**64
