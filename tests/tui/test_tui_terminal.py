import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

COLOUR = re.compile(
    rb"\x1b\[[0-9;]*?(?<![0-9])(3[0-7]|4[0-7]|9[0-7]|10[0-7]|38|48)(?![0-9])[0-9;]*m"
)


@contextmanager
def terminal(**changes: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Start the bare command in a terminal of 80 × 24."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", **changes}
    child = subprocess.Popen(
        [sys.executable, "-m", "advisor"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield child, ours
    finally:
        child.kill()
        child.wait()
        os.close(ours)


def read_until(end: int, wanted: bytes, seconds: float = 30.0) -> bytes:
    """Read until something comes, or the program or the time ends."""
    seen, until = b"", time.monotonic() + seconds
    while wanted not in seen and time.monotonic() < until:
        if select.select([end], [], [], 0.2)[0]:
            try:
                seen += os.read(end, 65536)
            except OSError:
                break
    return seen


@pytest.mark.slow
def test_on_a_terminal_the_bare_command_opens_the_screen_and_q_leaves_with_0() -> None:
    with terminal(NO_COLOR="") as (child, end):
        seen = read_until(end, b"Decides most")
        assert b"Decides most" in seen
        assert COLOUR.search(seen)
        os.write(end, b"q")
        left = read_until(end, b"\x1b[?1049l")
        assert b"\x1b[?1049l" in left
        assert child.wait(timeout=20) == 0


@pytest.mark.slow
def test_with_no_color_no_colour_reaches_the_terminal() -> None:
    with terminal(NO_COLOR="1") as (child, end):
        seen = read_until(end, b"Decides most")
        assert b"Decides most" in seen
        os.write(end, b"p")
        seen += read_until(end, b"Plan a run")
        assert b"Plan a run" in seen
        assert not COLOUR.search(seen)
        child.terminate()


@pytest.mark.slow
def test_a_terminal_that_cannot_draw_gets_the_help_and_2() -> None:
    with terminal(TERM="dumb") as (child, end):
        seen = read_until(end, b"143 stopped")
        assert b"Usage: advisor" in seen
        assert child.wait(timeout=20) == 2
