"""Which records are held out to validate on."""

import hashlib
from collections import Counter
from collections.abc import Iterable

from ..records import Record


def held_out(records: Iterable[Record], *, share: float, seed: int) -> frozenset[bytes]:
    """Return the keys of the records to validate on: about `share` of them, at least one of two.

    A key is a seeded hash of the content, so equal records fall on the same side, whatever their
    order. Empty where `share` is 0 or all records are equal.
    """
    counts = Counter(key_of(record, seed) for record in records)
    if share == 0 or len(counts) < 2:  # noqa: PLR2004 - one side would be empty
        return frozenset()
    left = max(1, round(share * counts.total()))
    held = set()
    for key in sorted(counts):
        if counts[key] <= left:
            held.add(key)
            left -= counts[key]
    return frozenset(held or {min(counts, key=lambda key: (counts[key], key))})


def key_of(record: Record, seed: int) -> bytes:
    """Return the seeded hash of the record's content, 8 bytes."""
    digest = hashlib.blake2b(digest_size=8, key=seed.to_bytes(8, "big"))
    for part in record.content:
        raw = part.encode()
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return digest.digest()
