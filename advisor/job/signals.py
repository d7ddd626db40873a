"""Stop requests: a signal sets a flag, the job acts on it at a safe point."""

import ctypes
import os
import signal
import sys
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING

from .faults import Stopped
from .files import say

if TYPE_CHECKING:
    from collections.abc import Callable

AGAIN_WITHIN_SECONDS = 1.0
PR_SET_PDEATHSIG = 1


class Stop:
    """Holds the number of the signal that asked to stop, or 0."""

    def __init__(self) -> None:
        self.number = 0
        self._at = 0.0
        self.at_once: Callable[[], None] = lambda: None

    def listen(self) -> None:
        """Take over INT, TERM and HUP; an ignored HUP (nohup) stays ignored."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._note)

    def check(self) -> None:
        """Raise Stopped if asked to; call where nothing would be lost."""
        if self.number:
            raise Stopped(self.number)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        now = monotonic()
        if number == self.number == signal.SIGINT and now - self._at < AGAIN_WITHIN_SECONDS:
            self.at_once()
            os._exit(128 + number)
        self.number, self._at = number, now
        say(f"{signal.Signals(number).name}: stopping as soon as nothing is lost by it")


def die_with_parent() -> None:
    """End with the process that JOB_PARENT names, so that a killed launcher leaves no job behind.

    Where the system cannot tell (it is Linux that can), the job goes on alone.
    """
    parent = os.environ.get("JOB_PARENT")
    if not parent or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        os._exit(128 + signal.SIGKILL)
