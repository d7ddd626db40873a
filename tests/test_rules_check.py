import csv
import json
import shutil
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path

import pytest
from command_line import ROOT, run
from hypothesis import given
from hypothesis import strategies as st

from advisor.cli.rules import check_pack
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.places import shipped
from advisor.recommendation import recommend
from advisor.tables import APPROACHES, RuleBook
from advisor.tables.checks import check
from advisor.tables.conditions import condition_of
from advisor.tables.grid import Box, Grid, uncovered

THRESHOLDS = "evidence/thresholds.csv"
RULE = {
    "id": "evidence.planted",
    "lora": "1",
    "because": "b",
    "says": "s",
    "evidence": "supported",
    "strength": "low",
    "publication": "p",
}
CHOICE = {"id": "planted", "why": "w", "source": "s", "date": "2026-11"}
OVERRIDE = {"id": "conflict.planted", "why": "w", "source": "s"}
ARTICLE = RuleBook().documents[0].id


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """Return a copy of the shipped tables."""
    copy = tmp_path / "rules"
    shutil.copytree(shipped("rules"), copy)
    return copy


def rows_of(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8", newline="") as opened:
        return list(csv.reader(opened))


def write(file: Path, rows: list[list[str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as opened:
        csv.writer(opened).writerows(rows)


def plant(file: Path, *rows: Mapping[str, str]) -> int:
    """Add rows to a table and return the line of the last one."""
    table = rows_of(file)
    table += [[row.get(name, "") for name in table[0]] for row in rows]
    write(file, table)
    return len(table)


def faults_of(folder: Path) -> tuple[Fault, ...]:
    """Return what the check finds where every approach scores."""
    return check(folder, lambda _book, _point: (1.0,)).faults


def places(faults: tuple[Fault, ...]) -> set[tuple[str, int | None, str | None]]:
    return {(Path(fault.path or "").name, fault.line, fault.field) for fault in faults}


PLANTED = {
    "an unknown value of an answer": (THRESHOLDS, [RULE | {"domain": "legl"}], "domain"),
    "no truth": (THRESHOLDS, [RULE | {"facts_change": "maybe"}], "facts_change"),
    "a malformed comparison": (THRESHOLDS, [RULE | {"deadline": ">=soon"}], "deadline"),
    "an amount that is not compared": (THRESHOLDS, [RULE | {"gpus": "8"}], "gpus"),
    "no amount on both sides": (
        THRESHOLDS,
        [RULE | {"labelled_examples": ">=5 & <3"}],
        "labelled_examples",
    ),
    "a malformed weight": (THRESHOLDS, [RULE | {"lora": "much"}], "lora"),
    "an endless weight": (THRESHOLDS, [RULE | {"lora": "inf"}], "lora"),
    "no weight": (THRESHOLDS, [RULE | {"lora": ""}], "pretrain"),
    "nothing favoured": (THRESHOLDS, [RULE | {"lora": "-1"}], "pretrain"),
    "no publication": (THRESHOLDS, [RULE | {"publication": ""}], "publication"),
    "nothing said": (THRESHOLDS, [RULE | {"says": ""}], "says"),
    "no reason": (THRESHOLDS, [RULE | {"because": ""}], "because"),
    "a place for an untested answer": (
        THRESHOLDS,
        [RULE | {"domain": "legal", "because": "{raw_text} of {domain} text"}],
        "because",
    ),
    "a brace alone": (THRESHOLDS, [RULE | {"because": "so {it is"}], "because"),
    "an unknown status": (THRESHOLDS, [RULE | {"evidence": "proven"}], "evidence"),
    "an unknown strength": (THRESHOLDS, [RULE | {"strength": "huge"}], "strength"),
    "no strength": (THRESHOLDS, [RULE | {"strength": ""}], "strength"),
    "an id of another file": (THRESHOLDS, [RULE | {"id": ARTICLE}], "id"),
    "rows that favour different approaches": (
        THRESHOLDS,
        [
            RULE | {"domain": "legal", "gpus": "<7"},
            RULE | {"id": "e.other", "domain": "legal", "gpus": "<7", "lora": "", "pretrain": "1"},
        ],
        "pretrain",
    ),
    "one row for and one against": (
        THRESHOLDS,
        [
            RULE | {"domain": "legal|medical", "gpus": "<7"},
            RULE
            | {"id": "e.other", "domain": "medical|legal", "gpus": "<7"}
            | {"lora": "-1", "pretrain": "1"},
        ],
        "lora",
    ),
    "a table that is missing": (
        "evidence/tables.csv",
        [
            {"table": "none.csv", "article": "a", "publisher": "p"}
            | {"title": "t", "section": "s", "date": "2026"}
        ],
        "table",
    ),
    "a table without date": (
        "evidence/tables.csv",
        [{"table": "none.csv", "article": "a", "publisher": "p", "title": "t", "section": "s"}],
        "date",
    ),
    "an override of an unknown rule": (
        "evidence/conflicts.csv",
        [OVERRIDE | {"loses": "no.such", "wins": ARTICLE}],
        "loses",
    ),
    "a statement on an unknown row": (
        "documents/statements.csv",
        [{"id": "Z1", "article": "a", "section": "s", "says": "s", "home": "rule", "refers": "no"}],
        "refers",
    ),
    "a choice without source": ("choices/hardware.csv", [CHOICE | {"source": ""}], "source"),
    "a choice without outcome": ("choices/checklist.csv", [CHOICE | {"kind": "data"}], "item"),
    "an unknown base model": (
        "choices/base_models.csv",
        [CHOICE | {"candidates": "Qwen/Qwen3-8B-Base no/such"}],
        "candidates",
    ),
    "an unknown method": (
        "choices/methods.csv",
        [CHOICE | {"approach": "lora", "methods": "lora lorra"}],
        "methods",
    ),
    "a method of another approach": (
        "choices/methods.csv",
        [CHOICE | {"approach": "pretrain|lora", "methods": "qlora"}],
        "methods",
    ),
    "an unknown untrained method": (
        "choices/methods.csv",
        [CHOICE | {"approach": "no_training", "methods": "magic"}],
        "methods",
    ),
    "an unknown approach": (
        "choices/stages.csv",
        [CHOICE | {"stages": "lora prayer"}],
        "stages",
    ),
    "an unknown GPU": (
        "choices/hardware.csv",
        [CHOICE | {"gpus_tried": "rtx-4091:1"}],
        "gpus_tried",
    ),
    "a GPU without number": ("choices/hardware.csv", [CHOICE | {"gpus_tried": "l4"}], "gpus_tried"),
    "a condition on an unknown method": (
        "choices/warnings.csv",
        [CHOICE | {"method": "lora|qlra", "warning": "w"}],
        "method",
    ),
    "an unknown kind of model": ("choices/model_kind.csv", [CHOICE | {"kind": "oracle"}], "kind"),
    "an unknown need": ("choices/base_needs.csv", [CHOICE | {"need": "n", "value": "1"}], "need"),
    "text where examples are counted": (
        "choices/data_needs.csv",
        [CHOICE | {"approach": "lora", "at_least": "1 GB", "worth_from": "200"}],
        "at_least",
    ),
    "a place that no step fills": (
        "choices/next_steps.csv",
        [CHOICE | {"approach": "lora", "step": "label {short} more"}],
        "step",
    ),
    "a reason that names no word of a setting": (
        "choices/settings.csv",
        [CHOICE | {"setting": "planted", "why": "{speed}"}],
        "why",
    ),
    "a share that is no number": (
        "choices/confidence.csv",
        [CHOICE | {"rule_set": "all", "known_from": "1", "share_right": "x", "projects": "1"}],
        "share_right",
    ),
    "a row that stands behind one for all": (
        "choices/hardware.csv",
        [CHOICE | {"privacy": "public", "gpus_tried": "l4:1"}],
        "id",
    ),
    "a row that several earlier ones cover": (
        "choices/stages.csv",
        [
            CHOICE | {"id": "p.1", "approach": "full_finetune", "labelled_examples": "<50"},
            CHOICE | {"id": "p.2", "approach": "full_finetune", "labelled_examples": ">=50"},
            CHOICE | {"id": "p.3", "approach": "full_finetune", "labelled_examples": "unknown"},
            CHOICE | {"id": "p.4", "approach": "full_finetune", "domain": "legal"},
        ],
        "id",
    ),
    "a setting that an earlier row gives": (
        "choices/settings.csv",
        [
            CHOICE | {"id": "p.1", "setting": "planted", "approach": "lora|pretrain"},
            CHOICE | {"id": "p.2", "setting": "planted", "approach": "lora"},
        ],
        "id",
    ),
}


@pytest.mark.parametrize(("table", "cells", "column"), PLANTED.values(), ids=PLANTED.keys())
def test_a_planted_fault_is_told_with_file_line_and_column(
    rules: Path, table: str, cells: list[dict[str, str]], column: str
) -> None:
    line = plant(rules / table, *cells)
    faults = faults_of(rules)
    assert (Path(table).name, line, column) in places(faults)
    assert all(fault.expected and fault.found and fault.hint for fault in faults)


def without(table: str, *ids: str) -> Callable[[Path], None]:
    """Return an edit that takes rows away."""

    def edit(rules: Path) -> None:
        kept = [row for row in rows_of(rules / table) if not row[0].startswith(ids)]
        write(rules / table, kept)

    return edit


def renamed(table: str, column: str, name: str) -> Callable[[Path], None]:
    """Return an edit that gives a column another name."""

    def edit(rules: Path) -> None:
        header, *rows = rows_of(rules / table)
        write(rules / table, [[name if one == column else one for one in header], *rows])

    return edit


def last_line(rules: Path, table: str) -> int:
    return len(rows_of(rules / table))


EDITED = {
    "an unknown column of a rule": (renamed(THRESHOLDS, "domain", "domian"), THRESHOLDS, "domian"),
    "a column twice": (renamed(THRESHOLDS, "domain", "gpus"), THRESHOLDS, "gpus"),
    "no column for the reason": (renamed(THRESHOLDS, "because", "reading"), THRESHOLDS, "because"),
    "an unknown column of a choice": (
        renamed("choices/hardware.csv", "privacy", "privcy"),
        "choices/hardware.csv",
        "privcy",
    ),
    "no column for the outcome": (
        renamed("choices/hardware.csv", "gpus_tried", "gpu"),
        "choices/hardware.csv",
        "gpus_tried",
    ),
    "a table that nobody lists": (
        lambda rules: shutil.copy(rules / THRESHOLDS, rules / "evidence" / "stray.csv"),
        "evidence/tables.csv",
        "table",
    ),
    "no table of methods": (
        lambda rules: (rules / "choices" / "methods.csv").unlink(),
        "choices/methods.csv",
        "id",
    ),
}


@pytest.mark.parametrize(("edit", "table", "column"), EDITED.values(), ids=EDITED.keys())
def test_a_fault_of_a_whole_table_is_told_at_its_first_line(
    rules: Path, edit: Callable[[Path], None], table: str, column: str
) -> None:
    edit(rules)
    assert (Path(table).name, 1, column) in places(faults_of(rules))


@pytest.mark.parametrize(
    ("table", "gone", "column"),
    [
        ("choices/methods.csv", ("method.zero-shot",), "approach"),
        ("choices/model_kind.csv", ("kind.generative",), "model_kind"),
        ("choices/base_models.csv", ("base.default",), "model_kind"),
        ("choices/hardware.csv", ("hardware.cloud",), "privacy"),
    ],
)
def test_a_gap_in_a_table_that_must_decide_is_told_with_the_project_that_falls_in(
    rules: Path, table: str, gone: tuple[str, ...], column: str
) -> None:
    without(table, *gone)(rules)
    (gap,) = [fault for fault in faults_of(rules) if fault.expected == "a row for every project"]
    assert (gap.path, gap.line) == (str(rules / table), last_line(rules, table))
    assert column in (gap.field or "").split(", ")
    assert f"{column} is " in (gap.found or "")


def test_a_project_for_which_nothing_scores_is_found_with_no_more_answers_than_it_takes(
    rules: Path,
) -> None:
    against = dict.fromkeys(APPROACHES, "-100")
    plant(
        rules / THRESHOLDS,
        RULE | against | {"domain": "education", "lora": "0.1"},
        RULE | against | {"id": "e.2", "domain": "education", "gpus": "<1", "no_training": "0.1"},
    )
    faults = check_pack(rules).faults
    assert {fault.expected for fault in faults} == {
        "an approach that scores above zero for every project"
    }
    assert ("tables.csv", 1, "domain, gpus, model_kind") in places(faults)


def test_a_condition_on_a_gpu_names_one_of_the_catalogue(tmp_path: Path) -> None:
    (tmp_path / "tables.csv").write_text(OWN_TABLES)
    (tmp_path / "house.csv").write_text(
        "id,gpu,lora,because,says,evidence\n"
        "acme.1,local|l4,1,b,s,untested\n"
        "acme.2,!l5,1,b,s,untested\n"
    )
    assert places(check_pack(tmp_path).faults) == {("house.csv", 3, "gpu")}


def test_rows_that_disagree_are_no_fault_where_an_override_settles_it(rules: Path) -> None:
    alike = {"domain": "legal", "gpus": "<7"}
    other = {"id": "e.other", "lora": "", "pretrain": "1"}
    plant(rules / THRESHOLDS, RULE | alike, RULE | alike | other)
    assert faults_of(rules)
    plant(
        rules / "evidence/conflicts.csv",
        OVERRIDE | {"loses": "e.other", "wins": "evidence.planted"},
    )
    assert not faults_of(rules)


def test_rows_of_two_sets_may_disagree(rules: Path) -> None:
    table = "documents/jellyfish-which-should-you-use.csv"
    plant(rules / THRESHOLDS, RULE | {"deadline": "<7 days", "gpus": "<7"})
    plant(
        rules / table,
        RULE | {"id": "j.other", "deadline": "<7 days", "gpus": "<7", "lora": "", "pretrain": "1"},
    )
    assert not faults_of(rules)


def test_the_faults_of_all_files_are_told_at_once(rules: Path) -> None:
    planted = [PLANTED[name] for name in ("a malformed weight", "an unknown GPU")]
    planted.append(PLANTED["an override of an unknown rule"])
    expected = {
        (Path(table).name, plant(rules / table, *cells), column) for table, cells, column in planted
    }
    assert expected <= places(faults_of(rules))


def test_two_wrong_cells_of_one_row_are_both_told(rules: Path) -> None:
    line = plant(rules / THRESHOLDS, RULE | {"domain": "legl", "lora": "much", "says": ""})
    told = {(line, column) for column in ("domain", "lora", "says")}
    assert told == {(fault.line, fault.field) for fault in faults_of(rules)}


def test_a_rule_that_cannot_be_read_is_no_unknown_id_of_its_override(rules: Path) -> None:
    plant(rules / THRESHOLDS, RULE | {"domain": "legl"})
    plant(
        rules / "evidence/conflicts.csv",
        OVERRIDE | {"loses": ARTICLE, "wins": "evidence.planted"},
    )
    assert {fault.field for fault in faults_of(rules)} == {"domain"}


def test_a_line_is_counted_as_an_editor_counts_it(rules: Path) -> None:
    file = rules / "choices" / "hardware.csv"
    text = file.read_text(encoding="utf-8")
    file.write_text(f'{text}planted.1,public,l4:1,"two\nlines",s\n\nplanted.2,public,l4,w,s\n')
    lines = text.count("\n")
    assert ("hardware.csv", lines + 4, "gpus_tried") in places(faults_of(rules))


def test_a_file_that_is_no_table_is_told_by_its_path(rules: Path) -> None:
    (rules / THRESHOLDS).write_bytes(b"id,lora\n\xff\xfe,1\n")
    assert any(fault.path == str(rules / THRESHOLDS) for fault in faults_of(rules))


def test_a_table_saved_with_a_byte_order_mark_is_read(rules: Path) -> None:
    file = rules / THRESHOLDS
    file.write_text(file.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert not faults_of(rules)


def test_nothing_is_wrong_with_the_shipped_tables() -> None:
    found = check_pack()
    assert not found.faults
    assert found.points > 2000


# What the exact answers rest on: boxes on a small grid against every one of its points.

FACTS = {"task": 3, "domain": 2, "gpus": 2}
WHOLE: Box = {name: (1 << size) - 1 for name, size in FACTS.items()}
BOXES = st.lists(
    st.dictionaries(st.sampled_from(sorted(FACTS)), st.integers(0, 7)).map(
        lambda box: {name: mask & WHOLE[name] for name, mask in box.items()}
    ),
    max_size=6,
)


def is_in(point: Mapping[str, int], box: Box) -> bool:
    return all(box[name] >> point[name] & 1 for name in box)


@given(BOXES)
def test_a_space_is_covered_where_every_point_of_it_is(boxes: list[Box]) -> None:
    points = [
        dict(zip(FACTS, values, strict=True))
        for values in product(*(range(size) for size in FACTS.values()))
    ]
    left = uncovered(WHOLE, boxes)
    free = [point for point in points if not any(is_in(point, box) for box in boxes)]
    assert (left is None) == (not free)
    if left is not None:
        assert any(is_in(point, left) for point in points)
        assert all(point in free for point in points if is_in(point, left))


def test_the_grid_has_a_value_on_each_side_of_every_threshold() -> None:
    cells = [("labelled_examples", ">=120 & <=100k"), ("labelled_examples", "<200")]
    values = Grid(condition_of(*cell) for cell in cells).values["labelled_examples"]
    known = [value for value in values if isinstance(value, int)]
    assert None in values
    for limit in (120, 200, 100_000):
        assert limit in known
        assert any(value < limit for value in known)
        assert any(value > limit for value in known)
    assert any(120 < value < 200 for value in known)


# An organisation's own pack.

OWN_TABLES = (
    "table,article,publisher,title,section,date\nhouse.csv,acme,Acme,How we train,All,2026\n"
)
HOUSE = (
    "id,domain,full_finetune,lora,because,says,evidence\n"
    "acme.legal,legal,9,-1,{domain} text,Legal models are tuned whole,untested\n"
)
OWN_BASE = (
    "id,domain,candidates,why,source,date\n"
    "acme.base,legal,Qwen/Qwen3-1.7B-Base,our lawyers approved it,platform team,2026-10\n"
)
OWN_OVERRIDE = (
    "id,loses,wins,why,source\n"
    "acme.over,jellyfish.conclusion.peft-is-the-default,acme.legal,it fits,platform team\n"
)
LEGAL = {"domain": "legal", "data": {"labelled_examples": 8000}}


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    """Return an own pack."""
    folder = tmp_path / "acme"
    (folder / "choices").mkdir(parents=True)
    (folder / "tables.csv").write_text(OWN_TABLES)
    (folder / "house.csv").write_text(HOUSE)
    (folder / "conflicts.csv").write_text(OWN_OVERRIDE)
    (folder / "choices" / "base_models.csv").write_text(OWN_BASE)
    return folder


def test_the_rows_of_an_own_pack_speak_beside_the_shipped_ones(acme: Path) -> None:
    found = recommend(LEGAL, rules=RuleBook(own=acme))
    assert found.recommended is not None
    assert (found.recommended.approach, found.recommended.base_model) == (
        "full_finetune",
        "Qwen/Qwen3-1.7B-Base",
    )
    (reason,) = [one for one in found.reasons if one.rule == "acme.legal"]
    assert (reason.set, reason.because) == ("acme", "legal text")
    assert "acme.over" in {one.resolved_by for one in found.conflicts}
    assert found.documents_only.approach == recommend(LEGAL).documents_only.approach


def test_under_the_articles_alone_an_own_rule_does_not_speak(acme: Path) -> None:
    found = recommend(LEGAL, rules=RuleBook(own=acme), rule_set="documents")
    assert "acme.legal" not in {one.rule for one in found.reasons}


def test_a_pack_is_of_its_folders_name_and_never_of_a_shipped_set(acme: Path) -> None:
    other = acme.with_name("evidence")
    acme.rename(other)
    assert {rule.set for rule in RuleBook(own=other).own} == {"own"}


def test_a_pack_needs_no_more_than_its_tables(tmp_path: Path) -> None:
    (tmp_path / "tables.csv").write_text(OWN_TABLES)
    (tmp_path / "house.csv").write_text(HOUSE)
    book = RuleBook(own=tmp_path)
    assert [rule.id for rule in book.own] == ["acme.legal"]
    assert book.overrides == RuleBook().overrides
    assert book.choices("methods") == RuleBook().choices("methods")


def test_nothing_is_wrong_with_a_good_own_pack(acme: Path) -> None:
    assert not check_pack(acme).faults


OWN_FAULTS: dict[str, tuple[Mapping[str, str], set[tuple[str, int | None, str | None]]]] = {
    "in three files": (
        {
            "house.csv": HOUSE.replace("untested", "proven"),
            "conflicts.csv": OWN_OVERRIDE.replace(",acme.legal,", ",acme.leagl,"),
            "choices/base_models.csv": OWN_BASE.replace("Qwen3-1.7B-Base", "no-such"),
        },
        {
            ("house.csv", 2, "evidence"),
            ("conflicts.csv", 2, "wins"),
            ("base_models.csv", 2, "candidates"),
        },
    ),
    "the id of a shipped row": (
        {
            "house.csv": HOUSE.replace("acme.legal", ARTICLE),
            "conflicts.csv": "id,loses,wins,why,source\n",
        },
        {("house.csv", 2, "id")},
    ),
    "a column that nothing reads": (
        {"choices/base_models.csv": OWN_BASE.replace("id,domain", "id,domian")},
        {("base_models.csv", 1, "domian")},
    ),
    "a table that there is not": (
        {"choices/moods.csv": "id,why,source\nm,w,s\n"},
        {("moods.csv", 1, "id")},
    ),
    "a rule table that is not listed": (
        {"spare.csv": HOUSE.replace("acme.legal", "acme.spare")},
        {("tables.csv", 1, "table")},
    ),
}


@pytest.mark.parametrize(("files", "expected"), OWN_FAULTS.values(), ids=OWN_FAULTS.keys())
def test_a_pack_that_cannot_be_used_is_refused_with_every_fault(
    acme: Path, files: Mapping[str, str], expected: set[tuple[str, int | None, str | None]]
) -> None:
    for name, text in files.items():
        (acme / name).write_text(text)
    with pytest.raises(AdvisorError) as raised:
        RuleBook(own=acme)
    assert raised.value.name is ErrorName.RULES_INVALID
    assert places(raised.value.faults) == expected
    assert expected <= places(check_pack(acme).faults)


def test_a_row_of_an_own_pack_that_is_never_reached_is_told_and_yet_can_be_used(
    acme: Path,
) -> None:
    with (acme / "choices" / "base_models.csv").open("a") as file:
        file.write("acme.second,legal,Qwen/Qwen3-0.6B-Base,small,platform team,2026-10\n")
    assert places(check_pack(acme).faults) == {("base_models.csv", 3, "id")}
    assert RuleBook(own=acme).choices("base_models")[1].id == "acme.second"


@pytest.mark.parametrize("folder", ["nowhere", "empty", "like the shipped one"])
def test_a_folder_that_is_no_own_pack_is_one_fault(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    shutil.copytree(shipped("rules"), tmp_path / "like the shipped one")
    with pytest.raises(AdvisorError) as raised:
        RuleBook(own=tmp_path / folder)
    assert len(raised.value.faults) == 1


# The commands.


def test_check_tells_every_fault_and_ends_with_2(rules: Path) -> None:
    plant(rules / THRESHOLDS, RULE | {"domain": "legl"})
    plant(rules / "choices/stages.csv", CHOICE | {"approach": "lora", "stages": "prayer"})
    text = run("rules", "check", str(rules))
    assert (text.returncode, text.stdout) == (2, "")
    assert len(text.stderr.splitlines()) == 2
    assert f"{rules / THRESHOLDS}:" in text.stderr
    found = json.loads(run("rules", "check", str(rules), "--json").stderr)["error"]
    assert (found["code"], len(found["faults"])) == ("rules_invalid", 2)


def test_recommend_takes_an_own_pack_and_so_does_every_line_of_a_batch(acme: Path) -> None:
    flags = ("--rules-dir", str(acme), "--json")
    alone = run("recommend", "--answers", "-", *flags, stdin=json.dumps(LEGAL))
    batch = run("recommend", "--batch", "-", *flags, stdin=f"{json.dumps(LEGAL)}\n" * 2)
    found = [json.loads(alone.stdout), *map(json.loads, batch.stdout.splitlines())]
    assert len(found) == 3
    assert {one["recommended"]["approach"] for one in found} == {"full_finetune"}


def test_recommend_refuses_an_own_pack_with_every_fault_and_ends_with_2(acme: Path) -> None:
    (acme / "house.csv").write_text(HOUSE.replace("untested", "proven").replace(",9,", ",nine,"))
    done = run("recommend", "--rules-dir", str(acme))
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 2


@pytest.mark.parametrize("command", ["plan", "launch"])
def test_a_plan_is_made_with_an_own_pack_or_refused_with_its_faults(
    acme: Path, tmp_path: Path, command: str
) -> None:
    example = ROOT / "examples" / "contract_clauses"
    given = ("--answers", str(example / "answers.yaml"), "--data", str(example / "data.jsonl"))
    folder = tmp_path / "run"
    flags = (*given, "--base-model", "rehearsal", "--rules-dir", str(acme), "-o", str(folder))
    if command == "plan":
        assert run(command, *flags).returncode == 0
        reasons = json.loads((folder / "recommendation.json").read_text())["reasons"]
        assert "acme.legal" in {one["rule"] for one in reasons}
    (acme / "house.csv").write_text(HOUSE.replace("untested", "proven"))
    refused = run(command, *flags)
    assert refused.returncode == 2
    assert "house.csv:2 evidence" in refused.stderr


def test_check_of_a_good_pack_ends_with_0(acme: Path) -> None:
    done = run("rules", "check", str(acme), "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["faults"] == []


def test_list_has_every_rule_with_its_place(acme: Path) -> None:
    rules = json.loads(run("rules", "list", "--rules-dir", str(acme), "--json").stdout)["rules"]
    book = RuleBook(own=acme)
    assert [one["id"] for one in rules] == [rule.id for rule in book.of("all")]
    own = rules[-1]
    assert (own["set"], own["favours"], own["forbids"]) == ("acme", ["full_finetune"], ["lora"])
    assert (own["file"], own["line"]) == (str(acme / "house.csv"), 2)
    assert own["conditions"][0]["in_words"] == "domain is legal"


EXPLAINED = [
    ("evidence.gpu.one", "rule", "gpus at most 1"),
    ("conflict.privacy", "override", "loses"),
    ("method.lora", "choice", "qlora"),
    ("check.evaluation", "choice", "Practical Guidance"),
    ("A7", "statement", "jellyfish.compare.time-weeks"),
    ("raw_text", "question", "--raw-text"),
    ("PT01", "case", "PubMedBERT"),
]


@pytest.mark.parametrize(("name", "kind", "word"), EXPLAINED)
def test_every_kind_of_id_is_explained(name: str, kind: str, word: str) -> None:
    text = run("explain", name)
    assert text.returncode == 0
    assert text.stdout.startswith(f"{name} ({kind})")
    assert word in text.stdout


def test_a_rule_is_explained_with_what_it_carries_and_what_touches_it() -> None:
    found = json.loads(run("explain", "jellyfish.use.air-gapped", "--json").stdout)
    assert found["says"]
    assert found["weights"]
    assert found["source"]["date"]
    assert found["details"]["evidence"]
    assert "conflict.privacy" in {one["id"] for one in found["overrides"]}
    assert all("jellyfish.use.air-gapped" in one["refers"] for one in found["statements"])
    assert found["statements"]


def test_an_unknown_id_gets_the_nearest_ones() -> None:
    done = run("explain", "evidence.gpu.oen", "--json")
    error = json.loads(done.stderr)["error"]
    assert (done.returncode, done.stdout, error["code"]) == (2, "", "name_unknown")
    assert "evidence.gpu.one" in error["faults"][0]["hint"]
