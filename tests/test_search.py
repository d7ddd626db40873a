"""The search: what it finds, that nothing beats it, and that its rows are what estimate says."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import jsonschema
import pytest
from command_line import ROOT, run

from advisor import estimate
from advisor.catalog import load_catalog
from advisor.errors import AdvisorError
from advisor.estimation import estimate_job
from advisor.estimation.documents import Estimate, EstimateRequest, read_request
from advisor.estimation.interval import memory_bounds, surely_fits
from advisor.estimation.memory import peak_memory
from advisor.machine import LocalGpu, Machine
from advisor.options.layout import complete_request, every_layout
from advisor.recommendation import recommend
from advisor.report.fronts import drawn
from advisor.schemas import schema_of
from advisor.search import Limits
from advisor.search.documents import FrontRow, Search
from advisor.search.finding import find_front, request_of
from advisor.search.points import points_of
from advisor.search.space import Space, space_of

CATALOG = load_catalog()
TUNING: dict[str, Any] = {
    "model": "meta-llama/Llama-3.1-8B",
    "approach": "lora",
    "tokens": 1e8,
    "seq_len": 1024,
    "global_batch_tokens": 32768,
}
PRETRAINING: dict[str, Any] = {"params_b": 1.3, "approach": "pretrain", "tokens": 2e10}
WHOLE: dict[str, Any] = {"model": "Qwen/Qwen3-4B-Base", "method": "full", "examples": 50_000}
JOBS = {"tuning": TUNING, "pretraining": PRETRAINING, "whole": WHOLE}
FEW = ("t4", "v100-sxm2-16gb", "l4", "rtx-4090", "a100-sxm4-80gb", "h100-sxm5-80gb")


def searched(request: dict[str, Any], **limits: float) -> Search:
    return find_front(read_request(request), Limits(**limits), catalog=CATALOG)


def few_cards(request: dict[str, Any], counts: tuple[int, ...]) -> Space:
    space = space_of(read_request(request), catalog=CATALOG)
    devices = tuple(device for device in space.named.devices if device.id in FEW)
    return space._replace(named=space.named._replace(devices=devices), counts=counts)


def one_by_one(space: Space) -> Iterator[tuple[EstimateRequest, Estimate]]:
    """Yield every priced combination that surely fits, each estimated for itself."""
    for device in space.named.devices:
        for gpus in space.counts_of(device):
            for approach, method in space.methods:
                for layout in every_layout(space.choice(approach, method, device, gpus)):
                    if layout.context_parallel > 1 and not space.request.gpus:
                        continue
                    job = complete_request(request_of(layout), catalog=CATALOG)
                    if job.price and surely_fits(job, CATALOG.utilisation):
                        yield job.request, estimate_job(job, CATALOG)


def figures(row: FrontRow) -> tuple[object, ...]:
    return row.wall_hours, row.gpu_hours, row.cost_usd, row.memory_gb_per_gpu


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS.keys())
def test_estimate_says_the_same_of_every_row(job: dict[str, Any]) -> None:
    found = searched(job)
    assert found.front
    for row in found.front:
        again = estimate(row.request.model_dump(exclude_none=True))
        assert again.fits
        assert figures(row) == (
            again.wall_hours,
            again.gpu_hours,
            again.cost_usd,
            again.memory_gb_per_gpu,
        )


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS.keys())
def test_the_front_is_that_of_estimating_every_combination(job: dict[str, Any]) -> None:
    space = few_cards(job, (1, 4, 16, 128))
    every = list(one_by_one(space))
    found = points_of(space, Limits())
    best: dict[tuple[object, ...], float] = {}
    for request, one in every:
        key = request.gpu, request.gpus, request.approach, request.method
        best[key] = min(best.get(key, float("inf")), one.wall_hours.mid)
    assert found.fitting == len(every)
    quickest = {
        (point.job.device.id, point.job.gpus, point.job.approach, point.job.method): point
        for point in found.points
        if point.fits
    }
    assert quickest.keys() == best.keys()
    for key, hours in best.items():
        assert quickest[key].hours == pytest.approx(hours, rel=1e-12)
        price = quickest[key].job.price
        assert price
        assert quickest[key].usd == pytest.approx(hours * quickest[key].job.gpus * price.usd)


@pytest.mark.parametrize("precision", [None, "fp32", "fp8"])
def test_every_card_of_a_class_needs_the_same_memory(precision: str | None) -> None:
    space = space_of(read_request({**TUNING, "precision": precision}), catalog=CATALOG)
    points = points_of(space._replace(counts=(1, 8)), Limits()).points
    assert {point.job.device.id for point in points} >= {"h100-sxm5-80gb", "v100-sxm2-16gb"}
    for point in points:
        memory = peak_memory(point.job)
        assert memory_bounds(point.job, memory, CATALOG.utilisation)[1] == point.most_gb


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS.keys())
def test_along_the_front_each_dollar_buys_time(job: dict[str, Any]) -> None:
    found = searched(job)
    for cheaper, faster in pairwise(found.front):
        assert cheaper.cost_usd.mid < faster.cost_usd.mid
        assert cheaper.wall_hours.mid > faster.wall_hours.mid
    assert found.cheapest == found.front[0]
    assert found.fastest == found.front[-1]
    assert "cheapest" in found.front[0].marks
    assert "fastest" in found.front[-1].marks
    assert found.searched >= found.fitting >= found.feasible > 0


def test_what_is_given_stays_as_it_is() -> None:
    given = {"gpu": "a100-sxm4-80gb", "gpus": 4, "method": "lora", "sharding": "fsdp"}
    given |= {"micro_batch": 2, "gradient_checkpointing": "yes", "optimizer": "lion"}
    found = searched(TUNING | given)
    assert found.searched == 1
    row = found.front[0].request.model_dump()
    assert given.items() <= row.items()
    assert TUNING.items() <= row.items()


def test_more_gpus_than_a_step_has_sequences_are_left_to_who_numbers_them() -> None:
    few_sequences = TUNING | {"global_batch_tokens": 4096, "gpu": "h100-sxm5-80gb"}
    counts = {row.request.gpus for row in searched(few_sequences).front}
    assert max(counts) <= 4
    assert searched(few_sequences | {"gpus": 16}).front


def test_laptops_and_chips_come_alone() -> None:
    space = space_of(read_request(TUNING | {"provider": "owned"}), catalog=CATALOG)
    whole = {"laptop", "soc"}
    counts = {
        point.job.gpus
        for point in points_of(space, Limits()).points
        if point.job.device.form in whole
    }
    assert counts == {1}


def test_limits_hold_for_every_row_and_only_shorten_the_front() -> None:
    free = searched(TUNING)
    deadline = free.front[len(free.front) // 2].wall_hours.mid
    budget = free.front[-1].cost_usd.mid * 0.9
    limited = searched(TUNING, deadline=deadline, budget=budget)
    assert 0 < limited.feasible < free.feasible
    assert all(row.wall_hours.mid <= deadline for row in limited.front)
    assert all(row.cost_usd.mid <= budget for row in limited.front)
    kept = [figures(row) for row in free.front]
    assert [figures(row) for row in limited.front] == [
        one for one in kept if one[0].mid <= deadline and one[2].mid <= budget
    ]


SHORT = {
    "memory": ({"model": "meta-llama/Llama-3.1-70B", "gpu": "l4", "gpus": 1}, {}),
    "time": ({"gpu": "a100-sxm4-80gb", "tokens": 1e14}, {"deadline": 1.0}),
    "money": ({"gpu": "a100-sxm4-80gb", "tokens": 1e14}, {"budget": 1.0}),
}


@pytest.mark.parametrize("what", SHORT)
def test_where_nothing_is_feasible_the_nearest_says_what_is_short(what: str) -> None:
    job, limits = SHORT[what]
    found = searched({**TUNING, "method": "lora"} | job, **limits)
    assert (found.front, found.cheapest, found.fastest, found.feasible) == ((), None, None, 0)
    assert found.nearest
    assert [one.what for one in found.nearest.short] == [what]
    assert all(one.needs > one.has for one in found.nearest.short)


def test_without_money_only_what_is_free_is_feasible() -> None:
    assert searched(TUNING, budget=0.0).feasible == 0
    assert searched(TUNING | {"price_per_gpu_hour": 0}, budget=0.0).feasible > 0


def test_data_that_must_stay_is_searched_on_own_machines() -> None:
    found = searched(TUNING | {"privacy": "on_prem"})
    assert all(row.request.provider == "owned" for row in found.front)
    assert any("owned" in one for one in found.assumptions)


def test_this_machine_is_searched_by_what_it_has() -> None:
    gpu = LocalGpu(name="RTX 4090", vendor="NVIDIA", memory_gb=24.0, catalog_id="rtx-4090")
    here = Machine("Linux x86_64", cpu="c", cores=8, ram_gb=64.0, disk_gb=1e3, gpus=(gpu, gpu))
    asked = read_request(TUNING | {"gpu": "local", "method": "qlora"})
    found = find_front(asked, catalog=CATALOG, machine=here)
    assert {row.request.gpu for row in found.front} == {"local"}
    assert {row.request.gpus for row in found.front} <= {1, 2}
    small = read_request({"model": "llama-1m", "approach": "pretrain", "gpu": "local"})
    processor = Machine("Linux x86_64", cpu="c", cores=8, ram_gb=64.0, disk_gb=1e3, gpus=())
    assert find_front(small, catalog=CATALOG, machine=processor).front


def test_each_method_has_its_own_ends() -> None:
    found = searched(TUNING)
    entries = {entry.method: entry for entry in found.methods}
    assert {"lora", "qlora", "dora", "ia3"} <= entries.keys()
    cheapest = [entry.cheapest.cost_usd for entry in found.methods if entry.cheapest]
    assert min(cheapest) == pytest.approx(found.front[0].cost_usd.mid)


def test_unknown_names_are_faults() -> None:
    with pytest.raises(AdvisorError) as raised:
        searched({"model": "nobody/nothing", "gpu": "h1000"})
    assert {fault.field for fault in raised.value.faults} >= {"model"}


def test_the_drawing_fits_80_columns_and_has_every_row() -> None:
    found = searched(TUNING)
    lines = drawn(found.front)
    assert max(map(len, lines)) <= 80
    letters = "abcdefghijklmnopqrstuvwxyz"[: len(found.front)]
    text = "".join(lines[:-1])
    shown = [letter for letter in letters if letter in text]
    # Two rows may share a cell.
    assert shown[0] == letters[0]
    assert len(shown) >= len(letters) / 2


def flags(request: dict[str, Any]) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in request.items()]


def test_the_command_prints_a_valid_document() -> None:
    done = run("search", *flags(TUNING), "--deadline", "2 days", "--budget-usd", "500", "--json")
    document = json.loads(done.stdout)
    jsonschema.validate(document, schema_of("search"))
    assert document["schema"] == "advisor.search/1"
    assert (document["deadline_hours"], document["budget_usd"]) == (48, 500)
    assert document["front"]


def test_the_command_shows_a_front_that_80_columns_hold() -> None:
    lines = run("search", *flags(TUNING)).stdout.splitlines()
    assert any("cheapest" in line for line in lines)
    assert any("fastest" in line for line in lines)
    assert max(len(line.rstrip()) for line in lines[: lines.index("Assumed")]) <= 80


def test_the_command_searches_for_what_is_recommended() -> None:
    answers = ROOT / "examples" / "contract_clauses" / "answers.yaml"
    document = json.loads(run("search", "--answers", str(answers), "--json").stdout)
    request = document["request"]
    advised = json.loads(run("recommend", "--answers", str(answers), "--json").stdout)
    recommended = advised["recommended"]
    assert (request["gpu"], request["gpus"]) == ("rtx-4090", 1)
    assert request["method"] == recommended["method"]
    assert request["model"] == recommended["base_model"]
    assert document["deadline_hours"] == 72


def test_limits_that_cannot_be_read_are_told_together() -> None:
    done = run("search", *flags(TUNING), "--deadline", "soon", "--budget-usd", "little")
    assert done.returncode == 2
    assert done.stderr.count("error[request_invalid]") == 2


LEGAL: dict[str, Any] = {
    "domain": "legal",
    "task": "extraction",
    "language_novelty": "covered",
    "data": {"labelled_examples": 8000},
}


def test_a_recommendation_shows_what_is_cheaper_or_faster() -> None:
    found = recommend(LEGAL, catalog=CATALOG)
    assert found.front
    assert found.estimate
    own = next(one for one in found.front if "recommended" in one.marks)
    assert own.wall_hours == found.estimate.wall_hours
    assert not own.changes
    others = [one for one in found.front if one is not own]
    assert others
    for cheaper, faster in pairwise(others):
        assert cheaper.cost_usd.mid < faster.cost_usd.mid
        assert cheaper.wall_hours.mid > faster.wall_hours.mid
    for one in others:
        beats = one.cost_usd.mid < own.cost_usd.mid or one.wall_hours.mid < own.wall_hours.mid
        assert beats


def test_a_recommendations_front_keeps_to_the_limits() -> None:
    budget = {"deadline": "4 hours", "budget_usd": 20}
    found = recommend(LEGAL | {"gpu_budget": budget}, catalog=CATALOG)
    assert found.front
    assert all(one.wall_hours.mid <= 4 and one.cost_usd.mid <= 20 for one in found.front)


def test_what_departs_from_an_answer_says_so() -> None:
    found = recommend(LEGAL | {"gpu_budget": {"gpu": "l4", "gpus": 1}}, catalog=CATALOG)
    assert found.front
    for one in found.front:
        named = {"gpu": one.gpu != "l4", "gpus": one.gpus != 1}
        assert one.changes == tuple(name for name, departs in named.items() if departs)


def test_machines_of_ones_own_are_not_changed() -> None:
    owned = {"privacy": "on_prem", "gpu_budget": {"gpu": "rtx-4090", "gpus": 1}}
    found = recommend(LEGAL | owned, catalog=CATALOG)
    assert found.front
    assert [(one.gpu, one.gpus) for one in found.front] == [("rtx-4090", 1)]


def test_without_trying_other_answers_there_is_no_front() -> None:
    assert recommend(LEGAL, catalog=CATALOG, explore=False).front is None
