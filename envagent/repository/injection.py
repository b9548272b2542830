"""Recognise text that is written for automated readers rather than people.

Owns: the signs of such text. A repository can say anything; text that gives orders to a model, names the fields of an
answer or asks for leases says nothing about hardware, so no conclusion may rest on it. Must not: guess intent beyond
these signs; a plain lie in plain prose looks like any other requirement.
"""

from __future__ import annotations

import re

_READER = (
    r"(?:ai|a\.i\.|llms?|gpt\S{0,3}|automated|automatic|language[- ]models?|chat ?bots?|machine|bots?|coding|"
    r"autonomous)"
    r"(?:[- ](?:agents?|assistants?|analy\w+|readers?|reviewers?|models?|planners?|crawlers?|scanners?|systems?|"
    r"tools?))"
    r"|(?:llms?|chat ?bots?|language[- ]models?)(?= (?:reading|analy|processing|parsing|that read))"
)
_FIELDS = (
    r"gpu_(?:required|memory_gb|count|vendor)|cuda_(?:required|version)|ram_gb|disk_gb|cpu_cores|special_requirements"
)
# Models by their bare name, where the text addresses them instead of describing them.
_MODELS = r"(?:the |all |any )?(?:llms?|(?:large )?language[- ]models?|chat ?bots?|ais?)\s*(?:[:,.!;)]|$)"
_BEFORE = r"(?:previous|prior|above|earlier|preceding|other|existing|your|system)"

# Orders: the whole section is skipped.
_ORDERS = re.compile(
    rf"\b(?:ignore|disregard|forget|override|bypass)\b.{{0,25}}\b{_BEFORE}\b.{{0,25}}\b(?:instruction|prompt|rule|"
    rf"direction|"
    rf"message|guideline|text|file|content|context|evidence|order|everything)"
    r"|\b(?:ignore|disregard|forget|override|bypass)\b.{0,25}\b(?:everything|anything|all|text)\b.{0,15}\b(?:above|"
    r"before|preceding|so far)\b"
    rf"|\b(?:notes?|notice|instructions?|message|hints?|guidance|directives?) (?:to|for) {_MODELS}"
    rf"|\b(?:dear|hey|hello|hi|attention),? {_MODELS}|^\W*for (?:the |all |any )?(?:{_READER})(?: \w+)?\W*$"
    rf"|\b(?:notes?|notice|instructions?|message|attention|hints?|dear|hey|hello|hi|guidance|"
    rf"directives?)\b.{{0,20}}\b(?:{_READER})"
    rf"|\b(?:{_FIELDS})\b\W{{0,4}}[:=]"
    rf"|\b(?:{_READER})\b.{{0,60}}\b(?:must|shall|should|are to|need to|please|have to)\b"
    r"|\bif you are an? (?:ai|llm|language model|automated|agent|assistant|bot)"
    r"|\byou are now\b.{0,60}\b(?:planner|assistant|agent|administrator|model|system|mode|dan)\b"
    r"|<\|?(?:im_start|im_end|system|endoftext)\|?>|\[/?inst\]|<</?sys>>"
    r"|\b(?:ignorez|ignorer|ignorieren? sie|ignoriere|ignora|ignore as|ignoruj|игнорируй\w*)\b.{0,40}(?:instruc|"
    r"anweisung|instrukc|инструкц|prompt)"
    r"|忽略.{0,8}(?:指令|指示|提示)|以前の指示を無視",
    re.IGNORECASE,
)
# Suspect: only that sentence is skipped, because people write like this too.
_SUSPECT = re.compile(
    rf"\b(?:{_FIELDS})\b|\bnode[_ ]type\b|\b(?:gpu|compute|storage)_[a-z0-9]+(?:_[a-z0-9]+)+\b"
    r"|\b(?:reserve|lease|allocate|book|provision)\b.{0,40}\b(?:nodes?|hosts?|bare.?metal|hours|days)\b"
    r"|\b(?:do not|don't|never) (?:mention|reveal|tell|disclose)\b|\boverrides? (?:every|all|any|the) other\b"
    r"|\b(?:system|developer) ?(?:prompt|message|override)\b|^\s*(?:system|assistant)\s*:"
    r"|\b(?:return|answer|reply|respond|output) (?:exactly|only|with only)\b|\bas an ai\b",
    re.IGNORECASE,
)


# Most text has none of the words that every pattern needs, which is quicker to see.
_WORDS_OF_ORDERS = (
    *("ignor", "disregard", "forget", "overrid", "bypass", "llm", "gpt", "a.i.", "automat", "language", "bot"),
    *("machine", "coding", "autonomous", "_required", "_memory", "_count", "_vendor", "_version", "_gb", "_cores"),
    *("_requirements", "you are", "im_start", "im_end", "system>", "system|", "endoftext", "inst]", "sys>>"),
    *("忽略", "以前の", "игнориру"),
)
_AI = re.compile(r"\bais?\b")
_WORDS_OF_SUSPICION = (
    *("node", "gpu_", "cuda_", "ram_gb", "disk_gb", "cpu_cores", "special_", "compute_", "storage_", "reserve"),
    *("lease", "allocate", "book", "provision", "mention", "reveal", "tell", "disclose", "overrid", "prompt"),
    *("message", "system", "assistant", "exactly", "only", "as an ai"),
)


def gives_orders(text: str) -> bool:
    """Return whether the text addresses an automated reader, which makes its surroundings suspect too."""
    plain = _folded(text)
    if not any(word in plain for word in _WORDS_OF_ORDERS) and not ("ai" in plain and _AI.search(plain)):
        return False
    return _ORDERS.search(text) is not None


def is_suspect(text: str) -> bool:
    """Return whether this sentence must not count as evidence, although its surroundings may."""
    plain = _folded(text)
    return (any(word in plain for word in _WORDS_OF_SUSPICION) and _SUSPECT.search(text) is not None) or gives_orders(
        text
    )


def _folded(text: str) -> str:
    """Fold letters as far as the patterns do, which take the Turkish ones for those of English."""
    return text.casefold().replace("\u0131", "i").replace("\u0307", "")
