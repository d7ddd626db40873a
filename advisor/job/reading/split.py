"""Which records are held out to validate on."""

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from .rows import Record

KEY_BYTES: Final = 8
# So many of the smallest keys are surely known with how often each occurs: enough to hold out
# exactly the share that was asked for; beyond that a key's size decides, and the share is close.
MOST_KEYS: Final = 200_000


@dataclass(frozen=True, slots=True)
class Held:
    """The keys that are held out: all up to `through`, but for those `spared`.

    Small whatever the data: a key is a hash, so the smallest ones are as good as drawn by lot.
    """

    through: bytes = b""
    spared: frozenset[bytes] = frozenset()

    def __contains__(self, key: bytes) -> bool:
        return key <= self.through and key not in self.spared

    def __bool__(self) -> bool:
        return bool(self.through)


class Keys:
    """Counts keys, to choose those to hold out; holds only the smallest, however many come."""

    def __init__(self) -> None:
        self.total = 0
        self._counts: dict[bytes, int] = {}
        self._bound = b"\xff" * (KEY_BYTES + 1)

    def add(self, key: bytes) -> None:
        """Count a key."""
        self.total += 1
        if key < self._bound:
            self._counts[key] = self._counts.get(key, 0) + 1
            if len(self._counts) >= 2 * MOST_KEYS:
                self._forget()

    def _forget(self) -> None:
        self._bound = sorted(self._counts)[MOST_KEYS]
        self._counts = {key: many for key, many in self._counts.items() if key < self._bound}

    def held(self, share: float) -> Held:
        """Return the keys of about `share` of the records: at least one key of two, none of one.

        A key is held out with all its records, and only where these are not more than the share.
        """
        counts = self._counts
        if share == 0 or len(counts) < 2:  # noqa: PLR2004 - one side would be empty
            return Held()
        left = most = max(1, round(share * self.total))
        held = set()
        for key in sorted(counts):
            if counts[key] <= left:
                held.add(key)
                left -= counts[key]
        if left and len(self._bound) == KEY_BYTES:
            through = int(share * 2 ** (8 * KEY_BYTES)).to_bytes(KEY_BYTES, "big")
            return Held(through, frozenset(key for key in counts if counts[key] > most))
        held = held or {min(counts, key=lambda key: (counts[key], key))}
        through = max(held)
        return Held(through, frozenset(key for key in counts if key < through) - held)


def side_key(record: Record, seed: int) -> bytes:
    """Return the seeded hash of what stays on one side: the record's group, else its content."""
    return _hash((record.group,), seed) if record.group else key_of(record, seed)


def key_of(record: Record, seed: int) -> bytes:
    """Return the seeded hash of the record's content, 8 bytes; order and file do not matter."""
    return _hash(record.content, seed)


def _hash(parts: tuple[str, ...], seed: int) -> bytes:
    digest = _seeded(seed).copy()
    digest.update("\0".join(parts).encode())
    return bytes(digest.digest())


@lru_cache(maxsize=8)
def _seeded(seed: int) -> Any:  # noqa: ANN401 - hashlib does not name the type
    return hashlib.blake2b(digest_size=KEY_BYTES, salt=seed.to_bytes(8, "big"))
