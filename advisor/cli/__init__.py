"""The command line: a thin door to the same functions that the library offers."""

import sys
import warnings
from typing import NoReturn

from advisor.cli.failures import exit_code_of, tell_warning
from advisor.cli.group import advisor


def main() -> NoReturn:
    """Run the command line and exit with a documented code."""
    arguments = sys.argv[1:]
    warnings.showwarning = tell_warning
    try:
        code = advisor.main(arguments, prog_name="advisor", standalone_mode=False)
    except BaseException as error:  # noqa: BLE001 - the one place where every error ends
        code = exit_code_of(error, arguments)
    sys.exit(code if isinstance(code, int) else 0)
