"""Every error a user can meet, with its name and exit code."""

from collections.abc import Iterable
from enum import IntEnum, StrEnum
from typing import NamedTuple


class Exit(IntEnum):
    """The process exit codes; stable, scripts rely on them."""

    DONE = 0
    BATCH_LINES_FAILED = 1
    USAGE = 2
    INFEASIBLE = 3
    REFUSED = 4
    DATA = 5
    MODEL = 6
    RUN_IN_USE = 7
    DIVERGED = 8
    OUT_OF_MEMORY = 9
    DISK = 10
    BUG = 70
    HANGUP = 129
    INTERRUPTED = 130
    TERMINATED = 143


class ErrorName(StrEnum):
    """The stable name of each kind of error, as `error.code` in JSON."""

    USAGE = "usage"
    DOCUMENT_INVALID = "document_invalid"
    ANSWERS_INVALID = "answers_invalid"
    REQUEST_INVALID = "request_invalid"
    RULES_INVALID = "rules_invalid"
    PROFILES_INVALID = "profiles_invalid"
    NAME_UNKNOWN = "name_unknown"
    FILE_UNREADABLE = "file_unreadable"
    INFEASIBLE = "infeasible"
    NOT_CONFIRMED = "not_confirmed"
    PLAN_STALE = "plan_stale"
    NOTHING_TO_TRAIN = "nothing_to_train"
    OBJECTIVE_UNSUPPORTED = "objective_unsupported"
    HARDWARE_ELSEWHERE = "hardware_elsewhere"
    WILL_NOT_FIT = "will_not_fit"
    FOLDER_IN_USE = "folder_in_use"
    RUN_UNUSABLE = "run_unusable"
    DATA_UNUSABLE = "data_unusable"
    MODEL_UNUSABLE = "model_unusable"
    RUN_IN_USE = "run_in_use"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out_of_memory"
    DISK = "disk"
    STOPPED = "stopped"
    BUG = "bug"


EXIT_OF: dict[ErrorName, Exit] = {
    ErrorName.USAGE: Exit.USAGE,
    ErrorName.DOCUMENT_INVALID: Exit.USAGE,
    ErrorName.ANSWERS_INVALID: Exit.USAGE,
    ErrorName.REQUEST_INVALID: Exit.USAGE,
    ErrorName.RULES_INVALID: Exit.USAGE,
    ErrorName.PROFILES_INVALID: Exit.USAGE,
    ErrorName.NAME_UNKNOWN: Exit.USAGE,
    ErrorName.FILE_UNREADABLE: Exit.USAGE,
    ErrorName.INFEASIBLE: Exit.INFEASIBLE,
    ErrorName.NOT_CONFIRMED: Exit.REFUSED,
    ErrorName.PLAN_STALE: Exit.REFUSED,
    ErrorName.NOTHING_TO_TRAIN: Exit.REFUSED,
    ErrorName.OBJECTIVE_UNSUPPORTED: Exit.REFUSED,
    ErrorName.HARDWARE_ELSEWHERE: Exit.REFUSED,
    ErrorName.WILL_NOT_FIT: Exit.REFUSED,
    ErrorName.FOLDER_IN_USE: Exit.REFUSED,
    ErrorName.RUN_UNUSABLE: Exit.REFUSED,
    ErrorName.DATA_UNUSABLE: Exit.DATA,
    ErrorName.MODEL_UNUSABLE: Exit.MODEL,
    ErrorName.RUN_IN_USE: Exit.RUN_IN_USE,
    ErrorName.DIVERGED: Exit.DIVERGED,
    ErrorName.OUT_OF_MEMORY: Exit.OUT_OF_MEMORY,
    ErrorName.DISK: Exit.DISK,
    ErrorName.STOPPED: Exit.INTERRUPTED,
    ErrorName.BUG: Exit.BUG,
}


class Fault(NamedTuple):
    """One thing that is wrong: where, what was expected, what was found, what to do."""

    path: str | None = None
    line: int | None = None
    field: str | None = None
    expected: str | None = None
    found: str | None = None
    hint: str | None = None

    @property
    def where(self) -> str:
        """Return `file:line field`, as far as known."""
        place = f"{self.path}:{self.line}" if self.path and self.line else self.path or ""
        return " ".join(part for part in (place, self.field) if part)


class AdvisorError(Exception):
    """An error that the user can act on; shown as one line a fault, never as a traceback."""

    def __init__(
        self,
        name: ErrorName,
        message: str,
        faults: Iterable[Fault] = (),
        *,
        exit_code: Exit | None = None,
    ) -> None:
        super().__init__(message)
        self.name = name
        self.message = message
        self.faults = tuple(faults)
        self.exit_code = EXIT_OF[name] if exit_code is None else exit_code

    def told(self) -> list[list[str]]:
        """Return, for each fault, the parts of its line: what, where, what to do."""
        return [self._told(fault) for fault in self.faults or (Fault(),)]

    def _told(self, fault: Fault) -> list[str]:
        what = self.message
        if fault.expected and fault.found:
            what += f": expected {fault.expected}, found {fault.found}"
        elif fault.found or fault.expected:
            what += f": {fault.found or f'expected {fault.expected}'}"
        return [part for part in (what, fault.where, fault.hint) if part]

    def as_document(self) -> dict[str, object]:
        """Return the `{"error": …}` document that `advisor schema error` describes."""
        return {
            "error": {
                "code": self.name.value,
                "exit": int(self.exit_code),
                "message": self.message,
                "faults": [fault._asdict() for fault in self.faults],
            }
        }
