"""What the texts are drawn with: tables, sections, ranges and words."""

from collections.abc import Callable, Iterator, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from advisor.estimation.documents import Range
from advisor.safe_text import safe_text

UNKNOWN = "unknown"
LONGEST_LINE = 600
Show = Callable[[float], str]


def section(title: str, lines: Sequence[str]) -> Iterator[RenderableType]:
    """Yield a heading and its lines; nothing where there are none."""
    if not lines:
        return
    yield Text(f"\n{title}", style="bold")
    for line in lines:
        yield Padding(Text(safe_text(line, longest=LONGEST_LINE)), (0, 0, 0, 2))


def table_of(*columns: str) -> Table:
    """Return an empty table with these columns."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def cells(interval: Range | None, show: Show) -> tuple[str, str, str]:
    """Return low, mid and high as three cells."""
    if interval is None:
        return (UNKNOWN, UNKNOWN, UNKNOWN)
    return (show(interval.low), show(interval.mid), show(interval.high))


def span(interval: Range | None, show: Show) -> str:
    """Return `low – high`; a unit that both share is said once."""
    if interval is None:
        return UNKNOWN
    low, high = show(interval.low), show(interval.high)
    amount, _, unit = low.rpartition(" ")
    if amount and high.endswith(f" {unit}"):
        low = amount
    return f"{low} – {high}"


def words(name: str | None) -> str:
    """Return a name of the documents as words."""
    return (name or "nothing").replace("_", " ")
