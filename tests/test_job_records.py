import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from advisor.job.faults import DataError, Fault
from advisor.job.records import Record, data_files, read_records, survey

CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


def faults_of(*paths: str | Path) -> tuple[Fault, ...]:
    with pytest.raises(DataError) as caught:
        list(read_records(paths))
    assert caught.value.exit_code == 5
    return caught.value.faults


def test_each_kind_of_row_is_read(tmp_path: Path) -> None:
    rows = [{"text": "abc"}, {"prompt": "p", "completion": "c"}, {"messages": CHAT, "id": 1}]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    records = list(read_records([path]))
    assert [(r.line, r.kind) for r in records] == [
        (1, "text"),
        (2, "prompt_completion"),
        (3, "messages"),
    ]
    assert records[2].messages == tuple(CHAT)
    assert survey([path]).form == "mixed"


ROWS = [
    ({"messages": CHAT, "text": "x"}, {"kind": "messages", "messages": tuple(CHAT)}),
    (
        {"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]},
        {"kind": "messages", "messages": tuple(CHAT)},
    ),
    (
        {"prompt": "p", "completion": "c", "text": "x", "label": "y"},
        {"kind": "prompt_completion", "prompt": "p", "completion": "c"},
    ),
    (
        {"instruction": "Add", "input": "1 and 2", "output": "3", "text": "x"},
        {"kind": "prompt_completion", "prompt": "Add\n\n1 and 2", "completion": "3"},
    ),
    (
        {"instruction": "Greet", "input": "", "output": "Hi"},
        {"kind": "prompt_completion", "prompt": "Greet", "completion": "Hi"},
    ),
    (
        {"question": "q", "answer": "a"},
        {"kind": "prompt_completion", "prompt": "q", "completion": "a"},
    ),
    ({"text": "a", "label": "spam"}, {"kind": "label", "text": "a", "label": "spam"}),
    ({"text": "a", "label": 3}, {"kind": "label", "text": "a", "label": "3"}),
    (
        {"tokens": ["Ada", "wrote"], "tags": ["PER", "O"]},
        {"kind": "tags", "tokens": ("Ada", "wrote"), "tags": ("PER", "O")},
    ),
    ({"tokens": ["Ada"], "ner_tags": [1]}, {"kind": "tags", "tokens": ("Ada",), "tags": ("1",)}),
    ({"text": "a", "source": None}, {"kind": "text", "text": "a"}),
]


@pytest.mark.parametrize(("row", "expected"), ROWS, ids=[" ".join(row) for row, _ in ROWS])
def test_a_row_is_the_first_form_that_its_columns_make_it(
    tmp_path: Path, row: dict[str, object], expected: dict[str, Any]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(row))
    assert list(read_records([path])) == [Record(path=str(path), line=1, **expected)]


@pytest.mark.parametrize(
    ("row", "read"),
    [
        ({"text": "a b", "label": "x"}, ("label", "a b")),
        ({"tokens": ["a", "b"], "tags": ["x", "y"]}, ("tags", "a b")),
        ({"prompt": "a", "completion": "b"}, ("prompt_completion", "a", "b")),
        ({"messages": CHAT}, ("messages", "user", "Hi", "assistant", "Hello")),
    ],
)
def test_the_content_is_what_a_model_reads(
    tmp_path: Path, row: dict[str, object], read: tuple[str, ...]
) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    assert [record.content for record in read_records([tmp_path])] == [read]


def test_blank_rows_are_passed_over(tmp_path: Path) -> None:
    rows = [
        {"text": " \n"},
        {"prompt": "", "completion": ""},
        {"tokens": [], "tags": []},
        {"text": "", "label": "x"},
        {"text": "a"},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert [record.line for record in read_records([tmp_path])] == [5]


def test_the_survey_tells_labels_tags_and_how_many_of_each_form(tmp_path: Path) -> None:
    rows = [
        {"text": "a", "label": "spam"},
        {"text": "b", "label": "ham"},
        {"text": "c", "label": "spam"},
        {"tokens": ["Ada"], "tags": ["PER"]},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = survey([tmp_path])
    assert found.labels == ("PER", "ham", "spam")
    assert found.forms == {"label": 3, "tags": 1}
    assert found.form == "mixed"


def test_the_survey_counts_and_hashes_each_file(tmp_path: Path) -> None:
    (tmp_path / "b.jsonl").write_text('{"prompt": "abc", "completion": "de"}\n')
    (tmp_path / "a.csv").write_text('prompt,completion\n"x\ny",z\nq,r\n')
    (tmp_path / ".hidden.csv").write_text("no")
    (tmp_path / "notes.pdf").write_text("no")
    found = survey([tmp_path])
    assert [(f.path.rsplit("/")[-1], f.bytes, f.records) for f in found.files] == [
        ("a.csv", 30, 2),
        ("b.jsonl", 38, 1),
    ]
    assert found.form == "prompt_completion"
    assert (found.records, found.characters, found.longest) == (3, 11, 5)


def test_the_hash_is_that_of_the_standard(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("abc")
    # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert survey([tmp_path]).files[0].sha256 == expected


def test_csv_rows_are_located_by_the_line_they_begin_on(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('text,n\n"two\nlines",1\nlast,2\n')
    assert [(r.line, r.text) for r in read_records([path])] == [(2, "two\nlines"), (4, "last")]


def test_parquet_reads_the_same_records_as_json_lines(tmp_path: Path) -> None:
    rows = [{"messages": CHAT, "n": n} for n in range(3)]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    first, second = (
        [(r.line, r.content) for r in read_records([tmp_path / name])]
        for name in ("a.parquet", "a.jsonl")
    )
    assert first == second


def test_bom_and_crlf_make_no_difference(tmp_path: Path) -> None:
    plain, windows = tmp_path / "a.csv", tmp_path / "b.csv"
    plain.write_bytes(b"prompt,completion\np,c\n")
    windows.write_bytes(b"\xef\xbb\xbfprompt,completion\r\np,c\r\n")
    assert [r.content for r in read_records([plain])] == [
        r.content for r in read_records([windows])
    ]


def test_text_is_cut_at_blank_lines_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    paragraphs = ["x" * 600] * 5 + ["y" * 30_000]
    path.write_text("\n\n".join(paragraphs))
    records = list(read_records([path]))
    assert [r.line for r in records] == [1, 5, 9]
    assert [line for r in records for line in r.text.split()] == paragraphs


def test_a_long_text_without_blank_lines_is_cut_at_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    lines = [f"{n} " + "word " * 99 for n in range(100)]
    path.write_text("\n".join(lines))
    records = list(read_records([path]))
    assert len(records) == 5
    assert "\n".join(r.text for r in records) == "\n".join(lines)


BAD_LINES = [
    (b'{"text": 1}', "column text is a number; columns present: text"),
    (b'{"text": null}', "column text is null; columns present: text"),
    (b'{"txt": "a", "id": 1}', "columns present: txt, id"),
    (b"[1]", "a row is a list, not an object"),
    (b'"text"', "a row is text, not an object"),
    (b'{"text": "a"', "not JSON"),
    (b'{"text": NaN}', "NaN is no JSON number"),
    (b'{"text": "a", "text": "b"}', "the key 'text' stands twice"),
    (b'{"text": ' + b"9" * 5000 + b"}", "not usable JSON"),
    (b'{"text": ' + b"[" * 100_000, "nested too deeply"),
    (b'{"text": "\\ud800"}', "lone surrogate"),
    (b'{"text": "a\0"}', "a NUL byte"),
    (b'{"text": "\xff"}', "not UTF-8: byte 0xff at position 11"),
    (b'{"text": "\xc3\xa9\xff"}', "not UTF-8: byte 0xff at position 12"),
    (b'{"text": "a"} {"text": "b"}', "more text at column 14"),
    (b'{"prompt": "a", "completion": ""}', "completion is empty"),
    (b'{"prompt": "a", "completion": null}', "column completion is null"),
    (b'{"question": "a", "answer": " "}', "answer is empty"),
    (b'{"instruction": "a", "input": 1, "output": "b"}', "column input is a number"),
    (b'{"text": "a", "label": ""}', "column label is empty"),
    (b'{"text": "a", "label": null}', "column label is null"),
    (b'{"text": "a", "label": 0.5}', "column label is a number"),
    (b'{"tokens": ["a", "b"], "tags": ["O"]}', "1 tags for 2 tokens"),
    (b'{"tokens": "a b", "tags": "O O"}', "column tokens is text, not a list"),
    (b'{"tokens": ["a"], "tags": [""]}', "one of tags is empty"),
    (b'{"tokens": [null], "tags": ["O"]}', "one of tokens is null, not text"),
    (b'{"conversations": [{"from": "bing", "value": "a"}]}', "without a role"),
    (b'{"messages": []}', "column messages is a list"),
    (b'{"messages": [{"role": "boss", "content": "a"}]}', "without a role"),
    (b'{"messages": [{"role": "user", "content": null}]}', "is null, not text"),
    (b'{"messages": [{"role": "user", "content": "a"}]}', "no assistant turn"),
]


IN_ONE_FILE = BAD_LINES[:20]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES, ids=[reason for _, reason in BAD_LINES])
def test_a_bad_line_is_named_with_its_place_and_reason(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "fine"}\n\n' + line + b'\n{"text": "fine"}\n')
    (fault,) = faults_of(path)
    assert (fault.path, fault.line) == (str(path), 3)
    assert reason in fault.reason
    assert fault.hint


def test_all_faults_of_all_files_are_named_but_no_more_than_twenty(tmp_path: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text('{"text": 1}\n' * 7)
    assert len(faults_of(tmp_path)) == 14
    (tmp_path / "c.jsonl").write_text('{"text": 1}\n' * 7)
    assert len(faults_of(tmp_path)) == 20


def test_what_is_beyond_twenty_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": 1}\n' * 33 + '{"text": "fine"}\n' * 5)
    with pytest.raises(DataError) as caught:
        survey([path])
    assert len(caught.value.faults) == 20
    assert caught.value.lines()[-1] == "job: error[data_unusable]: and 13 more were found"


def test_twelve_kinds_of_broken_record_in_one_file_are_all_named_in_one_pass(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"".join(b'{"text": "fine"}\n' + line + b"\n" for line, _ in IN_ONE_FILE))
    faults = faults_of(path)
    assert [fault.line for fault in faults] == list(range(2, 2 * len(IN_ONE_FILE) + 1, 2))
    assert len(IN_ONE_FILE) >= 12
    for fault, (_, reason) in zip(faults, IN_ONE_FILE, strict=True):
        assert reason in fault.reason


@pytest.mark.parametrize(
    "line", [line for line, _ in BAD_LINES], ids=[reason for _, reason in BAD_LINES]
)
def test_a_bad_row_can_be_skipped_and_is_counted(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"text": "fine"}\n' + line + b'\n{"text": "good"}\n')
    assert [r.text for r in read_records([path], skip_bad=True)] == ["fine", "good"]
    assert survey([path], skip_bad=True).skipped == {str(path): 1}


UNREADABLE = [
    ("utf16.jsonl", '{"text": "a"}\n'.encode("utf-16"), "UTF-16"),
    ("utf16le.jsonl", '{"text": "a"}\n'.encode("utf-16-le"), "no usable rows"),
    ("binary.txt", b"\x89PNG\r\n\0\0", "a NUL byte"),
    ("binary.jsonl", bytes(range(256)) * 9, "no usable rows: the first was skipped, line 1"),
    ("not.parquet", b"PAR1 no", "not Parquet"),
    ("cut.json", b'[{"text": "a"}, {"text": "b', "cut off"),
    ("bad.jsonl", b"[1]\n" * 30, "no usable rows: the first was skipped, line 1, a row is a list"),
    ("header.csv", b"a,b\n1,2\n", "columns present: a, b"),
]


@pytest.mark.parametrize(
    ("name", "content", "reason"), UNREADABLE, ids=[name for name, *_ in UNREADABLE]
)
def test_a_file_that_cannot_be_read_is_never_skipped(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / "fine.jsonl").write_text('{"text": "fine"}')
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as caught:
        survey([tmp_path], skip_bad=True)
    (fault,) = caught.value.faults
    assert fault.path == str(tmp_path / name)
    assert reason in fault.reason


BAD_FILES = [
    ("empty.jsonl", b"", "no usable rows"),
    ("blank.txt", b"\n \n\n", "no usable rows"),
    ("texts.jsonl", b'{"text": " "}\n', "no usable rows"),
    ("utf16.txt", "text".encode("utf-16"), "UTF-16"),
    ("row.csv", b"text,n\na\n", "1 cells under 2 columns"),
    ("quote.csv", b'text\n"a\n', "not CSV"),
    ("header.csv", b"a,b\n1,2\n", "columns present: a, b"),
    ("not.parquet", b"PAR1 no", "not Parquet"),
    ("twice.csv", b"text,text\na,b\n", "the column 'text' stands twice"),
    ("nul.txt", b"fine\na\0b\n", "a NUL byte"),
    ("data.pdf", b"{}", "unknown kind of file"),
    ("rows.parquet.gz", b"", "unknown kind of file"),
]


@pytest.mark.parametrize(("name", "content", "reason"), BAD_FILES, ids=[n for n, _, _ in BAD_FILES])
def test_a_file_that_is_no_data_is_named(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    (fault,) = faults_of(tmp_path / name)
    assert reason in fault.reason


def test_a_parquet_column_of_another_type_is_named_with_its_row(tmp_path: Path) -> None:
    parquet.write_table(pa.table({"text": ["a", None]}), tmp_path / "a.parquet")
    (fault,) = faults_of(tmp_path / "a.parquet")
    assert (fault.line, fault.reason) == (2, "column text is null; columns present: text")


def test_paths_that_are_no_files_are_refused_without_hanging(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "loop.txt").symlink_to(tmp_path / "loop.txt")
    (tmp_path / "empty").mkdir()
    paths = ["pipe.txt", "loop.txt", "empty", "missing.txt"]
    faults = faults_of(*(tmp_path / name for name in paths), "/dev/zero")
    assert [fault.reason for fault in faults][0::2] == [
        "not a file",
        "a folder without data",
        "not a file",
    ]
    assert len(faults) == 5


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_named_never_a_crash(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("bytes")
    for name in ("a.jsonl", "a.json", "a.csv", "a.tsv", "a.txt", "a.parquet", "a.txt.xz"):
        (folder / name).write_bytes(content)
        try:
            list(read_records([folder / name]))
        except DataError as error:
            assert error.faults


def test_a_folder_stands_for_its_data_files_sorted(tmp_path: Path) -> None:
    for name in ("b.txt", "a.md", "c.CSV"):
        (tmp_path / name).write_text("x")
    assert [path.name for path in data_files([tmp_path])] == ["a.md", "b.txt", "c.CSV"]


def test_planning_reads_settings_and_data_without_loading_anything_heavy() -> None:
    heavy = {"torch", "transformers", "numpy", "pyarrow", "pandas", "pydantic", "lzma", "bz2"}
    code = (
        f"import advisor.job.settings, advisor.job.records, sys; print({heavy} & {{*sys.modules}})"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


ESCAPES = "\x1b]0;owned\x07 \x9b2J \u202e \x00"


def test_error_lines_are_short_and_hold_no_control_characters() -> None:
    fault = Fault(path=f"/data/{ESCAPES * 20}/rows.jsonl", line=7, reason=ESCAPES * 9, hint=ESCAPES)
    (line,) = DataError([fault]).lines()
    assert len(line) <= 200
    assert line.isprintable()
    assert "rows.jsonl:7" in line
