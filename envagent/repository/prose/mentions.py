"""What a sentence mentions: amounts, counts, GPUs, systems and special hardware, each at its place.

Owns: which words a number belongs to. Must not: judge whether what is mentioned is needed; see `features` and `model`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from envagent.catalog import gpus
from envagent.repository.prose.lexicon import Found, concepts_of, find, numbers, words_of
from envagent.repository.prose.readings import GPU, Reading
from envagent.repository.prose.tokens import Token, tokens, value

_UNITS = {
    **dict.fromkeys(("gb", "gib", "gbs", "g", "go", "gigabytes", "gigabyte", "gigs", "gig", "гб"), 1.0),
    **dict.fromkeys(("tb", "tib", "t", "to", "terabytes", "terabyte", "tbs", "тб"), 1000.0),
    **dict.fromkeys(("mb", "mib", "mo", "megabytes", "megabyte", "мб"), 1 / 1024),
}
_ONLY_JOINED = frozenset(("g", "t", "go", "to", "mo"))
_WORDS = numbers()
_SIZES = ("vram", "ram", "disk")
_PLAIN = words_of("plain_memory")
# NVIDIA's name stands on network cards too.
_NVIDIA_TOO = frozenset(f"special.{tag}" for tag in ("mellanox", "dpu", "smartnic", "rdma", "infiniband", "dpdk"))
_HOST = frozenset(("ram", "dram"))
_WITH = frozenset(("with", "each", "having", "which", "at", "minimum", "memory", "or", "≥", ">="))
_OF_A = frozenset(("on", "in", "of", "the", "a", "your", "each", "per", "single", "的"))
_COUNTED = {"core": "cores", "thread": "cores", "gpu": "gpus", "gpu_model": "gpus", "machine": "nodes"}
_OTHERS = frozenset(("core", "thread", "machine", "ram", "vram", "disk"))
_X = frozenset("x×*")
_TIMES = frozenset("x×*张块片枚个颗")
_SIGNS = frozenset((":", "=", ">=", "≥", ">", "(", "x", "×", "*"))
_NO_ADJECTIVES = frozenset(
    ("of", "to", "in", "on", "for", "with", "per", "and", "or", "is", "are", "as", "the", "bit", "th")
)
# Between a number and what it measures, on its right and on its left.
_BEHIND = words_of("between_number_and_noun")
_AHEAD = words_of("between_noun_and_number")
_ON_THE_WAY = ("least", "recommend", "most", "each", "need", "takes", "tested")
_EXACT = ("sm", "compute")
_SEVERAL = frozenset(("dual", "quad"))
_CPU_MAKERS = frozenset(("intel", "amd"))


@dataclass(frozen=True)
class Mention:
    """One thing that a sentence mentions.

    Attributes:
        subject: `ram`, `vram`, `disk`, `cores`, `gpus`, `nodes`, `gpu`, `gpu_model`, `capability`, `cpu`, `ubuntu`, or
            the tag of special hardware after `special.`.
        value: GB or pieces, the model, the release.
        start: its first token.
        end: the token behind its last one.
        origin: what gave the subject: `right`, `left`, `header`, `row`, `lead`, `heading`, `model`, `word`.
        plain: memory of which nothing tells whose it is.
    """

    subject: str
    value: float | str | tuple[str, ...] | None
    start: int
    end: int
    origin: str = "word"
    plain: bool = False


def mentions(reading: Reading) -> Iterator[Mention]:
    """Yield everything that matters in the sentence, amounts first."""
    free = [at for at in range(len(reading.words)) if not _inside(reading, at)]
    sizes = {at: size for at in free if (size := _size(reading, at)) is not None}
    taken = {place for at, (_, end) in sizes.items() for place in range(at, end)}
    counts = [one for at in free if at not in taken for one in _counted(reading, at, taken)]
    several = max((float(str(c.value)) for c in counts if c.subject == "gpus"), default=1.0)
    for at, (gigabytes, end) in sizes.items():
        for one in _measured(reading, at, end, gigabytes):
            # What several GPUs have in total is no more than its part on each.
            if one.subject == "vram" and "total" in reading.concepts and isinstance(one.value, float):
                one = replace(one, value=one.value / several)
            yield one
    # A heading names models and tells below what they have, and so does the first cell of a row.
    cells = reading.sentence.cells
    if not sizes and reading.sentence.kind != "heading" and (not cells or cells[1:] == (reading.text,)):
        yield from _of_models(reading)
    yield from counts
    yield from _capability(reading)
    for found in reading.found:
        yield from _named(reading, found)


def _of_models(reading: Reading) -> Iterator[Mention]:
    """Yield the memory of the smallest GPU named: any of `3090, 4090, A100 or H100` will do."""
    found = [(gpus.by_spelling()[one.phrase].memory_gb[0], one) for one in reading.found if "gpu_model" in one.concepts]
    if found:
        least, one = min(found, key=lambda pair: pair[0])
        yield Mention("vram", least, one.start, one.end, "model")


def _inside(reading: Reading, at: int) -> bool:
    """Return whether the number is part of a name, such as that of a GPU."""
    one = reading.phrase_at(at)
    return one is not None and one.end - one.start > 1 and not (one.start == at and "pair" in one.concepts)


def _size(reading: Reading, at: int) -> tuple[float, int] | None:
    """Return GB and the token behind the unit, if at `at` is a number with a unit of memory behind it."""
    words, place = reading.words, at + 1
    if place < len(words) and words[place].text == "+":
        # `40+GB`
        place += 1
    if not words[at].is_number or place >= len(words):
        return None
    number, unit = value(words[at].text), words[place]
    if number is None or unit.text not in _UNITS:
        return None
    # A letter is a unit in one with its number, `Go` in one or as the French write it.
    if unit.text in _ONLY_JOINED and not unit.joined and reading.text[unit.start : unit.end] not in ("Go", "To", "Mo"):
        return None
    rest = [word.text for word in words[place + 1 : place + 3]]
    if rest and rest[0] in ("/", "per") and rest[-1] in ("s", "sec", "second"):
        return None
    return number * _UNITS[unit.text], place + 1


def _measured(reading: Reading, at: int, end: int, size: float) -> Iterator[Mention]:
    """Find what a size measures."""
    owner = _on_the_right(reading, at, end) or _on_the_left(reading, at) or _around(reading)
    if owner is None or owner[0] == "data":
        return
    subject, origin = owner
    if subject in ("ram", "memory"):
        if any(reading.has(place, "share") for place in range(end, end + 5)):
            # `2 GB of memory per core`
            return
        size *= _sticks(reading.words, at) or 1.0
    # What nothing tells apart may be either; how it stands decides, and whether a GPU is needed at all.
    for either in ("ram", "vram") if subject == "memory" else (subject,):
        yield Mention(either, size, at, end, origin, subject == "memory")


def _sticks(words: Sequence[Token], at: int) -> float | None:
    """Return how many sticks of a size the machine has, as in `4 x 16 GB`; None where nothing tells."""
    if at < 2 or words[at - 1].text not in _X or not words[at - 2].is_number:
        return None
    return value(words[at - 2].text)


def _on_the_right(reading: Reading, at: int, end: int) -> tuple[str, str] | None:
    words, place = reading.words, end
    while place < min(len(words), end + 7):
        one, behind = reading.phrase_at(place), words[place + 1 : place + 2]
        if one is not None and one.start == place:
            if subject := _subject(reading, one, at - 1):
                return subject, "right"
            if "data" in one.concepts:
                return "data", "right"
        if behind and behind[0].is_number and words[place].text in {*_X, "("}:
            # `80 GB * 8 GPUs`, `16 GB (32 GB recommended) of RAM`
            place = _behind(words, place) if words[place].text == "(" else place + 2
            continue
        # `62 GB of allocatable RAM`
        adjective = one is None and words[place - 1].text == "of" and reading.has(place + 1, *_SIZES)
        if words[place].text not in _BEHIND and not adjective and not reading.has(place, "least", "newer", "recommend"):
            return None
        place += 1
    return None


def _behind(words: Sequence[Token], place: int) -> int:
    """Return the place behind what stands in brackets; the end of the sentence if they are long."""
    return next((n + 1 for n in range(place, min(place + 8, len(words))) if words[n].text == ")"), len(words))


def _on_the_left(reading: Reading, at: int) -> tuple[str, str] | None:
    words = reading.words
    begin = at - 1 if _sticks(words, at) is None else at - 3
    for place in range(begin, max(-1, at - 13), -1):
        one = reading.phrase_at(place)
        if one is not None and (subject := _subject(reading, one, one.start - 1)):
            return subject, "left"
        if reading.has(place, *_ON_THE_WAY):
            continue
        word = words[place].text
        if word not in _AHEAD and not word.endswith("ly"):
            return None
        if word in _UNITS and place and words[place - 1].is_number:
            return None
    return None


def _subject(reading: Reading, one: Found, before: int) -> str | None:
    """Return what a phrase says is measured, of a GPU its memory; what has memory may stand before a place."""
    subject = _first_size(one.concepts)
    if subject == "ram":
        return _memory(reading, one, before)
    return "vram" if subject is None and not GPU.isdisjoint(one.concepts) else subject


def _memory(reading: Reading, one: Found, before: int) -> str:
    """Return whose memory a phrase means: a GPU's if one is next to it, `memory` where nothing tells."""
    if one.phrase not in _PLAIN:
        return "ram"
    if _gpu_before(reading, before) or _gpu_behind(reading, one.end):
        return "vram"
    # Beside another kind of memory it is the machine's; what is called RAM may be a GPU's next to words for GPUs.
    alone = all(f.phrase == one.phrase for f in reading.found if {"ram", "vram"} & set(f.concepts))
    of_a_gpu = one.phrase not in _HOST or reading.concepts & {*GPU, "trains", "reduced"}
    return "memory" if alone and of_a_gpu else "ram"


def _gpu_before(reading: Reading, before: int) -> bool:
    """Return whether a GPU is what has it: `a GPU with at least 24 GB of memory`."""
    for at in range(before, max(-1, before - 9), -1):
        if reading.has(at, "gpu", "gpu_model", "vram"):
            return True
        word, behind = reading.words[at : at + 2]
        clause_ends = (
            (word.text == "," and behind.text not in _WITH)
            or (word.text == "and" and behind.is_number)
            or (word.text == ":" and reading.has(at - 1, "need", "enough"))
        )
        if clause_ends:
            return False
        passes = word.text in _AHEAD or word.is_number or word.text in _UNITS
        if not passes and not reading.has(at, "least", "recommend", "each", "ram"):
            return False
    return False


def _gpu_behind(reading: Reading, at: int) -> bool:
    """Return whether a GPU is what has the memory: `24 GB of memory on the GPU`."""
    for place in range(at, min(at + 3, len(reading.words))):
        if reading.has(place, *GPU):
            return place > at
        if reading.words[place].text not in _OF_A:
            return False
    return False


def _around(reading: Reading) -> tuple[str, str] | None:
    """Look for the subject in the head of a column, the name of a row, the lead of a list."""
    sentence = reading.sentence
    if reading.column is not None:
        return _of_column(reading)
    if sentence.kind in ("bullet", "prose") and sentence.lead.rstrip().endswith((":", "：")):
        concepts = concepts_of(sentence.lead[-160:])
        if (subject := _first_size(concepts)) and not {"data", "if"} & concepts:
            return subject, "lead"
    concepts = concepts_of(sentence.heading)
    subject = _first_size(concepts)
    others = {*_SIZES, "time"} if subject == "disk" else {*_SIZES, "time", "data"}
    if subject and sentence.kind != "code" and not {"data", "if"} & concepts and not others & reading.concepts:
        return ("memory" if subject == "ram" else subject), "heading"
    return None


def _first_size(concepts: Iterable[str]) -> str | None:
    return next((name for name in _SIZES if name in concepts), None)


def _of_column(reading: Reading) -> tuple[str, str] | None:
    """Return what a cell of a table measures."""
    sentence = reading.sentence
    around = concepts_of(f"{sentence.heading}. {sentence.lead[-200:]}")
    of_a_gpu = {"vram", *GPU} & around
    # What another cell names: `| base | 19 GB | RTX 3090 |`, `| base | CPU | 19 GB |`.
    cells, heads = _concepts_of(sentence.cells), _concepts_of(sentence.header)
    for origin, name in (("header", reading.column or ""), ("row", sentence.cells[0])):
        concepts = concepts_of(name)
        subject = _first_size(concepts)
        if subject == "ram":
            named = (one.phrase for one in find(tokens(name)) if "ram" in one.concepts)
            if "alternative_chip" in cells or "core" in heads or any(n not in _PLAIN or n in _HOST for n in named):
                return "ram", origin
            return ("vram" if of_a_gpu or GPU & (cells | heads) else "memory"), origin
        if subject or GPU & concepts:
            return subject or "vram", origin
        if concepts & {"data", "time"}:
            return None
    if of_a_gpu:
        return "vram", "heading"
    return ("memory", "heading") if "head.requirements" in around and not cells & {"data", "time"} else None


@lru_cache(maxsize=256)
def _concepts_of(cells: tuple[str, ...]) -> frozenset[str]:
    return frozenset(concept for cell in cells for concept in concepts_of(cell))


def _counted(reading: Reading, at: int, sizes: set[int]) -> Iterator[Mention]:
    """Find what a number without unit counts: `8 cores`, `4 x A100`, `A100 x 4`, `CPU cores: 16`."""
    words, word = reading.words, reading.words[at]
    pair = reading.phrase_at(at) if reading.has(at, "pair") else None
    number = value(word.text) if word.is_number else 2 if pair else _WORDS.get(word.text)
    joined_to = words[at - 1].text if word.joined else ""
    of_a_name = joined_to == "." or (joined_to.isalpha() and joined_to != "x")
    if number is None or number != int(number) or not 1 <= number <= 1024 or of_a_name:
        # `r650 nodes`, `r6a.4xlarge`
        return
    behind = words[at + 1].text if at + 1 < len(words) else ""
    times = behind in _TIMES
    place = pair.end if pair else at + 2 if times else at + 1
    while place < min(at + 16, len(words)):
        text = words[place].text
        if (one := reading.phrase_at(place)) and (what := _counts_as(one)):
            last = words[one.end - 1].text
            several = number == 1 or times or word.text in _SEVERAL or last.endswith("s") or not last.isascii()
            if what == "gpus" and (not several or reading.has(one.end, *GPU, "ram", "vram")):
                # `two V100 32GB GPUs`
                place = one.end
                continue
            if what == "cores" or several:
                yield _count(what, one, int(number), (at, one.end))
            return
        if text == "(":
            # `8 A800 80GB (or A100) GPUs`
            place = _behind(words, place)
        elif (
            place in sizes
            or reading.has(place, "least", "recommend")
            or (text.isalpha() and text not in _NO_ADJECTIVES and not (one and "cuda" not in one.concepts))
        ):
            place += 1
        else:
            break
    spelled = number > 1 and not word.is_number and not behind.isalnum() and reading.has(at - 1, "least")
    if spelled and reading.concepts & GPU and not reading.concepts & _OTHERS:
        # `One GPU will do, while training requires at least two.`
        yield Mention("gpus", int(number), at, at + 1)
        return
    if reading.column is not None and len(words) == 1:
        yield from _counted_by(reading, at, int(number))
        return
    before = at - 1
    while before > max(0, at - 4) and (words[before].text in _SIGNS or reading.has(before, "least")):
        before -= 1
    of_another = words[at - 1].text not in _X and (behind.isalpha() or behind in ("/", "."))
    if before == at - 1 or of_another:
        return
    if (one := reading.phrase_at(before)) and (what := _counts_as(one)):
        yield _count(what, one, int(number), (at, at + 1))


def _counted_by(reading: Reading, at: int, number: int) -> Iterator[Mention]:
    """Find what a bare number counts in a table, by its column or its row."""
    for name in (reading.column or "", reading.sentence.cells[0]):
        for one in find(tokens(name)):
            what = _counts_as(one)
            if what in ("cores", "gpus") and (what == "cores" or one.phrase.endswith("s")):
                yield replace(_count(what, one, number, (at, at + 1)), origin="header")
                return


def _counts_as(one: Found) -> str | None:
    return next((_COUNTED[concept] for concept in one.concepts if concept in _COUNTED), None)


def _count(subject: str, one: Found, number: int, place: tuple[int, int]) -> Mention:
    # Two threads share a core.
    return Mention(subject, (number + 1) // 2 if "thread" in one.concepts else number, *place)


def _named(reading: Reading, one: Found) -> Iterator[Mention]:
    if one.phrase == "nvidia" and reading.concepts & _NVIDIA_TOO:
        return
    for concept in one.concepts:
        if concept in ("gpu", "gpu_model", "vram", "cuda", "amd_gpu", "intel_gpu"):
            yield Mention("gpu", concept, one.start, one.end)
        if concept == "gpu_model":
            yield Mention("gpu_model", one.phrase, one.start, one.end)
        elif concept.startswith("special."):
            yield Mention(concept, None, one.start, one.end)
        elif concept in ("purpose", "cpu_will_do"):
            yield Mention(concept, one.phrase, one.start, one.end)
        elif concept in ("cpu_generation", "cpu_model"):
            yield from _cpu(reading, one)


def _cpu(reading: Reading, one: Found) -> Iterator[Mention]:
    """Yield a CPU by its generation or the number of its model, as written: `Intel Core i9-9900K`."""
    words, start, end = reading.words, one.start, one.end
    if "cpu_model" in one.concepts:
        if end == len(words) or not words[end].is_number:
            return
        end += 1
        while end < len(words) and words[end].joined and words[end].text.isalnum():
            end += 1
    if start and words[start - 1].text in _CPU_MAKERS:
        start -= 1
    named = reading.text[words[start].start : words[end - 1].end]
    newer = any(reading.has(place, "newer") for place in range(end, end + 3))
    yield Mention("cpu", f"{named} or newer" if newer else named, one.start, end)


def _capability(reading: Reading) -> Iterator[Mention]:
    """Yield the least compute capability: `SM90`, `Hopper or newer`, `compute capability 7.5+`."""
    found: list[Mention] = []
    for one in reading.found:
        if "capability" in one.concepts:
            behind = range(one.end, min(one.end + 4, len(reading.words)))
            numbers = (n for n in behind if reading.words[n].is_number and "." in reading.words[n].text)
            found += [Mention("capability", value(reading.words[n].text), one.start, n + 1) for n in numbers][:1]
        elif "gpu_generation" in one.concepts and (one.phrase.startswith(_EXACT) or reading.concepts & {*GPU, "newer"}):
            found.append(Mention("capability", float(gpus.architectures()[one.phrase]), one.start, one.end))
    yield from sorted(found, key=lambda one: float(str(one.value or 99)))[:1]
