"""The model card: what the model is, what it was made of, what was measured, how to load it."""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from ..settings import Settings
from .outcome import Outcome
from .verdict import verdict_of

UNKNOWN: Final = "unknown"
LICENCE: Final = re.compile(r"[a-z0-9][a-z0-9.+-]{0,59}")
HUB_NAME: Final = re.compile(r"[\w.-]+/[\w.-]+")
HEAD_LINES: Final = 200
CLASSES: Final = {
    "clm": "AutoModelForCausalLM",
    "mlm": "AutoModelForMaskedLM",
    "seq2seq": "AutoModelForSeq2SeqLM",
    "classification": "AutoModelForSequenceClassification",
    "extraction": "AutoModelForTokenClassification",
}
PIPELINES: Final = {
    "clm": "text-generation",
    "mlm": "fill-mask",
    "seq2seq": "text2text-generation",
    "classification": "text-classification",
    "extraction": "token-classification",
}


def licence_of(base: Path | None) -> str:
    """Return the licence that the base's own card names, else `unknown`."""
    card = base / "README.md" if base else None
    if card is None or not card.is_file():
        return UNKNOWN
    with card.open(encoding="utf-8", errors="replace") as file:
        head = [line.strip() for _, line in zip(range(HEAD_LINES), file, strict=False)]
    if not head or head[0] != "---":
        return UNKNOWN
    end = next((n for n, line in enumerate(head[1:], start=1) if line == "---"), len(head))
    told = [line.partition(":")[2].strip(" \"'") for line in head[:end] if _names_licence(line)]
    return told[0].lower() if told and LICENCE.fullmatch(told[0].lower()) else UNKNOWN


def _names_licence(line: str) -> bool:
    return line.startswith("license:")


def card_of(outcome: Outcome, *, licence: str, adapter: bool) -> str:
    """Return the card of what lies in `adapter/`, else in `model/`."""
    settings = outcome.stage.settings
    return "\n".join(
        [
            *_header(settings, licence=licence, adapter=adapter),
            f"# {_plain(outcome.plan.run_id)}",
            "",
            _plain(verdict_of(outcome)),
            "",
            f"- base: {_plain(settings.base_model or 'none, trained from scratch')}",
            f"- licence of the base: {licence if settings.base_model else 'no base'}",
            f"- approach: {settings.approach} ({settings.method}), objective {settings.objective}",
            "",
            "## Measured",
            "",
            *_measured(outcome),
            "",
            "## Limits",
            "",
            *(f"- {line}" for line in _limits(outcome)),
            "",
            "## How to load it",
            "",
            "```python",
            *_loading(settings, adapter=adapter),
            "```",
            "",
            "## Data",
            "",
            *_table(
                ("file", "role", "records", "SHA-256"),
                ((f.path, f.role, f.records, f.sha256) for f in outcome.stage.files),
            ),
            "",
            "## Settings",
            "",
            *_table(("setting", "value"), _told(settings).items()),
            "",
        ]
    )


def _header(settings: Settings, *, licence: str, adapter: bool) -> list[str]:
    """Return the YAML head, in values that are JSON, which is YAML too."""
    base = settings.base_model or ""
    facts: dict[str, Any] = {
        "library_name": "peft" if adapter and settings.method != "adapter" else "transformers",
        "pipeline_tag": PIPELINES[settings.objective],
        "tags": list(dict.fromkeys((settings.approach, settings.method, settings.objective))),
    }
    if HUB_NAME.fullmatch(base) and not Path(base).exists():
        facts["base_model"] = base
        facts["base_model_relation"] = "adapter" if adapter else "finetune"
    told = (f"{key}: {json.dumps(value)}" for key, value in facts.items())
    return ["---", f"license: {licence}", *told, "---", ""]


def _measured(outcome: Outcome) -> list[str]:
    columns = {
        "tuned": outcome.tuned,
        outcome.base_title: outcome.base,
        "base, shown examples": outcome.prompted,
    }
    known = {title: one.scores() for title, one in columns.items() if one}
    names = {
        name: None
        for scores in known.values()
        for name, value in scores.items()
        if not isinstance(value, Mapping)
    }
    rows = [[name, *(_figure(scores.get(name)) for scores in known.values())] for name in names]
    for role in ("general", "out_of_domain"):
        losses = [one.losses.get(role) for one in columns.values() if one]
        if any(losses):
            row = [_figure(found.loss.value if found else None) for found in losses]
            rows.append([f"loss on {role.replace('_', '-')} text", *row])
    return _table(("score", *known), rows) if rows else ["Nothing was measured."]


def _figure(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4g}"


def _limits(outcome: Outcome) -> list[str]:
    """Return what was not measured."""
    tuned = outcome.tuned
    limits = [
        text
        for missing, text in (
            ("validation", "no data was held out: how it does on new text was not measured"),
            ("general", "what it forgot was not measured"),
            ("out_of_domain", "how it does outside of its data was not measured"),
        )
        if tuned is None or missing not in tuned.losses
    ]
    if not outcome.exam.scores_text and outcome.exam.questions:
        limits.append("its answers were not scored")
    if skipped := sum(outcome.skipped.values()):
        limits.append(f"{skipped} bad records of the data were passed over")
    return [*limits, "safety, bias and fairness were not measured"]


def _loading(settings: Settings, *, adapter: bool) -> list[str]:
    """Return code that loads it, with stock libraries where they know the method."""
    name = CLASSES[settings.objective]
    tokenizer = 'tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")'
    if not adapter:
        return [
            f"from transformers import {name}, AutoTokenizer",
            "",
            tokenizer,
            f'model = {name}.from_pretrained("path/to/this/folder")',
        ]
    if settings.method == "adapter":
        return [
            "# in the run folder: peft has no such adapters",
            "from pathlib import Path",
            "from job.models.loading import load_trained",
            "",
            "tokenizer, model = load_trained(Path())",
        ]
    if settings.objective in ("clm", "seq2seq"):
        name = name.replace("AutoModel", "AutoPeftModel")
        return [
            f"from peft import {name}",
            "from transformers import AutoTokenizer",
            "",
            tokenizer,
            f'model = {name}.from_pretrained("path/to/this/folder")',
        ]
    labels = f", num_labels={len(settings.labels)}" if settings.labels else ""
    return [
        "from peft import PeftModel",
        f"from transformers import {name}, AutoTokenizer",
        "",
        tokenizer,
        f"base = {name}.from_pretrained({json.dumps(settings.base_model)}{labels})",
        'model = PeftModel.from_pretrained(base, "path/to/this/folder")',
    ]


def _told(settings: Settings) -> dict[str, Any]:
    return {key: value for key, value in settings.to_dict().items() if value not in (None, [])}


def _table(head: Iterable[object], rows: Iterable[Iterable[object]]) -> list[str]:
    lines = [[_cell(one) for one in row] for row in (head, *rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return [f"| {' | '.join(line)} |" for line in lines]


def _cell(value: object) -> str:
    return _plain(str(value)).replace("|", "\\|")


def _plain(text: str) -> str:
    """Return foreign text as one line that Markdown shows as it is."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return re.sub(r"([\\`*_\[\]<>])", r"\\\1", line)
