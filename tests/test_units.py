import pytest
from hypothesis import given
from hypothesis import strategies as st

from advisor.units import (
    DataSize,
    parse_count,
    parse_data_size,
    parse_hours,
    parse_usd,
    show_count,
    show_hours,
    show_number,
    show_range,
    split_range,
    write_data_size,
    write_hours,
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


RANGES = {
    "1–3B tokens": ("1B tokens", "3B tokens"),
    "1-3B tokens": ("1B tokens", "3B tokens"),
    "1B to 3B tokens": ("1B tokens", "3B tokens"),
    "500M - 3B tokens": ("500M tokens", "3B tokens"),
    "1B tokens to 3B tokens": ("1B tokens", "3B tokens"),
    "2–5 GB": ("2 GB", "5 GB"),
    "500 MB–2 GB": ("500 MB", "2 GB"),
    "500–2000": ("500", "2000"),
    "500 to 1,000": ("500", "1,000"),
    "50-100k": ("50k", "100k"),
    "2-4 weeks": ("2 weeks", "4 weeks"),
    "12 hours to 3 days": ("12 hours", "3 days"),
    "$500 - $2000": ("$500", "$2000"),
    "1e-3-2e-3 GB": ("1e-3 GB", "2e-3 GB"),
}


@pytest.mark.parametrize(("text", "ends"), RANGES.items())
def test_a_range_is_read_as_its_two_ends_each_with_its_unit(
    text: str, ends: tuple[str, str]
) -> None:
    assert split_range(text) == ends


@pytest.mark.parametrize(
    "text", ["1e-3", "1e-3 GB", "-5", "2 GB", "2024-01-05", "1-", "a-b", "to", "3 to", 5, None, ""]
)
def test_what_has_no_two_ends_is_no_range(text: object) -> None:
    assert split_range(text) is None


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        ("1B tokens", "3B tokens", "1B–3B tokens"),
        ("2 GB", "5 GB", "2–5 GB"),
        ("500 MB", "2 GB", "500 MB–2 GB"),
        ("500 tokens", "3B tokens", "500 tokens–3B tokens"),
        ("1 day", "3 days", "1 day–3 days"),
        ("500", "2000", "500–2000"),
    ],
)
def test_a_range_is_shown_short_and_reads_back_as_itself(low: str, high: str, shown: str) -> None:
    assert show_range(low, high) == shown
    assert split_range(shown) == (low, high)


@given(st.text("1e-– to.,kBGtokens$", max_size=30))
def test_any_text_is_a_range_or_none_but_never_crashes(text: str) -> None:
    ends = split_range(text)
    assert ends is None or len(ends) == 2


@given(st.floats(min_value=1e-6, max_value=1e15))
def test_a_quantity_that_is_written_reads_back_to_the_last_digit(value: float) -> None:
    assert parse_hours(write_hours(value)) == value
    for unit in ("bytes", "tokens"):
        size = DataSize(value, unit)
        assert parse_data_size(write_data_size(size)) == size


@given(st.floats(min_value=1e-3, max_value=1e15))
def test_a_shown_number_keeps_its_value_to_three_digits(value: float) -> None:
    assert float(show_number(value).replace(",", "")) == pytest.approx(value, rel=6e-3)


@given(st.floats(min_value=0.02, max_value=80_000))
def test_a_shown_duration_reads_back_as_itself(hours: float) -> None:
    assert parse_hours(show_hours(hours)) == pytest.approx(hours, rel=6e-3)


@given(st.integers(min_value=0, max_value=10**14))
def test_a_shown_count_reads_back_as_itself(count: int) -> None:
    assert parse_count(show_count(count)) == pytest.approx(count, rel=6e-3)
