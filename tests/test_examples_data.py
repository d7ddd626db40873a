"""The examples' data: repeatable, as shipped, readable, and true to itself."""

import importlib.util
import json
import re
import subprocess
import sys
from collections import defaultdict
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from advisor.answers import read_answers

EXAMPLES = Path(__file__).parents[1] / "examples"
SHIPPED = {
    "contract_clauses": "data.jsonl",
    "clinical_notes": "data.jsonl",
    "support_assistant": "data.jsonl",
    "new_language": "data.txt",
}
LARGEST = 150_000
ENTRY = re.compile(r"(?P<said>.+) \[(?P<source>[a-z-]+) v\d+, valid from (?P<since>[\d-]+)\]\.")


def maker(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"make_{name}", EXAMPLES / name / "make_data.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shipped(name: str) -> Path:
    return EXAMPLES / name / SHIPPED[name]


def rows(name: str) -> list[dict]:
    return [json.loads(line) for line in shipped(name).read_text("utf-8").splitlines()]


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_data_is_what_the_script_makes_from_any_folder(
    name: str, tmp_path: Path
) -> None:
    output = tmp_path / SHIPPED[name]
    script = EXAMPLES / name / "make_data.py"
    subprocess.run([sys.executable, script, "-o", output], cwd=tmp_path, check=True)
    for file in tmp_path.iterdir():
        assert file.read_bytes() == (EXAMPLES / name / file.name).read_bytes()


@pytest.mark.parametrize("name", SHIPPED)
def test_a_seed_decides_the_data(name: str) -> None:
    data = maker(name).data
    assert data(40, 7) == data(40, 7)
    assert data(40, 7) != data(40, 8)


@pytest.mark.parametrize("name", SHIPPED)
def test_more_records_begin_with_the_same_records(name: str) -> None:
    data = maker(name).data
    assert data(60, 7).startswith(data(40, 7).rstrip("\n"))


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_data_is_small(name: str) -> None:
    assert shipped(name).stat().st_size <= LARGEST


@pytest.mark.parametrize("name", SHIPPED)
def test_the_answers_are_valid(name: str) -> None:
    answers = read_answers(yaml.safe_load((EXAMPLES / name / "answers.yaml").read_text("utf-8")))
    assert answers.domain is not None
    assert answers.privacy is not None


@pytest.mark.parametrize("name", ["contract_clauses", "support_assistant"])
def test_pairs_have_a_prompt_and_a_completion(name: str) -> None:
    for row in rows(name):
        assert row.keys() == {"prompt", "completion"}
        assert row["prompt"].strip()
        assert row["completion"].strip()


@pytest.mark.parametrize("name", ["contract_clauses", "support_assistant"])
def test_no_prompt_stands_twice(name: str) -> None:
    prompts = [row["prompt"] for row in rows(name)]
    assert len(set(prompts)) == len(prompts)


def test_the_facts_of_a_clause_stand_in_its_text() -> None:
    for row in rows("contract_clauses"):
        clause = row["prompt"].split("\n\n")[0]
        found = json.loads(row["completion"])
        assert found.keys() == {"kind", "party", "amount", "currency", "notice_days"}
        assert found["party"] in clause
        assert _amount_in(clause) == (found["amount"], found["currency"])
        assert _notice_in(clause) == found["notice_days"]


def _amount_in(clause: str) -> tuple[int | None, str | None]:
    match = re.search(r"\b([A-Z]{3}) ([\d,]*\d)\b|\b([\d,]*\d) ([A-Z]{3})\b", clause)
    if match is None:
        return None, None
    return int((match[2] or match[3]).replace(",", "")), match[1] or match[4]


def _notice_in(clause: str) -> int | None:
    if "notice" not in clause.lower():
        return None
    match = re.search(r"(\d+)\)? (days|weeks)", clause)
    assert match is not None
    return int(match[1]) * (7 if match[2] == "weeks" else 1)


def test_the_party_of_a_clause_is_the_one_that_acts() -> None:
    for row in rows("contract_clauses"):
        role = re.search(r": The (\w+) (?:may|shall|owes|pays) ", row["prompt"])
        if role:
            party = json.loads(row["completion"])["party"]
            assert f"{party} ({role[1]})" in row["prompt"]


def test_a_summary_keeps_the_age_the_signs_and_the_drug_of_its_note() -> None:
    for row in rows("clinical_notes"):
        assert [turn["role"] for turn in row["messages"]] == ["system", "user", "assistant"]
        note, summary = (turn["content"] for turn in row["messages"][1:])
        lines = dict(line.split(": ", 1) for line in summary.splitlines())
        age = re.match(r"\d+", note)
        assert age is not None
        assert f", {age[0]} years" in lines["Patient"]
        assert re.search(r"T ([\d.]+)[,.]", note)[1] in lines["Finding"]
        assert " ".join(lines["Treatment"].split()[:2]) in note
        assert re.search(rf"(?:Imp|Dx): {lines['Assessment']}\.", note)


def test_an_answer_cites_the_entry_that_held_on_the_day() -> None:
    pages = (EXAMPLES / "support_assistant" / "knowledge.txt").read_text("utf-8").splitlines()
    versions = defaultdict(list)
    for entry in filter(None, map(ENTRY.fullmatch, pages)):
        versions[entry["source"]].append(entry)
    cited = 0
    for row in rows("support_assistant"):
        answer = ENTRY.fullmatch(row["completion"])
        if answer:
            asked = re.match(r"Asked on ([\d-]+)", row["prompt"])[1]
            held = [one for one in versions[answer["source"]] if one["since"] <= asked]
            assert answer[0] == max(held, key=lambda one: date.fromisoformat(one["since"]))[0]
            cited += 1
    assert cited > 300


def test_the_same_question_has_different_answers_on_different_days() -> None:
    answers = defaultdict(set)
    for row in rows("support_assistant"):
        answers[row["prompt"].split(": ", 1)[1]].add(row["completion"])
    changed = [question for question, given in answers.items() if len(given) > 1]
    assert len(changed) > len(answers) / 2


def _words_of_the_language() -> set[str]:
    return set(re.findall(r"\w+", shipped("new_language").read_text("utf-8")))


def test_no_word_of_the_language_mixes_back_and_front_vowels() -> None:
    mixed = {word for word in _words_of_the_language() if set(word) & set("aou")
             and set(word) & set("æøy")}  # fmt: skip
    assert not mixed


def test_the_language_has_its_own_letters_only() -> None:
    assert set("".join(_words_of_the_language())) == set("ptkmnŋsʃlrvjŧaouæøyei")


def test_the_roots_of_the_language_take_many_endings() -> None:
    words = _words_of_the_language()
    roots = [root for roots in maker("new_language").lexicon().values() for root in roots]
    forms = [sum(word.startswith(root) for word in words) for root in roots]
    assert sorted(forms)[len(forms) // 2] >= 4


def test_a_document_of_the_language_is_one_paragraph() -> None:
    documents = shipped("new_language").read_text("utf-8").rstrip("\n").split("\n\n")
    assert len(documents) > 100
    assert all("\n" not in document for document in documents)
