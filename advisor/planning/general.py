"""General text of the kind that the embedded base was pretrained on, to see what it forgets."""

import hashlib
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

from advisor.job.records import FileFacts

MEGABYTES = 0.1
# Another seed than that of the text that the base was pretrained on.
SEED = 1


class GeneralText(NamedTuple):
    """The text as JSON Lines; always the same."""

    content: bytes

    def facts(self, path: str) -> FileFacts:
        """Return its facts as a file of that name."""
        return FileFacts(
            path=path,
            bytes=len(self.content),
            records=self.content.count(b"\n"),
            sha256=hashlib.sha256(self.content).hexdigest(),
        )


@cache
def general_text() -> GeneralText:
    """Return the text."""
    from advisor.rehearsal.corpus import write_corpus  # noqa: PLC0415 - only a rehearsal needs it

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "general.jsonl"
        write_corpus(path, megabytes=MEGABYTES, seed=SEED)
        return GeneralText(path.read_bytes())
