"""What the make_data.py scripts share: their command line and how they write."""

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path


def arguments(default: Path, *, records: int) -> argparse.Namespace:
    """Return `records`, `seed` and `output` from the command line."""
    parser = argparse.ArgumentParser(description="Make the example's data.")
    parser.add_argument("--records", type=int, default=records, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same data (%(default)s)")
    parser.add_argument("-o", "--output", type=Path, default=default, metavar="FILE")
    return parser.parse_args()


def json_lines(rows: Iterable[Mapping[str, object]]) -> str:
    """Return the rows as JSON Lines."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def write(path: Path, text: str) -> None:
    """Write the text as UTF-8, the same bytes on every system, and say where it went."""
    path.write_bytes(text.encode())
    print(f"{path}: {len(text.encode()):,} bytes")
