"""Numbers of gigabytes, cores and GPUs in sentences and tables, and what they measure.

Owns: telling RAM, GPU memory and disk apart by the words beside a number. Must not: choose among them.
"""

from __future__ import annotations

import math
import re
from typing import Literal

from envagent.repository.documents import Sentence
from envagent.repository.facts import Amount, Facts, Spot, quote
from envagent.repository.knowledge import table
from envagent.repository.prose import gpu
from envagent.repository.prose.context import NEED, RECOMMEND, TESTED, Standing
from envagent.repository.quantities import QUANTITY, to_gigabytes

What = Literal["ram", "vram", "disk"]
Stance = Literal["minimum", "recommended", "tested", "mentioned"]

_FILLER = r"(?:\s*(?:or (?:more|higher|greater|above)|\+|\)|of|de|d'|free|available|total|usable|system|main|physical|host|cpu|server|local|fast|additional|ddr\d?|ecc|dedicated|à|at least|-)\s*)*\s*"
_RIGHT: tuple[tuple[What, re.Pattern[str]], ...] = (
    ("vram", re.compile(_FILLER + r"(?:gpu|video|graphics?|device|on-?board|vram|v-ram|cuda|显存|card)(?:s|'s)?\b(?! (?:server|node|machine|cluster))|" + _FILLER + "显存", re.IGNORECASE)),
    ("disk", re.compile(_FILLER + r"(?:disk|storage|ssd|hdd|hard|drive|space|nvme|espace|disque|speicherplatz|磁盘|硬盘|boot disk|scratch)", re.IGNORECASE)),
    ("ram", re.compile(_FILLER + r"(?:ram\b|memory\b|dram\b|m[ée]moire|arbeitsspeicher|内存|memoria)(?! ?(?:bandwidth|card|region|pool|stick))", re.IGNORECASE)),
)  # fmt: skip
_LEFT_GAP = r"[\s:(=≥>~≈*|_-]*(?:(?:of|is|size|requirements?|usage|capacity|needed|required|at|least|about|around|approximately|minimum|min\.?|least|up|to|than|more|greater|or|with|total|recommended|consumption|footprint|a|the|least|space|uses?|takes?|needs?|requires?|limit)[\s:(=≥>~]*)*$"
_LEFT: tuple[tuple[What, re.Pattern[str]], ...] = (
    ("vram", re.compile(r"(?:vram|(?:gpu|video|graphics?|device|cuda) (?:memory|ram)|显存)" + _LEFT_GAP, re.IGNORECASE)),
    ("disk", re.compile(r"(?:disk(?: space)?|storage|ssd|hdd|hard drive|free space|磁盘|硬盘)" + _LEFT_GAP, re.IGNORECASE)),
    ("ram", re.compile(r"(?:\bram|(?<!shared )(?<!flash )(?<!persistent )\bmemory|\bdram|内存|m[ée]moire)" + _LEFT_GAP, re.IGNORECASE)),
)  # fmt: skip
_GPU_LEFT = re.compile(
    r"\b(?:gpus?|graphics cards?|[ahv]100|h200|p100|l40s?|t4|a10g?|a40|a6000|rtx ?\w+|gtx ?\w+|titan \w+|mi\d+x?|tesla|card)s?\b[\s,(/-]*(?:s\b)?(?:with|of|having|that has|has|,|\(|-|pcie|sxm\d?|sxm|nvidia|at least|a|minimum|more than|or more|ti|super|each|≥|>=|:|\s)*$",
    re.IGNORECASE,
)
_JOINED_MODEL = re.compile(r"\b((?:[AHVBLP]|MI)\d{2,3}X?)(?:-[A-Z]+\d?)?-(?=\d{2,3} ?G)(\b)?", re.IGNORECASE)
_RESIDENT = re.compile(
    r"\b(?:hold|holds|loads?|loaded|fits?|keeps?|kept|stored?|reside)\b.{0,60}\b(?:in|into|to)(?: \S+){0,2} (?:ram|memory)\b",
    re.IGNORECASE,
)
_THING_SIZE = re.compile(
    r"\b(?:database|index|hash table|reference|dataset|graph|table|genome|corpus)\b[^.;]{0,30}\b(?:is|of|takes?|needs?|requires?)\b[^.;\d]{0,20}$",
    re.IGNORECASE,
)
_PARAMETERS = re.compile(r"(?<![\w.])(?:[A-Za-z][\w.]*-)?(\d{1,3}(?:\.\d)?)[bB](?:-\w+)?(?:[- ](?:model|param|chat|instruct|base|parameter))", re.IGNORECASE)
_RATE = re.compile(
    r"\s*(?:/s|/sec|ps\b|per (?:second|sec|core|cell|node|read|billion|million|sample|request|thread|gpu|process)|bandwidth|link|nic|ethernet|infiniband)",
    re.IGNORECASE,
)
_CONTENT = re.compile(
    r"\s*(?:of )?(?:\w+ ){0,2}(?:data(?:set)?s?\b|files?\b|images?\b|models?\b|weights\b|download|checkpoint|database\b|genome|text|logs?\b|of traffic|corpus|index\b)",
    re.IGNORECASE,
)
_AT_MOST = re.compile(r"(?:less than|at most|under|no more than|below|<|maximum|max\.?|only)\s*$", re.IGNORECASE)
_CORES = re.compile(
    r"(?<![\w.-])(\d{1,3})\+?[\s-]*(?:\w+[\s-]){0,2}?(?:cores?|v?cpus?|processors?|c[oœ]eurs?|kerne|核|hardware threads|threads)\b",
    re.IGNORECASE,
)
_GPU_COUNT = re.compile(
    r"(?<![\w.])(\d{1,2})\s?(?:x|×|\*)?\s?(?:\w+[\s-]){0,2}?(?:gpus\b|[ahv]100s?\b|h200s?\b|rtx ?\d{4}s?\b|mi\d{3}x?s?\b)",
    re.IGNORECASE,
)


def read(sentence: Sentence, place: Standing, facts: Facts) -> None:
    """Every amount in the sentence whose meaning its neighbours tell."""
    if place.weight == 1.0:
        for found in _PARAMETERS.finditer(sentence.text):
            facts.amounts.append(Amount("parameters", float(found[1]), "mentioned", 0.3, Spot(sentence.path, sentence.line, quote(sentence.text))))
    text = _JOINED_MODEL.sub(r"\1 \2", sentence.text)
    if not any(c.isdigit() for c in text) or sentence.kind == "code":
        return
    spot = Spot(sentence.path, sentence.line, quote(text))
    stance = _stance(text, place)
    weight = place.weight * (0.25 if place.aside else 1.0) * (0.3 if place.reduced else 1.0)
    if sentence.kind == "table" and " :: " in text:
        _row(text, stance, weight * 0.8, spot, facts)
        return
    for found in QUANTITY.finditer(text):
        what = measured(text, found.start(), found.end())
        if _RATE.match(text, found.end()):
            continue
        value = to_gigabytes(found["number"], found["unit"])
        if what is None and _THING_SIZE.search(text[: found.start()]) and _RESIDENT.search(sentence.block):
            # What must lie in memory needs room for itself and for the program around it.
            facts.amounts.append(Amount("ram", float(math.ceil(value * 1.15)), "minimum", weight, spot))
        if what is None:
            continue
        own: Stance = (
            "mentioned"
            if _AT_MOST.search(text[: found.start()]) and what != "disk"
            else _nearer(text, found.start(), stance)
        )
        if _plausible(what, value):
            facts.amounts.append(Amount(what, value, own, weight, spot))
    _pieces(text, place, stance, weight, spot, facts)


def measured(text: str, start: int, end: int) -> What | None:
    """What the quantity at [start, end) measures, by the words of its own clause."""
    right = re.split(r"[,;]|\.\s|\d+\s?[GT]i?B", text[end : end + 50], maxsplit=1)[0]
    left = re.split(r"[;]|\.\s|[GT]i?B\b|,\s*(?:and\s*)?(?=\d|$)", text[max(0, start - 60) : start])[-1]
    for what, pattern in _RIGHT:
        if pattern.match(right):
            if (
                what == "ram"
                and _GPU_LEFT.search(left)
                and not re.match(r"\s*(?:of )?(?:system|main|host|cpu)", right, re.IGNORECASE)
            ):
                return "vram"
            return what
    if _CONTENT.match(right):
        return None
    for what, pattern in _LEFT:
        if pattern.search(left):
            return what
    if _GPU_LEFT.search(left):
        return "vram"
    if re.match(r"[\s)]*(?:nvidia |amd )?(?:[ahv]100|h200|rtx|gtx|mi\d+|t4|tesla)", right, re.IGNORECASE):
        return "vram"
    return None


def _row(text: str, stance: Stance, weight: float, spot: Spot, facts: Facts) -> None:
    head, _, row = text.partition(" :: ")
    columns, cells = head.split("|"), row.split("|")
    for column, cell in zip(columns, cells, strict=False):
        named = f"{cells[0]} {column}" if len(cells) == 2 else column
        for found in list(QUANTITY.finditer(cell))[:1]:
            what = measured(cell, found.start(), found.end()) or _named(named)
            if what and _plausible(what, value := to_gigabytes(found["number"], found["unit"])):
                facts.amounts.append(Amount(what, value, stance, weight, spot))


def _named(words: str) -> What | None:
    low = words.lower()
    if re.search(r"vram|gpu|显存|video mem", low):
        return "vram"
    if re.search(r"\bram\b|memory|内存", low):
        return "ram"
    return "disk" if re.search(r"disk|storage|space|磁盘", low) else None


def _pieces(text: str, place: Standing, stance: Stance, weight: float, spot: Spot, facts: Facts) -> None:
    for found in _CORES.finditer(text):
        value = int(found[1])
        if 1 <= value <= 512 and (stance != "mentioned" or place.required):
            threads = "thread" in found[0].lower()
            facts.amounts.append(Amount("cores", (value + 1) // 2 if threads else value, stance, weight, spot))
    if (found := _GPU_COUNT.search(text)) and stance in ("minimum", "recommended"):
        facts.amounts.append(Amount("gpus", int(found[1]), stance, weight, spot))
    if (
        gpu.asks_for_one(text)
        and not place.aside
        and not any(a.what == "vram" and a.spot == spot for a in facts.amounts[-4:])
    ):
        for group in table("machines")["gpu"]:
            for model, memory in group["memory"]:
                if re.search(rf"\b{re.escape(model)}\b", text, re.IGNORECASE):
                    facts.amounts.append(Amount("vram", memory, "tested", weight * 0.6, spot))
                    return


def _stance(text: str, place: Standing) -> Stance:
    if place.aside:
        return "tested"
    if NEED.search(text) or re.search(r"\b(enough|sufficient|plenty|suffices?)\b", text, re.IGNORECASE):
        return "minimum"
    if RECOMMEND.search(text):
        return "recommended"
    if TESTED.search(text):
        return "tested"
    return "minimum" if place.required else "mentioned"


def _nearer(text: str, at: int, stance: Stance) -> Stance:
    """`at least 16GB, ideally 32GB`: the word right before a number decides for it."""
    before = text[max(0, at - 28) : at]
    return (
        "recommended"
        if RECOMMEND.search(before) and not re.search(r"at least|minimum", before, re.IGNORECASE)
        else stance
    )


def _plausible(what: What, value: float) -> bool:
    low, high = {"ram": (1.0, 12_500.0), "vram": (1.0, 300.0), "disk": (0.1, 1_000_000.0)}[what]
    return low <= value <= high
