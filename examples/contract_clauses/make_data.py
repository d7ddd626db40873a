"""Makes contract clauses and, for each, what a reader should find in it."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from generators import arguments, json_lines, write  # noqa: E402

RECORDS = 320
INSTRUCTION = "Extract kind, party, amount, currency and notice_days as JSON."

ROLE_PAIRS = (
    ("Supplier", "Customer"), ("Landlord", "Tenant"), ("Licensor", "Licensee"),
    ("Contractor", "Principal"), ("Lender", "Borrower"), ("Carrier", "Shipper"),
)  # fmt: skip
HEADS = (
    "Vel", "Quen", "Tor", "Bral", "Mor", "Zan", "Ost", "Lup", "Kess", "Dra", "Fim", "Hal", "Jor",
    "Nerv", "Pal", "Ry", "Sarn", "Ulm", "Wex",
)  # fmt: skip
MIDDLES = (
    "a", "i", "o", "u", "e", "ane", "ori", "ulo", "eta", "imo",
)  # fmt: skip
TAILS = (
    "dane", "lix", "mora", "vik", "tess", "bron", "quist", "nard", "pell", "rund", "zor", "fell",
)  # fmt: skip
FORMS = ("Ltd", "GmbH", "AG", "LLC", "SARL", "BV", "Inc")
CURRENCIES = ("EUR", "USD", "CHF", "GBP")
DAY_WORDS = {
    7: "seven", 10: "ten", 14: "fourteen", 15: "fifteen", 21: "twenty-one", 28: "twenty-eight",
    30: "thirty", 42: "forty-two", 45: "forty-five", 56: "fifty-six", 60: "sixty", 90: "ninety",
    120: "one hundred and twenty", 180: "one hundred and eighty",
}  # fmt: skip
DAYS_A_WEEK = 7
GOODS = ("goods", "services", "software", "machines", "premises", "reports", "spare parts")

# {who}: the party that is asked for, {other}: the other one, {money}, {notice}, {due}, {goods}
CLAUSES = {
    "termination": (
        "{who} may terminate this agreement at any time by giving {notice} written notice.",
        "This contract runs for {years} years. Then {who} may end it with {notice} notice.",
        "If {other} is in material breach, {who} may terminate upon {notice} notice in writing.",
        "Notice of termination by {who} must reach {other} {notice} before the end of a quarter.",
    ),
    "payment": (
        "{who} shall pay {other} {money} for the {goods} within {due} days of the invoice.",
        "For the {goods}, {who} owes {money} per month, payable in advance.",
        "The price of the {goods} is {money}. {who} shall pay it to {other} on delivery.",
        "{other} invoices {money} each quarter, which {who} settles within {due} days.",
    ),
    "liability_cap": (
        "The total liability of {who} under this agreement is limited to {money}.",
        "In no event is {who} liable to {other} for more than {money} in any year.",
        "Except for intent, claims of {other} against {who} are capped at {money}.",
    ),
    "penalty": (
        "If the {goods} are late, {who} shall pay {other} {money} for each day of delay.",
        "For every breach of secrecy {who} owes {other} a contractual penalty of {money}.",
        "Should {who} miss a deadline, {other} may claim {money} per week as a penalty.",
    ),
    "price_change": (
        "{who} may raise the price of the {goods} once a year, subject to {notice} notice.",
        "{who} may set a monthly rate of {money} if {other} receives {notice} notice.",
        "On {notice} notice to {other}, {who} may set a new price of {money} for the {goods}.",
    ),
    "deposit": (
        "{who} shall lodge a deposit of {money} with {other}, which is returned after {due} days.",
        "Before the {goods} are handed over, {who} pays a deposit of {money}.",
        "A security of {money} is provided by {who} and held by {other} for {years} years.",
    ),
}
ADDITIONS = (
    "This does not limit other rights of {other}.", "Changes must be made in writing.",
    "The place of performance is the seat of {other}.", "Section {section} remains unaffected.",
    "Statutory rights stay in force.", "", "", "",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What one clause is about."""

    names: tuple[str, str]
    roles: tuple[str, str]
    amount: int
    currency: str
    notice_days: int


def rows(records: int, seed: int) -> Iterator[dict[str, str]]:
    """Yield that many different pairs of prompt and completion."""
    rng = Random(seed)
    seen: set[str] = set()
    while len(seen) < records:
        row = _row(rng)
        if row["prompt"] not in seen:
            seen.add(row["prompt"])
            yield row


def data(records: int, seed: int) -> str:
    """Return the data as JSON Lines."""
    return json_lines(rows(records, seed))


def _row(rng: Random) -> dict[str, str]:
    kind = rng.choice(list(CLAUSES))
    template = rng.choice(CLAUSES[kind])
    terms = _terms(rng)
    has_money, has_notice = "{money}" in template, "{notice}" in template
    found = {
        "kind": kind,
        "party": terms.names[0],
        "amount": terms.amount if has_money else None,
        "currency": terms.currency if has_money else None,
        "notice_days": terms.notice_days if has_notice else None,
    }
    return {
        "prompt": f"{_clause(rng, template, terms)}\n\n{INSTRUCTION}",
        "completion": json.dumps(found, separators=(",", ":")),
    }


def _terms(rng: Random) -> Terms:
    roles = list(rng.choice(ROLE_PAIRS))
    rng.shuffle(roles)
    return Terms(
        names=(_company(rng), _company(rng)),
        roles=(roles[0], roles[1]),
        amount=rng.choice((1, 5, 25)) * rng.randint(4, 90) * 10 ** rng.randint(1, 3),
        currency=rng.choice(CURRENCIES),
        notice_days=rng.choice(list(DAY_WORDS)),
    )


def _company(rng: Random) -> str:
    return rng.choice(HEADS) + rng.choice(MIDDLES) + rng.choice(TAILS) + " " + rng.choice(FORMS)


def _clause(rng: Random, template: str, terms: Terms) -> str:
    by_role = rng.random() < 1 / 2
    callers = tuple(f"the {role}" for role in terms.roles) if by_role else terms.names
    text = f"{template} {rng.choice(ADDITIONS)}".strip().format(
        who=callers[0],
        other=callers[1],
        money=_money(rng, terms),
        notice=_notice(rng, terms.notice_days),
        due=rng.choice((8, 12, 20, 25)),
        years=rng.randint(2, 9),
        goods=rng.choice(GOODS),
        section=rng.randint(2, 19),
    )
    text = ". ".join(part[0].upper() + part[1:] for part in text.split(". "))
    return f"{_parties(rng, terms)} {text}" if by_role else text


def _parties(rng: Random, terms: Terms) -> str:
    parties = [f"{name} ({role})" for name, role in zip(terms.names, terms.roles, strict=True)]
    rng.shuffle(parties)
    return f"Between {parties[0]} and {parties[1]}:"


def _money(rng: Random, terms: Terms) -> str:
    amount = f"{terms.amount:,}"
    return rng.choice((f"{terms.currency} {amount}", f"{amount} {terms.currency}"))


def _notice(rng: Random, days: int) -> str:
    ways = [f"{days} days", f"{DAY_WORDS[days]} ({days}) days"]
    if days % DAYS_A_WEEK == 0 and days > DAYS_A_WEEK:
        ways.append(f"{days // DAYS_A_WEEK} weeks")
    return rng.choice(ways)


if __name__ == "__main__":
    chosen = arguments(HERE / "data.jsonl", records=RECORDS)
    write(chosen.output, data(chosen.records, chosen.seed))
