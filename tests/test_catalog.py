"""The catalogue: what it knows, how names are found, what a damaged table says."""

import csv
import shutil
from pathlib import Path
from typing import Any

import pytest

from advisor.catalog import Catalog, load_catalog
from advisor.catalog.facts import Language
from advisor.catalog.reading import ById, Table
from advisor.errors import AdvisorError, ErrorName
from advisor.places import shipped

KINDS = (
    "gpus",
    "models",
    "prices",
    "grid",
    "electricity",
    "recipes",
    "shapes",
    "utilisation",
    "accelerators",
    "api_tuning",
    "serving",
    "regions",
)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "profiles"
    shutil.copytree(shipped("profiles"), folder)
    return folder


def rows_of(facts: Any) -> list[Any]:
    if isinstance(facts, (ById, Table)):
        return list(facts.all())
    return list(facts.values()) if isinstance(facts, dict) else list(facts)


@pytest.mark.parametrize("kind", KINDS)
def test_every_fact_has_a_source_and_a_date(catalog: Catalog, kind: str) -> None:
    rows = rows_of(getattr(catalog, kind))
    assert rows
    assert [row for row in rows if not (row.source and row.date)] == []


def test_it_knows_the_gpus_and_models_that_projects_use(catalog: Catalog) -> None:
    assert len(catalog.gpus) >= 120
    assert len(catalog.models) >= 260
    # NVIDIA A100 data sheet; Llama 3.1 model card: 8.03 billion parameters.
    assert catalog.gpu("a100-sxm4-80gb").bf16_tflops == 312
    assert catalog.model("meta-llama/Llama-3.1-8B").params == 8_030_261_248


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Qwen/Qwen3-8B-Base", "Qwen/Qwen3-8B-Base"),
        ("qwen/qwen3-8b-base", "Qwen/Qwen3-8B-Base"),
        ("qwen3-8b-base", "Qwen/Qwen3-8B-Base"),
        ("GPT2", "openai-community/gpt2"),
    ],
)
def test_a_model_is_found_in_any_case_and_without_its_owner(
    catalog: Catalog, name: str, found: str
) -> None:
    assert catalog.model(name).id == found


def test_a_chat_variant_has_the_shape_and_the_licence_of_its_base(catalog: Catalog) -> None:
    chats = [model for model in catalog.models.all() if model.variant_of]
    assert len(chats) >= 60
    for chat in chats:
        base = catalog.models[chat.variant_of]
        assert (base.variant, chat.variant) == ("base", "chat")
        assert catalog.chat_variants[base.id] == chat.id
        same = ("kind", "params", "n_layers", "hidden", "vocab", "licence", "commercial_use")
        assert all(getattr(chat, name) == getattr(base, name) for name in same), chat.id
        assert chat.verified == "no" or chat.source != base.source
    assert {model.variant for model in catalog.models.all()} == {"base", "chat"}


def test_the_card_above_is_the_smallest_that_holds_more(catalog: Catalog) -> None:
    name = catalog.gpu_above(24.0)
    assert name
    larger = [gpu.memory_gb for gpu in catalog.gpus.all() if gpu.memory_gb > 24]
    assert 24 < catalog.gpu(name).memory_gb <= min(larger) * 1.35
    assert catalog.gpu(name).form != "laptop"
    assert catalog.gpu_above(1e6) is None


def test_a_language_has_one_code_and_every_list_is_named_by_some_model(catalog: Catalog) -> None:
    rows = Table(catalog.folder / "languages.csv", Language).all()
    names = [name for row in rows for name in {row.code, row.name.casefold()}]
    assert len(names) == len(set(names))
    lists = {one for row in rows for one in row.lists.split("|") if one}
    said = [model.languages for model in catalog.models.all()]
    assert all(any(one in text for text in said) for one in lists)


@pytest.mark.parametrize(
    ("find", "name", "nearest"),
    [("gpu", "rtx4090", "rtx-4090"), ("model", "Qwen3-8B-Bose", "Qwen/Qwen3-8B-Base")],
)
def test_an_unknown_name_is_refused_with_the_nearest_known(
    catalog: Catalog, find: str, name: str, nearest: str
) -> None:
    with pytest.raises(AdvisorError) as raised:
        getattr(catalog, find)(name)
    assert raised.value.name is ErrorName.NAME_UNKNOWN
    assert nearest in raised.value.faults[0].hint


def test_lora_learns_at_about_ten_times_the_rate_of_full_fine_tuning(catalog: Catalog) -> None:
    full = catalog.recipe("full_finetune", "full", params=8e9).learning_rate
    lora = catalog.recipe("lora", "lora", params=8e9).learning_rate
    assert lora / full == pytest.approx(10, rel=0.5)


def test_pretraining_rates_fall_with_the_size_of_the_model(catalog: Catalog) -> None:
    sizes = (2e6, 2e7, 1e8, 4e8, 7e9, 7e10)
    rates = [catalog.recipe("pretrain", "full", params=size).learning_rate for size in sizes]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 10 * rates[-1]


def test_every_approach_has_its_recipes(catalog: Catalog) -> None:
    known = {(row.approach, row.method) for row in catalog.recipes}
    assert known >= {
        ("pretrain", "full"),
        ("continued_pretrain", "full"),
        ("continued_pretrain", "lora"),
        ("full_finetune", "full"),
        *(("lora", method) for method in ("lora", "qlora", "rslora", "dora")),
    }


def test_recipes_stand_smallest_model_first(catalog: Catalog) -> None:
    for approach, method in {(row.approach, row.method) for row in catalog.recipes}:
        rows = [row for row in catalog.recipes if (row.approach, row.method) == (approach, method)]
        limits = [row.params_up_to_b or float("inf") for row in rows]
        assert limits == sorted(limits)
        assert limits[-1] == float("inf")


def test_prices_say_which_providers_are_marketplaces_of_private_hosts(catalog: Catalog) -> None:
    hosts = {price.provider: price.host for price in catalog.prices}
    assert hosts["vast.ai"] == "marketplace"
    assert hosts["aws"] == "cloud"
    assert set(hosts.values()) == {"cloud", "marketplace", "reseller"}


def test_prices_and_models_name_only_known_gpus(catalog: Catalog) -> None:
    assert {price.gpu for price in catalog.prices} <= set(catalog.gpus)


@pytest.mark.parametrize(
    ("region", "grams"), [("FRA", 56.0), ("france", 56.0), ("us-west1", 94.0), (None, 475.0)]
)
def test_grid_intensity_is_found_by_code_name_and_cloud_region(
    catalog: Catalog, region: str | None, grams: float
) -> None:
    assert catalog.carbon(region).value == grams


def damage(folder: Path, file: str, column: str, value: str, row: int = 1) -> None:
    path = folder / file
    lines = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    lines[row][lines[0].index(column)] = value
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows(lines)


@pytest.mark.parametrize(
    ("file", "kind", "column", "value"),
    [
        ("gpus.csv", "gpus", "memory_gb", "lots"),
        ("gpus.csv", "gpus", "bf16_tflops", "-3"),
        ("gpus.csv", "gpus", "memory_gb", "nan"),
        ("models.csv", "models", "n_layers", "12.5"),
        ("models.csv", "models", "tied", "maybe"),
        ("recipes.csv", "recipes", "learning_rate", ""),
    ],
)
def test_a_malformed_cell_is_reported_with_its_place(
    copied: Path, file: str, kind: str, column: str, value: str
) -> None:
    damage(copied, file, column, value)
    with pytest.raises(AdvisorError) as raised:
        rows_of(getattr(Catalog(copied), kind))
    fault = raised.value.faults[0]
    assert raised.value.name is ErrorName.PROFILES_INVALID
    assert (fault.path, fault.line, fault.field) == (str(copied / file), 2, column)
    assert fault.found == value
    assert fault.expected


def test_every_malformed_cell_is_reported_at_once(copied: Path) -> None:
    damage(copied, "gpus.csv", "memory_gb", "x", row=1)
    damage(copied, "gpus.csv", "release_year", "y", row=3)
    with pytest.raises(AdvisorError) as raised:
        Catalog(copied).gpus.all()
    assert [fault.line for fault in raised.value.faults] == [2, 4]


def test_a_name_that_stands_twice_is_refused(copied: Path) -> None:
    damage(copied, "gpus.csv", "id", "rtx-4090", row=1)
    with pytest.raises(AdvisorError) as raised:
        _ = Catalog(copied).gpus
    assert raised.value.faults[0].found == "rtx-4090"


def test_a_missing_table_is_an_error_of_the_user_and_not_a_crash(tmp_path: Path) -> None:
    with pytest.raises(AdvisorError) as raised:
        _ = Catalog(tmp_path).gpus
    assert raised.value.name is ErrorName.FILE_UNREADABLE
