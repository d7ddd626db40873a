"""Facts and refreshed prices as text and as documents."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from advisor.catalog.refresh import Change, Held, Refreshed, Source
from advisor.report.drawing import UNKNOWN, section, table_of
from advisor.safe_text import safe_text
from advisor.units import show_count

MOST_LEFT_OUT = 15
COLUMNS = {
    "gpus": ("id", "memory_gb", "bf16_tflops", "memory_bandwidth_gbs", "tdp_w", "verified"),
    "models": ("id", "params", "kind", "licence", "release_date", "licence_verified"),
    "prices": ("provider", "gpu", "usd_per_gpu_hour", "spot_usd_per_gpu_hour", "date", "whose"),
}


def catalog_lines(kind: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    """Yield one kind of fact as a table; `--json` has every column and source."""
    columns = COLUMNS[kind]
    table = table_of(*columns)
    for row in rows:
        table.add_row(*(_fact(row[name]) for name in columns))
    yield table
    yield Text("each fact has its source and date: --json shows them")


def _fact(value: object) -> str:
    if value is None or value == "":
        return UNKNOWN
    if isinstance(value, (int, float)):
        return show_count(value)
    return safe_text(value)


def refresh_lines(found: Refreshed) -> Iterator[RenderableType]:
    """Yield what new lists change: GPU by GPU, what is kept, and what was not understood."""
    table = table_of("provider", "gpu", "", "a GPU-hour", "spot", "of")
    for change in found.changes:
        if change.kind in ("added", "changed", "older"):
            table.add_row(
                safe_text(change.provider),
                change.gpu,
                change.kind,
                _was_and_is(change, "usd"),
                _was_and_is(change, "spot"),
                change.after.date if change.after else UNKNOWN,
            )
    if table.row_count:
        yield table
    yield Text(_summary(found.changes))
    kept = [one for one in found.changes if one.kind == "not listed" and one.before]
    yield from section(
        "Not in the list, so what was known stays",
        [f"{one.provider} {one.gpu}, of {one.before.date}" for one in kept if one.before],
    )
    yield from section("Not taken", list(_left_out(found)))
    yield from section(
        "New providers",
        [f"{one}: taken only where it is named" for one in found.unknown_providers],
    )


def refresh_document(
    found: Refreshed, sources: Sequence[Source], *, dry_run: bool
) -> dict[str, Any]:
    """Return the same as one JSON document."""
    return {
        "schema": "advisor.catalog.refresh/1",
        "dry_run": dry_run,
        "sources": [
            {"from": one.origin, "provider": one.provider, "date": one.date} for one in sources
        ],
        "changes": [
            {
                "provider": one.provider,
                "gpu": one.gpu,
                "kind": one.kind,
                "before": one.before and one.before._asdict(),
                "after": one.after and one.after._asdict(),
            }
            for one in found.changes
        ],
        "left_out": [one._asdict() for one in found.left_out],
        "unknown_providers": list(found.unknown_providers),
    }


def _was_and_is(change: Change, name: str) -> str:
    was, now = _usd(change.before, name), _usd(change.after, name)
    return now if was == now or change.before is None else f"{was} → {now}"


def _usd(held: Held | None, name: str) -> str:
    value = getattr(held, name, None)
    return "–" if value is None else f"${value:.2f}" if value >= 1 else f"${value:.3f}"


def _summary(changes: Sequence[Change]) -> str:
    kinds = ("added", "changed", "same", "older")
    counts = [f"{sum(one.kind == kind for one in changes)} {kind}" for kind in kinds]
    return f"prices of GPUs: {', '.join(counts)}"


def _left_out(found: Refreshed) -> Iterator[str]:
    shown = found.left_out[:MOST_LEFT_OUT]
    for one in shown:
        yield f"{one.name}: {one.why}, {_rows(one.rows)}"
    rest = found.left_out[MOST_LEFT_OUT:]
    if rest:
        rows = sum(one.rows for one in rest)
        yield f"and {len(rest)} other names in {_rows(rows)}: --json shows them"


def _rows(count: int) -> str:
    return f"{count} row" if count == 1 else f"{count} rows"
