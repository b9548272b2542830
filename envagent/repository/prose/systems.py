"""Sentences about operating systems, kernels, architectures and Python versions.

Owns: how people write versions. Must not: take a container's system for the machine's.
"""

from __future__ import annotations

import re

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from envagent.repository.documents import Sentence
from envagent.repository.facts import PYTHON_MINORS, Facts, PythonSign, SpecialSign, Spot, SystemSign, minors, quote
from envagent.repository.knowledge import table
from envagent.repository.prose.context import NEED, OPTIONAL, RECOMMEND, TESTED, Standing

_UBUNTU = re.compile(
    r"\bx?ubuntu\b[\s_-]*(?:linux|server|lts|version|desktop|release)?[\s:(>=≥]*(?P<list>\d\d(?:\.\d\d)?(?:\.\d)?(?:\s*lts)?(?:\s*(?:,|/|\||or|and|&|, and|-|–|to)\s*(?:ubuntu\s*)?\d\d(?:\.\d\d)(?:\.\d)?(?:\s*lts)?)*)",
    re.IGNORECASE,
)
_VERSION = re.compile(r"(?<![\d.])(1[4-9]|2[0-9])(?:\.(04|10))?(?:\.\d)?(?![\d])")
_NEWER = re.compile(
    r"^[^.;]{0,12}(?:\+|or (?:newer|later|higher|above|greater)|and (?:newer|later|above|up|higher|onwards?)|onwards|以上)",
    re.IGNORECASE,
)
_OTHERS = re.compile(
    r"\b(centos|rhel|red hat|rocky|almalinux|debian|fedora|opensuse)\b[\s:]*(?:linux|enterprise linux|stream)?\s*(\d{1,2}(?:\.\d)?)?",
    re.IGNORECASE,
)
_OTHER_NAMES = {"red hat": "rhel", "opensuse": "opensuse"}
_CONTAINER = re.compile(r"docker|container|image\b|\bbase\b|nvcr|wsl|virtual machine|vagrant", re.IGNORECASE)
_KERNEL = re.compile(
    r"\b(?:linux )?kernel\b[^.\d;]{0,25}v?(?P<version>[3-6]\.\d{1,2})(?:\.\d+)?(?P<newer>\s*(?:\+|or (?:newer|later|higher|above|greater)|and (?:above|later|newer)|\)?\s*is required))?",
    re.IGNORECASE,
)
_LINUX_AT_LEAST = re.compile(
    r"\blinux\s*(?:>=|≥)?\s*v?(?P<version>[3-6]\.\d{1,2})(?:\.\d+)?\s*(?:\+|or (?:newer|later|higher|above|greater))",
    re.IGNORECASE,
)

_BOUNDED = re.compile(
    r"(?<![\w/.-])python\s*(?:versions?|release)?\s*\(?[`\"']?\s*(?P<bounds>(?:[<>=!~]=?|≥|≤)\s*\d\.\d{1,2}(?:\.\d+)?(?:\s*,?\s*(?:and|&)?\s*(?:[<>=!~]=?|≤)\s*\d\.\d{1,2}(?:\.\d+)?)*)",
    re.IGNORECASE,
)
_LISTED = re.compile(
    r"(?<![\w/.-])(?:c?python|py)\s*(?:versions?|v|release)?[\s:(]*(?P<first>[23]\.\d{1,2})(?:\.[\dx]+)?(?P<rest>(?:\s*(?:,|/|or|and|&|, and|, or|-|–|—|to|through|~)\s*(?:python\s*)?[23]\.\d{1,2}(?:\.[\dx]+)?)*)(?P<newer>\s*\)?\s*(?:\+|or (?:any )?(?:newer|later|higher|above|greater|more recent)|and (?:above|newer|later|up|higher|greater)|or above|以上|及以上|onwards))?",
    re.IGNORECASE,
)
_NEGATED = re.compile(
    r"\b(?:not|n't|no longer|drop\w*|removed?|except|unsupported|incompatible|deprecat\w+)\b[^.;]{0,40}$", re.IGNORECASE
)
_X86 = re.compile(
    r"\b(?:only|requires?|needs?|must)\b[^.;]{0,40}\b(?:x86[-_]?64|amd64|avx-?512|avx2?|intel cpus?)\b|\b(?:avx-?512|avx2|x86[-_]64)\b[^.;]{0,25}\b(?:required|is needed|only)\b",
    re.IGNORECASE,
)
_ARM = re.compile(r"\b(?:jetson|aarch64|arm64|armv[89]|thunderx2?|graviton)\b", re.IGNORECASE)


def read(sentence: Sentence, place: Standing, facts: Facts) -> None:
    """Systems, kernels, architectures and Pythons that the sentence names."""
    spot = Spot(sentence.path, sentence.line, quote(sentence.text))
    _systems(sentence, place, spot, facts)
    _kernels(sentence, place, spot, facts)
    _pythons(sentence, place, spot, facts)
    if _X86.search(sentence.text) and not place.aside:
        facts.specials.append(SpecialSign("x86_64", 1.5 * place.weight, spot))
    if _ARM.search(sentence.text) and not OPTIONAL.search(sentence.text):
        weight = 1.0 if place.intro or sentence.kind == "heading" else 0.3
        facts.specials.append(SpecialSign("aarch64", weight * place.weight, spot))


def _systems(sentence: Sentence, place: Standing, spot: Spot, facts: Facts) -> None:
    text = sentence.text
    weight = place.weight * (0.3 if place.aside else 1.0)
    weight *= (
        1.5
        if TESTED.search(text)
        or NEED.search(text)
        or RECOMMEND.search(text)
        or place.required
        or re.search("support", text)
        else 1.0
    )
    if _CONTAINER.search(text) or any(_CONTAINER.search(h) for h in sentence.headings[1:]):
        weight *= 0.15
    if sentence.kind == "code":
        weight *= 0.2
    for found in _UBUNTU.finditer(text):
        versions = tuple(f"{m[1]}.{m[2] or '04'}" for m in _VERSION.finditer(found["list"]))
        if versions:
            # A list of releases, or one as a heading, tells what is supported.
            own = weight * (1.2 if len(versions) > 1 or sentence.kind == "heading" else 1.0)
            newer = _NEWER.match(text[found.end() :]) is not None or ">" in found[0] or "≥" in found[0]
            facts.systems.append(SystemSign("ubuntu", versions, newer, own, spot))
    if sentence.kind != "code":
        for found in _OTHERS.finditer(text):
            name = found[1].lower()
            facts.systems.append(
                SystemSign(_OTHER_NAMES.get(name, name), (found[2],) if found[2] else (), False, weight * 0.6, spot)
            )


def _kernels(sentence: Sentence, place: Standing, spot: Spot, facts: Facts) -> None:
    found = _KERNEL.search(sentence.text) or _LINUX_AT_LEAST.search(sentence.text)
    if found is None or place.aside:
        return
    wanted = tuple(int(part) for part in found["version"].split("."))
    needed = NEED.search(sentence.text) is not None or place.required or bool(found.groupdict().get("newer"))
    if not needed:
        return
    for row in reversed(table("machines")["kernel"]):
        if tuple(int(part) for part in row["from"].split(".")) >= wanted:
            facts.systems.append(SystemSign("ubuntu", (row["ubuntu"],), True, 0.7 * place.weight, spot))
            return


def _pythons(sentence: Sentence, place: Standing, spot: Spot, facts: Facts) -> None:
    text = sentence.text
    authority = 1 if place.weight >= 0.8 and not place.aside else 0
    for found in _BOUNDED.finditer(text):
        bounds = re.sub(r"\s+|and|&", "", found["bounds"].replace("≥", ">=").replace("≤", "<="))
        bounds = re.sub(r"(?<=\d)(?=[<>=!~])", ",", bounds)
        try:
            allowed = minors(SpecifierSet(re.sub(r"(?<![<>=!~])=(?!=)", "==", bounds)))
        except InvalidSpecifier:
            continue
        if allowed:
            facts.pythons.append(PythonSign(allowed, authority, spot, "what it documents"))
    for found in _LISTED.finditer(text):
        if _NEGATED.search(text[: found.start()]) or found["first"] not in PYTHON_MINORS:
            continue
        allowed = _listed(found)
        strong = (
            NEED.search(text)
            or place.required
            or RECOMMEND.search(text)
            or TESTED.search(text)
            or re.search("support|compatible|work", text)
        )
        facts.pythons.append(PythonSign(allowed, authority if strong else 0, spot, "what it documents"))


def _listed(found: re.Match[str]) -> frozenset[str]:
    """`3.8`, `3.8+`, `3.8-3.11`, `3.10 or 3.11`."""
    named = [found["first"], *re.findall(r"[23]\.\d{1,2}", found["rest"] or "")]
    places = [PYTHON_MINORS.index(n) for n in named if n in PYTHON_MINORS]
    if found["newer"]:
        return frozenset(PYTHON_MINORS[min(places) :])
    if re.search(r"-|–|—|\bto\b|through|~", found["rest"] or "") and len(places) == 2:
        return frozenset(PYTHON_MINORS[min(places) : max(places) + 1])
    return frozenset(PYTHON_MINORS[p] for p in places)
