"""What is wrong with the data: collected while it is read, told all at once."""

from collections import Counter
from typing import Final

from ..faults import MOST_FAULTS, DataError, Fault, shown
from .opening import FileFault
from .rows import RowFault

# So many are counted, and the first 20 of them told, before reading on is given up.
MOST_COUNTED: Final = 50 * MOST_FAULTS


class Findings:
    """Collects faults; with `skip_bad` a bad row is no fault but counted in `skipped`.

    `skipped` tells how many rows of each file are passed over, `first_skipped` where and why first.
    """

    def __init__(self, *, skip_bad: bool = False) -> None:
        self.faults: list[Fault] = []
        self.skipped: Counter[str] = Counter()
        self.first_skipped: dict[str, Fault] = {}
        self._skip_bad = skip_bad

    def bad_row(self, path: str, line: int, found: RowFault) -> None:
        """Note a row that cannot be used."""
        fault = Fault(path=path, line=line, reason=found.reason, hint=found.hint)
        if self._skip_bad:
            self.skipped[path] += 1
            self.first_skipped.setdefault(path, fault)
        else:
            self.note(fault)

    def told_skipped(self) -> str:
        """Return one line on the rows that were passed over."""
        first = next(iter(self.first_skipped.values()))
        total, files = self.skipped.total(), len(self.skipped)
        where = f"{files} files" if files > 1 else "one file"
        return shown(
            f"{total} bad rows skipped in {where}; the first is {first.where}: {first.reason}", 500
        )

    def bad_file(self, path: str, fault: FileFault) -> None:
        """Note a file that cannot be read, or not any further; it is never skipped."""
        self.note(Fault(path=path, line=fault.line, reason=fault.reason, hint=fault.hint))

    def note(self, fault: Fault) -> None:
        """Note a fault; raise DataError once there are more than anybody would read."""
        self.faults.append(fault)
        if len(self.faults) >= MOST_COUNTED:
            raise DataError(self.faults)

    def tell(self) -> None:
        """Raise DataError with all faults, if there are any."""
        if self.faults:
            raise DataError(self.faults)
