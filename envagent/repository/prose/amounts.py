"""Numbers of gigabytes, cores and GPUs in sentences and tables, and how firmly they are asked for.

Owns: each amount's stance and weight; what gigabytes measure is told by `measures`. Must not: choose among amounts.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Literal

from envagent.repository.documents.sentence import Sentence
from envagent.repository.facts import Amount, Facts, Spot, quote
from envagent.repository.knowledge import table
from envagent.repository.patterns import any_of
from envagent.repository.prose import gpu
from envagent.repository.prose.context import NEED, RECOMMEND, TESTED, Standing
from envagent.repository.prose.measures import What, measured, of_column, of_list
from envagent.repository.quantities import QUANTITY, to_gigabytes

Stance = Literal["minimum", "recommended", "tested", "mentioned"]

_DIGIT = re.compile(r"\d")
_COMMENT = re.compile(r"# *[A-Z]\w* \w+ ")
_REMARK = re.compile(r"(?:^|\s)#+ +(?=.{0,200}\b(?:GPU (?:memory|RAM)|VRAM)\b)", re.IGNORECASE)
_JOINED_MODEL = re.compile(r"\b((?:[AHVBLP]|MI)\d{2,3}X?)(?:-[A-Z]+\d?)?-(?=\d{2,3} ?G)(\b)?", re.IGNORECASE)
_RATE = any_of(
    r"\s*(?:/s|/sec|ps\b|bandwidth|link|nic|ethernet|infiniband)",
    r"\s*(?:of (?:ram|memory) )?per "
    r"(?:second|sec|core|cell|node|read|billion|million|sample|request|thread|gpu|process)",
)
_RESIDENT = any_of(
    r"\b(?:hold|holds|loads?|loaded|fits?|keeps?|kept|stored?|reside)\b.{0,60}\b(?:in|into|to)(?: \S+){0,2} (?:ram|"
    r"memory)\b"
)
_THING_SIZE = any_of(
    r"\b(?:database|index|hash table|reference|dataset|graph|table|genome|corpus)\b[^.;]{0,30}"
    r"\b(?:is|of|takes?|needs?|requires?)\b[^.;\d]{0,20}$"
)
_AT_MOST = any_of(
    r"(?:(?<!\bno )(?<!\bnot )less than|"
    r"\bsupports?(?: for)? up to|"
    r"at most|under|no more than|below|<|maximum|max\.?|(?<!require )(?<!requires )(?<!needs )only)\s*$"
)
_FOR_INSTANCE = any_of(r"(?:\be\.g\.?|for (?:example|instance)|such as|suppose)[^.;)]{0,40}$")
_EXAMPLE = re.compile(r"\W*(?:for (?:example|instance)|e\.g\.)", re.IGNORECASE)
_PERHAPS = any_of(r"\b(?:may|might|could) (?:also |even )?(?:require|need)\b[^.;]{0,40}$")
# Said of one way to run it, of a machine that one may happen to have, or where no GPU will do too.
_ANOTHER_CASE = any_of(
    r"\bthis (?:type|kind|mode|option|variant) of\b|\bif you have\b|\bmacbook\b|\bor no gpu\b|没有\s?(?:gpu|显卡)"
)
_APPLE = any_of(r"\bapple\b|\bm[1-5](?:/m[1-5])? (?:max|pro|ultra|chips?|series|系列)")
# What is stated so plainly holds also under news or questions.
_LEAST_STATED = any_of(
    r"\b(?:requires?|needs?)\b[^.;]{0,20}\bat least\b",
    r"\bat least\b[^.;]{0,40}\b(?:is|are) (?:needed|required)\b",
    r"\bminimum\b[^.;]{0,30}\brequirements?\b[^.;]{0,30}\b(?:is|to (?:just|only))\b",
    r"\bminimum of [^.;]{0,30}\b(?:is|are) (?:recommended|needed|required)\b",
)
# A machine that figures were taken or weights were made on.
_MEASUREMENT = any_of(
    r"\b(?:profil\w+|experiment(?! with)\w*)\b.{0,40}\bon\b",
    r"\b(?:is|are) (?:pre-?)?trained on\b",
    r"\btakes? (?:about |around |roughly |only |~)*[\d.]+ ?(?:hours?|h|days?|minutes?|mins?)\b",
)
# What one GPU holds while others hold the rest is less than it takes alone.
_PART_OF_SEVERAL = any_of(r"\b(?:multiple|several) (?:\w+ ){0,2}gpus?\b", r"\bmulti-gpu (?:memory|vram)")
_ONE_OF_SEVERAL = any_of(r"\b(?:[2-9]|\d{2}) ?[x×*-]? ?(?:nvidia )?(?:gpus\b|[ahv]\d{2,3}s?\b|rtx)|\b\d-gpu\b")
_SHARED = 0.15
_CONDITION = any_of(r"\bor,? if\b[^.;]{0,60}$")
# What it takes is what it needs.
_TAKES = any_of(r"\b(?:takes?|uses?|consumes?|occupies|demands?)\b[^.;]{0,30}$", r"(?:\bwith (?:more than|over)|>) ?$")
_FOOTPRINT = any_of(r"\b(?:memory|ram) (?:foot ?print|consumption|usage|use)\b[^.;\d]{0,40}$")
_FOOTPRINT_OF = any_of(r"\b(?:memory|ram) foot ?print\b")
# A machine told by its processor or its system is one that it ran on.
_MACHINE = any_of(
    r"\b(?:xeon|epyc|ryzen|core i[3579]|ubuntu|\d{1,3}[- ](?:cores?|v?cpus))\b",
    r"\b(?:servers?|machines?|workstations?|nodes?|testbed|desktop)\b[^.;]{0,40}\bwith\b[^.;]{0,30}$",
)
# `The whole database requires 151GB` under a heading that says of what.
_MEMORY_HEADING = re.compile(r"\b(?:memory|ram)\b(?!.*\bgpu\b)", re.IGNORECASE)
_ASKS = any_of(r"\b(?:requires?|needs?)\b[^.;\d]{0,20}$")
_LESS = any_of(r"\b(?:sav(?:e[sd]?|ing)|reduc\w+|lower\w*|limit\w*|up to)\b")
_TIMES = any_of(r"\btimes?\b|speed|\bsec\b|/s\b|hours|latency")
_DURATION = re.compile(r"[\d.]+ ?(?:s|m|h|secs?|mins?|hrs?|hours?|minutes?|days?)(?: ?\d+ ?[ms]\w*)?", re.IGNORECASE)
# `Recommended requirements:` above a list, which another list of the least may follow.
_COMFORTABLE = re.compile(r"\brecommended\b(?!.*\bminimum\b)[^.;]{0,40}:\s*$", re.IGNORECASE)
_ENOUGH = any_of(r"\b(?:enough|sufficient|plenty|suffices?)\b|\ball (?:that )?(?:it takes|it needs|you need)\b")
_CORES = any_of(
    r"(?<![\w.-])(\d{1,3})\+?[\s-]*"
    r"(?:or more |(?!(?:[kmgt]i?b?|gigabytes?|or|and|of|to|for|on|in|per|with|via)\b)\w+[\s-]){0,2}?"
    r"(?!cpu (?:memory|ram|offload|mode))(?:cores?|v?cpus?|processors?|c[oœ]eurs?|kerne|核|hardware threads|threads)\b"
)
_SINGLE = any_of(r"\b(?:single|one|an?|1) (?:\w+ ){0,3}(?:gpu|[ahv]100|rtx|v100|t4)\b|\b1 ?x\b|\ball you need\b")
_GPU_COUNT = any_of(
    r"(?<![\w.])(\d{1,2})\s?(?:x|×|\*)?\s?(?:\w+[\s-]){0,2}?(?:gpus\b|[ahv]100s?\b|h200s?\b|rtx ?\d{4}s?\b|"
    r"mi\d{3}x?s?\b)"
)
_STICKS = re.compile(r"(?<![\d.])(\d{1,2})\s?[x×*]\s?$")
_SUM = any_of(r"\b(?:in )?total\b", r"\b(?:combined|aggregate|altogether|overall)\b")
_UNIT = any_of(r"(?:[(\[（]|\bin |, ?|/ ?)([GMT]i?B)\b")
_BARE = re.compile(r"[~≈<>]?\s?\d{1,5}(?:\.\d+)?\+?")
_PARAMETERS = any_of(
    r"(?<![\w.])(?:[A-Za-z][\w.]*-)?(\d{1,3}(?:\.\d)?)b(?:-\w+)?(?:[- ](?:model|param|chat|instruct|base|parameter))"
)
# What must lie in memory needs room for itself and for the program around it.
_AROUND = 1.15
# `16 GB of RAM, ideally 32 GB`: the second number measures what the first does.
_SAME_CLAUSE = 40
_NEXT_CLAUSE = 60
_MEMORY_ONLY = any_of(r" ?(?:of )?memory\b")
_OR = any_of(r"\bor\b(?! (?:more|higher|above|greater|larger))")


def read(sentence: Sentence, place: Standing, facts: Facts) -> None:
    """Read every amount in the sentence whose meaning its neighbours show."""
    text = _JOINED_MODEL.sub(r"\1 \2", sentence.text)
    if _DIGIT.search(text) is None:
        return
    # Comments between and behind commands are prose: `# This one needs 15 GB of GPU memory`.
    if sentence.kind == "code" and not _COMMENT.match(sentence.block):
        if (remark := _REMARK.search(text)) is None:
            return
        text = text[remark.end() :]
    if place.aside and _LEAST_STATED.search(text):
        place = replace(place, aside=False)
    spot = Spot(sentence.path, sentence.line, quote(text))
    stance = _stance(text, place)
    if sentence.kind == "bullet" and _COMFORTABLE.search(sentence.lead) and not NEED.search(text):
        stance = "recommended"
    weight = place.weight * (0.25 if place.aside else 1.0) * (0.3 if place.reduced else 1.0)
    example = _EXAMPLE.match(text) and not _FOOTPRINT_OF.search(text)
    weight *= 0.3 if _ANOTHER_CASE.search(text) or example else 1.0
    weight *= 0.25 if _MEASUREMENT.search(text) and not place.aside else 1.0
    weight *= (
        _SHARED
        if _PART_OF_SEVERAL.search(text) or (stance in ("tested", "mentioned") and _ONE_OF_SEVERAL.search(text))
        else 1.0
    )
    if sentence.kind == "table" and " :: " in text:
        _row(sentence, text, stance, weight * 0.8, spot, facts)
    else:
        _sizes(sentence, text, stance, weight, spot, facts)
        _cores(text, place, stance, weight, spot, facts)
        _gpus(text, place, stance, weight, spot, facts)
    if place.weight == 1.0:
        for found in _PARAMETERS.finditer(text):
            facts.amounts.append(Amount("parameters", float(found[1]), "mentioned", weight, spot))


def _sizes(sentence: Sentence, text: str, stance: Stance, weight: float, spot: Spot, facts: Facts) -> None:
    last: tuple[What | None, int] = None, 0
    for found in QUANTITY.finditer(text):
        if _RATE.match(text, found.end()):
            continue
        what = measured(text, found.start(), found.end())
        between = text[last[1] : found.start()]
        if what is None and RECOMMEND.search(between) and len(between) < _SAME_CLAUSE:
            what = last[0]
        if what is None and _MEMORY_HEADING.match(sentence.heading) and _ASKS.search(text[: found.start()]):
            what = "ram"
        plainly = what == "ram" and _MEMORY_ONLY.match(text, found.end())
        if plainly and last[0] == "vram" and len(between) < _NEXT_CLAUSE and _OR.search(between):
            # `A GPU with 24G memory, or 16G memory with mixed precision`.
            what = "vram"
        listed = of_list(text, sentence.lead) if what is None and sentence.kind == "bullet" else None
        what = what or listed
        either = what == "vram" == last[0] and len(between) < _SAME_CLAUSE and _OR.search(between)
        last = what, found.end()
        value = to_gigabytes(found["number"], found["unit"])
        before = text[: found.start()]
        if what is None:
            if _THING_SIZE.search(before) and _RESIDENT.search(sentence.block):
                facts.amounts.append(Amount("ram", float(math.ceil(value * _AROUND)), "minimum", weight, spot))
        elif _plausible(what, value := _of_each(text, value) if what == "vram" else _of_all(before, value, what)):
            own = weight * (0.3 if what == "ram" and _APPLE.search(text) else 1.0)
            facts.amounts.append(
                Amount(what, value, _own_stance(what, before, "minimum" if listed else stance), own, spot)
            )
            if either and facts.amounts[-2:-1] and facts.amounts[-2].what == "vram":
                # Either will do: the larger is for comfort.
                more = max((-2, -1), key=lambda place: facts.amounts[place].value)
                facts.amounts[more] = replace(facts.amounts[more], stance="recommended")


def _of_each(text: str, value: float) -> float:
    """Divide GPU memory that is given as a sum over several GPUs."""
    count = _GPU_COUNT.search(text) if _SUM.search(text) else None
    return value / int(count[1]) if count and int(count[1]) else value


def _of_all(before: str, value: float, what: What) -> float:
    """Multiply RAM that is given per stick."""
    sticks = _STICKS.search(before) if what == "ram" else None
    return value * int(sticks[1]) if sticks else value


def _own_stance(what: What, before: str, stance: Stance) -> Stance:
    """Return what the words before a number make of it, in a sentence of this stance."""
    at_most = what != "disk" and _AT_MOST.search(before)
    if at_most or _FOR_INSTANCE.search(before) or _CONDITION.search(before) or _PERHAPS.search(before):
        return "mentioned"
    own = _nearer(before, stance)
    told = _MACHINE.search(before) or _FOOTPRINT.search(before) or _TAKES.search(before)
    if what == "ram" and own == "mentioned" and told and not _LESS.search(before):
        return "tested"
    return "minimum" if what == "vram" and own != "recommended" and _TAKES.search(before) else own


def _row(sentence: Sentence, text: str, stance: Stance, weight: float, spot: Spot, facts: Facts) -> None:
    head, _, row = text.partition(" :: ")
    cells = row.split("|")
    around = f"{sentence.heading} {sentence.lead}"
    for column, cell in zip(head.split("|"), cells, strict=False):
        if (unit := _UNIT.search(column)) and _BARE.fullmatch(cell.strip()):
            # `GPU memory (GB)` above `26.0`.
            cell = f"{cell.strip()} {unit[1]}"
        sizes = [(to_gigabytes(f["number"], f["unit"]), f) for f in QUANTITY.finditer(cell)]
        if not sizes:
            continue
        # Several in a cell are ways to run the same thing, of which the least is what it takes.
        value, found = min(sizes, key=lambda size: size[0])
        what = measured(cell, found.start(), found.end()) or of_column(column, cells, around)
        if what and _plausible(what, value):
            # What it takes of a GPU is what it needs, unless other columns show that it was measured in passing.
            taken = what == "vram" and stance == "mentioned" and not _TIMES.search(head.replace(column, ""))
            own: Stance = "minimum" if taken else stance
            # A column of memory beside none of times tells what each row takes.
            needed = not _TIMES.search(head) and not any(_DURATION.fullmatch(other.strip()) for other in cells)
            if what == "ram" and own == "mentioned" and (needed or _MACHINE.search(head)):
                own = "tested"
            facts.amounts.append(Amount(what, value, own, weight, spot))


def _cores(text: str, place: Standing, stance: Stance, weight: float, spot: Spot, facts: Facts) -> None:
    for found in _CORES.finditer(text):
        value = int(found[1])
        if 1 <= value <= 512 and (stance != "mentioned" or place.required):
            own: Stance = "mentioned" if _FOR_INSTANCE.search(text[: found.start()]) else stance
            # Two hardware threads are one core.
            cores = (value + 1) // 2 if "thread" in found[0].lower() else value
            facts.amounts.append(Amount("cores", cores, own, weight, spot))


def _gpus(text: str, place: Standing, stance: Stance, weight: float, spot: Spot, facts: Facts) -> None:
    """Read how many GPUs, and the memory of a GPU model that is asked for without a size."""
    if (count := _GPU_COUNT.search(text)) and stance in ("minimum", "recommended"):
        facts.amounts.append(Amount("gpus", int(count[1]), stance, weight, spot))
    stated = any(a.what == "vram" and a.spot == spot for a in facts.amounts[-4:])
    named = gpu.asks_for_one(text) or _ENOUGH.search(text) or (TESTED.search(text) and _SINGLE.search(text))
    if stated or place.aside or not named:
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
    """Let the word right before a number decide for it: `at least 16GB, ideally 32GB`."""
    near = before[-28:]
    return (
        "recommended" if RECOMMEND.search(near) and not re.search(r"at least|minimum", near, re.IGNORECASE) else stance
    )


def _plausible(what: What, value: float) -> bool:
    low, high = {"ram": (1.0, 12_500.0), "vram": (1.0, 300.0), "disk": (0.1, 1_000_000.0)}[what]
    return low <= value <= high
