import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.units import (
    parse_count,
    parse_data_size,
    parse_hours,
    parse_usd,
    show_count,
    show_hours,
    show_number,
)


@pytest.mark.parametrize(
    ("text", "count"),
    [("8000", 8000), ("50k", 50_000), ("1.2M", 1_200_000), ("8,000", 8000), (12, 12), ("0", 0)],
)
def test_counts_are_read_as_people_write_them(text: object, count: float) -> None:
    assert parse_count(text) == count


@pytest.mark.parametrize(
    ("text", "amount", "unit"),
    [
        ("2 GB", 2e9, "bytes"),
        ("500MB", 5e8, "bytes"),
        ("1 TiB", 2.0**40, "bytes"),
        ("3.5B tokens", 3.5e9, "tokens"),
        ("0 tokens", 0, "tokens"),
        ("0.095B tokens", 95e6, "tokens"),
        (1000, 1000, "bytes"),
    ],
)
def test_sizes_are_read_in_bytes_or_tokens(text: object, amount: float, unit: str) -> None:
    size = parse_data_size(text)
    assert (size.amount, size.unit) == (pytest.approx(amount), unit)


@pytest.mark.parametrize(
    ("text", "hours"),
    [("3 days", 72), ("90 min", 1.5), ("12 h", 12), ("2 weeks", 336), ("1 month", 730)],
)
def test_durations_are_read_with_their_unit(text: str, hours: float) -> None:
    assert parse_hours(text) == pytest.approx(hours)


@pytest.mark.parametrize(("text", "usd"), [("$500", 500), ("1.5k", 1500), (20, 20)])
def test_money_is_read_with_or_without_its_sign(text: object, usd: float) -> None:
    assert parse_usd(text) == usd


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_count, "many"),
        (parse_count, -1),
        (parse_count, True),
        (parse_count, "1e400"),
        (parse_data_size, "50k"),
        (parse_data_size, "-2 GB"),
        (parse_data_size, "2 lightyears"),
        (parse_hours, 3),
        (parse_hours, "3"),
        (parse_hours, "0 days"),
        (parse_usd, "cheap"),
        (parse_usd, float("nan")),
    ],
)
def test_what_is_no_quantity_is_refused(parse, text: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


@given(st.floats(min_value=1e-3, max_value=1e15))
def test_a_shown_number_keeps_its_value_to_three_digits(value: float) -> None:
    assert float(show_number(value).replace(",", "")) == pytest.approx(value, rel=6e-3)


@given(st.floats(min_value=0.02, max_value=80_000))
def test_a_shown_duration_reads_back_as_itself(hours: float) -> None:
    assert parse_hours(show_hours(hours)) == pytest.approx(hours, rel=6e-3)


@given(st.integers(min_value=0, max_value=10**14))
def test_a_shown_count_reads_back_as_itself(count: int) -> None:
    assert parse_count(show_count(count)) == pytest.approx(count, rel=6e-3)
