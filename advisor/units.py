"""Bytes, tokens, durations and money: read as people write them, and shown in words."""

import math
import re
from dataclasses import dataclass

GB = 1e9
CENT = 0.01
# English text under a byte-level BPE vocabulary of 32k to 128k entries: 3.6 to 4.5 bytes a token.
# Source: "≈ 4 characters a token", OpenAI tokenizer help page; within the range of the Llama
# and Qwen vocabularies on English. Other scripts differ: count real tokens where it matters.
BYTES_PER_TOKEN = 4.0

_SCALES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
_BYTES = {
    "b": 1.0,
    "byte": 1.0,
    "kb": 1e3,
    "mb": 1e6,
    "gb": 1e9,
    "tb": 1e12,
    "kib": 2.0**10,
    "mib": 2.0**20,
    "gib": 2.0**30,
    "tib": 2.0**40,
}
_HOURS = {
    "s": 1 / 3600,
    "sec": 1 / 3600,
    "second": 1 / 3600,
    "m": 1 / 60,
    "min": 1 / 60,
    "minute": 1 / 60,
    "h": 1.0,
    "hr": 1.0,
    "hour": 1.0,
    "d": 24.0,
    "day": 24.0,
    "w": 168.0,
    "week": 168.0,
    "month": 730.0,
    "quarter": 2190.0,
    "year": 8760.0,
}
_NUMBER = r"(\d[\d,_]*(?:\.\d+)?(?:e[+-]?\d+)?)"
_COUNT = re.compile(rf"^{_NUMBER}\s*([kmbgt]?)$", re.IGNORECASE)
_TOKENS = re.compile(rf"^{_NUMBER}\s*([kmbgt]?)\s*(?:tokens?|tok)$", re.IGNORECASE)
_WITH_UNIT = re.compile(rf"^{_NUMBER}\s*([a-z]+)$", re.IGNORECASE)
# Compiled when the first range is met. A number is taken whole, else 1e-3 would be a range.
_END = rf"(\$? ?(?>{_NUMBER}))((?: ?[a-z]+(?: [a-z]+)?)?)"
_RANGE = rf"{_END}(?: ?[-–] ?| to ){_END}"
_RANGE_MARKS = ("-", "–", "to")


@dataclass(frozen=True, slots=True)
class DataSize:
    """An amount of text, counted in bytes or in tokens."""

    amount: float
    unit: str

    @property
    def bytes(self) -> float:
        """Return the size in bytes, at `BYTES_PER_TOKEN` where tokens were given."""
        return self.amount if self.unit == "bytes" else self.amount * BYTES_PER_TOKEN

    @property
    def tokens(self) -> float:
        """Return the size in tokens, at `BYTES_PER_TOKEN` where bytes were given."""
        return self.amount if self.unit == "tokens" else self.amount / BYTES_PER_TOKEN

    def __str__(self) -> str:
        return show_tokens(self.amount) if self.unit == "tokens" else show_bytes(self.amount)


def parse_count(text: object) -> float:
    """Read "8000", "50k", "1.2M" or a number; ValueError where it is negative or none."""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return _checked(float(text))
    match = _COUNT.match(str(text).strip()) if isinstance(text, str) else None
    if not match:
        raise ValueError("a count such as 8000, 50k or 1.2M")
    return _number(match[1]) * _SCALES[match[2].lower()]


def parse_data_size(text: object) -> DataSize:
    """Read "2 GB", "3.5B tokens" or a number of bytes."""
    if isinstance(text, DataSize):
        return text
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return DataSize(_checked(float(text)), "bytes")
    words = str(text).strip() if isinstance(text, str) else ""
    if match := _TOKENS.match(words):
        return DataSize(_number(match[1]) * _SCALES[match[2].lower()], "tokens")
    return DataSize(_with_unit(words, _BYTES, "a size such as 2 GB or 3.5B tokens"), "bytes")


def parse_hours(text: object) -> float:
    """Read "3 days", "90 min" or "2 weeks" as hours; a bare number is refused as unclear."""
    words = text.strip() if isinstance(text, str) else ""
    hours = _with_unit(words, _HOURS, "a duration such as 90 min, 12 hours or 3 days")
    if hours == 0:
        raise ValueError("a duration above zero such as 12 hours or 3 days")
    return hours


def parse_usd(text: object) -> float:
    """Read 500, "$500" or "1.5k" as US dollars."""
    try:
        return parse_count(text.strip().lstrip("$").strip() if isinstance(text, str) else text)
    except ValueError:
        raise ValueError("an amount in US dollars such as 500 or 1.5k") from None


def split_range(text: object) -> tuple[str, str] | None:
    """Return "1–3B tokens" as "1B tokens" and "3B tokens", or None where it is no range.

    A unit at the second end alone serves both, and so does its word "tokens".
    """
    if not isinstance(text, str) or not any(mark in text for mark in _RANGE_MARKS):
        return None
    match = re.fullmatch(_RANGE, " ".join(text.split()), re.IGNORECASE)
    if not match:
        return None
    low, _, low_unit, high, _, high_unit = match.groups()
    if not low_unit:
        low_unit = high_unit
    elif low_unit.strip().lower() in _SCALES and "tok" in high_unit.lower():
        low_unit += " tokens"
    return low + low_unit, high + high_unit


def show_range(low: str, high: str) -> str:
    """Return both ends as one text that `split_range` takes apart again, as short as it can be."""
    short = f"{low.rpartition(' ')[0]}–{high}"
    return short if split_range(short) == (low, high) else f"{low}–{high}"


def _number(digits: str) -> float:
    return _checked(float(digits.replace(",", "").replace("_", "")))


def _checked(value: float) -> float:
    if not math.isfinite(value) or value < 0:
        raise ValueError("a finite number of at least 0")
    return value


def _with_unit(words: str, units: dict[str, float], expected: str) -> float:
    match = _WITH_UNIT.match(words)
    if not match:
        raise ValueError(expected)
    name = match[2].lower()
    scale = units.get(name) or units.get(name.removesuffix("s"))
    if scale is None:
        raise ValueError(expected)
    return _number(match[1]) * scale


def show_number(value: float) -> str:
    """Return a number with at most three significant digits and no exponent."""
    if value == 0:
        return "0"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{round(value, digits):,.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def show_count(value: float) -> str:
    """Return 8000 as "8,000" and 1,200,000 as "1.2M"."""
    for scale, mark in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if value >= scale:
            return f"{show_number(value / scale)}{mark}"
    return f"{value:,.0f}" if value == int(value) else show_number(value)


def show_tokens(value: float) -> str:
    """Return 3.5e9 as "3.5B tokens"."""
    return f"{show_count(value)} tokens"


def show_bytes(value: float) -> str:
    """Return 2e9 as "2 GB"; GB is 10^9 bytes."""
    for scale, mark in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= scale:
            return f"{show_number(value / scale)} {mark}"
    return f"{value:,.0f} bytes"


def show_gb(value: float) -> str:
    """Return a size that is counted in GB."""
    return show_bytes(value * GB)


def show_hours(hours: float) -> str:
    """Return hours as the unit in which a person would say them."""
    for scale, name in ((8760.0, "year"), (48.0, "day"), (1.0, "hour"), (1 / 60, "min")):
        if hours >= scale:
            amount = show_number(hours / (24.0 if name == "day" else scale))
            return f"{amount} {name}{'' if name == 'min' or amount == '1' else 's'}"
    return f"{show_number(hours * 3600)} s"


def show_usd(value: float) -> str:
    """Return dollars; cents only below ten dollars."""
    if 0 < value < CENT / 2:
        return "<$0.01"
    return f"${value:,.2f}" if value < 10 else f"${show_number(value)}"  # noqa: PLR2004


def write_data_size(size: DataSize) -> str:
    """Return a size as it is shown, or to the last digit where that would lose some."""
    shown = str(size)
    return shown if parse_data_size(shown) == size else f"{_exact(size.amount)} {size.unit}"


def write_hours(hours: float) -> str:
    """Return a duration as it is shown, or to the last digit where that would lose some."""
    shown = show_hours(hours)
    return shown if parse_hours(shown) == hours else f"{_exact(hours)} hours"


def _exact(value: float) -> str:
    return repr(value).removesuffix(".0")
