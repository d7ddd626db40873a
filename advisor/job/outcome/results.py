"""What a finished run leaves: the model or adapter with its card, and result.json."""

from pathlib import Path
from typing import Any, Final

from ..checkpoints import published
from ..files import write_json
from ..measuring.evaluation import Question, perplexity
from ..plan import Plan
from ..settings import Settings
from ..training.loop import Loop, Task, save_model
from ..training.profiling import phase_table
from ..training.progress import Progress

SCHEMA: Final = "advisor.result/1"
PREDICTED: Final = ("wall_hours", "memory_gb_per_gpu", "tokens_per_second_per_gpu", "cost_usd")


def export(loop: Loop, plan: Plan, verdict: str) -> None:
    """Write `adapter/` or `model/`: safetensors, tokenizer and card; whole or not at all."""
    task, settings = loop.task, plan.last.settings
    model = loop.accelerator.unwrap_model(loop.model)
    model.config.use_cache = True  # the stock loop turned it off
    with published(task.folder / ("adapter" if settings.adds else "model")) as target:
        save_model(model, target)
        task.tokenizer.save_pretrained(str(target))
        (target / "README.md").write_text(_card(plan, verdict, _licence(model)), encoding="utf-8")


def write_profile(loop: Loop) -> None:
    """Write profile/phases.json: the seconds of each phase of the training."""
    progress = loop.progress
    folder = loop.task.folder / "profile"
    folder.mkdir(exist_ok=True)
    table = phase_table(progress.phases, total=progress.seconds)
    write_json(folder / "phases.json", {"steps": progress.step, "seconds": table})


def write_result(
    task: Task,
    plan: Plan,
    progress: Progress,
    *,
    questions: list[Question],
    tuned: list[str],
    devices: int,
) -> None:
    """Write result.json, with what was predicted beside what was measured."""
    base: list[str | None] = [*progress.base_answers]
    base += [None] * (len(questions) - len(base))
    document = {
        "schema": SCHEMA,
        "run_id": plan.run_id,
        "status": "done",
        "steps": progress.step,
        "tokens": progress.all.tokens,
        "train_loss": {
            "first": progress.first_loss,
            "last": progress.last_loss,
            "mean": progress.all.loss / progress.all.steps,
        },
        "validation": _validation(progress),
        "predicted": {key: plan.predictions.get(key) for key in PREDICTED},
        "measured": _measured(task, plan, progress, devices),
        "devices": devices,
        "device": task.hardware.device,
        "samples": [
            {"prompt": q.prompt, "reference": q.reference, "base": before, "tuned": after}
            for q, before, after in zip(questions, base, tuned, strict=True)
        ],
        "verdict": verdict_of(progress),
    }
    write_json(task.folder / "result.json", document)


def verdict_of(progress: Progress) -> str:
    """Return one sentence on what the training did, in measured figures."""
    name, before, after = "validation loss", progress.validation_before, progress.validation
    if before is None or after is None:
        name, before, after = "training loss", progress.first_loss, progress.last_loss
    if before is None or after is None:
        return "nothing was measured"
    tail = "" if name == "validation loss" else "; no data was held out to validate on"
    if f"{before:.2f}" == f"{after:.2f}":
        return f"{name} stayed at {after:.2f}{tail}"
    moved = "fell" if after < before else "rose"
    return f"{name} {moved} from {before:.2f} to {after:.2f}{tail}"


def _validation(progress: Progress) -> dict[str, float | None]:
    return {
        "loss": progress.validation,
        "perplexity": perplexity(progress.validation),
        "loss_before": progress.validation_before,
        "perplexity_before": perplexity(progress.validation_before),
    }


def _measured(task: Task, plan: Plan, progress: Progress, devices: int) -> dict[str, float | None]:
    hours = task.state.spent / 3600
    price = plan.predictions.get("price_per_gpu_hour_usd")
    return {
        "wall_hours": hours,
        "memory_gb_per_gpu": progress.memory_gb,
        "tokens_per_second_per_gpu": progress.tokens_per_second / devices,
        "cost_usd": None if price is None else hours * price * devices,
    }


def _licence(model: Any) -> str:  # noqa: ANN401
    """Return the licence that the base's own card names, else `unknown`."""
    card = Path(model.config.name_or_path or ".") / "README.md"
    if not model.config.name_or_path or not card.is_file():
        return "unknown"
    with card.open(encoding="utf-8", errors="replace") as file:
        head = [line.strip() for _, line in zip(range(40), file, strict=False)]
    found = [line.partition(":")[2].strip() for line in head if line.startswith("license:")]
    return found[0] if found and found[0].isprintable() and len(found[0]) <= 60 else "unknown"  # noqa: PLR2004


def _card(plan: Plan, verdict: str, licence: str) -> str:
    settings = plan.last.settings
    rows = "\n".join(f"| {key} | {value} |" for key, value in _told(settings).items())
    data = "\n".join(f"| {f.path} | {f.records} | {f.sha256} |" for f in plan.last.files)
    return f"""---
license: {licence}
---
# {plan.run_id}

Method: {settings.approach} ({settings.method}). Base: {settings.base_model or "none"}.
Licence of the base: {licence}. {verdict[0].upper()}{verdict[1:]}.

| setting | value |
| --- | --- |
{rows}

| data | records | SHA-256 |
| --- | --- | --- |
{data}
"""


def _told(settings: Settings) -> dict[str, Any]:
    return {key: value for key, value in settings.to_dict().items() if value is not None}
