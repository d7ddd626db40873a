"""Byte-pair learning that goes on where another tokenizer ended."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Final

Word = tuple[int, ...]
Pair = tuple[int, int]

# A pair that occurs once shortens nothing that will be seen again.
LEAST_COUNT: Final = 2


class Joining:
    """Joins the pair of neighbours that occurs most often, and again, in words that are counted.

    Args:
        words: How often each word occurs, as the tokens that it has now.
        first: The number of the first new token.
        allowed: Whether a pair may become a token.
    """

    def __init__(
        self, words: Mapping[Word, int], *, first: int, allowed: Callable[[Pair], bool]
    ) -> None:
        self._next = first
        self._allowed = allowed
        self._words = [list(word) for word in words]
        self._times = list(words.values())
        self._counts: Counter[Pair] = Counter()
        self._places: defaultdict[Pair, set[int]] = defaultdict(set)
        for place in range(len(self._words)):
            self._count(place, 1)

    def pairs(self, most: int) -> list[Pair]:
        """Return up to `most` pairs in the order of joining; each is one new token."""
        heap = [(-count, pair) for pair, count in self._counts.items()]
        heapify(heap)
        chosen: list[Pair] = []
        while heap and len(chosen) < most:
            count, pair = heappop(heap)
            now = self._counts[pair]
            if now < LEAST_COUNT:
                continue
            if -count != now:  # it has changed since it was put here
                heappush(heap, (-now, pair))
            elif self._allowed(pair):
                chosen.append(pair)
                for changed in self._join(pair):
                    heappush(heap, (-self._counts[changed], changed))
        return chosen

    def _join(self, pair: Pair) -> set[Pair]:
        """Join the pair wherever it stands; return the pairs that are new since."""
        token, self._next = self._next, self._next + 1
        fresh: set[Pair] = set()
        for place in sorted(self._places[pair]):
            self._count(place, -1)
            word = _joined(self._words[place], pair, token)
            self._words[place] = word
            self._count(place, 1)
            fresh.update(two for two in _neighbours(word) if token in two)
        return fresh

    def _count(self, place: int, sign: int) -> None:
        for pair in _neighbours(self._words[place]):
            self._counts[pair] += sign * self._times[place]
            if sign > 0:
                self._places[pair].add(place)
            else:
                self._places[pair].discard(place)


def _neighbours(word: list[int]) -> list[Pair]:
    return list(pairwise(word))


def _joined(word: list[int], pair: Pair, token: int) -> list[int]:
    result, place = [], 0
    while place < len(word):
        if tuple(word[place : place + 2]) == pair:
            result.append(token)
            place += 2
        else:
            result.append(word[place])
            place += 1
    return result
