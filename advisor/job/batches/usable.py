"""Which records an objective can learn from."""

from typing import Final

from ..reading.rows import RowFault
from ..records import Record
from ..settings import Settings

WRITES: Final = ("text", "prompt_completion", "messages", "label")
# The kinds of record that each objective learns from. One that writes takes a labelled text as a
# question with its label as the answer; mlm learns from whatever has words.
KINDS: Final = {
    "clm": WRITES,
    "seq2seq": WRITES,
    "mlm": (*WRITES, "tags"),
    "classification": ("label",),
    "extraction": ("tags",),
}


def fault_of(record: Record, settings: Settings) -> RowFault | None:
    """Return why the objective cannot learn from the record, or None where it can."""
    kinds = KINDS[settings.objective]
    if record.kind not in kinds:
        reason = f"a {record.kind} row, from which {settings.objective} cannot learn"
        return RowFault(reason, f"use rows of kind {' or '.join(kinds)}")
    strange = next((one for one in record.labels if one not in settings.labels), None)
    if not settings.labels or strange is None:
        return None
    return RowFault(f"{strange!a} is none of the labels", f"one of: {', '.join(settings.labels)}")
