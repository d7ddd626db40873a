"""Starts the command line: `advisor`, or `python -m advisor`."""

import os

# pydantic would look through every installed package for plugins: slow, and none is wanted here.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

from advisor.cli import main

if __name__ == "__main__":
    main()
