"""What a sentence mentions: amounts, counts, GPUs, systems and special hardware, each at its place.

Owns: which words a number belongs to. Must not: judge whether what is mentioned is needed; see `features` and `model`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
_HOSTS = _HOST | {"内存", "內存", "メモリ"}
_WITH = frozenset(("with", "each", "having", "which", "at", "minimum", "memory", "or", "≥", ">="))
_EXACT = ("sm", "compute")
_COUNTED = {"core": "cores", "thread": "threads", "gpu": "gpus", "gpu_model": "gpus", "machine": "nodes"}
_OTHERS = frozenset(("core", "thread", "machine", "ram", "vram", "disk"))
# Between a number and what it measures, on its right and on its left.
_BEHIND = words_of("between_number_and_noun")
_AHEAD = words_of("between_noun_and_number")
_ADJECTIVES = 3
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
    counted = {n for n, word in enumerate(reading.words) if word.is_number and not _inside(reading, n)}
    sizes = {at: size for at in sorted(counted) if (size := _size(reading, at)) is not None}
    taken = {place for at, (_, end) in sizes.items() for place in range(at, end)}
    counts: list[Mention] = []
    for at, word in enumerate(reading.words):
        number = value(word.text) if at in counted and at not in taken else None
        if word.text in _WORDS and not _inside(reading, at):
            counts += _counted(reading, at, at + 1, _WORDS[word.text], taken)
        elif reading.has(at, "pair") and (pair := reading.phrase_at(at)) and pair.start == at:
            counts += _counted(reading, at, pair.end, 2, taken)
        elif number is not None and number == int(number):
            counts += _counted(reading, at, at + 1, int(number), taken)
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
    return one is not None and one.end - one.start > 1


def _size(reading: Reading, at: int) -> tuple[float, int] | None:
    """Return GB and the token behind the unit, if the number at `at` has a unit of memory behind it."""
    words, place = reading.words, at + 1
    if place < len(words) and words[place].text == "+":
        # `40+GB`
        place += 1
    number, unit = value(words[at].text), words[place] if place < len(words) else None
    if number is None or unit is None or unit.text not in _UNITS:
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
    subject, origin = _on_the_right(reading, at, end)
    if subject in ("ram", "memory") and any(reading.has(place, "share") for place in range(end, end + 5)):
        # `2 GB of memory per core`
        return
    if subject is None:
        subject, origin = _on_the_left(reading, at)
    if subject is None:
        subject, origin = _around(reading)
    if subject in (*_SIZES, "memory"):
        before = reading.words[max(0, at - 2) : at]
        if subject in ("ram", "memory") and len(before) == 2 and before[1].text in "x×*" and before[0].is_number:
            # The sticks of a machine: `4 x 16 GB`.
            size *= value(before[0].text) or 1
        # What nothing tells apart may be either; how it stands decides, and whether a GPU is needed at all.
        for either in ("ram", "vram") if subject == "memory" else (subject,):
            yield Mention(either, size, at, end, origin, subject == "memory")


def _on_the_right(reading: Reading, at: int, end: int) -> tuple[str | None, str]:
    words, place = reading.words, end
    while place < min(len(words), end + 7):
        one = reading.phrase_at(place)
        if one is not None and one.start == place:
            if "vram" in one.concepts:
                return "vram", "right"
            if "disk" in one.concepts:
                return "disk", "right"
            if "ram" in one.concepts:
                return _memory(reading, one, at - 1), "right"
            if {"gpu", "gpu_model"} & set(one.concepts):
                return "vram", "right"
            if one.concepts == ("each",):
                place = one.end
                continue
            if "cuda" in one.concepts and place == end:
                return "vram", "right"
            if "data" in one.concepts:
                return "data", "right"
            if "core" in one.concepts and one.phrase == "cpu":
                place = one.end
                continue
        if words[place].text in "x×*" and place + 1 < len(words) and words[place + 1].is_number:
            # `80 GB * 8 GPUs`
            place += 2
            continue
        if words[place].text == "(" and place + 1 < len(words) and words[place + 1].is_number:
            # `16 GB (32 GB recommended) of RAM`
            place = _behind(words, place)
            continue
        if words[place - 1].text == "of" and one is None and reading.has(place + 1, *_SIZES):
            # `62 GB of allocatable RAM`
            place += 1
            continue
        if words[place].text not in _BEHIND and not (one and {"least", "newer", "recommend"} & set(one.concepts)):
            return None, ""
        place += 1
    return None, ""


def _behind(words: Sequence[Token], place: int) -> int:
    """Return the place behind what stands in brackets; the end of the sentence if they are long."""
    return next((n + 1 for n in range(place, min(place + 8, len(words))) if words[n].text == ")"), len(words))


def _memory(reading: Reading, one: Found, left: int) -> str:
    """Return whose memory a phrase means: a GPU's if one is next to it, `memory` where nothing tells."""
    if one.phrase not in _PLAIN:
        return "ram"
    if _gpu_before(reading, left) or _gpu_behind(reading, one.end):
        return "vram"
    if one.phrase not in _HOSTS:
        return "memory"
    # Beside another kind of memory it is the machine's.
    others = {f.phrase for f in reading.found if {"ram", "vram"} & set(f.concepts)} - {one.phrase}
    alone = not others and (one.phrase not in _HOST or {"gpu", "gpu_model", "trains", "reduced"} & reading.concepts)
    return "memory" if alone else "ram"


def _gpu_before(reading: Reading, place: int) -> bool:
    """Return whether a GPU is what has it: `a GPU with at least 24 GB of memory`."""
    for at in range(place, max(-1, place - 9), -1):
        if reading.has(at, "gpu", "gpu_model", "vram"):
            return True
        word, behind = reading.words[at], reading.words[at + 1] if at + 1 < len(reading.words) else None
        if word.text == "," and not (behind and behind.text in _WITH):
            return False
        if (word.text == "and" and behind and behind.is_number) or (
            word.text == ":" and reading.has(at - 1, "need", "enough")
        ):
            return False
        if not (
            word.text in _AHEAD
            or word.is_number
            or word.text in _UNITS
            or reading.has(at, "least", "recommend", "each", "ram")
        ):
            return False
    return False


def _gpu_behind(reading: Reading, at: int) -> bool:
    """Return whether a GPU is what has the memory: `24 GB of memory on the GPU`."""
    texts = [word.text for word in reading.words[at : at + 3]]
    for skip, text in enumerate(texts):
        if reading.has(at + skip, "gpu", "gpu_model"):
            return skip > 0
        if text not in ("on", "in", "of", "the", "a", "your", "each", "per", "single", "的"):
            return False
    return False


def _on_the_left(reading: Reading, at: int) -> tuple[str | None, str]:
    words, place = reading.words, at - 1
    if place >= 1 and words[place].text in "x×*" and words[place - 1].is_number:
        place -= 2
    while place >= max(0, at - 12):
        one = reading.phrase_at(place)
        if one is not None:
            if "ram" in one.concepts and "vram" not in one.concepts:
                return _memory(reading, one, one.start - 1), "left"
            for subject in _SIZES:
                if subject in one.concepts:
                    return subject, "left"
            if {"gpu", "gpu_model"} & set(one.concepts):
                return "vram", "left"
            if {"least", "recommend", "most", "each", "need", "takes", "tested"} & set(one.concepts):
                place = one.start - 1
                continue
        if words[place].text not in _AHEAD and not words[place].text.endswith("ly"):
            return None, ""
        if place >= 1 and words[place].text in _UNITS and words[place - 1].is_number:
            return None, ""
        place -= 1
    return None, ""


def _around(reading: Reading) -> tuple[str | None, str]:
    """Look for the subject in the head of a column, the name of a row, the lead of a list."""
    sentence = reading.sentence
    if reading.column is not None:
        return _of_column(reading)
    if sentence.kind in ("bullet", "prose") and sentence.lead.rstrip().endswith((":", "：")):
        concepts = concepts_of(sentence.lead[-160:])
        subject = next((s for s in _SIZES if s in concepts), None)
        if subject and not {"data", "if"} & concepts:
            return subject, "lead"
    concepts = concepts_of(sentence.heading)
    subject = next((s for s in _SIZES if s in concepts), None)
    others = {*_SIZES, "time"} if subject == "disk" else {*_SIZES, "time", "data"}
    if subject and sentence.kind != "code" and not {"data", "if"} & concepts and not others & reading.concepts:
        return ("memory" if subject == "ram" else subject), "heading"
    return None, ""


def _of_column(reading: Reading) -> tuple[str | None, str]:
    """Return what a cell of a table measures."""
    sentence, head = reading.sentence, concepts_of(reading.column or "")
    row = concepts_of(sentence.cells[0])
    # What another cell names: `| base | 19 GB | RTX 3090 |`, `| base | CPU | 19 GB |`.
    beside, heads = _concepts_of(sentence.cells), _concepts_of(sentence.header)
    around = concepts_of(f"{sentence.heading}. {sentence.lead[-200:]}")
    for origin, concepts, name in (("header", head, reading.column or ""), ("row", row, sentence.cells[0])):
        if "vram" in concepts or "disk" in concepts:
            return "vram" if "vram" in concepts else "disk", origin
        if "ram" in concepts:
            if any(
                one.phrase not in _PLAIN or one.phrase in _HOST for one in find(tokens(name)) if "ram" in one.concepts
            ):
                return "ram", origin
            if "alternative_chip" in beside or "core" in heads:
                return "ram", origin
            return ("vram" if GPU & (heads | beside) or {"vram", *GPU} & around else "memory"), origin
        if GPU & concepts:
            return "vram", origin
        if concepts & {"data", "time", "saves"}:
            return None, ""
    if {"vram", *GPU} & around:
        return "vram", "heading"
    return ("memory", "heading") if "head.requirements" in around and not beside & {"data", "time"} else (None, "")


@lru_cache(maxsize=256)
def _concepts_of(cells: tuple[str, ...]) -> frozenset[str]:
    return frozenset(concept for cell in cells for concept in concepts_of(cell))


def _counted(reading: Reading, at: int, place: int, number: int, sizes: set[int]) -> Iterator[Mention]:
    """Find what a number without unit counts: `8 cores`, `4 x A100`, `A100 x 4`, `CPU cores: 16`."""
    words = reading.words
    joined_to = words[at - 1].text if words[at].joined else ""
    if not 1 <= number <= 1024 or joined_to == "." or (joined_to.isalpha() and joined_to != "x"):
        # The number of a model: `r650 nodes`, `r6a.4xlarge`.
        return
    times = False
    if place < len(words) and words[place].text in "x×*+" and words[place].text:
        times, place = words[place].text != "+", place + 1
    if place < len(words) and words[place].text in "张块片枚个颗":
        times, place = True, place + 1
    adjectives = 0
    while place < len(words) and adjectives <= _ADJECTIVES:
        one = reading.phrase_at(place)
        if one is not None and (what := next((c for c in _COUNTED if c in one.concepts), None)):
            last = words[one.end - 1].text
            plural = (
                last.endswith("s") or number == 1 or times or not last.isascii() or words[at].text in ("dual", "quad")
            )
            if what.startswith("gpu") and (not plural or reading.has(one.end, *GPU, "ram", "vram")):
                # `two V100 32GB GPUs`
                place = one.end
                continue
            if what in ("core", "thread") or plural:
                subject = _COUNTED[what]
                yield Mention(
                    "cores" if subject == "threads" else subject,
                    (number + 1) // 2 if what == "thread" else number,
                    at,
                    one.end,
                )
            return
        if place in sizes or reading.has(place, "least", "recommend"):
            place = place + 1 if one is None else one.end
            continue
        text = words[place].text
        if text == "(":
            # `8 A800 80GB (or A100) GPUs`
            place = _behind(words, place)
            continue
        if not text.isalpha() or (one is not None and not {"cuda", "least", "recommend"} & set(one.concepts)):
            break
        if text in ("of", "to", "in", "on", "for", "with", "per", "and", "or", "is", "are", "bit", "th"):
            break
        place += 1
        adjectives += 1
    ends = at + 1 == len(words) or not words[at + 1].text.isalnum()
    spelled = number > 1 and words[at].text in _WORDS and reading.has(at - 1, "least")
    if spelled and ends and reading.concepts & GPU and not reading.concepts & _OTHERS:
        # `One GPU will do, while training requires at least two.`
        yield Mention("gpus", number, at, at + 1)
        return
    if reading.column is not None and len(words) == 1:
        yield from _counted_by(reading, at, number)
        return
    before = at - 1
    if before >= 0 and words[before].text in "x×*" and reading.has(before - 1, "gpu_model", "gpu"):
        yield Mention("gpus", number, at, at + 1)
        return
    while before >= max(0, at - 4) and (
        words[before].text in (":", "=", ">=", "≥", ">", "(") or reading.has(before, "least")
    ):
        before -= 1
    if before < at - 1 and before >= 0:
        one = reading.phrase_at(before)
        end = words[at + 1].text if at + 1 < len(words) else ""
        if one is not None and not end.isalpha() and end not in ("/", "."):
            what = next((c for c in ("core", "thread", "gpu", "machine") if c in one.concepts), None)
            if what and (what != "gpu" or words[one.end - 1].text.endswith("s")):
                yield Mention(
                    {"core": "cores", "thread": "cores", "gpu": "gpus", "machine": "nodes"}[what], number, at, at + 1
                )


def _counted_by(reading: Reading, at: int, number: int) -> Iterator[Mention]:
    """Find what a bare number counts in a table, by its column or its row."""
    for name in (reading.column or "", reading.sentence.cells[0]):
        for one in find(tokens(name)):
            what = next((c for c in ("core", "thread", "gpu") if c in one.concepts), None)
            if what and (what != "gpu" or one.phrase.endswith("s")):
                yield Mention(
                    _COUNTED[what].replace("threads", "cores"),
                    (number + 1) // 2 if what == "thread" else number,
                    at,
                    at + 1,
                    "header",
                )
                return


def _named(reading: Reading, one: Found) -> Iterator[Mention]:
    for concept in one.concepts:
        if one.phrase == "nvidia" and reading.concepts & _NVIDIA_TOO:
            continue
        if concept in ("gpu", "gpu_model", "vram", "cuda", "amd_gpu", "intel_gpu"):
            yield Mention("gpu", concept, one.start, one.end)
        if concept == "gpu_model":
            yield Mention("gpu_model", one.phrase, one.start, one.end)
        elif concept.startswith("special."):
            yield Mention(concept, None, one.start, one.end)
        elif concept in ("purpose", "cpu_will_do", "framework"):
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
