"""Makes the help pages of an invented backup service, as they changed, and questions on them."""

import sys
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from random import Random

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from generators import arguments, json_lines, write  # noqa: E402

RECORDS = 500
FIRST_DAY, LAST_DAY = date(2023, 1, 1), date(2025, 12, 31)
NOT_YET = "The help pages do not say: no entry was valid on that day."

PLANS = ("Basic", "Home", "Studio", "Team", "Campus")


@dataclass(frozen=True, kw_only=True, slots=True)
class Topic:
    """Something that every plan has, how it is asked for, and the values that it takes."""

    key: str
    statement: str
    questions: tuple[str, ...]
    values: tuple[int, ...]


TOPICS = (
    Topic(
        key="price", statement="the {plan} plan costs EUR {value} a month",
        questions=("How much is the {plan} plan?", "What does {plan} cost a month?"),
        values=tuple(range(4, 60)),
    ),
    Topic(
        key="storage", statement="the {plan} plan has {value} GB of storage",
        questions=("How much storage has {plan}?", "How many GB can I store with {plan}?"),
        values=tuple(range(50, 2050, 50)),
    ),
    Topic(
        key="devices", statement="the {plan} plan covers {value} devices",
        questions=("How many devices does {plan} cover?", "On how many devices can I use {plan}?"),
        values=tuple(range(2, 40)),
    ),
    Topic(
        key="trial", statement="the {plan} plan can be tried for {value} days",
        questions=("How long is the trial of {plan}?", "For how many days can I try {plan}?"),
        values=(7, 10, 14, 21, 30, 45, 60),
    ),
    Topic(
        key="refund", statement="the {plan} plan can be returned within {value} days",
        questions=("Until when can I return {plan}?", "How many days do I have to return {plan}?"),
        values=(7, 14, 15, 20, 28, 30, 40, 60),
    ),
    Topic(
        key="history", statement="the {plan} plan keeps deleted files for {value} days",
        questions=("How long does {plan} keep deleted files?",
                   "After how many days are deleted files gone in {plan}?"),
        values=tuple(range(10, 370, 10)),
    ),
    Topic(
        key="upload", statement="the {plan} plan takes files of up to {value} GB",
        questions=("How big may a file be in {plan}?", "What is the largest file for {plan}?"),
        values=(1, 2, 4, 5, 8, 10, 16, 20, 32, 50, 64, 100),
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """One statement of the help pages and the day from which it holds."""

    source: str
    version: int
    since: date
    statement: str

    @property
    def sentence(self) -> str:
        """Return the statement with its source and date, as an answer should cite it."""
        said = self.statement[0].upper() + self.statement[1:]
        return f"{said} [{self.source} v{self.version}, valid from {self.since}]."


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """All versions of one fact, oldest first."""

    plan: str
    topic: Topic
    versions: tuple[Fact, ...]

    def on(self, day: date) -> Fact | None:
        """Return the version that held on that day."""
        place = bisect_right([fact.since for fact in self.versions], day)
        return self.versions[place - 1] if place else None


def entries(seed: int) -> list[Entry]:
    """Return the help pages: an entry for each plan and topic, two to four versions each."""
    rng = Random(f"help pages {seed}")
    return [_entry(rng, plan, topic) for plan in PLANS for topic in TOPICS]


def knowledge(seed: int) -> str:
    """Return the help pages as text: a line for each version."""
    lines = ["Help pages of Kelvado Backup. An entry holds until a newer version of it begins.", ""]
    for entry in entries(seed):
        lines += [fact.sentence for fact in entry.versions] + [""]
    return "\n".join(lines)


def rows(records: int, seed: int) -> Iterator[dict[str, str]]:
    """Yield that many different questions, each with the day it was asked and its answer."""
    rng = Random(seed)
    pages = entries(seed)
    seen: set[str] = set()
    while len(seen) < records:
        row = _row(rng, rng.choice(pages))
        if row["prompt"] not in seen:
            seen.add(row["prompt"])
            yield row


def data(records: int, seed: int) -> str:
    """Return the questions and answers as JSON Lines."""
    return json_lines(rows(records, seed))


def _entry(rng: Random, plan: str, topic: Topic) -> Entry:
    count = rng.randint(2, 4)
    values = rng.sample(topic.values, count)
    days = sorted(rng.sample(range(30, (LAST_DAY - FIRST_DAY).days - 60), count))
    versions = tuple(
        Fact(
            source=f"{plan.lower()}-{topic.key}",
            version=number,
            since=FIRST_DAY + timedelta(days=day),
            statement=topic.statement.format(plan=plan, value=value),
        )
        for number, (day, value) in enumerate(zip(days, values, strict=True), 1)
    )
    return Entry(plan=plan, topic=topic, versions=versions)


def _row(rng: Random, entry: Entry) -> dict[str, str]:
    day = FIRST_DAY + timedelta(days=rng.randint(0, (LAST_DAY - FIRST_DAY).days))
    question = rng.choice(entry.topic.questions).format(plan=entry.plan)
    fact = entry.on(day)
    return {
        "prompt": f"Asked on {day}: {question}",
        "completion": fact.sentence if fact else NOT_YET,
    }


if __name__ == "__main__":
    chosen = arguments(HERE / "data.jsonl", records=RECORDS)
    write(chosen.output, data(chosen.records, chosen.seed))
    write(chosen.output.with_name("knowledge.txt"), knowledge(chosen.seed))
