"""Screens as text, and the app as the tests start it: a fixed machine, plans and runs that hold."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from command_line import ROOT
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Button

from advisor.answers import Answers, read_answers
from advisor.catalog import load_catalog
from advisor.launching import Proposal
from advisor.loading import load_document
from advisor.machine import Machine
from advisor.planning import LeadChoices, Workshop, make_plan
from advisor.recommendation import recommend
from advisor.runs.folder import create_run_folder
from advisor.runs.history import remember
from advisor.tui.app import AdvisorApp
from advisor.tui.store import Store

Script = Callable[[Pilot[None]], Awaitable[None]]
SNAPSHOTS = Path(__file__).parent / "snapshots"
UPDATE = "UPDATE_SNAPSHOTS"
SIZES = ((80, 24), (160, 48))
EXAMPLE = ROOT / "examples" / "contract_clauses"
DATA = EXAMPLE / "data.jsonl"
RUN_ID = "contract-clauses-20260101-000000-abcd"
MACHINE = Machine(
    platform="Linux x86_64", cpu="Example CPU", cores=8, ram_gb=64.0, disk_gb=500.0, gpus=()
)


def text_of(app: App[None]) -> str:
    """Return what the screen shows, line by line, without styles."""
    strips = app.screen._compositor.render_strips(app.size)  # noqa: SLF001 - what is painted
    return "\n".join(strip.text.rstrip() for strip in strips) + "\n"


def example_answers() -> Answers:
    """Return the answers of the example about contract clauses."""
    text = (EXAMPLE / "answers.yaml").read_text(encoding="utf-8")
    return read_answers(load_document(text, origin="answers.yaml"))


def proposed(answers: Answers, data: Sequence[Path], *, choices: LeadChoices) -> Proposal:
    """Return a plan as `propose` makes it, but for a fixed machine, name and place of the data."""
    catalog = load_catalog()
    found = recommend(answers, MACHINE, catalog=catalog)
    workshop = Workshop(catalog=catalog, machine=MACHINE)
    plan = make_plan(found, data, choices=choices, workshop=workshop, run_id=RUN_ID)
    files = tuple(
        one.model_copy(update={"path": f"/data/{Path(one.path).name}"})
        if Path(one.path).is_absolute()
        else one
        for one in plan.data.files
    )
    named = plan.model_copy(update={"data": plan.data.model_copy(update={"files": files})})
    return Proposal(plan=named, recommendation=found, machine=MACHINE)


def a_store(answers: Answers | None = None) -> Store:
    """Return a store that knows nothing of the machine that the tests run on."""
    return Store(answers=answers, machine=MACHINE, proposer=proposed)


def a_run(folder: Path, *, state: str, steps: int = 40, **changes: Any) -> Path:
    """Write a run folder as a job leaves it, and remember it; `changes` are of its plan."""
    choices = LeadChoices(base_model="rehearsal", max_steps=steps)
    proposal = proposed(example_answers(), [DATA], choices=choices)
    create_run_folder(folder, proposal.plan, proposal.recommendation)
    write(folder / "plan.json", {**proposal.plan.model_dump(mode="json"), **changes})
    remember(folder)
    if state == "created":
        return folder
    done = state == "done"
    reached = steps if done else steps // 2
    write(folder / "run.json", {**RUN, "state": state, "step": reached, "max_steps": steps})
    lines = [logged(step) for step in range(1, reached + 1)]
    (folder / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    if done:
        write(folder / "result.json", RESULT)
    return folder


RUN = {
    "schema": "advisor.run/1",
    "run_id": RUN_ID,
    "phase": "training",
    "pid": 1,
    "host": "elsewhere",
    "started": "2026-01-01T00:00:00+00:00",
    "spent_seconds": 30.0,
    "exit": None,
    "error": None,
}
RESULT = {
    "status": "done",
    "validation": {"loss": 2.1, "loss_before": 9.0},
    "measured": {
        "wall_hours": 0.012,
        "memory_gb_per_gpu": 1.1,
        "tokens_per_second_per_gpu": 2345.0,
        "cost_usd": 0.01,
    },
    "metrics": {
        "headline": {
            "name": "json_fields",
            "title": "share of right fields",
            "higher_is_better": True,
            "tuned": 0.874,
            "base": 0.012,
            "prompted_base": 0.241,
        }
    },
    "forgetting": {"loss": 1.62, "loss_before": 1.55},
    "profile": "bound by the matrix products: a larger micro-batch changes little",
    "ladder": [{"after_step": 0, "changes": {"micro_batch": [16, 8]}, "because": "no room"}],
    "samples": [{"prompt": "What?", "reference": "This.", "base": "It [b]", "tuned": "This."}],
    "verdict": "The tuned model is better than the untrained base: share of right fields 0.874"
    " against 0.012 on 16 held-out examples (+0.862, 95 % interval +0.781 to +0.930); it is better"
    " than the base shown 4 examples, which reaches 0.241. It forgot: the loss on general text rose"
    " from 1.55 to 1.62 nats per token.",
}


def write(path: Path, document: object) -> None:
    """Write a document as JSON."""
    path.write_text(json.dumps(document), encoding="utf-8")


def logged(step: int) -> dict[str, float]:
    """Return a line of metrics.jsonl."""
    line = {
        "step": step,
        "tokens": 2048 * step,
        "loss": 2.0 + 8.0 / step,
        "lr": 1e-4,
        "tokens_per_second": 2300.0,
        "memory_gb": 1.1,
        "seconds": 0.9 * step,
    }
    return {**line, "validation_loss": 2.2 + 8.0 / step} if step % 10 == 0 else line


def drive(store: Store, size: tuple[int, int], script: Script) -> AdvisorApp:
    """Start the app in a terminal of a size, do what the script does, and return it."""
    app = AdvisorApp(store)

    async def driven() -> None:
        async with app.run_test(size=size) as pilot:
            await settled(pilot)
            await script(pilot)

    asyncio.run(driven())
    return app


async def settled(pilot: Pilot[None]) -> None:
    """Wait until the searching threads have ended and all is painted."""
    await pilot.pause(0.5)
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press keys, each after the last was dealt with."""
    for key in keys:
        await pilot.press(key)
        await pilot.pause()


async def typed(pilot: Pilot[None], text: str) -> None:
    """Type text as it stands."""
    names = {" ": "space", ".": "full_stop", "/": "slash", "-": "minus", "_": "underscore"}
    await pilot.press(*(names.get(character, character) for character in text))
    await pilot.pause()


def check(app: App[None], name: str) -> None:
    """Compare the screen with its snapshot; every button must be inside the screen."""
    shown = text_of(app)
    for button in app.screen.query(Button):
        assert app.screen.region.contains_region(button.region), button
        assert str(button.label) in shown
    width, height = app.size
    file = SNAPSHOTS / f"{name}-{width}x{height}.txt"
    if os.environ.get(UPDATE):
        file.parent.mkdir(exist_ok=True)
        file.write_text(shown, encoding="utf-8")
    assert shown == file.read_text(encoding="utf-8"), f"set {UPDATE}=1 to take the new screen"
