"""Which open model a project starts from: by language, licence, access, variant and size."""

from itertools import pairwise
from typing import Any

import pytest

from advisor.answers import read_answers
from advisor.catalog import load_catalog
from advisor.catalog.languages import names_in
from advisor.machine import LocalGpu, Machine
from advisor.options import Option, Project, build_option, project_of
from advisor.options.bases import bases_for, prompted_base
from advisor.tables import RuleBook

CATALOG, BOOK = load_catalog(), RuleBook()
GENERATIVE = {"model_kind": "generative", "data": {"labelled_examples": 50_000}}
LAPTOP = Machine(platform="Linux x86_64", cpu="laptop", cores=4, ram_gb=16.0, disk_gb=200.0)
A_4090 = LocalGpu(name="RTX 4090", vendor="NVIDIA", memory_gb=24.0, catalog_id="rtx-4090")


def project(machine: Machine | None = None, **answers: Any) -> Project:
    read = read_answers(GENERATIVE | answers)
    return project_of(read, catalog=CATALOG, rules=BOOK, machine=machine)


def tried(approach: str = "lora", **answers: Any) -> list[str]:
    return [base.name for base in bases_for(project(**answers), approach).tried]


def first_reasons(approach: str = "lora", **answers: Any) -> str:
    return "; ".join(bases_for(project(**answers), approach).tried[0].why)


def others(approach: str = "lora", **answers: Any) -> str:
    return "\n".join(bases_for(project(**answers), approach).others)


def test_each_further_base_is_a_marked_step_smaller() -> None:
    sizes = [CATALOG.model(name).params for name in tried()]
    assert len(sizes) >= 3
    assert all(after <= 0.75 * before for before, after in pairwise(sizes))


@pytest.mark.parametrize(
    ("kind", "trained_as"),
    [("generative", "decoder"), ("encoder", "encoder"), ("seq2seq", "encoder-decoder")],
)
def test_the_base_is_of_the_kind_that_is_wanted(kind: str, trained_as: str) -> None:
    names = tried(model_kind=kind)
    assert names
    assert {CATALOG.model(name).kind for name in names} == {trained_as}


@pytest.mark.parametrize(
    ("language", "known"),
    [
        ("German", "yes"),
        ("de", "yes"),
        ("deu", "yes"),
        ("Deutsch", "yes"),
        (["English", "Basque"], "yes"),
        ("Northern Sami", "no"),
        ("Oŧari", "perhaps"),
    ],
)
def test_a_language_is_known_by_name_or_code(language: str | list[str], known: str) -> None:
    names = names_in(tuple(language) if isinstance(language, list) else language)
    found = {CATALOG.languages.coverage("119 languages", name) for name in names}
    assert found == {known}


@pytest.mark.parametrize(
    ("trained_on", "name", "known"),
    [
        ("en", "English", "yes"),
        ("en (mostly)", "German", "no"),
        ("en,fr,es,de,it,pt (+ar,zh,ru)", "Russian", "yes"),
        ("35 (all EU languages + 11)", "Maltese", "yes"),
        ("35 (all EU languages + 11)", "Thai", "no"),
        ("140+ languages", "German", "yes"),
        ("140+ languages", "Northern Sami", "perhaps"),
        ("code (92 languages), en, zh", "Thai", "no"),
        ("code (92 languages), en, zh", "Python", "yes"),
        ("multilingual", "Thai", "perhaps"),
    ],
)
def test_what_a_model_says_it_was_trained_on_is_read(
    trained_on: str, name: str, known: str
) -> None:
    assert CATALOG.languages.coverage(trained_on, name) == known


@pytest.mark.parametrize(
    ("answer", "names"),
    [
        (None, ()),
        ("English (US, Brazil)", ("English",)),
        ("English, German and Thai", ("English", "German", "Thai")),
        (("Norwegian Bokmal/Nynorsk",), ("Norwegian Bokmal", "Nynorsk")),
    ],
)
def test_languages_are_read_as_people_write_them(answer: Any, names: tuple[str, ...]) -> None:
    assert names_in(answer) == names


def test_a_model_that_does_not_know_the_language_is_set_aside_with_the_reason() -> None:
    for base in tried(language="German"):
        assert CATALOG.languages.coverage(CATALOG.model(base).languages, "German") == "yes"
    assert "mistralai/Mistral-7B-v0.3: not trained on German" in others(language="German")
    assert "trained on German" in first_reasons(language="German")


def test_a_rare_language_goes_to_the_model_that_may_know_it_and_says_so() -> None:
    sami = {"language": "Northern Sami", "language_novelty": "poorly_covered"}
    assert "Qwen" not in tried("continued_pretrain", **sami)[0]
    assert "is not known here" in first_reasons("continued_pretrain", **sami)


def test_a_language_that_no_candidate_knows_still_has_a_base_and_is_told() -> None:
    english = {"model_kind": "seq2seq", "language": "English"}
    assert tried(**english)
    assert tried(model_kind="seq2seq", language="Northern Sami")


def test_a_licence_against_commercial_use_counts_unless_the_use_is_not_commercial() -> None:
    translation = {"model_kind": "seq2seq", "task": "translation"}
    free = tried(**translation, commercial_use=False)
    assert free[0] == "facebook/nllb-200-distilled-600M"
    assert free[0] not in tried(**translation, commercial_use=True)
    assert "forbids commercial use" in others(**translation, commercial_use=True)


def test_conditions_of_a_licence_are_told() -> None:
    sami = {"language": "Northern Sami", "language_novelty": "unseen", "commercial_use": True}
    small = bases_for(project(**sami), "continued_pretrain").tried[-1]
    assert "gemma" in small.name
    assert "with conditions" in "; ".join(small.why)


def test_a_gated_model_is_told_and_never_taken_into_an_air_gap_for_another() -> None:
    sami = {"language": "Northern Sami", "language_novelty": "unseen"}
    assert "gated" in first_reasons("continued_pretrain", **sami)
    closed = tried("continued_pretrain", language="German", privacy="air_gapped")
    assert closed
    assert not any(CATALOG.model(name).gated for name in closed)
    assert "gated" in others("continued_pretrain", language="German", privacy="air_gapped")


def test_a_gated_model_is_taken_into_an_air_gap_where_no_other_knows_the_language() -> None:
    sami = {"language": "Northern Sami", "language_novelty": "unseen", "privacy": "air_gapped"}
    (first, *_) = tried("continued_pretrain", **sami)
    assert CATALOG.model(first).gated
    assert "carry its weights in" in first_reasons("continued_pretrain", **sami)


@pytest.mark.parametrize(
    ("approach", "examples", "variant"),
    [
        ("lora", 500, "chat"),
        ("lora", 9_999, "chat"),
        ("lora", 10_000, "base"),
        ("full_finetune", 500, "chat"),
        ("continued_pretrain", 500, "base"),
    ],
)
def test_few_instructions_shape_a_chat_model_and_text_or_many_examples_a_base(
    approach: str, examples: int, variant: str
) -> None:
    names = tried(approach, task="chat", data={"labelled_examples": examples})
    assert {CATALOG.model(name).variant for name in names} == {variant}


def test_base_and_chat_are_tried_at_the_same_sizes() -> None:
    few, many = (
        [CATALOG.model(name).params for name in tried(task="chat", data={"labelled_examples": n})]
        for n in (100, 100_000)
    )
    assert few == many


def test_long_inputs_set_short_contexts_aside() -> None:
    assert "reads 4,096 tokens at most" in others(task="summarization", language="English")
    assert "reads" not in others(task="classification", language="English")


def test_low_latency_and_code_have_candidates_of_their_own() -> None:
    fast = tried(serving={"latency_ms": 300})
    assert max(CATALOG.model(name).params for name in fast) < 2e9
    assert "Coder" in tried(domain="code", language="Python")[0]
    assert "Coder" not in tried(domain="code", language="German")[0]


def test_every_candidate_of_the_tables_is_in_the_catalogue() -> None:
    for row in BOOK.choices("base_models"):
        assert [CATALOG.model(name).id for name in row.outcome["candidates"].split()]
        assert row.outcome["why"]
        assert row.outcome["source"]
        assert row.outcome["date"]


def untrained(machine: Machine | None = None, **answers: Any) -> Option:
    return build_option(project(machine, **answers), "no_training")


@pytest.mark.parametrize("privacy", [None, "public"])
def test_where_any_service_may_be_used_no_open_model_is_named_to_prompt(
    privacy: str | None,
) -> None:
    assert untrained(privacy=privacy).base_model is None


@pytest.mark.parametrize("privacy", ["internal", "on_prem", "air_gapped"])
def test_otherwise_it_is_the_largest_chat_model_that_the_hardware_holds(privacy: str) -> None:
    sizes = []
    for gpus in (1, 2, 8):
        option = untrained(privacy=privacy, gpu_budget={"gpu": "rtx-4090", "gpus": gpus})
        assert option.base_model
        assert CATALOG.model(option.base_model).variant == "chat"
        assert "takes about" in option.base_reasons[-1]
        sizes.append(CATALOG.model(option.base_model).params)
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_this_machine_is_asked_for_its_gpu_or_else_for_its_memory() -> None:
    local = {"privacy": "on_prem", "gpu_budget": {"gpu": "local"}}
    alone = untrained(LAPTOP, **local).base_model
    with_gpu = untrained(
        Machine(
            platform="Linux x86_64", cpu="c", cores=8, ram_gb=64.0, disk_gb=1e3, gpus=(A_4090,)
        ),
        **local,
    ).base_model
    assert alone
    assert with_gpu
    assert CATALOG.model(alone).params < CATALOG.model(with_gpu).params


def test_no_training_is_blocked_only_where_not_even_the_smallest_open_model_fits() -> None:
    tiny = Machine(platform="Linux x86_64", cpu="c", cores=1, ram_gb=0.2, disk_gb=8.0)
    local = {"gpu_budget": {"gpu": "local"}}
    (blocker,) = untrained(tiny, privacy="air_gapped", **local).blockers
    assert blocker.what == "memory"
    assert all(blocker)
    assert untrained(tiny, privacy="internal", **local).blockers == ()


def test_an_option_names_its_reasons_and_its_alternatives() -> None:
    option = build_option(project(language="German", commercial_use=True), "lora")
    assert option.base_model == tried(language="German", commercial_use=True)[0]
    assert "Apache-2.0 allows commercial use" in option.base_reasons
    assert any("not trained on German" in other for other in option.alternatives)
    assert option.base_model not in option.alternatives


def test_training_from_nothing_has_no_base() -> None:
    assert bases_for(project(), "pretrain").tried == ()


def test_what_is_prompted_is_told_apart_from_what_is_too_large() -> None:
    found = prompted_base(project(privacy="on_prem", gpu_budget={"gpu": "rtx-4090", "gpus": 1}))
    assert any("too large for 1 × rtx-4090" in other for other in found.others)
