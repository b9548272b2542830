"""What a number of gigabytes measures: RAM, the memory of a GPU, or disk.

Owns: telling the three apart by the words beside a number, and by the head of its column. Must not: weigh.
"""

from __future__ import annotations

import re
from typing import Literal

from envagent.repository.patterns import any_of

What = Literal["ram", "vram", "disk"]

# Between a number and its noun: `16 GB (or more) of free system RAM`.
_BEHIND = (
    r"(?:\s*(?:or (?:more|higher|greater|above)|\+|\)|of|de|d'|free|available|total|usable|system|main|physical|host|"
    r"cpu|server|"
    r"local|fast|additional|peak|max|maximum|ddr\d?|ecc|dedicated|à|at least|-|"
    r"或?以上|及以上|左右|的|可用|이상의?|の)\s*)*\s*"
)
_RIGHT: tuple[tuple[What, re.Pattern[str]], ...] = (
    (
        "vram",
        any_of(
            _BEHIND + r"(?:gpu|video|graphics?|device|on-?board|vram|v-ram|v-?memory|cuda|card)(?:s|'s)?\b"
            r"(?! (?:server|node|machine|cluster))",
            _BEHIND + r"(?:显存|内存\s?的\s?(?:gpu|显卡))",
            _BEHIND + r"(?:memoria|m[ée]moire) (?:de )?(?:la )?(?:gpu|vid[ée]o)\b",
        ),
    ),
    (
        "disk",
        any_of(_BEHIND + r"(?:boot )?(?:disk|storage|ssd|hdd|hard|drive|space|nvme|espace|disque|scratch|磁盘|硬盘)"),
    ),
    (
        "ram",
        any_of(
            _BEHIND + r"(?:ram\b|memory\b|dram\b|ddr[345]\b|m[ée]moire|arbeitsspeicher|内存|メモリ|메모리|memoria)"
            r"(?! ?(?:bandwidth|card|region|pool|stick))"
        ),
    ),
)
# Between a noun and its number: `RAM: at least 16 GB`.
_BEFORE = (
    r"[\s:：()=≥>~≈*|_-]*(?:(?:of|is|size|requirements?|usage|capacity|needed|required|at|least|about|around|"
    r"approximately|minimum|for \w+\b|down|"
    r"min\.?|up|to|than|more|greater|or|with|total|recommended|consumption|footprint|a|the|space|uses?|takes?|needs?|"
    r"requires?|"
    r"limit|大于|不少于|不低于|不小于|至少|最低|最少|大?约|大概|需要?|要求|为|占用|推荐|建议|最小|推奨|約)[\s:：(=≥>~]*)*$"
)
_LEFT: tuple[tuple[What, re.Pattern[str]], ...] = (
    (
        "vram",
        any_of(
            r"(?:vram|v-?memory|(?:gpu|video|graphics?|device|cuda) (?:memory|ram|메모리)|显存|(?:gpu|显卡)\s?内存|"
            r"\bgpus? (?:with|having|whose) (?:a |its )?(?:memory|ram))" + _BEFORE,
            r"\b(?:gpu memory|vram)\b[^.;:,\d]{0,25}[\s(][~≈]?$",
        ),
    ),
    ("disk", any_of(r"(?:disk(?: space)?|storage|ssd|hdd|hard drive|free space|磁盘|硬盘)" + _BEFORE)),
    (
        "ram",
        any_of(
            r"(?:\bram|(?<!shared )(?<!flash )(?<!persistent )\bmemory|\bdram|内存|メモリー?|(?<!gpu )메모리|"
            r"m[ée]moire)" + _BEFORE,
            r"(?<!gpu )\b(?:memory|ram) (?:foot ?print|consumption|usage|use|requirements?)\b[^.;:\d]{0,40}\s[~≈]?$",
        ),
    ),
)
_GPU_LEFT = any_of(
    r"\b(?:gpus?|graphics cards?|[ahv]100|h200|p100|l40s?|t4|a10g?|a40|a6000|rtx ?\w+|gtx ?\w+|titan \w+|mi\d+x?|"
    r"[1-5]0[5-9]0(?: ?ti)?|tesla|card)s?\b"
    r"[\s,(/-]*(?:s\b)?(?:with|of|having|that has|has|,|\(|-|pcie|sxm\d?|sxm|nvidia|at least|a|minimum|more than|"
    r"about|around|approximately|"
    r"or more|ti|"
    r"super|each|≥|>=|:|\s)*$"
)
_GPU_RIGHT = any_of(
    r"\s?[*x×]\s?\d{1,2} (?:nvidia )?gpus?\b", r"[\s)]*(?:nvidia |amd )?(?:[ahv]100|h200|rtx|gtx|mi\d+|t4|tesla)"
)
_ON_GPU = any_of(r"\b(?:on|in|of) (?:the |a |your )?gpus?\b")
_ON_CARD = any_of(r"\s*(?:in|on) an? (?:single |nvidia |rtx ?)*(?:[ahv]100|h200|t4|a40|a6000|[1-5]0[5-9]0)\b")
# The sticks of a machine: `4 x 16 GB`.
_TIMES = re.compile(r"\d{1,2}\s?[x×*]\s?$")
_HOST = any_of(r"\s*(?:of )?(?:system|main|host|cpu)")
_CONTENT = any_of(
    r"\s*(?:of )?(?:\w+ ){0,2}(?:data(?:set)?s?\b|files?\b|images?\b|models?\b|weights\b|download|checkpoint|"
    r"database\b|genome|"
    r"text|logs?\b|of traffic|corpus|index\b)"
)
_GPU_MEMORY = any_of(
    r"\b(?:gpu|video|graphics?) (?:memory|ram|requirements?)\b|\bv-?(?:ram|memory)\b|显存|\bgpus?\b[^.:]{0,20}[:：]\s*$"
)
_NO_MEMORY = any_of(r"size|download|disk|param|weight|file|link|time|speed")
_SPEED = any_of(r"\d ?(?:iters?|its?|steps?)/s|\d ?s/(?:it|step)")
_CARD = any_of(r"\b(?:rtx|gtx|geforce|tesla|[ahv]100)\b")
_SAVING = any_of(r"\b(?:enough|sav(?:e|es|ing)|reduc\w+|less|lower\w*|limited|out of)\b")
_MODEL_SIZE = re.compile(r"\d{1,3}(?:\.\d)?B", re.IGNORECASE)
_HARDWARE = any_of(r"hardware|\bgpus?\b|memory")
# Models are kept in so few bits on GPUs.
_FEW_BITS = any_of(r"\b(?:fp16|bf16|fp8|int8|int4|[48]-?bits?|half[- ]precision|quanti[sz]\w*)\b")
_CPU = any_of(r"\bcpus?\b(?![- ]offload)|\bllama\.cpp\b|\bgguf\b|\bsystem\b|\bhost\b|\bmac\w*\b")


def measured(text: str, start: int, end: int) -> What | None:
    """Return what the quantity at [start, end) measures, by the words of its own clause."""
    right = re.split(r"[,;]|\.\s|\d+\s?[GT]i?B", text[end : end + 50], maxsplit=1)[0]
    left = _TIMES.sub("", text[max(0, start - 60) : start])
    left = re.split(r"[;]|\.\s|[GT]i?B\b|,\s*(?:and\s*)?(?=\d|$)", left)[-1]
    for what, pattern in _RIGHT:
        if pattern.match(right):
            on_gpu = (
                _GPU_LEFT.search(left) or _ON_GPU.search(right) or (_FEW_BITS.search(text) and not _CPU.search(text))
            )
            return "vram" if what == "ram" and on_gpu and not _HOST.match(right) else what
    if _CONTENT.match(right):
        return None
    for what, pattern in _LEFT:
        if pattern.search(left):
            on_gpu = _ON_CARD.match(right) or (_FEW_BITS.search(text) and not _CPU.search(text))
            return "vram" if what == "ram" and on_gpu else what
    return "vram" if _GPU_LEFT.search(left) or _GPU_RIGHT.match(right) else None


def of_column(column: str, cells: list[str], around: str) -> What | None:
    """Return what a table column measures, by its head, the head of the row, or the text above the table.

    Args:
        column: its head.
        cells: of the row.
        around: heading and paragraph above the table.
    """
    what = _named(column) or _named(cells[0])
    if what == "ram" and not _CPU.search(column):
        # Memory beside speeds, on a row for a GPU, or under words about one.
        of_gpu = any(cell.strip().lower() == "gpu" or _SPEED.search(cell) or _CARD.search(cell) for cell in cells)
        return "vram" if of_gpu or _GPU_MEMORY.search(around) else "ram"
    if what is None and _GPU_MEMORY.search(around) and not _NO_MEMORY.search(column):
        return "vram"
    if what is None and _MODEL_SIZE.fullmatch(column.strip()) and _HARDWARE.search(around):
        # Model sizes as heads: what each takes of the GPU that it lies on.
        return "vram"
    return what


def of_list(text: str, lead: str) -> What | None:
    """Return what a bullet's numbers measure, by the text above its list: `It takes this much GPU memory:`."""
    named = lead.rstrip().endswith((":", "：")) and _GPU_MEMORY.search(lead) and not _SAVING.search(lead)
    return "vram" if named and not _NO_MEMORY.search(text) else None


def _named(words: str) -> What | None:
    low = words.lower()
    if re.search(r"vram|gpu|显存|video mem", low):
        return "vram"
    if re.search(r"\bd?ram\b|memory|内存|メモリ|메모리", low):
        return "ram"
    return "disk" if re.search(r"disk|storage|space|磁盘", low) else None
