"""From answers to a finished run: plan it, launch it, go on with it."""

import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from advisor.answers import Answers
from advisor.catalog import load_catalog
from advisor.errors import AdvisorError, ErrorName, Fault
from advisor.machine import Machine, detect_machine
from advisor.planning import LeadChoices, Plan, Workshop, make_plan, require_base
from advisor.recommendation import Recommendation, recommend
from advisor.runs.folder import create_run_folder, read_document, read_plan
from advisor.runs.history import remember
from advisor.runs.supervise import JobProcess, require_done
from advisor.tables import RuleBook, RuleSet
from advisor.units import show_gb

Watch = Callable[[JobProcess], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """A plan that nothing has been written of yet, with the recommendation behind it."""

    plan: Plan
    recommendation: Recommendation
    machine: Machine


def propose(
    answers: Answers | Mapping[str, object],
    data: Sequence[Path | str],
    *,
    choices: LeadChoices | None = None,
    rule_set: RuleSet = "all",
    rules: RuleBook | None = None,
) -> Proposal:
    """Return the plan for these answers and this data; nothing is written."""
    catalog, machine, book = load_catalog(), detect_machine(), rules or RuleBook()
    recommendation = recommend(answers, machine, rule_set=rule_set, catalog=catalog, rules=book)
    plan = make_plan(
        recommendation,
        [Path(one) for one in data],
        choices=choices or LeadChoices(),
        workshop=Workshop(catalog=catalog, machine=machine, rules=book),
        run_id=_run_id(recommendation.answers.project),
    )
    return Proposal(plan=plan, recommendation=recommendation, machine=machine)


def plan(
    answers: Answers | Mapping[str, object],
    data: Sequence[Path | str],
    *,
    folder: Path | None = None,
    choices: LeadChoices | None = None,
) -> Path:
    """Write the run folder for these answers and this data, and return it; nothing is started."""
    return write(propose(answers, data, choices=choices), folder)


def write(proposal: Proposal, folder: Path | None = None) -> Path:
    """Write the run folder of a proposal, `runs/<run id>` where none is named."""
    target = folder or Path("runs") / proposal.plan.run_id
    create_run_folder(target, proposal.plan, proposal.recommendation)
    remember(target)
    return target


def launch(
    folder: Path, *, resume: bool = False, detached: bool = False, watch: Watch | None = None
) -> dict[str, Any]:
    """Run the job of a run folder to its end and return its result.json.

    `watch` is called with the running job and returns once it has ended. A detached job is only
    started: what comes back is then its process id.

    Raises:
        AdvisorError: with the exit code of the job, where it did not finish.
    """
    require_startable(read_plan(folder), detect_machine())
    remember(folder)
    job = JobProcess(folder, resume=resume, detached=detached)
    if detached:
        return {"pid": job.pid}
    (watch or _wait)(job)
    require_done(folder, job.wait(), log_start=job.log_start)
    return read_document(folder / "result.json") or {}


def require_startable(planned: Plan, machine: Machine) -> None:
    """Raise where the plan's hardware, memory or base model is not here."""
    if not planned.is_local and not _is_here(planned, machine):
        fault = Fault(
            field="gpu",
            expected=f"{planned.gpus} × {planned.gpu}",
            found=", ".join(gpu.name for gpu in machine.gpus) or "no GPU in this machine",
            hint="rehearse with --base-model rehearsal, answer --gpu local, or move the folder",
        )
        raise AdvisorError(ErrorName.HARDWARE_ELSEWHERE, "the plan is for other hardware", [fault])
    require_base(planned.base_model)
    memory = planned.predictions.memory_gb_per_gpu
    if not planned.fits and memory is not None:
        fault = Fault(
            expected=f"{show_gb(memory.mid)} of memory",
            found="less",
            hint="a smaller --micro-batch, --seq-len or base model needs less",
        )
        raise AdvisorError(ErrorName.WILL_NOT_FIT, "the run will not fit in memory", [fault])


def _is_here(planned: Plan, machine: Machine) -> bool:
    return sum(gpu.catalog_id == planned.gpu for gpu in machine.gpus) >= planned.gpus


def _wait(job: JobProcess) -> None:
    job.wait()


def _run_id(project: str | None) -> str:
    """Return a name that is safe as a folder's, tells the project and comes but once."""
    slug = re.sub(r"[^a-z0-9]+", "-", (project or "run").lower()).strip("-")[:40] or "run"
    moment = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{slug}-{moment}-{secrets.token_hex(2)}"
