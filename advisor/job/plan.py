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
    """An input as the plan knows it."""

    path: str
    bytes: int
    records: int
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What the job reads of plan.json; `predictions` go into result.json unchanged."""

    run_id: str
    settings: Settings
    files: tuple[DataFile, ...]
    predictions: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the plan in `folder`; raise JobError `run_unusable` or `usage`."""
        path = folder / "plan.json"
        try:
            raw = json.loads(path.read_bytes())
            if raw["schema"] != PLAN_SCHEMA:
                raise _unusable(f"a plan of schema {shown(raw['schema'])}, not {PLAN_SCHEMA}")
            settings = Settings.from_dict(raw["settings"])
            files = tuple(
                DataFile(
                    path=str(entry["path"]),
                    bytes=entry["bytes"],
                    records=entry["records"],
                    sha256=entry["sha256"],
                )
                for entry in raw["data"]["files"]
            )
            return cls(
                run_id=str(raw["run_id"]),
                settings=settings,
                files=files,
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
    def data_sha256(self) -> str:
        """Return one hash over the contents of all inputs, in order."""
        return sha256_of([file.sha256 for file in self.files])


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
