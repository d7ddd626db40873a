"""Batches: one JSON object a line in, one answer a line out, in the same order."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from advisor.errors import AdvisorError, ErrorName, Exit, Fault
from advisor.loading import load_document, read_text

if TYPE_CHECKING:
    from pydantic import BaseModel


def answer_batch(source: str, answer: Callable[[Mapping[str, Any]], "BaseModel"]) -> None:
    """Answer each line; a line that cannot be answered gives an error object in its place."""
    failed = 0
    for number, line in _batch_lines(source):
        try:
            click.echo(answer(_fields(line)).model_dump_json())
        except AdvisorError as error:
            failed += 1
            document = error.as_document()
            for fault in document["error"]["faults"]:  # type: ignore[index]
                fault["line"] = number
            click.echo(json.dumps(document, ensure_ascii=False))
    if failed:
        click.echo(f"advisor: {failed} lines failed", err=True)
        raise SystemExit(Exit.BATCH_LINES_FAILED)


def _fields(line: str) -> Mapping[str, Any]:
    found = load_document(line, origin="batch")
    if not isinstance(found, Mapping):
        fault = Fault(path="batch", expected="a JSON object", found=line[:60])
        raise AdvisorError(ErrorName.DOCUMENT_INVALID, "this is no JSON object", [fault])
    return found


def _batch_lines(source: str) -> Iterator[tuple[int, str]]:
    lines = sys.stdin if source == "-" else read_text(Path(source)).splitlines()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, line
