"""Asks the base and the tuned model of a finished run: `python -m job.trying` in its folder.

A JSON object comes on stdin: `prompt`, and `max_tokens` and `temperature` (0: greedily). One goes
to stdout: what each of both answers, or `error`. A head tells labels with their probabilities, a
masked model what it would put into each gap.
"""

import json
import logging
import os
import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from .bounds import HEADS
from .faults import JobError, explained, shown
from .plan import Plan
from .settings import Settings
from .signals import die_with_parent

SCHEMA: Final = "advisor.try/1"
MAX_TOKENS: Final = 256
MOST_GUESSES: Final = 5
LANGUAGE: Final = ("pretrain", "continued_pretrain")
Answer = dict[str, Any]


def main() -> int:
    """Answer what stands on stdin; return the exit code."""
    die_with_parent()
    try:
        document = tried(Path.cwd(), json.load(sys.stdin))
        code = 0
    except Exception as error:  # noqa: BLE001 - whoever started this reads JSON
        known = explained(error, smaller="ask a smaller model", free="") or _bug(error)
        document = {"error": {"code": known.name, "message": known.what, "where": known.where}}
        document["error"]["hint"] = known.hint
        code = known.exit_code
    json.dump(document, sys.stdout, allow_nan=False)
    return code


def _bug(error: Exception) -> JobError:
    return JobError("bug", f"{type(error).__name__}: {shown(error)}", hint="please report it")


def tried(folder: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what base and tuned model of the run in `folder` answer; None where there is none."""
    plan = Plan.read(folder)
    _quiet(plan.last.settings)
    from .models.comparing import untrained  # noqa: PLC0415 - after the environment
    from .models.hardware import hardware_for  # noqa: PLC0415
    from .models.loading import base_beside, load_base, load_tokenizer, load_trained  # noqa: PLC0415

    settings = replace(plan.last.settings, device="auto")
    as_text = settings.approach in LANGUAGE or _learned_text(folder)
    asked = {"max_tokens": MAX_TOKENS, "temperature": 0.0, **request, "as_text": as_text}
    hardware = hardware_for(settings)
    compares = settings.base_model and settings.objective not in HEADS
    source = base_beside(folder, settings) if compares or not settings.trains else None
    base: Answer | None = None
    tuned: Answer | None = None
    if not settings.trains:
        model = load_base(source, settings, hardware).model.to(hardware.device).eval()
        base = _answer(load_tokenizer(source, settings.objective), model, settings, asked)
    else:
        tokenizer, model = load_trained(folder)
        tuned = _answer(tokenizer, model, settings, asked)
        if compares:
            with untrained(settings, tokenizer, model, base=source, hardware=hardware) as (
                own,
                plain,
            ):
                base = _answer(own, plain, settings, asked)
    return {
        "schema": SCHEMA,
        "run_id": plan.run_id,
        "objective": settings.objective,
        "base_model": settings.base_model,
        "prompt": asked["prompt"],
        "base": base,
        "tuned": tuned,
    }


def _quiet(settings: Settings) -> None:
    """Keep the libraries offline and off the output."""
    if os.environ.get("ADVISOR_ALLOW_DOWNLOAD") != "1":
        os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    os.environ |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if settings.threads:
        os.environ["OMP_NUM_THREADS"] = str(settings.threads)
    import transformers  # noqa: PLC0415 - it reads the environment when it is imported

    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def _learned_text(folder: Path) -> bool:
    """Return whether the run learned plain text, which a prompt is the beginning of."""
    return bool(json.loads((folder / "plan.json").read_bytes())["data"].get("form") == "text")


def _answer(tokenizer: Any, model: Any, settings: Settings, asked: Mapping[str, Any]) -> Answer:  # noqa: ANN401
    if settings.objective in HEADS:
        return _labelled(tokenizer, model, settings, asked["prompt"])
    if settings.objective == "mlm":
        return _filled(tokenizer, model, asked["prompt"])
    return _spoken(tokenizer, model, settings, asked)


def _spoken(tokenizer: Any, model: Any, settings: Settings, asked: Mapping[str, Any]) -> Answer:  # noqa: ANN401
    import torch  # noqa: PLC0415 - after the environment

    from .measuring.questions import Question, Writer  # noqa: PLC0415
    from .measuring.speaking import Speaker  # noqa: PLC0415

    prompt = asked["prompt"]
    turns = None if asked["as_text"] else ({"role": "user", "content": prompt},)
    context = getattr(model.config, "max_position_embeddings", None) or settings.seq_len
    new = max(1, min(asked["max_tokens"], context // 2))
    torch.manual_seed(settings.seed)
    speaker = Speaker(
        model=model,
        tokenizer=tokenizer,
        new=new,
        seq_len=context,
        at_once=context,
        temperature=asked["temperature"],
    )
    writer = Writer(tokenizer, settings.objective == "seq2seq")
    (answer,) = speaker.answers([writer.tokens(Question(prompt, "", turns))])
    return {"text": answer}


def _labelled(tokenizer: Any, model: Any, settings: Settings, prompt: str) -> Answer:  # noqa: ANN401
    """Return each label of the text with its probability, or the likeliest tag of each word."""
    import torch  # noqa: PLC0415 - after the environment

    from .batches.collating import Collator  # noqa: PLC0415
    from .batches.objectives import objective_of  # noqa: PLC0415
    from .batches.packing import Layout  # noqa: PLC0415
    from .batches.rendering import IGNORED  # noqa: PLC0415
    from .reading.findings import Findings  # noqa: PLC0415
    from .records import Record  # noqa: PLC0415

    names, words = settings.labels, prompt.split()
    if settings.objective == "classification":
        record = Record("prompt", 1, "label", text=prompt, label=names[0])
    else:
        record = Record("prompt", 1, "tags", tokens=tuple(words), tags=(names[0],) * len(words))
    rows: list[Any] = []
    objective = objective_of(settings, tokenizer, packing=False)
    layout = Layout(lambda *row: rows.append(row), seq_len=settings.seq_len, page=objective.page)
    objective.place([record], layout, Findings())
    layout.finish()
    blocks = [objective.block(*row, lambda: None) for row in rows]
    batch = Collator(settings.objective, tokenizer.pad_token_id)(blocks)
    labels = batch.pop("labels")
    batch.pop("tokens")
    with torch.no_grad():
        logits = model(**{name: part.to(model.device) for name, part in batch.items()}).logits
    shares = logits.float().softmax(-1).cpu()
    if settings.objective == "classification":
        return {"labels": _best(shares[0], names)}
    tagged = shares[0, -labels.shape[1] :][labels[0] != IGNORED]
    return {
        "tags": [
            {"word": word, "tag": found["label"], "probability": found["probability"]}
            for word, row in zip(words, tagged, strict=False)
            for found in _best(row, names)[:1]
        ]
    }


def _best(row: Any, names: tuple[str, ...]) -> list[dict[str, Any]]:  # noqa: ANN401
    """Return the labels with their probabilities, the likeliest first."""
    told = [
        {"label": name, "probability": round(share, 6)}
        for name, share in zip(names, row.tolist(), strict=True)
    ]
    return sorted(told, key=lambda one: -one["probability"])


def _filled(tokenizer: Any, model: Any, prompt: str) -> Answer:  # noqa: ANN401
    """Return the likeliest tokens for each gap of a text."""
    import torch  # noqa: PLC0415 - after the environment

    ids = tokenizer(prompt, return_tensors="pt").to(model.device)
    gaps = ids["input_ids"][0] == tokenizer.mask_token_id
    if not gaps.any():
        hint = f"write {tokenizer.mask_token} where a word is to be guessed"
        raise JobError("usage", "the prompt has no gap to fill", hint=hint)
    with torch.no_grad():
        logits = model(**ids).logits
    best = logits[0, -len(gaps) :][gaps].float().softmax(-1).topk(MOST_GUESSES)
    return {
        "gaps": [
            [
                {"token": tokenizer.decode([token]).strip(), "probability": round(share, 6)}
                for token, share in zip(tokens, shares, strict=True)
            ]
            for tokens, shares in zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ]
    }


if __name__ == "__main__":
    sys.exit(main())
