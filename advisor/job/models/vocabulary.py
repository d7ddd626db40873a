"""More tokens for a base: those that shorten the new text the most.

The learning goes on where the base's tokenizer ended: text is cut as the base cuts it, then the
pair of neighbours that occurs most often is joined, again and again; each joining saves one token
wherever the pair stands. The base's own tokens keep their numbers.
"""

import copy
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import torch
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from ..faults import JobError
from ..files import say
from .joining import Joining, Pair, Word

LEARNED_CHARACTERS: Final = 10_000_000
HELD_EVERY: Final = 10
HELD_TEXTS: Final = 1000
AT_ONCE: Final = 1000
SPACE: Final = "▁"
BYTE: Final = "<0x"

Pieces = Mapping[int, tuple[int, ...]]


class Extended(NamedTuple):
    """A tokenizer with new tokens; `pieces` are the base's tokens that each of them stands for."""

    tokenizer: Any
    pieces: Pieces


def extend(tokenizer: Any, texts: Callable[[], Iterable[str]], most: int) -> Extended:  # noqa: ANN401
    """Return the tokenizer with up to `most` new tokens learned from `texts`.

    Raise JobError `model_unusable` where this kind of tokenizer cannot be extended.
    """
    written = json.loads(tokenizer.backend_tokenizer.to_str())
    names = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    if written["model"].get("type") not in INSTALLERS or not all(names):
        raise _unable("the base's tokenizer is of a kind that takes no new tokens")
    learned, held = _parts(texts)
    held = held or learned
    continues = written["model"].get("continuing_subword_prefix") or ""
    allowed = _Allowed(tokenizer, names, continues)
    pairs = Joining(_words(tokenizer, learned), first=len(names), allowed=allowed).pairs(most)
    extended = _installed(tokenizer, written, names, pairs)
    if not _agree(tokenizer, extended, held):
        raise _unable("the base's tokenizer reads text otherwise once tokens are added")
    before, after = (_bytes_per_token(one, held) for one in (tokenizer, extended))
    say(
        f"{len(pairs)} new tokens: {before:.2f} bytes a token before, {after:.2f} after: "
        f"{1 - before / after:.0%} fewer tokens"
    )
    return Extended(extended, _pieces(pairs, first=len(names) - len(pairs)))


def grow(model: Any, size: int, pieces: Pieces) -> None:  # noqa: ANN401
    """Make room for `size` tokens; a new one begins as the mean of those that it stands for."""
    if size > model.get_input_embeddings().weight.shape[0]:
        model.resize_token_embeddings(size, mean_resizing=False)
    outputs = model.get_output_embeddings()
    tables = [
        model.get_input_embeddings().weight,
        getattr(outputs, "weight", None),
        getattr(outputs, "bias", None),
    ]
    with torch.no_grad():
        for table in {id(one): one for one in tables if one is not None}.values():
            for number, parts in pieces.items():
                table[number] = table[list(parts)].float().mean(0).to(table.dtype)


def _parts(texts: Callable[[], Iterable[str]]) -> tuple[list[str], list[str]]:
    """Return texts to learn from, evenly chosen where there are many, and others to measure on."""
    stride = 1 + sum(map(len, texts())) // LEARNED_CHARACTERS
    learned, held = [], []
    for number, text in enumerate(texts()):
        if number % HELD_EVERY == HELD_EVERY - 1:
            held.append(text)
        elif number % stride == 0:
            learned.append(text)
    return learned, held[:HELD_TEXTS]


def _words(tokenizer: Any, texts: list[str]) -> Counter[Word]:  # noqa: ANN401
    """Return how often each word occurs, as the base's tokens."""
    begins = {id_ for token, id_ in tokenizer.get_vocab().items() if token.startswith(SPACE)}
    words: Counter[Word] = Counter()
    for start in range(0, len(texts), AT_ONCE):
        some = texts[start : start + AT_ONCE]
        for encoded in tokenizer.backend_tokenizer.encode_batch(some, add_special_tokens=False):
            numbered = zip(encoded.word_ids, encoded.ids, strict=True)
            for _, group in groupby(numbered, key=lambda one: one[0]):
                words.update(_cut([id_ for _, id_ in group], begins))
    return words


def _cut(word: list[int], begins: set[int]) -> Iterator[Word]:
    """Cut where a space begins the next word; some tokenizers leave that to their merges."""
    start = 0
    for place in range(1, len(word)):
        if word[place] in begins:
            yield tuple(word[start:place])
            start = place
    yield tuple(word[start:])


class _Allowed:
    """Says whether a pair may become a token, and then names it in `names`."""

    def __init__(self, tokenizer: Any, names: list[str], continues: str) -> None:  # noqa: ANN401
        self._names = names
        self._continues = continues
        self._known = set(names)
        self._alone = {*tokenizer.get_added_vocab().values(), tokenizer.unk_token_id}
        self._alone |= {id_ for id_, name in enumerate(names) if name.startswith(BYTE)}

    def __call__(self, pair: Pair) -> bool:
        name = self._names[pair[0]] + self._names[pair[1]].removeprefix(self._continues)
        if self._alone & set(pair) or name in self._known:
            return False
        self._known.add(name)
        self._names.append(name)
        return True


def _pieces(pairs: list[Pair], first: int) -> dict[int, tuple[int, ...]]:
    pieces: dict[int, tuple[int, ...]] = {}
    for number, (left, right) in enumerate(pairs, start=first):
        pieces[number] = (*pieces.get(left, (left,)), *pieces.get(right, (right,)))
    return pieces


def _installed(tokenizer: Any, written: Any, names: list[str], pairs: list[Pair]) -> Any:  # noqa: ANN401
    """Return the tokenizer as it is read from disk once the new tokens are in its model."""
    INSTALLERS[written["model"]["type"]](written["model"], names, pairs)
    extended = copy.deepcopy(tokenizer)
    extended._tokenizer = Tokenizer.from_str(json.dumps(written))  # noqa: SLF001 - has no door
    with TemporaryDirectory() as folder:
        extended.save_pretrained(folder)
        return AutoTokenizer.from_pretrained(folder, trust_remote_code=False)


def _into_bpe(model: dict[str, Any], names: list[str], pairs: list[Pair]) -> None:
    as_text = bool(model["merges"]) and isinstance(model["merges"][0], str)
    for pair in pairs:
        left, right = (names[one] for one in pair)
        model["merges"].append(f"{left} {right}" if as_text else [left, right])
    _into_words(model, names, pairs)


def _into_words(model: dict[str, Any], names: list[str], _: list[Pair]) -> None:
    # Special tokens too: outside the model they would be numbered anew once it grows.
    model["vocab"] = {**dict(zip(names, range(len(names)), strict=True)), **model["vocab"]}


def _into_unigram(model: dict[str, Any], names: list[str], pairs: list[Pair]) -> None:
    """Give a new piece the score of its less likely half: more than both halves have together."""
    scores = [score for _, score in model["vocab"]]
    scores += [0.0] * (len(names) - len(pairs) - len(scores))
    for left, right in pairs:
        scores.append(min(scores[left], scores[right]))
    model["vocab"] = [list(one) for one in zip(names, scores, strict=True)]


INSTALLERS: Final[Mapping[str, Callable[[dict[str, Any], list[str], list[Pair]], None]]] = {
    "BPE": _into_bpe,
    "WordPiece": _into_words,
    "Unigram": _into_unigram,
}


def _agree(base: Any, extended: Any, texts: list[str]) -> bool:  # noqa: ANN401
    """Return whether all old tokens keep their numbers and all texts are read back alike."""
    numbers = extended.get_vocab()
    kept = all(numbers.get(token) == id_ for token, id_ in base.get_vocab().items())
    return kept and all(
        extended.decode(extended(text)["input_ids"]) == base.decode(base(text)["input_ids"])
        for text in texts[:AT_ONCE]
    )


def _bytes_per_token(tokenizer: Any, texts: list[str]) -> float:  # noqa: ANN401
    ids = tokenizer(texts, add_special_tokens=False)["input_ids"]
    return sum(len(text.encode()) for text in texts) / max(1, sum(map(len, ids)))


def _unable(what: str) -> JobError:
    return JobError("model_unusable", what, hint="plan with new_tokens 0, or use another base")
