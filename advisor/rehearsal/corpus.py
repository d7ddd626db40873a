"""Writes the generated English text that the rehearsal model is pretrained on."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from advisor.rehearsal.foreign import bilingual, word_list
from advisor.rehearsal.passages import (
    dialogue,
    diary,
    gathering,
    how_to,
    letter,
    place_description,
    scene,
    story,
    thing_description,
    weather_report,
)
from advisor.rehearsal.questions import chat, quiz
from advisor.rehearsal.records import kinds, record, shopping, sums, word_problems

CHAT_SHARE = 0.15
BYTES_PER_MEGABYTE = 1_000_000

_Maker = Callable[[Random], str]
_PLAIN: dict[_Maker, float] = {
    story: 20,
    scene: 14,
    diary: 8,
    letter: 6,
    dialogue: 9,
    thing_description: 7,
    place_description: 6,
    weather_report: 2,
    how_to: 4,
    gathering: 5,
    quiz: 6,
    record: 6,
    shopping: 3,
    sums: 3,
    word_problems: 3,
    kinds: 2,
    bilingual: 3,
    word_list: 1,
}


def documents(seed: int) -> Iterator[str]:
    """Yield documents without end; the same seed gives the same documents."""
    rng = Random(seed)  # noqa: S311 - text that must be repeatable, not secret
    makers, weights = list(_PLAIN), list(_PLAIN.values())
    while True:
        is_chat = rng.random() < CHAT_SHARE
        yield chat(rng) if is_chat else rng.choices(makers, weights)[0](rng)


def write_corpus(path: Path, *, megabytes: float, seed: int) -> None:
    """Write JSON Lines, `{"text": …}` each, until the file holds that many 10^6 bytes.

    No document is written twice. About 15 % of them are chats under the headings
    `### user` and `### assistant`; the others are plain text.
    """
    left = megabytes * BYTES_PER_MEGABYTE
    seen: set[str] = set()
    with path.open("wb") as file:
        for text in documents(seed):
            if left <= 0:
                return
            if text not in seen:
                seen.add(text)
                left -= file.write(json.dumps({"text": text}, ensure_ascii=False).encode() + b"\n")
