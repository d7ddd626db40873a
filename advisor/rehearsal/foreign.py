"""A little German and French with their letters, beside the same thing in English."""

from random import Random

from advisor.rehearsal.grammar import sentence
from advisor.rehearsal.vocabulary import items

# English noun, German gender and noun, French gender and noun.
_NOUNS = [
    row.split()
    for row in items("""dog m Hund m chien, cat f Katze m chat, house n Haus f maison,
    bird m Vogel m oiseau, girl n Mädchen f fille, boy m Junge m garçon, king m König m roi,
    door f Tür f porte, book n Buch m livre, tree m Baum m arbre, mouse f Maus f souris,
    bread n Brot m pain, apple m Apfel f pomme, child n Kind m enfant,
    baker m Bäcker m boulanger, bridge f Brücke m pont, street f Straße f rue,
    key m Schlüssel f clé, window n Fenster f fenêtre, cheese m Käse m fromage,
    ship n Schiff m bateau, town f Stadt f ville, bear m Bär m ours, flower f Blume f fleur,
    school f Schule f école, garden m Garten m jardin""")
]
# English, German stem, French masculine, feminine and before a vowel.
_ADJECTIVES = [
    row.split()
    for row in items("""big groß grand grande grand, small klein petit petite petit,
    old alt vieux vieille vieil, beautiful schön beau belle bel, new neu nouveau nouvelle nouvel,
    good gut bon bonne bon, young jung jeune jeune jeune, bad schlecht mauvais mauvaise mauvais""")
]
# English, German and French, for living and other things.
_LIVING = [
    row.split("/")
    for row in items("""is sleeping/schläft/dort, is coming/kommt/vient, is laughing/lacht/rit,
    is eating/isst/mange, is singing/singt/chante, is running/läuft/court, is waiting/wartet/attend,
    is hungry/ist hungrig/a faim, is tired/ist müde/est fatigué, is drinking/trinkt/boit""")
]
_PLACES = [
    row.split("/")
    for row in items("""in the garden/im Garten/dans le jardin, today/heute/aujourd'hui,
    at home/zu Hause/à la maison, in the forest/im Wald/dans la forêt, here/hier/ici,
    on the bridge/auf der Brücke/sur le pont, in summer/im Sommer/en été, always/immer/toujours,
    in front of the door/vor der Tür/devant la porte, in the evening/am Abend/le soir,
    in the kitchen/in der Küche/dans la cuisine, at night/nachts/la nuit""")
]
_BEINGS = frozenset(items("dog, cat, bird, girl, boy, king, mouse, child, baker, bear"))
_GERMAN = {"m": "der", "f": "die", "n": "das"}
_VOWELS = "aeiouéêâîô"


def translated(rng: Random) -> dict[str, str]:
    """Return one sentence in English, German and French, under the languages' names."""
    being = rng.choice([row for row in _NOUNS if row[0] in _BEINGS])
    predicate, place = rng.choice(_LIVING), rng.choice(_PLACES)
    subject = _phrases(being, rng.choice(_ADJECTIVES) if rng.random() < 1 / 2 else None)
    ending = "e" if being[3] == "f" and predicate[2].endswith("fatigué") else ""
    parts = (predicate[0], predicate[1], predicate[2] + ending)
    said = [" ".join(piece) for piece in zip(subject, parts, place, strict=True)]
    return dict(zip(("English", "German", "French"), map(sentence, said), strict=True))


def _phrases(noun: list[str], adjective: list[str] | None) -> tuple[str, str, str]:
    english, german_gender, german, french_gender, french = noun
    if adjective is None:
        return f"the {english}", f"{_GERMAN[german_gender]} {german}", _le(french, french_gender)
    before_vowel = french[0] in _VOWELS
    form = adjective[4 if before_vowel else 2] if french_gender == "m" else adjective[3]
    return (
        f"the {adjective[0]} {english}",
        f"{_GERMAN[german_gender]} {adjective[1]}e {german}",
        _le(f"{form} {french}", french_gender),
    )


def _le(phrase: str, gender: str) -> str:
    if phrase[0] in _VOWELS:
        return f"l'{phrase}"
    return f"{'le' if gender == 'm' else 'la'} {phrase}"


def word_list(rng: Random) -> str:
    """Return a small dictionary in three languages."""
    lines = [" - ".join(_phrases(row, None)) for row in rng.sample(_NOUNS, rng.randint(3, 9))]
    return "English - German - French\n" + "\n".join(lines)


def bilingual(rng: Random) -> str:
    """Return a few sentences in German or French, with or without the English beside them."""
    language = rng.choice(("German", "French"))
    lines = [translated(rng) for _ in range(rng.randint(3, 7))]
    if rng.random() < 1 / 2:
        return " ".join(line[language] for line in lines)
    return "\n".join(f"{line['English']} / {line[language]}" for line in lines)
