"""What can go wrong in a job: one line each, with the name and exit code that scripts rely on."""

import errno
import re
import unicodedata
from dataclasses import dataclass
from typing import Final

EXIT_OF: Final = {
    "usage": 2,
    "plan_stale": 4,
    "run_unusable": 4,
    "hardware_elsewhere": 4,
    "data_unusable": 5,
    "model_unusable": 6,
    "run_in_use": 7,
    "diverged": 8,
    "out_of_memory": 9,
    "disk": 10,
    "bug": 70,
}
LINE_CHARACTERS: Final = 200
SHOWN_CHARACTERS: Final = 80
SHORTEST_PLACE: Final = 40
LONGEST_PATH: Final = 4096
MOST_FAULTS: Final = 20
MEMORY_SIGNS: Final = (
    *("can't allocate memory", "cannot allocate memory", "not enough memory", "out of memory"),
    *("bad_alloc", "alloc_failed", "unable to allocate", "failed to allocate"),
    *("failed to map segment", "can't start new thread", "resource temporarily unavailable"),
)
DISK_SIGNS: Final = ("inline_container", "unexpected pos", "PytorchStreamWriter")
# Libraries written in Rust put the system's error number into their message only.
RUST_ERROR: Final = re.compile(r"\(os error (\d+)\)")
DISK_ERRORS: Final = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}
)


def shown(foreign: object, most: int = SHOWN_CHARACTERS) -> str:
    """Return foreign text fit for a terminal line: no control characters, at most `most` long."""
    text = str(foreign)[: most + 1]
    safe = "".join(
        character if _printable(character) else ascii(character)[1:-1] for character in text
    )
    return safe if len(safe) <= most else safe[: most - 1] + "…"


def _printable(character: str) -> bool:
    return unicodedata.category(character) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One thing that is wrong in a file: where, why, what to do."""

    path: str
    reason: str
    hint: str
    line: int | None = None

    @property
    def where(self) -> str:
        """Return `path` or `path:line`."""
        return self.path if self.line is None else f"{self.path}:{self.line}"


class JobError(Exception):
    """An end of the job that the user can act on.

    `name` is one of `EXIT_OF`; `exit_code` follows from it unless given.
    """

    def __init__(
        self, name: str, what: str, *, where: str = "", hint: str, exit_code: int | None = None
    ) -> None:
        super().__init__(what)
        self.name = name
        self.what = what
        self.where = where
        self.hint = hint
        self.exit_code = EXIT_OF[name] if exit_code is None else exit_code

    def lines(self) -> list[str]:
        """Return `job: error[NAME]: what – where – what to do`, a line for each fault."""
        return [_line(self.name, self.what, self.where, self.hint)]


class DataError(JobError):
    """Data that cannot be used; `faults` names 20 places at most, `more` counts the others."""

    def __init__(self, faults: list[Fault]) -> None:
        first = faults[0]
        super().__init__("data_unusable", first.reason, where=first.where, hint=first.hint)
        self.faults = tuple(faults[:MOST_FAULTS])
        self.more = len(faults) - len(self.faults)

    def lines(self) -> list[str]:
        """Return one line for each fault, and one that counts those that are not named."""
        told = [_line(self.name, fault.reason, fault.where, fault.hint) for fault in self.faults]
        rest = [f"job: error[{self.name}]: and {self.more} more were found"] if self.more else []
        return told + rest


class Stopped(Exception):  # noqa: N818 - a wish of the user, no error
    """The run was stopped by a signal; `exit_code` is 128 plus its number."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by signal {number}")
        self.exit_code = 128 + number


def _line(name: str, what: str, where: str, hint: str) -> str:
    """Return the parts as one line; the least telling of them give way where it grows too long."""
    start, hint = f"job: error[{name}]: ", shown(hint)
    room = LINE_CHARACTERS - len(start) - len(hint) - 6
    where = shown(where, LONGEST_PATH)
    most = max(SHORTEST_PLACE, room - len(what))
    if len(where) > most:
        where = "…" + where[1 - most :]  # the end of a path tells more than its beginning
    what = shown(what, room - len(where))
    return start + " – ".join(part for part in (what, where, hint) if part)


def explained(error: BaseException, *, smaller: str, free: str) -> JobError | None:
    """Return what `error` means to the user, or None where it is a bug.

    `smaller` is what to do when memory is short; `free` tells how much disk is left.
    """
    if isinstance(error, JobError):
        return error
    if is_memory(error):
        return JobError("out_of_memory", "out of memory", where=_first_line(error), hint=smaller)
    if _is_disk(error):
        what = f"disk or input/output: {_first_line(error)}"
        full = _number(error) not in {errno.EROFS, errno.EACCES, errno.EPERM}
        todo = "make room" if full else "make the folder writable"
        return JobError("disk", what, where=free, hint=f"{todo}, then: python -m job --resume")
    return None


def _first_line(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return (text.strip().splitlines() or [type(error).__name__])[0]


def is_memory(error: BaseException) -> bool:
    """Return whether memory was short, of the machine or of a GPU."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if _number(error) == errno.ENOMEM:
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError | ImportError) and any(
        sign in text for sign in MEMORY_SIGNS
    )


def _is_disk(error: BaseException) -> bool:
    return _number(error) in DISK_ERRORS or any(sign in str(error) for sign in DISK_SIGNS)


def _number(error: BaseException) -> int | None:
    """Return the system's error number, as far as `error` tells it."""
    if isinstance(error, OSError):
        return error.errno
    told = RUST_ERROR.search(str(error))
    return int(told[1]) if told else None
