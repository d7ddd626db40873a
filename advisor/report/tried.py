"""What the base and the tuned model of a run answered, side by side."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from advisor.safe_text import safe_text

LONGEST_LINE = 10_000
NONE = {"base": "There is no base to compare with.", "tuned": "Nothing was trained."}


def tried_lines(document: Mapping[str, Any], *, beside: bool) -> Iterator[RenderableType]:
    """Yield both answers: in two columns, or one below the other."""
    answers = {name: _told(document[name], name) for name in ("base", "tuned")}
    titles = {"base": _base_title(document), "tuned": "tuned"}
    if beside:
        table = Table(box=None, pad_edge=False, header_style="bold", expand=True, padding=(0, 2))
        for name in answers:
            table.add_column(titles[name], ratio=1, overflow="fold")
        table.add_row(*(Text(text) for text in answers.values()))
        yield table
        return
    for number, (name, text) in enumerate(answers.items()):
        yield Text(f"{'' if number == 0 else chr(10)}{titles[name]}:", style="bold")
        yield Text(text)


def _base_title(document: Mapping[str, Any]) -> str:
    name = document["base_model"]
    return f"base ({safe_text(name, longest=60)})" if name else "base"


def _told(answer: Mapping[str, Any] | None, name: str) -> str:
    if answer is None:
        return NONE[name]
    if "text" in answer:
        return _lines(answer["text"]) or "(nothing)"
    if "labels" in answer:
        return _shares(answer["labels"], "label")
    if "tags" in answer:
        return "\n".join(
            f"{_safe(one['word'])}  {_safe(one['tag'])}  {one['probability']:.0%}"
            for one in answer["tags"]
        )
    return "\n\n".join(_shares(gap, "token") for gap in answer["gaps"])


def _shares(found: Sequence[Mapping[str, Any]], key: str) -> str:
    return "\n".join(f"{one['probability']:6.1%}  {_safe(one[key])}" for one in found)


def _lines(text: str) -> str:
    return "\n".join(_safe(line) for line in text.split("\n"))


def _safe(text: str) -> str:
    return safe_text(text, longest=LONGEST_LINE)
