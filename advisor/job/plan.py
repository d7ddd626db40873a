"""Reads plan.json: the settings of the job, its data, and what was predicted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from .faults import JobError, shown
from .files import sha256_of
from .settings import Settings, SettingsError

PLAN_SCHEMA: Final = "advisor.plan/1"


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFile:
    """An input as the plan knows it.

    `role` is `train`, or `validation`, `general` (replay and forgetting), `out_of_domain`.
    """

    path: str
    bytes: int
    records: int
    sha256: str
    role: str = "train"


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """One training of a run: its settings and its inputs."""

    settings: Settings
    files: tuple[DataFile, ...]

    @property
    def data_sha256(self) -> str:
        """Return one hash over the contents of all inputs, in order."""
        return sha256_of([[file.role, file.sha256] for file in self.files])

    def paths(self, role: str) -> tuple[Path, ...]:
        """Return the inputs of a role."""
        return tuple(Path(file.path) for file in self.files if file.role == role)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What the job reads of plan.json; `predictions` go into result.json unchanged.

    `earlier` are the stages before `last`, in order; each starts from the model of the one before.
    """

    run_id: str
    last: Stage
    earlier: tuple[Stage, ...]
    predictions: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the plan in `folder`; raise JobError `run_unusable` or `usage`."""
        path = folder / "plan.json"
        try:
            raw = json.loads(path.read_bytes())
            if raw["schema"] != PLAN_SCHEMA:
                raise _unusable(f"a plan of schema {shown(raw['schema'])}, not {PLAN_SCHEMA}")
            return cls(
                run_id=str(raw["run_id"]),
                last=_stage(raw),
                earlier=tuple(_stage(one) for one in raw.get("earlier") or ()),
                predictions=dict(raw.get("predictions") or {}),
            )
        except SettingsError as error:
            where = "; ".join(f"{f.field}: expected {f.expected}" for f in error.faults)
            raise PlanError(error, where) from None
        except FileNotFoundError:
            raise _unusable("no plan.json here") from None
        except (ValueError, KeyError, TypeError) as error:
            raise _unusable(f"plan.json is damaged: {type(error).__name__} {error}") from None

    @property
    def stages(self) -> tuple[Stage, ...]:
        """Return all stages in order."""
        return (*self.earlier, self.last)


def _stage(raw: Mapping[str, Any]) -> Stage:
    return Stage(
        settings=Settings.from_dict(raw["settings"]),
        files=tuple(
            DataFile(
                path=str(entry["path"]),
                bytes=entry["bytes"],
                records=entry["records"],
                sha256=entry["sha256"],
                role=str(entry.get("role", "train")),
            )
            for entry in raw["data"]["files"]
        ),
    )


class PlanError(JobError):
    """Settings in the plan that cannot be used; one line for each."""

    def __init__(self, error: SettingsError, where: str) -> None:
        super().__init__("usage", f"plan.json: {where}", hint="make the plan anew")
        self.faults = error.faults

    def lines(self) -> list[str]:
        """Return one line for each wrong setting."""
        return [
            f"job: error[usage]: {shown(f.field)} is {shown(f.found)} – plan.json – "
            f"expected {shown(f.expected)}"
            for f in self.faults
        ]


def _unusable(what: str) -> JobError:
    return JobError("run_unusable", what, where="plan.json", hint="start in a run folder")
