from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from screens import (
    DATA,
    RUN,
    SIZES,
    a_run,
    a_store,
    check,
    drive,
    example_answers,
    press,
    settled,
    typed,
    write,
)
from textual.pilot import Pilot

from advisor.answers import Answers
from advisor.tui.store import PlanWish

Steps = Callable[[Pilot[None]], Awaitable[None]]


async def nothing(pilot: Pilot[None]) -> None:
    await pilot.pause()


def keys(*names: str) -> Steps:
    async def pressed(pilot: Pilot[None]) -> None:
        await press(pilot, *names)

    return pressed


async def wrong_entry(pilot: Pilot[None]) -> None:
    await press(pilot, "down", "down", "enter")
    await typed(pilot, "lots")
    await press(pilot, "enter")


async def wrong_entry_left(pilot: Pilot[None]) -> None:
    await wrong_entry(pilot)
    await press(pilot, "escape")


async def plan_shown(pilot: Pilot[None]) -> None:
    await press(pilot, "p", "enter")


async def rehearsal_shown(pilot: Pilot[None]) -> None:
    await press(pilot, "p", "tab", "tab", "right", "tab", "tab", "enter")


async def reasons_shown(pilot: Pilot[None]) -> None:
    await rehearsal_shown(pilot)
    await settled(pilot)
    await press(pilot, "w")


GIVEN = example_answers()
SCREENS: dict[str, tuple[Answers | None, Steps]] = {
    "dashboard-empty": (None, nothing),
    "dashboard-why": (GIVEN, nothing),
    "dashboard-cost": (GIVEN, keys("2")),
    "dashboard-what-if": (GIVEN, keys("3")),
    "dashboard-others": (GIVEN, keys("4")),
    "dashboard-moved": (GIVEN, keys("down", "down", "down", "delete")),
    "dashboard-everything": (None, keys("a")),
    "ask-choice": (GIVEN, keys("enter")),
    "ask-size": (GIVEN, keys("down", "down", "enter")),
    "ask-name": (GIVEN, keys("down", "down", "down", "down", "enter")),
    "ask-wrong": (GIVEN, wrong_entry),
    "dashboard-wrong": (GIVEN, wrong_entry_left),
    "plan-form": (GIVEN, keys("p")),
    "plan-elsewhere": (GIVEN, plan_shown),
    "plan-rehearsal": (GIVEN, rehearsal_shown),
    "plan-reasons": (GIVEN, reasons_shown),
    "runs-empty": (GIVEN, keys("r")),
    "help": (GIVEN, keys("question_mark")),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_looks_as_it_did(name: str, size: tuple[int, int]) -> None:
    answers, steps = SCREENS[name]
    store = a_store(answers)
    store.wish = PlanWish(data=str(DATA) if name.startswith("plan-r") else "", max_steps=40)
    if name == "plan-elsewhere":
        store.wish = PlanWish(data=str(DATA))

    async def script(pilot: Pilot[None]) -> None:
        await steps(pilot)
        await settled(pilot)
        check(pilot.app, name)

    drive(store, size, script)


ERRORS = {"error-no-data": "", "error-file-gone": "/no/such/file.jsonl"}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_a_box_that_can_be_left(name: str, size: tuple[int, int]) -> None:
    store = a_store(GIVEN)
    store.wish = PlanWish(data=ERRORS[name])

    async def script(pilot: Pilot[None]) -> None:
        await plan_shown(pilot)
        await settled(pilot)
        check(pilot.app, name)
        await press(pilot, "enter")
        assert pilot.app.screen is pilot.app.screen_stack[0]

    drive(store, size, script)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_runs_and_their_screens_look_as_they_did(size: tuple[int, int], tmp_path: Path) -> None:
    a_run(tmp_path / "first", state="done")
    failed = a_run(tmp_path / "second", state="failed", run_id="diverged-20260102-000000-dcba")
    error = {"code": "diverged", "message": "the loss is NaN at step 19", "hint": "a lower rate"}
    write(
        failed / "run.json", {**RUN, "state": "failed", "step": 19, "max_steps": 40, "error": error}
    )

    async def script(pilot: Pilot[None]) -> None:
        await press(pilot, "r")
        check(pilot.app, "runs")
        await press(pilot, "enter")
        check(pilot.app, "run-failed")
        await press(pilot, "escape", "down", "enter")
        check(pilot.app, "run-done")
        await press(pilot, "s")
        check(pilot.app, "run-not-running")

    drive(a_store(GIVEN), size, script)


def test_a_terminal_that_is_too_small_is_told_and_takes_no_key() -> None:
    store = a_store(GIVEN)

    async def script(pilot: Pilot[None]) -> None:
        check(pilot.app, "too-small")
        await press(pilot, "right", "p", "r", "enter", "question_mark")
        check(pilot.app, "too-small")
        assert store.answers == GIVEN
        await pilot.resize_terminal(80, 24)
        await settled(pilot)
        check(pilot.app, "dashboard-why")
        await pilot.resize_terminal(79, 24)
        await settled(pilot)
        check(pilot.app, "too-small")

    drive(store, (70, 20), script)
