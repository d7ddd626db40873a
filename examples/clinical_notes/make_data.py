"""Makes terse clinical notes of invented patients and the summary that belongs to each."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from generators import arguments, json_lines, write  # noqa: E402

RECORDS = 280
SYSTEM = "Summarise the note."

# Short form in the note, long form in the summary.
SIDES = {"R": "right", "L": "left"}
HOW_OFTEN = {
    "od": "once a day", "bd": "twice a day", "tds": "three times a day", "qds": "four times a day",
    "nocte": "at night", "prn": "when needed",
}  # fmt: skip
UNITS = {"d": "day", "wk": "week", "mo": "month"}
HISTORY = {
    "HTN": "hypertension", "T2DM": "type 2 diabetes", "COPD": "chronic lung disease",
    "AF": "atrial fibrillation", "CKD": "chronic kidney disease", "OA": "osteoarthritis",
    "nil": "none", "IHD": "ischaemic heart disease", "GERD": "reflux disease",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """A disease with what brings the patient, what is found and what is given."""

    name: str
    complaints: tuple[str, ...]
    findings: tuple[str, ...]
    drugs: tuple[tuple[str, str, str], ...]
    units: str = "d"
    fever: bool = False


CONDITIONS = (
    Condition(
        name="pneumonia", fever=True, complaints=("cough and fever", "cough with brown sputum"),
        findings=("crackles {side} base", "dull {side} base"),
        drugs=(("amoxicillin", "500 mg", "tds"), ("doxycycline", "100 mg", "bd")),
    ),
    Condition(
        name="cystitis", complaints=("burning on passing urine", "frequent urination"),
        findings=("lower abdomen tender", "dipstick positive for nitrites"),
        drugs=(("nitrofurantoin", "100 mg", "bd"), ("trimethoprim", "200 mg", "bd")),
    ),
    Condition(
        name="migraine", complaints=("throbbing headache {side} side", "headache with nausea"),
        findings=("no neck stiffness", "dislikes light"),
        drugs=(("sumatriptan", "50 mg", "prn"), ("ibuprofen", "400 mg", "tds")),
    ),
    Condition(
        name="ankle sprain", complaints=("{side} ankle pain after a fall",),
        findings=("swelling {side} ankle", "can bear weight on {side} foot"),
        drugs=(("paracetamol", "1 g", "qds"), ("ibuprofen", "400 mg", "tds")),
    ),
    Condition(
        name="otitis media", fever=True, complaints=("{side} ear pain", "{side} ear pain, fever"),
        findings=("red {side} eardrum", "bulging {side} eardrum"),
        drugs=(("amoxicillin", "500 mg", "tds"), ("paracetamol", "1 g", "qds")),
    ),
    Condition(
        name="eczema", units="wk", complaints=("itchy rash {side} elbow", "dry itchy hands"),
        findings=("scaly red patches", "cracked skin, no pus"),
        drugs=(("hydrocortisone cream", "1 %", "bd"), ("cetirizine", "10 mg", "od")),
    ),
    Condition(
        name="reflux", units="wk", complaints=("heartburn after meals", "acid taste at night"),
        findings=("abdomen soft", "mild epigastric tenderness"),
        drugs=(("omeprazole", "20 mg", "od"), ("famotidine", "20 mg", "bd")),
    ),
    Condition(
        name="gout", complaints=("painful {side} big toe", "hot swollen {side} knee"),
        findings=("red warm joint on {side}", "joint too tender to move"),
        drugs=(("colchicine", "500 micrograms", "bd"), ("naproxen", "500 mg", "bd")),
    ),
    Condition(
        name="asthma", units="wk", complaints=("wheeze at night", "short of breath on stairs"),
        findings=("wheeze on both sides", "long expiration"),
        drugs=(("salbutamol", "200 micrograms", "prn"), ("budesonide", "200 micrograms", "bd")),
    ),
    Condition(
        name="insomnia", units="mo", complaints=("poor sleep", "wakes at 3 am"),
        findings=("mood stable", "looks tired"),
        drugs=(("melatonin", "2 mg", "nocte"),),
    ),
    Condition(
        name="shoulder strain", units="wk", complaints=("{side} shoulder pain",),
        findings=("painful arc {side} shoulder", "weak lift {side} arm"),
        drugs=(("naproxen", "500 mg", "bd"), ("paracetamol", "1 g", "qds")),
    ),
    Condition(
        name="iron deficiency", units="mo", complaints=("always tired", "pale and breathless"),
        findings=("pale conjunctivae", "Hb 98 g/L"),
        drugs=(("ferrous sulfate", "200 mg", "od"),),
    ),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Visit:
    """One invented visit."""

    age: int
    sex: str
    complaint: str
    lasting: tuple[int, str]
    history: str
    finding: str
    temperature: float
    pulse: int
    condition: str
    drug: tuple[str, str, str]
    back: tuple[int, str]


def rows(records: int, seed: int) -> Iterator[dict[str, object]]:
    """Yield that many different dialogues of system, user (note) and assistant (summary)."""
    rng = Random(seed)
    seen: set[str] = set()
    while len(seen) < records:
        visit = _visit(rng)
        note = _note(rng, visit)
        if note not in seen:
            seen.add(note)
            yield {"messages": _messages(note, _summary(visit))}


def data(records: int, seed: int) -> str:
    """Return the data as JSON Lines."""
    return json_lines(rows(records, seed))


def _messages(note: str, summary: str) -> list[dict[str, str]]:
    texts = {"system": SYSTEM, "user": note, "assistant": summary}
    return [{"role": role, "content": text} for role, text in texts.items()]


def _visit(rng: Random) -> Visit:
    condition = rng.choice(CONDITIONS)
    side = rng.choice(list(SIDES))
    return Visit(
        age=rng.randint(18, 89),
        sex=rng.choice("MF"),
        complaint=rng.choice(condition.complaints).replace("{side}", side),
        lasting=(rng.randint(2, 6), condition.units),
        history=rng.choice(list(HISTORY)),
        finding=rng.choice(condition.findings).replace("{side}", side),
        temperature=rng.randint(378, 394) / 10 if condition.fever else rng.randint(362, 371) / 10,
        pulse=rng.randint(58, 104),
        condition=condition.name,
        drug=rng.choice(condition.drugs),
        back=(rng.randint(1, 6), rng.choice(list(UNITS))),
    )


def _note(rng: Random, visit: Visit) -> str:
    length, unit = visit.lasting
    who = rng.choice((f"{visit.age}{visit.sex}", f"{visit.age} yo {visit.sex}"))
    start = rng.choice((f"{who}, c/o", f"{who}. PC:", f"{who} with"))
    signs = [f"T {visit.temperature}", f"HR {visit.pulse}"]
    rng.shuffle(signs)
    back = f"{rng.choice(('F/U', 'Review', 'RTC'))} {visit.back[0]}{visit.back[1]}."
    parts = [
        f"{start} {visit.complaint} x{length}{unit}.",
        f"{rng.choice(('Hx', 'PMH'))}: {visit.history}.",
        f"O/E: {', '.join(signs)}, {visit.finding}.",
        f"{rng.choice(('Imp', 'Dx'))}: {visit.condition}.",
        f"{rng.choice(('Rx', 'Plan:', 'Start'))} {' '.join(visit.drug)}. {back}",
    ]
    return " ".join(parts)


def _summary(visit: Visit) -> str:
    name, dose, often = visit.drug
    lines = {
        "Patient": f"{'man' if visit.sex == 'M' else 'woman'}, {visit.age} years",
        "Problem": f"{_long_side(visit.complaint)} for {_span(visit.lasting)}",
        "History": HISTORY[visit.history],
        "Finding": f"{_long_side(visit.finding)}; temperature {visit.temperature}, "
        f"pulse {visit.pulse}",
        "Assessment": visit.condition,
        "Treatment": f"{name} {dose} {HOW_OFTEN[often]}",
        "Follow-up": f"in {_span(visit.back)}",
    }
    return "\n".join(f"{key}: {value}" for key, value in lines.items())


def _long_side(text: str) -> str:
    return " ".join(SIDES.get(word, word) for word in text.split())


def _span(span: tuple[int, str]) -> str:
    count, unit = span
    return f"{count} {UNITS[unit]}{'' if count == 1 else 's'}"


if __name__ == "__main__":
    chosen = arguments(HERE / "data.jsonl", records=RECORDS)
    write(chosen.output, data(chosen.records, chosen.seed))
