"""Numbers of gigabytes, cores and GPUs in sentences and tables, and what they measure.

Owns: telling RAM, GPU memory and disk apart by the words beside a number. Must not: choose among them.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Literal

from envagent.repository.documents import Sentence
from envagent.repository.facts import Amount, Facts, Spot, quote
from envagent.repository.knowledge import table
from envagent.repository.patterns import one_of
from envagent.repository.prose import gpu
from envagent.repository.prose.context import NEED, RECOMMEND, TESTED, Standing
from envagent.repository.quantities import QUANTITY, to_gigabytes

What = Literal["ram", "vram", "disk"]
Stance = Literal["minimum", "recommended", "tested", "mentioned"]

# Between a number and its noun: `16 GB (or more) of free system RAM`.
_BEHIND = (
    r"(?:\s*(?:or (?:more|higher|greater|above)|\+|\)|of|de|d'|free|available|total|usable|system|main|physical|host|"
    r"cpu|server|"
    r"local|fast|additional|ddr\d?|ecc|dedicated|à|at least|-)\s*)*\s*"
)
_RIGHT: tuple[tuple[What, re.Pattern[str]], ...] = (
    (
        "vram",
        one_of(
            _BEHIND + r"(?:gpu|video|graphics?|device|on-?board|vram|v-ram|cuda|card)(?:s|'s)?\b"
            r"(?! (?:server|node|machine|cluster))",
            _BEHIND + "显存",
        ),
    ),
    (
        "disk",
        one_of(_BEHIND + r"(?:boot )?(?:disk|storage|ssd|hdd|hard|drive|space|nvme|espace|disque|scratch|磁盘|硬盘)"),
    ),
    (
        "ram",
        one_of(
            _BEHIND + r"(?:ram\b|memory\b|dram\b|m[ée]moire|arbeitsspeicher|内存|memoria)"
            r"(?! ?(?:bandwidth|card|region|pool|stick))"
        ),
    ),
)
# Between a noun and its number: `RAM: at least 16 GB`.
_BEFORE = (
    r"[\s:(=≥>~≈*|_-]*(?:(?:of|is|size|requirements?|usage|capacity|needed|required|at|least|about|around|"
    r"approximately|minimum|for \w+\b|"
    r"min\.?|up|to|than|more|greater|or|with|total|recommended|consumption|footprint|a|the|space|uses?|takes?|needs?|"
    r"requires?|"
    r"limit)[\s:(=≥>~]*)*$"
)
_LEFT: tuple[tuple[What, re.Pattern[str]], ...] = (
    ("vram", one_of(r"(?:vram|(?:gpu|video|graphics?|device|cuda) (?:memory|ram)|显存)" + _BEFORE)),
    ("disk", one_of(r"(?:disk(?: space)?|storage|ssd|hdd|hard drive|free space|磁盘|硬盘)" + _BEFORE)),
    ("ram", one_of(r"(?:\bram|(?<!shared )(?<!flash )(?<!persistent )\bmemory|\bdram|内存|m[ée]moire)" + _BEFORE)),
)
_GPU_LEFT = one_of(
    r"\b(?:gpus?|graphics cards?|[ahv]100|h200|p100|l40s?|t4|a10g?|a40|a6000|rtx ?\w+|gtx ?\w+|titan \w+|mi\d+x?|"
    r"tesla|card)s?\b"
    r"[\s,(/-]*(?:s\b)?(?:with|of|having|that has|has|,|\(|-|pcie|sxm\d?|sxm|nvidia|at least|a|minimum|more than|"
    r"or more|ti|"
    r"super|each|≥|>=|:|\s)*$"
)
_GPU_RIGHT = one_of(r"[\s)]*(?:nvidia |amd )?(?:[ahv]100|h200|rtx|gtx|mi\d+|t4|tesla)")
_ON_GPU = one_of(r"\b(?:on|in|of) (?:the |a |your )?gpus?\b")
_HOST = one_of(r"\s*(?:of )?(?:system|main|host|cpu)")
_DIGIT = re.compile(r"\d")
_COMMENT = re.compile(r"# *[A-Z]\w* \w+ ")
_JOINED_MODEL = re.compile(r"\b((?:[AHVBLP]|MI)\d{2,3}X?)(?:-[A-Z]+\d?)?-(?=\d{2,3} ?G)(\b)?", re.IGNORECASE)
_RATE = one_of(
    r"\s*(?:/s|/sec|ps\b|bandwidth|link|nic|ethernet|infiniband)",
    r"\s*per (?:second|sec|core|cell|node|read|billion|million|sample|request|thread|gpu|process)",
)
_CONTENT = one_of(
    r"\s*(?:of )?(?:\w+ ){0,2}(?:data(?:set)?s?\b|files?\b|images?\b|models?\b|weights\b|download|checkpoint|"
    r"database\b|genome|"
    r"text|logs?\b|of traffic|corpus|index\b)"
)
_RESIDENT = one_of(
    r"\b(?:hold|holds|loads?|loaded|fits?|keeps?|kept|stored?|reside)\b.{0,60}\b(?:in|into|to)(?: \S+){0,2} (?:ram|"
    r"memory)\b"
)
_THING_SIZE = one_of(
    r"\b(?:database|index|hash table|reference|dataset|graph|table|genome|corpus)\b[^.;]{0,30}"
    r"\b(?:is|of|takes?|needs?|requires?)\b[^.;\d]{0,20}$"
)
_AT_MOST = one_of(
    r"(?:less than|at most|under|no more than|below|<|maximum|max\.?|(?<!require )(?<!requires )(?<!needs )only)\s*$"
)
_FOR_INSTANCE = one_of(r"(?:\be\.g\.?|for (?:example|instance)|such as|suppose)[^.;]{0,40}$")
# Said of one way to run it, of a machine that one may happen to have, or where no GPU will do too.
_ANOTHER_CASE = one_of(r"\bthis (?:type|kind|mode|option|variant) of\b|\bif you have\b|\bmacbook\b|\bor no gpu\b")
# What is stated so plainly holds also under news or questions.
_LEAST_STATED = one_of(
    r"\b(?:requires?|needs?)\b[^.;]{0,20}\bat least\b", r"\bminimum\b[^.;]{0,30}\brequirements?\b[^.;]{0,30}\bis\b"
)
_CONDITION = one_of(r"\bor,? if\b[^.;]{0,60}$")
_ENOUGH = one_of(r"\b(?:enough|sufficient|plenty|suffices?)\b")
_CORES = one_of(
    r"(?<![\w.-])(\d{1,3})\+?[\s-]*(?:\w+[\s-]){0,2}?"
    r"(?:cores?|v?cpus?|processors?|c[oœ]eurs?|kerne|核|hardware threads|threads)\b"
)
_GPU_COUNT = one_of(
    r"(?<![\w.])(\d{1,2})\s?(?:x|×|\*)?\s?(?:\w+[\s-]){0,2}?(?:gpus\b|[ahv]100s?\b|h200s?\b|rtx ?\d{4}s?\b|"
    r"mi\d{3}x?s?\b)"
)
_PARAMETERS = one_of(
    r"(?<![\w.])(?:[A-Za-z][\w.]*-)?(\d{1,3}(?:\.\d)?)b(?:-\w+)?(?:[- ](?:model|param|chat|instruct|base|parameter))"
)
# What must lie in memory needs room for itself and for the program around it.
_AROUND = 1.15
# `16 GB of RAM, ideally 32 GB`: the second number measures what the first does.
_SAME_CLAUSE = 40


def read(sentence: Sentence, place: Standing, facts: Facts) -> None:
    """Every amount in the sentence whose meaning its neighbours tell."""
    text = _JOINED_MODEL.sub(r"\1 \2", sentence.text)
    # Comments between commands are prose: `# This one needs 15 GB of GPU memory`.
    if (sentence.kind == "code" and not _COMMENT.match(sentence.block)) or _DIGIT.search(text) is None:
        return
    if place.aside and _LEAST_STATED.search(text):
        place = replace(place, aside=False)
    spot = Spot(sentence.path, sentence.line, quote(text))
    stance = _stance(text, place)
    weight = place.weight * (0.25 if place.aside else 1.0) * (0.3 if place.reduced else 1.0)
    weight *= 0.3 if _ANOTHER_CASE.search(text) else 1.0
    if sentence.kind == "table" and " :: " in text:
        _row(text, stance, weight * 0.8, spot, facts)
    else:
        _sizes(sentence, text, stance, weight, spot, facts)
        _cores(text, place, stance, weight, spot, facts)
        _gpus(text, place, stance, weight, spot, facts)
    if place.weight == 1.0:
        for found in _PARAMETERS.finditer(text):
            facts.amounts.append(Amount("parameters", float(found[1]), "mentioned", weight, spot))


def measured(text: str, start: int, end: int) -> What | None:
    """What the quantity at [start, end) measures, by the words of its own clause."""
    right = re.split(r"[,;]|\.\s|\d+\s?[GT]i?B", text[end : end + 50], maxsplit=1)[0]
    left = re.split(r"[;]|\.\s|[GT]i?B\b|,\s*(?:and\s*)?(?=\d|$)", text[max(0, start - 60) : start])[-1]
    for what, pattern in _RIGHT:
        if pattern.match(right):
            on_gpu = _GPU_LEFT.search(left) or _ON_GPU.search(right)
            return "vram" if what == "ram" and on_gpu and not _HOST.match(right) else what
    if _CONTENT.match(right):
        return None
    for what, pattern in _LEFT:
        if pattern.search(left):
            return what
    return "vram" if _GPU_LEFT.search(left) or _GPU_RIGHT.match(right) else None


def _sizes(sentence: Sentence, text: str, stance: Stance, weight: float, spot: Spot, facts: Facts) -> None:
    last: tuple[What | None, int] = None, 0
    for found in QUANTITY.finditer(text):
        if _RATE.match(text, found.end()):
            continue
        what = measured(text, found.start(), found.end())
        if what is None and RECOMMEND.search(between := text[last[1] : found.start()]) and len(between) < _SAME_CLAUSE:
            what = last[0]
        last = what, found.end()
        value = to_gigabytes(found["number"], found["unit"])
        before = text[: found.start()]
        if what is None:
            if _THING_SIZE.search(before) and _RESIDENT.search(sentence.block):
                facts.amounts.append(Amount("ram", float(math.ceil(value * _AROUND)), "minimum", weight, spot))
        elif _plausible(what, value):
            at_most = what != "disk" and _AT_MOST.search(before)
            loose = at_most or _FOR_INSTANCE.search(before) or _CONDITION.search(before)
            own: Stance = "mentioned" if loose else _nearer(before, stance)
            facts.amounts.append(Amount(what, value, own, weight, spot))


def _row(text: str, stance: Stance, weight: float, spot: Spot, facts: Facts) -> None:
    head, _, row = text.partition(" :: ")
    cells = row.split("|")
    for column, cell in zip(head.split("|"), cells, strict=False):
        sizes = [(to_gigabytes(f["number"], f["unit"]), f) for f in QUANTITY.finditer(cell)]
        if not sizes:
            continue
        # Several in a cell are ways to run the same thing, of which the least is what it takes.
        value, found = min(sizes, key=lambda size: size[0])
        what = measured(cell, found.start(), found.end()) or _named(column) or _named(cells[0])
        if what and _plausible(what, value):
            facts.amounts.append(Amount(what, value, stance, weight, spot))


def _named(words: str) -> What | None:
    low = words.lower()
    if re.search(r"vram|gpu|显存|video mem", low):
        return "vram"
    if re.search(r"\bram\b|memory|内存", low):
        return "ram"
    return "disk" if re.search(r"disk|storage|space|磁盘", low) else None


def _cores(text: str, place: Standing, stance: Stance, weight: float, spot: Spot, facts: Facts) -> None:
    for found in _CORES.finditer(text):
        value = int(found[1])
        if 1 <= value <= 512 and (stance != "mentioned" or place.required):
            own: Stance = "mentioned" if _FOR_INSTANCE.search(text[: found.start()]) else stance
            # Two hardware threads are one core.
            cores = (value + 1) // 2 if "thread" in found[0].lower() else value
            facts.amounts.append(Amount("cores", cores, own, weight, spot))


def _gpus(text: str, place: Standing, stance: Stance, weight: float, spot: Spot, facts: Facts) -> None:
    """How many GPUs, and the memory of a model that is asked for without saying how much it has."""
    if (count := _GPU_COUNT.search(text)) and stance in ("minimum", "recommended"):
        facts.amounts.append(Amount("gpus", int(count[1]), stance, weight, spot))
    stated = any(a.what == "vram" and a.spot == spot for a in facts.amounts[-4:])
    if stated or place.aside or not gpu.asks_for_one(text):
        return
    for group in table("machines")["gpu"]:
        for model, memory in group["memory"]:
            if re.search(rf"\b{re.escape(model)}\b", text, re.IGNORECASE):
                facts.amounts.append(Amount("vram", memory, "tested", weight * 0.6, spot))
                return


def _stance(text: str, place: Standing) -> Stance:
    if place.aside:
        return "tested"
    if NEED.search(text) or _ENOUGH.search(text):
        return "minimum"
    if RECOMMEND.search(text):
        return "recommended"
    if TESTED.search(text):
        return "tested"
    return "minimum" if place.required else "mentioned"


def _nearer(before: str, stance: Stance) -> Stance:
    """`at least 16GB, ideally 32GB`: the word right before a number decides for it."""
    near = before[-28:]
    return (
        "recommended" if RECOMMEND.search(near) and not re.search(r"at least|minimum", near, re.IGNORECASE) else stance
    )


def _plausible(what: What, value: float) -> bool:
    low, high = {"ram": (1.0, 12_500.0), "vram": (1.0, 300.0), "disk": (0.1, 1_000_000.0)}[what]
    return low <= value <= high
