import bz2
import gzip
import hashlib
import json
import lzma
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import job_runs
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from advisor.job.faults import DataError, Fault, Stopped
from advisor.job.plan import DataFile, Stage
from advisor.job.reading import arrays, opening, split
from advisor.job.reading.corpus import Corpus
from advisor.job.reading.split import Held, Keys, key_of, side_key
from advisor.job.records import Record, read_records
from advisor.job.settings import Settings
from advisor.job.signals import Stop


def zstandard(content: bytes) -> bytes:
    return bytes(pa.compress(content, codec="zstd", asbytes=True))


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard,
}
FILES = {
    "a.txt": "one\ntwo\n\nthrée\n",
    "a.md": "# one\n\ntwo\n",
    "a.jsonl": '{"text": "one"}\n{"text": "twö"}\n',
    "a.json": '[{"text": "one"},\n {"text": "twö"}]\n',
    "a.csv": "text,n\none,1\ntwö,2\n",
    "a.tsv": "text\tn\none\t1\ntwö\t2\n",
}


def contents(*paths: Path) -> list[tuple[int, tuple[str, ...]]]:
    return [(record.line, record.content) for record in read_records(paths)]


def faults_of(*paths: Path) -> tuple[Fault, ...]:
    with pytest.raises(DataError) as caught:
        list(read_records(paths))
    return caught.value.faults


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("name", FILES)
def test_a_compressed_file_holds_the_records_of_the_plain_one(
    tmp_path: Path, name: str, suffix: str
) -> None:
    plain, packed = tmp_path / name, tmp_path / f"{name}{suffix.upper()}"
    plain.write_text(FILES[name])
    packed.write_bytes(PACKERS[suffix](FILES[name].encode()))
    assert contents(packed) == contents(plain)
    assert len(contents(tmp_path)) == 2 * len(contents(plain))


@pytest.mark.parametrize("suffix", PACKERS)
def test_archives_put_one_after_the_other_are_read_whole(tmp_path: Path, suffix: str) -> None:
    parts = [f'{{"text": "{n}"}}\n'.encode() for n in range(3)]
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(b"".join(map(PACKERS[suffix], parts)))
    assert [record.text for record in read_records([path])] == ["0", "1", "2"]


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("damage", ["cut", "other"])
def test_a_damaged_archive_is_named_not_taken_for_its_beginning(
    tmp_path: Path, suffix: str, damage: str
) -> None:
    hashes = (hashlib.sha256(str(n).encode()).hexdigest() for n in range(9000))
    rows = "".join(f'{{"text": "{one}"}}\n' for one in hashes)
    whole = PACKERS[suffix](rows.encode())
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(whole[: len(whole) // 2] if damage == "cut" else b"no archive" * 9)
    (fault,) = faults_of(path)
    assert fault.reason.startswith("damaged: ")
    assert fault.path == str(path)


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_bomb_is_refused_with_one_fault_and_honest_repetition_is_not(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = b'{"text": "' + b"a" * 1000 + b'"}\n'
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(PACKERS[suffix](row * 9000))
    assert path.stat().st_size * opening.MOST_TIMES < 9000 * len(row)
    assert sum(1 for _ in read_records([path])) == 9000
    monkeypatch.setattr(opening, "HONEST_BYTES", 10**6)
    (fault,) = faults_of(path)
    assert fault.reason == "unpacks to more than 100 times its size"


def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "a"}'))
    path.chmod(0)
    assert faults_of(path)[0].reason == "Permission denied"


def big_files(folder: Path, rows: int) -> list[Path]:
    texts = [f"{n} " + "word " * 40 for n in range(rows)]
    lines = [json.dumps({"text": text}) for text in texts]
    made = {
        "a.jsonl": "\n".join(lines),
        "a.json": f"[{','.join(lines)}]",
        "a.csv": "text\n" + "\n".join(texts),
        "a.txt": "\n".join(texts),
        "line.txt": " ".join(texts),
    }
    folder.mkdir()
    for name, text in made.items():
        (folder / name).write_text(text)
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(made["a.jsonl"].encode(), 1))
    return sorted(folder.iterdir())


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    for path in big_files(tmp_path / "big", 20_000):
        tracemalloc.start()
        count = sum(1 for _ in read_records([path]))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count > 30
        assert peak < 2_200_000, path.name  # the text is 4.2 MB


def test_a_text_of_one_long_line_is_cut_at_spaces_and_nothing_is_lost(tmp_path: Path) -> None:
    words = [f"word{n}" for n in range(60_000)]
    (tmp_path / "a.txt").write_text(" ".join(words) + "\nthe end")
    (tmp_path / "b.txt").write_text("字" * 250_000)
    records = list(read_records([tmp_path / "a.txt"]))
    assert [word for record in records for word in record.text.split()] == [*words, "the", "end"]
    assert [record.line for record in records] == [1, 1, 1, 1, 1, 1, 2]
    assert [len(r.text) for r in read_records([tmp_path / "b.txt"])] == [100_000, 100_000, 50_000]


def test_a_row_too_long_for_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("advisor.job.reading.readers.MOST_ROW", 10_000)
    monkeypatch.setattr("advisor.job.reading.arrays.MOST_ROW", 10_000)
    long = "a" * 600_000
    made = {
        "a.jsonl": f'{{"text": "a"}}\n{{"text": "{long}"}}',
        "a.json": f'[{{"text": "a"}},\n{{"text": "{long}"}}]',
        "a.csv": f"text\n{long}",
    }
    for name, text in made.items():
        (tmp_path / name).write_text(text)
        (fault,) = faults_of(tmp_path / name)
        assert fault.line == 2
        assert "a row of more than 10,000 characters" in fault.reason


ARRAY_ROWS = [
    ('{"text": 1}', "column text is a number"),
    ('{"text": "a" "b"}', "not JSON: Expecting ',' delimiter"),
    ('{"text": "a", "text": "]"}', "the key 'text' stands twice"),
    ('{"text": NaN}', "NaN is no JSON number"),
    ("7", "a row is a number, not an object"),
    ('[{"text": "a"}]', "a row is a list, not an object"),
    ("nul", "not JSON: Expecting value"),
    ('{"text": "\\ud800"}', "lone surrogate"),
    ('{"text": ' + "[" * 9_999 + "]" * 9_999 + "}", "nested too deeply"),
    ('{"text": "a\nb"}', "Invalid control character"),
]


@pytest.mark.parametrize(("row", "reason"), ARRAY_ROWS, ids=[reason for _, reason in ARRAY_ROWS])
@pytest.mark.parametrize("chunk", [1, 7, 1 << 18])
def test_a_bad_row_of_an_array_is_named_and_the_next_ones_are_read(
    tmp_path: Path, row: str, reason: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "CHUNK", chunk)
    path = tmp_path / "a.json"
    path.write_text(f'[\n{{"text": "a [\\" {{"}},\n{row},\n\n {{"text":\n"b"}} ]\n')
    findings = [record.line for record in read_records([path], skip_bad=True)]
    assert findings == [2, 5 + row.count("\n")]
    (fault,) = faults_of(path)
    assert fault.line == 3
    assert reason in fault.reason


ARRAYS = [
    ('[{"text": "a"}', 1, "cut off: the array is not closed"),
    ('[\n{"text": "a"},\n{"text": "b', 3, "cut off within this row"),
    ('[{"text": "a"}\n{"text": "b"}]', 2, "a comma is missing"),
    ('[{"text": "a"},\n]', 2, "no row after the last comma"),
    ('[{"text": "a"}]\n]', 2, "more text after the array"),
    ("[]", None, "no usable rows"),
]


@pytest.mark.parametrize(("text", "line", "reason"), ARRAYS, ids=[case[2] for case in ARRAYS])
def test_a_damaged_array_is_named_by_its_line(
    tmp_path: Path, text: str, line: int | None, reason: str
) -> None:
    (tmp_path / "a.json").write_text(text)
    (fault,) = faults_of(tmp_path / "a.json")
    assert fault.line == line
    assert reason in fault.reason


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(
    st.lists(st.dictionaries(st.text(max_size=5), JSON, max_size=3), max_size=5),
    st.integers(min_value=1, max_value=40),
    st.sampled_from([None, 0, 2]),
)
def test_any_array_gives_its_own_rows_however_it_is_cut_in_reading(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[dict[str, Any]],
    chunk: int,
    indent: int | None,
) -> None:
    path = tmp_path_factory.mktemp("array") / "a.json"
    path.write_text(json.dumps(rows, indent=indent))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(arrays, "CHUNK", chunk)
        with opening.open_text(path) as file:
            assert [row for _, row in arrays.array_rows(file)] == rows


def test_json_lines_and_arrays_are_told_apart_by_their_first_character(tmp_path: Path) -> None:
    (tmp_path / "lines.json").write_text('\n \n{"text": "a"}\n{"text": "b"}')
    (tmp_path / "array.json").write_text('\ufeff\n \n[{"text": "a"},\n{"text": "b"}]')
    assert contents(tmp_path / "lines.json") == contents(tmp_path / "array.json")


TABLES = [
    ('text,n\na,1\n"b,2\nc,3\nd,4\n', [(3, "not CSV")], ["a", "c", "d"]),
    ('text,n\na,1\n"b,2\nc,3\n"d, e",4\n', [(3, "not CSV")], ["a", "c", "d, e"]),
    ('text,n\n"a"b,1\nc,2\n', [(2, "not CSV")], ["c"]),
    ("text,n\na\nb,1,2\nc,3\n", [(2, "1 cells"), (3, "3 cells")], ["c"]),
    ("text,n\na,b\0\nc,3\n", [(2, "a NUL byte")], ["c"]),
]


@pytest.mark.parametrize(("table", "bad", "good"), TABLES)
def test_a_bad_row_of_a_table_is_named_and_costs_no_other(
    tmp_path: Path, table: str, bad: list[tuple[int, str]], good: list[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(table)
    faults = faults_of(path)
    assert [fault.line for fault in faults] == [line for line, _ in bad]
    assert all(told in fault.reason for fault, (_, told) in zip(faults, bad, strict=True))
    assert [record.text for record in read_records([path], skip_bad=True)] == good


def test_bytes_that_are_no_text_cost_a_table_only_their_own_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b'text,n\na,1\n"b\n\xff\nb",2\nc,3\n')
    (fault,) = faults_of(path)
    assert (fault.line, fault.reason[:20]) == (3, "not UTF-8: byte 0xff")
    assert [record.text for record in read_records([path], skip_bad=True)] == ["a", "c"]


def test_lists_in_a_table_are_written_as_json(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('tokens\ttags\n["Ada", "wrote"]\t["PER", "O"]\nAda\tO\n')
    (record,) = read_records([tmp_path / "a.tsv"], skip_bad=True)
    assert (record.tokens, record.tags) == (("Ada", "wrote"), ("PER", "O"))


def test_parquet_that_holds_no_utf8_is_named_by_its_row(tmp_path: Path) -> None:
    column = pa.array([b"a", b"\xff", b"c"]).view(pa.string())
    parquet.write_table(pa.table({"text": column}), tmp_path / "a.parquet")
    (fault,) = faults_of(tmp_path / "a.parquet")
    assert (fault.line, fault.reason[:9]) == (2, "not UTF-8")


def test_parquet_gives_every_kind_of_row(tmp_path: Path) -> None:
    table = pa.table({"tokens": [["a", "b"]], "ner_tags": [[0, 1]], "other": [1.5]})
    parquet.write_table(table, tmp_path / "a.parquet")
    (record,) = read_records([tmp_path])
    assert (record.kind, record.tokens, record.tags) == ("tags", ("a", "b"), ("0", "1"))


def texts_of(values: list[str], groups: list[str] | None = None) -> list[Record]:
    groups = groups or [""] * len(values)
    return [
        Record(path="a", line=line, kind="text", text=text, group=group)
        for line, (text, group) in enumerate(zip(values, groups, strict=True), start=1)
    ]


def held_of(records: list[Record], share: float, seed: int = 1) -> Held:
    keys = Keys()
    for record in records:
        keys.add(side_key(record, seed))
    return keys.held(share)


def held_count(records: list[Record], share: float, seed: int = 1) -> int:
    held = held_of(records, share, seed)
    return sum(side_key(record, seed) in held for record in records)


@pytest.mark.parametrize(
    ("count", "share", "expected"), [(100, 0.1, 10), (2, 0.01, 1), (1, 0.5, 0), (10, 0, 0)]
)
def test_about_the_asked_share_is_held_out(count: int, share: float, expected: int) -> None:
    assert held_count(texts_of([f"text {n}" for n in range(count)]), share) == expected


def test_equal_records_are_never_on_both_sides_and_another_seed_splits_otherwise() -> None:
    records = texts_of([f"text {n % 30}" for n in range(90)])
    held = held_of(records, 0.2)
    sides = {r.text: {key_of(s, 1) in held for s in records if s.text == r.text} for r in records}
    assert all(len(side) == 1 for side in sides.values())
    assert sum(key_of(r, 1) in held for r in records) == 18
    assert held_of(records[::-1], 0.2) == held
    other = held_of(records, 0.2, seed=2)
    assert [key_of(r, 1) in held for r in records] != [key_of(r, 2) in other for r in records]


def test_a_record_that_is_most_of_the_data_is_learned() -> None:
    records = texts_of(["same"] * 900 + [f"text {n}" for n in range(100)])
    for seed in range(20):
        held = held_of(records, 0.05, seed)
        assert key_of(records[0], seed) not in held
        assert sum(key_of(record, seed) in held for record in records) == 50


def test_where_all_records_are_frequent_the_least_frequent_is_held_out() -> None:
    records = texts_of(["a"] * 50 + ["b"] * 30 + ["c"] * 40)
    for seed in range(9):
        held = held_of(records, 0.1, seed)
        assert [key_of(r, seed) in held for r in records] == [r.text == "b" for r in records]


def test_more_records_than_can_be_remembered_are_split_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    records = texts_of([f"text {n}" for n in range(5000)])
    held = held_of(records, 0.04)
    exact = {r.text for r in records if key_of(r, 1) in held}
    assert len(exact) == 200
    monkeypatch.setattr(split, "MOST_KEYS", 300)
    held = held_of(records, 0.04)
    assert {r.text for r in records if key_of(r, 1) in held} == exact
    assert held_count(records, 0.2) == pytest.approx(1000, rel=0.1)


@pytest.mark.parametrize("seed", range(5))
def test_a_group_is_never_on_both_sides(seed: int) -> None:
    groups = [f"group {n % 40}" for n in range(400)]
    records = texts_of([f"text {n}" for n in range(400)], groups)
    held = held_of(records, 0.1, seed)
    sides = {group: set() for group in groups}
    for record in records:
        sides[record.group].add(side_key(record, seed) in held)
    assert all(len(side) == 1 for side in sides.values())
    assert held_count(records, 0.1, seed) == 40


def stage_of(folder: Path, changes: dict[str, Any] | None = None, **rows: list[Any]) -> Stage:
    """Write the rows of each role and return the stage that reads them."""
    files = []
    for role, written in rows.items():
        path = job_runs.write_rows(folder / f"{role}.jsonl", written)
        files.append(DataFile(path=str(path), bytes=0, records=0, sha256="", role=role))
    settings = Settings.from_dict(job_runs.settings(**(changes or {})))
    return Stage(settings=settings, files=tuple(files))


def rows_of(prefix: str, count: int) -> list[dict[str, str]]:
    return [{"text": f"{prefix} {n}"} for n in range(count)]


def check_faults(stage: Stage) -> tuple[Fault, ...]:
    with pytest.raises(DataError) as caught:
        Corpus.check(stage, Stop())
    return caught.value.faults


def test_a_corpus_is_parted_in_what_is_learned_and_what_is_held_out(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, train=rows_of("a", 50), general=rows_of("b", 3))
    corpus = Corpus.check(stage, Stop())
    held, learned = ({r.text for r in corpus.part(held=side)} for side in (True, False))
    assert (len(held), len(learned), len(held | learned)) == (5, 45, 50)
    assert corpus.counts == {"general": 3, "train": 50}
    assert {record.text for record, is_held in corpus.sides() if is_held} == held
    assert [record.text for record in corpus.records("general")] == ["b 0", "b 1", "b 2"]


def test_files_to_validate_on_replace_holding_out(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, train=rows_of("a", 50), validation=rows_of("b", 4))
    corpus = Corpus.check(stage, Stop())
    assert [record.text for record in corpus.part(held=True)] == [f"b {n}" for n in range(4)]
    assert len(list(corpus.part(held=False))) == 50
    assert sum(is_held for _, is_held in corpus.sides()) == 4


def test_nothing_to_validate_on_is_told(tmp_path: Path) -> None:
    corpus = Corpus.check(
        stage_of(tmp_path, {"validation_share": 0}, train=rows_of("a", 5)), Stop()
    )
    assert list(corpus.part(held=True)) == []


@pytest.mark.parametrize("role", ["validation", "out_of_domain"])
def test_what_is_measured_on_must_not_be_learned(tmp_path: Path, role: str) -> None:
    measured = [*rows_of("b", 3), {"text": "a 1"}, {"text": "a 3", "other": 1}]
    stage = stage_of(tmp_path, train=rows_of("a", 5), **{role: measured})
    first, second = check_faults(stage)
    assert (first.where, second.where) == tuple(f"{tmp_path / 'train.jsonl'}:{n}" for n in (2, 4))
    assert first.reason.endswith(f"{role}.jsonl:4 ({role})")
    assert second.reason.endswith(f"{role}.jsonl:5 ({role})")
    for line in DataError([first, second]).lines():
        assert f"{role}.jsonl:" in line
        assert "train.jsonl:" in line


def test_a_text_under_another_label_is_the_same_text(tmp_path: Path) -> None:
    changes = {"objective": "classification", "labels": ["x", "y"], "packing": False}
    train = [{"text": "a", "label": "x"}, {"text": "b", "label": "y"}]
    stage = stage_of(tmp_path, changes, train=train, validation=[{"text": "a", "label": "y"}])
    (fault,) = check_faults(stage)
    assert "the same record" in fault.reason


def test_duplicates_beyond_twenty_are_counted_together_with_bad_records(tmp_path: Path) -> None:
    train = [*rows_of("a", 40), {"text": None}]
    stage = stage_of(tmp_path, train=train, validation=rows_of("a", 40))
    with pytest.raises(DataError) as caught:
        Corpus.check(stage, Stop())
    assert len(caught.value.faults) == 20
    assert caught.value.more == 21


def test_equal_records_within_training_are_no_fault(tmp_path: Path) -> None:
    stage = stage_of(tmp_path, train=rows_of("a", 10) * 3)
    corpus = Corpus.check(stage, Stop())
    held, learned = ({r.text for r in corpus.part(held=side)} for side in (True, False))
    assert held
    assert not held & learned


def test_a_group_is_learned_or_held_out_as_a_whole(tmp_path: Path) -> None:
    train = [{"text": f"a {n}", "user": n % 10} for n in range(60)]
    stage = stage_of(tmp_path, {"group_by": "user"}, train=train, general=rows_of("b", 2))
    corpus = Corpus.check(stage, Stop())
    held, learned = ({r.group for r in corpus.part(held=side)} for side in (True, False))
    assert len(held) == 1
    assert held | learned == {str(n) for n in range(10)}
    assert not held & learned


def test_a_group_to_validate_on_must_not_be_learned(tmp_path: Path) -> None:
    train = [{"text": f"a {n}", "user": f"u{n}"} for n in range(5)]
    validation = [{"text": "b", "user": "u3"}]
    stage = stage_of(tmp_path, {"group_by": "user"}, train=train, validation=validation)
    (fault,) = check_faults(stage)
    assert fault.line == 4
    assert fault.reason.endswith("validation.jsonl:1 (validation)")


GROUPLESS = [
    ("a.jsonl", b'{"text": "a", "user": "x"}\n{"text": "b"}\n', 2, "no column user"),
    ("a.jsonl", b'{"text": "b", "user": null}\n', 1, "column user, to split by, is null"),
    ("a.csv", b"text,n\na,1\nb,2\n", 1, "no column user"),
    ("a.txt", b"text", None, "text has no column user"),
]


@pytest.mark.parametrize(("name", "content", "line", "reason"), GROUPLESS)
def test_rows_without_a_group_are_named(
    tmp_path: Path, name: str, content: bytes, line: int | None, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(read_records([tmp_path], group_by="user"))
    (fault,) = caught.value.faults
    assert fault.line == line
    assert reason in fault.reason


MISFITS = [
    ("classification", {"text": "a"}, "no label row"),
    ("classification", {"text": "a", "label": "z"}, "'z' is none of the labels"),
    ("extraction", {"text": "a", "label": "x"}, "no tags row"),
    ("extraction", {"tokens": ["a", "b"], "tags": ["x", "z"]}, "'z' is none of the labels"),
]


@pytest.mark.parametrize(("objective", "row", "reason"), MISFITS)
def test_rows_that_the_objective_cannot_learn_from_are_bad_rows(
    tmp_path: Path, objective: str, row: dict[str, Any], reason: str
) -> None:
    good = {
        "classification": [{"text": f"b {n}", "label": "xy"[n % 2]} for n in range(4)],
        "extraction": [{"tokens": [f"b{n}"], "tags": ["xy"[n % 2]]} for n in range(4)],
    }[objective]
    changes = {"objective": objective, "labels": ["x", "y"], "packing": False}
    roles = {"train": [*good, row], "general": rows_of("c", 2)}
    (fault,) = check_faults(stage_of(tmp_path, changes, **roles))
    assert fault.line == 5
    assert reason in fault.reason
    corpus = Corpus.check(stage_of(tmp_path, {**changes, "bad_records": "skip"}, **roles), Stop())
    assert corpus.counts == {"general": 2, "train": 4}


def test_skipped_rows_are_counted_told_in_one_line_and_skipped_ever_after(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    train = [*rows_of("a", 20), {"text": None}, [], {"text": 1}]
    stage = stage_of(tmp_path, {"bad_records": "skip"}, train=train, general=[{"text": "b"}, 7])
    corpus = Corpus.check(stage, Stop())
    assert corpus.skipped == {
        str(tmp_path / "general.jsonl"): 1,
        str(tmp_path / "train.jsonl"): 3,
    }
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("job: 4 bad rows skipped in 2 files; the first is ")
    assert f"{tmp_path / 'general.jsonl'}:2: a row is a number" in line
    assert len(list(corpus.records())) == 20


def test_faults_of_all_roles_are_named_at_once(tmp_path: Path) -> None:
    roles = ("train", "validation", "general", "out_of_domain")
    stage = stage_of(tmp_path, **{role: [{"text": f"{role}"}, {"text": None}] for role in roles})
    assert {Path(fault.path).stem for fault in check_faults(stage)} == set(roles)


def test_a_stop_ends_the_reading(tmp_path: Path) -> None:
    stop = Stop()
    stop.number = 15
    with pytest.raises(Stopped):
        Corpus.check(stage_of(tmp_path, train=rows_of("a", 5)), stop)


def broken_run(folder: Path, data: Path, content: bytes) -> Path:
    """Return a run folder whose plan is for `data`, once it holds `content`."""
    job_runs.write_rows(data, job_runs.pairs(20))
    made = job_runs.make_run(folder, data, job_runs.settings(**job_runs.PRETRAIN))
    data.write_bytes(content)
    plan = job_runs.read(made, "plan.json")
    plan["data"]["files"][0]["sha256"] = hashlib.sha256(content).hexdigest()
    (made / "plan.json").write_text(json.dumps(plan))
    return made


BROKEN = (
    b'{"text": "a"',
    b'{"text": "a", "text": "b"}',
    b'{"text": NaN}',
    b'{"text": ' + b"[" * 100_000,
    b"[1]",
    b'{"txt": "a"}',
    b'{"text": null}',
    b'{"text": 1}',
    b'{"prompt": "a", "completion": ""}',
    b'{"text": "\xff"}',
    b'{"text": "a\0"}',
    b'{"text": "\\ud800"}',
    b'{"messages": [{"role": "boss", "content": "a"}]}',
    b'{"messages": [{"role": "user", "content": "a"}]}',
    b'{"text": "a", "label": ""}',
    b'{"tokens": ["a"], "tags": []}',
)


def test_the_job_names_every_kind_of_broken_record_before_it_loads_anything_heavy(
    tmp_path: Path,
) -> None:
    content = b"".join(b'{"text": "fine"}\n' + line + b"\n" for line in BROKEN)
    folder = broken_run(tmp_path / "run", tmp_path / "data.jsonl", content)
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "job"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 5
    loaded = {
        line.rpartition("|")[2].strip().partition(".")[0]
        for line in done.stderr.splitlines()
        if line.startswith("import time:")
    }
    assert "argparse" in loaded
    assert not loaded & {"torch", "transformers", "numpy", "pyarrow", "peft", "accelerate"}
    told = [line for line in done.stderr.splitlines() if line.startswith("job: error")]
    assert len(told) == len(BROKEN) > 12
    for number, line in enumerate(told):
        assert f"data.jsonl:{2 * number + 2} " in line
