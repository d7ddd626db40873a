"""Where the shipped tables lie, and where this user's own state goes."""

import os
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent


def shipped(name: str) -> Path:
    """Return the folder `name` (rules, profiles) of the wheel or of the source tree.

    The wheel holds it inside the package; an editable install has it beside the package.
    """
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


def state_folder() -> Path:
    """Return the folder for this user's history and measurements; it may not exist yet."""
    chosen = os.environ.get("ADVISOR_STATE_DIR")
    if chosen:
        return Path(chosen)
    system = sys.platform
    if system == "linux":
        # The same folder, without the 14 ms that importing platformdirs takes at each start.
        home = os.environ.get("XDG_STATE_HOME", "").strip() or Path.home() / ".local" / "state"
        return Path(home) / "advisor"
    import platformdirs  # noqa: PLC0415 - most commands need no state

    return Path(platformdirs.user_state_dir("advisor", appauthor=False))
