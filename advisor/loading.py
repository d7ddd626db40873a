"""Files and documents that people write: read strictly, every fault with its place."""

import json
from pathlib import Path

from advisor.errors import AdvisorError, ErrorName, Fault

LONGEST_FILE = 1_000_000
DEEPEST = 50


def load_document(text: str, *, origin: str) -> object:
    """Return JSON or YAML text as plain data; empty text is `{}`.

    Raises:
        AdvisorError: `document_invalid` where it is too long, neither JSON nor YAML, or where a
            key comes twice (JSON) or an alias is used (YAML).
    """
    if len(text) > LONGEST_FILE:
        fault = Fault(path=origin, expected="at most 1 MB", found=f"{len(text):,} characters")
        raise AdvisorError(ErrorName.DOCUMENT_INVALID, "the text is too long", [fault])
    if text.lstrip().startswith("{"):
        return _load_json(text, origin)
    return _load_yaml(text, origin)


def read_text(path: Path) -> str:
    """Return the text of a file, or raise `file_unreadable` naming it and the reason."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        fault = Fault(path=str(path), expected="a readable text file", found=reason)
        raise AdvisorError(ErrorName.FILE_UNREADABLE, "the file cannot be read", [fault]) from None


def _load_json(text: str, origin: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        reason = getattr(error, "msg", None) or str(error)
    fault = Fault(path=origin, line=line, expected="JSON", found=reason)
    raise AdvisorError(ErrorName.DOCUMENT_INVALID, "this is not JSON", [fault])


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name}, which is no JSON number")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"the key {twice[0]} twice")
    return found


def _load_yaml(text: str, origin: str) -> object:
    import yaml  # noqa: PLC0415 - JSON answers and batches need none

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        depth = 0
        for event in yaml.parse(text, Loader=loader):
            # What is nested too deep must end here: the loader's C stack would end the program.
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > DEEPEST:
                found = "an alias (*name)" if depth <= DEEPEST else f"more than {DEEPEST} levels"
                raise _not_yaml(origin, _line_of(event.start_mark), found)
        found = yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        line = _line_of(getattr(error, "problem_mark", None))
        reason = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise _not_yaml(origin, line, reason) from None
    return {} if found is None else found


def _line_of(mark: object) -> int | None:
    line = getattr(mark, "line", None)
    return None if line is None else line + 1


def _not_yaml(origin: str, line: int | None, reason: str) -> AdvisorError:
    fault = Fault(path=origin, line=line, expected="YAML without aliases", found=reason)
    return AdvisorError(ErrorName.DOCUMENT_INVALID, "this is not YAML", [fault])
