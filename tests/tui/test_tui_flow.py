import json
import os
import signal
import time
import unicodedata
from pathlib import Path

import pytest
from screens import (
    DATA,
    SIZES,
    a_run,
    a_store,
    drive,
    example_answers,
    press,
    settled,
    text_of,
    typed,
)
from textual.pilot import Pilot
from textual.widgets import Button, OptionList

from advisor.answers import read_answers
from advisor.launching import launch
from advisor.runs.supervise import progress_of
from advisor.tui.app import AdvisorApp
from advisor.tui.dashboard import Dashboard
from advisor.tui.message_box import MessageBox
from advisor.tui.plan_dialog import PlanDialog
from advisor.tui.questions import Questions
from advisor.tui.run_screen import RunScreen
from advisor.tui.runs_screen import RunsScreen
from advisor.tui.store import PlanWish, Store
from advisor.tui.watching import owner_of, stop

SMALL = (80, 24)
SECONDS_FOR_A_RUN = 400


def verdict(store: Store) -> str | None:
    """Return the approach that the store recommends."""
    best = store.recommendation.recommended
    return best.approach if best else None


async def wait_for_end(pilot: Pilot[None], folder: Path) -> str:
    """Wait until the run has ended and return its state."""
    end = time.monotonic() + SECONDS_FOR_A_RUN
    while time.monotonic() < end:
        state = json.loads((folder / "run.json").read_text())["state"]
        if state not in ("created", "running"):
            break
        await pilot.pause(0.5)
    await pilot.pause(1.5)
    return str(state)


def newest_run(store: Store) -> Path:
    """Return the folder of the newest run."""
    return Path(store.runs()[0].folder)


@pytest.mark.slow
def test_every_question_is_answered_by_keyboard_alone() -> None:
    store = a_store()
    entered = {
        "raw_text": "5 GB",
        "labelled_examples": "8000",
        "gpu": "rtx-4090",
        "gpus": "1",
        "deadline": "3 days",
        "budget_usd": "500",
        "provider": "owned",
        "region": "FR",
    }

    async def script(pilot: Pilot[None]) -> None:
        questions = pilot.app.screen.query_one(Questions)
        await press(pilot, "a")
        for _ in range(29):
            question = questions.question
            assert question is not None
            if question.choices:
                await press(pilot, "right")
            else:
                await press(pilot, "enter")
                await typed(pilot, entered.get(question.name, "5"))
                await press(pilot, "enter")
            assert store.answers.facts()[question.name] is not None, question.name
            await press(pilot, "down")
        assert len(store.entries.valid) >= 26

    drive(store, SMALL, script)


def test_the_verdict_on_the_screen_changes_with_an_answer() -> None:
    store = a_store(example_answers())

    async def script(pilot: Pilot[None]) -> None:
        assert "► lora" in text_of(pilot.app)
        await press(pilot, "down", "down", "down", "delete")
        shown = text_of(pilot.app)
        assert "► no training" in shown
        assert "◆ was lora" in shown
        await press(pilot, "u")
        assert "► lora" in text_of(pilot.app)
        assert "◆ was no training" in text_of(pilot.app)

    drive(store, SMALL, script)


def test_n_goes_to_the_next_open_question() -> None:
    store = a_store(example_answers())

    async def script(pilot: Pilot[None]) -> None:
        questions = pilot.app.screen.query_one(Questions)
        for name in ("raw_text", "budget_usd"):
            await press(pilot, "n")
            assert questions.question is not None
            assert questions.question.name == name

    drive(store, SMALL, script)


def test_back_has_the_cursor_so_that_enter_never_launches() -> None:
    store = a_store(example_answers())
    store.wish = PlanWish(data=str(DATA), base_model="rehearsal", max_steps=4)

    async def script(pilot: Pilot[None]) -> None:
        await press(pilot, "p", "enter")
        await settled(pilot)
        assert isinstance(pilot.app.screen, PlanDialog)
        await press(pilot, "enter", "enter", "escape")
        await settled(pilot)
        assert isinstance(pilot.app.screen, Dashboard)
        assert store.runs() == []

    drive(store, SMALL, script)


def test_a_plan_for_other_hardware_is_never_launched_but_rehearsed_or_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = a_store(example_answers())
    store.wish = PlanWish(data=str(DATA))

    async def script(pilot: Pilot[None]) -> None:
        await press(pilot, "p", "enter")
        await settled(pilot)
        await press(pilot, "l")
        assert isinstance(pilot.app.screen, PlanDialog)
        assert pilot.app.screen.planned.obstacle is not None
        await pilot.click("#rehearse")
        await settled(pilot)
        assert isinstance(pilot.app.screen, PlanDialog)
        assert pilot.app.screen.planned.obstacle is None
        await press(pilot, "s")
        await settled(pilot)
        assert isinstance(pilot.app.screen, MessageBox)
        assert [one.state for one in store.runs()] == ["created"]

    drive(store, SMALL, script)


async def plan_by_keyboard(pilot: Pilot[None]) -> None:
    await press(pilot, "p")
    await typed(pilot, "data.jsonl")
    await press(pilot, "tab", "tab", "right", "tab", "tab")
    await typed(pilot, "3")
    await press(pilot, "enter")


async def plan_by_mouse(pilot: Pilot[None]) -> None:
    app = pilot.app
    assert isinstance(app, AdvisorApp)
    app.store.wish = PlanWish(data="data.jsonl", max_steps=3)
    await pilot.click(".keys", offset=(text_of(app).splitlines()[-1].index("p plan"), 0))
    await pilot.pause()
    await pilot.click("#base")
    await pilot.click("#show")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize("way", ["keyboard", "mouse"])
def test_a_run_is_launched_watched_to_its_end_and_found_in_the_list(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    Path("data.jsonl").write_bytes(DATA.read_bytes())
    store = Store(answers=example_answers())
    by_keyboard = way == "keyboard"

    async def script(pilot: Pilot[None]) -> None:
        await (plan_by_keyboard(pilot) if by_keyboard else plan_by_mouse(pilot))
        await settled(pilot)
        assert isinstance(pilot.app.screen, PlanDialog)
        await (press(pilot, "l") if by_keyboard else pilot.click("#launch"))
        await settled(pilot)
        assert isinstance(pilot.app.screen, RunScreen)
        assert await wait_for_end(pilot, newest_run(store)) == "done"
        assert "✓ done" in text_of(pilot.app)
        assert "3/3 steps" in text_of(pilot.app)
        await press(pilot, "d", "r")
        await pilot.pause(0.5)
        assert isinstance(pilot.app.screen, RunsScreen)
        assert "✓ done" in text_of(pilot.app)
        await (press(pilot, "enter") if by_keyboard else pilot.click("#runs", offset=(4, 1)))
        assert isinstance(pilot.app.screen, RunScreen)

    drive(store, SMALL, script)


# A job that is left running on purpose is one that Python warns of.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_run_outlives_the_screen_is_found_by_a_new_one_and_stops_with_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = a_run(tmp_path / "run", state="created", steps=2000)
    real = json.loads((folder / "plan.json").read_text())
    for file in real["data"]["files"]:
        if file["role"] == "train":
            file["path"] = str(DATA)
    (folder / "plan.json").write_text(json.dumps(real))
    pid = launch(folder, detached=True)["pid"]

    async def script(pilot: Pilot[None]) -> None:
        await press(pilot, "r", "enter")
        end = time.monotonic() + 90
        while progress_of(folder).step == 0 and time.monotonic() < end:
            await pilot.pause(0.5)
        assert owner_of(folder) == pid
        await press(pilot, "s")
        assert isinstance(pilot.app.screen, MessageBox)
        await press(pilot, "enter")
        await pilot.pause(0.5)
        assert owner_of(folder) == pid
        await press(pilot, "s", "left", "enter")
        assert await wait_for_end(pilot, folder) == "interrupted"

    try:
        drive(a_store(example_answers()), SMALL, script)
        assert list(folder.glob("checkpoints/step-*"))
        os.waitpid(pid, 0)
        assert owner_of(folder) is None
        assert not stop(folder)
    finally:
        if owner_of(folder):
            os.kill(pid, signal.SIGKILL)


def test_a_process_id_that_belongs_to_another_process_is_not_the_runs(tmp_path: Path) -> None:
    folder = a_run(tmp_path / "run", state="running")
    run = json.loads((folder / "run.json").read_text())
    named = {**run, "pid": os.getpid(), "host": os.uname().nodename}
    (folder / "run.json").write_text(json.dumps(named))
    assert owner_of(folder) is None
    assert not stop(folder)


def test_everything_is_reached_by_mouse() -> None:
    store = a_store(example_answers())

    async def script(pilot: Pilot[None]) -> None:
        await pilot.click("#questions", offset=(4, 1))
        await pilot.click(OptionList, offset=(4, 3))
        await settled(pilot)
        assert store.answers.domain == "medical"
        for offset, name in ((12, "cost"), (20, "what-if"), (33, "others"), (3, "why")):
            await pilot.click("#tabs", offset=(offset, 0))
            await pilot.pause()
            assert pilot.app.screen.query_one(f"#{name}").display
        await pilot.click(".keys", offset=(2, 0))
        await pilot.pause()
        assert "this help" in text_of(pilot.app) or "Questions" in text_of(pilot.app)

    drive(store, SMALL, script)


HOSTILE = {
    "markup": "[red]x[/red] [/] [@click=app.quit]y[/] [link=http://a]",
    "escapes": "a\x1b[31mb\x1b]0;owned\x07c\x9b2Jd\r\nrm -rf",
    "right to left": "abc\u202egnp.exe\u2066\u200b\ufeff",
    "long": "x" * 10_000,
    "wide": "漢字🙂" * 200,
}
HIDDEN = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def is_clean(shown: str) -> bool:
    """Tell whether nothing in what is shown could steer a terminal."""
    return not any(unicodedata.category(one) in HIDDEN for one in shown.replace("\n", ""))


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_reach_no_screen_raw_and_crash_nothing(
    name: str, size: tuple[int, int], tmp_path: Path
) -> None:
    hostile = HOSTILE[name]
    texts = {"project": hostile, "language": hostile, "success_metric": hostile}
    store = a_store(read_answers({**example_answers().model_dump(mode="json"), **texts}))
    store.wish = PlanWish(data=f"/tmp/{hostile}")  # noqa: S108 - a name, nothing is written
    folder = a_run(tmp_path / "run", state="failed", base_model=hostile, run_id=hostile[:99])
    run = json.loads((folder / "run.json").read_text())
    error = {"code": "bug", "message": hostile, "hint": hostile}
    (folder / "run.json").write_text(json.dumps({**run, "phase": hostile, "error": error}))
    walks = (
        ("1", "2", "3", "4"),
        ("end", "up", "up", "enter", "escape"),
        ("p", "escape"),
        ("r", "enter", "escape", "escape"),
        ("p", "enter"),
    )

    async def script(pilot: Pilot[None]) -> None:
        for walk in walks:
            for key in walk:
                await press(pilot, key)
                assert is_clean(text_of(pilot.app))
        await settled(pilot)
        assert isinstance(pilot.app.screen, MessageBox)
        assert is_clean(text_of(pilot.app))

    drive(store, size, script)


def test_an_answer_that_was_only_looked_at_stays_as_it_is() -> None:
    hostile = HOSTILE["escapes"]
    store = a_store(read_answers({"project": hostile}))

    async def script(pilot: Pilot[None]) -> None:
        await press(pilot, "end", "up", "up", "enter", "enter")
        assert store.answers.project == hostile

    drive(store, SMALL, script)


def test_every_key_of_a_screen_is_in_the_palette() -> None:
    async def script(pilot: Pilot[None]) -> None:
        app = pilot.app
        assert isinstance(app, AdvisorApp)
        listed = {command.title for command in app.get_system_commands(app.screen)}
        described = {
            one.binding.description
            for one in app.screen.active_bindings.values()
            if one.binding.description
        }
        assert described <= listed
        await press(pilot, "ctrl+p")
        await typed(pilot, "help")
        await pilot.pause(0.5)
        await press(pilot, "enter")
        await settled(pilot)
        assert "this help" in text_of(app) or "Questions" in text_of(app)

    drive(a_store(), SMALL, script)


def test_focus_is_seen_without_colour() -> None:
    async def script(pilot: Pilot[None]) -> None:
        await press(pilot, "p", "tab")
        for field in ("#approach", "#base", "#where"):
            widget = pilot.app.screen.query_one(field)
            assert widget.has_focus
            assert widget.rich_style.reverse or widget.styles.text_style.reverse
            await press(pilot, "tab")
        await press(pilot, "tab")
        assert pilot.app.screen.query_one("#show", Button).has_focus
        assert pilot.app.screen.query_one("#show", Button).styles.text_style.reverse

    drive(a_store(example_answers()), SMALL, script)
