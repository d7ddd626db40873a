"""Starts the command line: `advisor`, or `python -m advisor`."""

import gc
import os

# Loading makes many objects and next to no garbage: looking for it would cost a tenth of a start.
gc.set_threshold(200_000, 20, 20)
# pydantic would look through every installed package for plugins: slow, and none is wanted here.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from advisor.cli import main  # noqa: E402 - after the settings that it loads under

if __name__ == "__main__":
    main()
