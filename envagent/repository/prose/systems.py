"""Sentences about operating systems, kernels, architectures and Python versions.

Owns: how people write versions. Must not: take a container's system for the machine's.
"""

from __future__ import annotations

import re

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from envagent.repository.documents.sentence import Sentence
from envagent.repository.facts import PYTHON_MINORS, Facts, PythonSign, SpecialSign, Spot, SystemSign, minors, quote
from envagent.repository.knowledge import table
from envagent.repository.patterns import any_of
from envagent.repository.prose.context import NEED, OPTIONAL, RECOMMEND, TESTED, Standing

_AND = r"\s*(?:,|/|\||or|and|&|, and|, or|-|–|—|to)\s*"
# An open group: the pattern that takes it in closes it with its own further words.
_NEWER_WORDS = (
    r"(?:\+|or (?:any )?(?:newer|later|higher|above|greater|more recent)|"
    r"and (?:newer|later|above|up|higher|greater|onwards?)"
)
_UBUNTU = any_of(
    r"\bx?ubuntu(?![a-z])[\s_-]*(?:(?:linux|server|lts|versions?|desktop|releases?|trusty|xenial|bionic|focal|jammy|noble|"
    r"(?:x86[-_]|x|amd)?64(?:[- ]?bits?)?)[\s_-]*){0,3}[\s:(>=≥]*(?:[\w' ]{0,20}\btested (?:on|with)\s)?"
    r"(?P<list>\d\d(?:\.\d\d)?(?:\.\d)?(?:\s*lts)?"
    rf"(?:{_AND}(?:ubuntu\s*)?\d\d\.\d\d(?:\.\d)?(?:\s*lts)?)*)"
)
_CODENAME = any_of(r"\bubuntu[\s\"'(-]*(trusty|xenial|bionic|focal|jammy|noble)\b(?![^.;]{0,12}\d\d\.\d\d)")
# Systems alone on a line that is set like code.
_ONLY_SYSTEMS = re.compile(r"ubuntu[\s\d.,/&()+-]*(?:(?:lts|and|or)[\s\d.,/&()+-]*)*", re.IGNORECASE)
_PLANNED = any_of(
    r"\b(?:plan(?:s|ned|ning)? to|not (?:yet )?(?:been )?(?:tested|supported)|no longer supports?|untested)\b"
    r"[^.;]{0,40}$"
)
_REFUSED = any_of(r"[^.;,]{0,20}\b(?:is|are) (?:no longer|not(?: yet)?|un)[ -]?(?:been )?(?:supported|tested)\b")
# A release of ROS is made for one of Ubuntu.
_ROS = re.compile(r"\bROS ?[12]?\b")
_ROS_NAME = re.compile(r"(?:\bros[-_ ]?|\b(?=[A-Z]))([A-Za-z]{4,9})\b")
_ROS_PACKAGE = re.compile(r"\bros-([a-z]{4,9})-")
# Packages and drivers of the host, which are made for its release.
_FOR_THE_HOST = re.compile(r"\binstall\b.{0,60}\bros-[a-z]{4,9}-|\bMLNX_OFED[\w.-]{1,40}-ubuntu\d\d")
_VERSION = re.compile(r"(?<![\d.])(1[4-9]|2[0-9])(?:\.(04|10))?(?:\.\d)?(?![\d])")
_NEWER = any_of(rf"^[^.;]{{0,12}}{_NEWER_WORDS}|onwards|以上)")
_OTHERS = any_of(
    r"\b(centos|rhel|red hat|rocky|almalinux|debian|fedora|opensuse)\b[\s:]*(?:linux|enterprise linux|"
    r"stream)?\s*(\d{1,2}(?:\.\d)?)?"
)
_CONTAINER = any_of(r"docker|container|guest|rootfs|image\b|\bbase\b|nvcr|wsl|virtual machine|vagrant")
# Where to read how it is done.
_GUIDE = any_of(r"\b(?:see|look at|consult|refer to)\b[^.;]{0,40}\bdockerfiles?\b")
_HOST = any_of(r"\bhost(?: machine| system| os)?\b[^.;]{0,25}\bubuntu\b", r"\bubuntu\b[^.;]{0,25}\bhosts?\b")
_KERNEL = any_of(
    r"\b(?:linux )?kernel\b[^.\d;]{0,25}v?(?P<version>[3-6]\.\d{1,2})(?:\.\d+)?"
    rf"(?P<newer>\s*(?:{_NEWER_WORDS}|\)?\s*is required)))?"
)
_LINUX = any_of(rf"\blinux\s*(?:>=|≥)?\s*v?(?P<version>[3-6]\.\d{{1,2}})(?:\.\d+)?(?P<newer>\s*{_NEWER_WORDS}))")
_BOUNDED = any_of(
    r"(?<![\w/.-])python\s*\(?(?:versions?|release)?\s*\(?[`\"']?\s*"
    r"(?P<bounds>(?:[<>=!~]=?|≥|≤)\s*\d\.\d{1,2}(?:\.\d+)?"
    r"(?:\s*,?\s*(?:and|&)?\s*(?:[<>=!~]=?|≤)\s*\d\.\d{1,2}(?:\.\d+)?)*)"
)
_LISTED = any_of(
    r"(?<![\w/.-])(?:c?python|py)\s*(?:versions?|v|release)?[\s:(]*(?P<first>[23]\.\d{1,2})(?:\.[\dx]+)?"
    r"(?P<rest>(?:\s*(?:,|/|or|and|&|, and|, or|-|–|—|to|through|~)\s*(?:python\s*)?[23]\.\d{1,2}(?:\.[\dx]+)?)*)"
    rf"(?P<newer>\s*\)?\s*(?:{_NEWER_WORDS}|or above|以上|及以上|onwards)))?"
)
# A major version alone.
_MAJORS = any_of(
    r"(?<![\w/.-])python ?(?P<first>[23])(?:(?: or |/| and )(?:python ?)?(?P<second>3))?(?:\.x)?(?![\w.]*\d)(?![-\w])"
)
_RANGE = any_of(r"-|–|—|\bto\b|through|~")
_SUPPORTED = any_of(r"support|compatible|work")
_NEGATED = any_of(
    r"\b(?:if you (?:must|still)|not|n't|no longer|last (?:version|release)|drop\w*|removed?|except|unsupported|"
    r"incompatible|deprecat\w+)\b[^.;]{0,40}$"
)
_DROPPED = any_of(r"\s*(?:support )?(?:is|are|was|were|has been|have been) (?:dropped|removed|deprecated|no longer)\b")
_X86 = any_of(
    r"\b(?:only|requires?|needs?|must)\b[^.;]{0,40}\b(?:x86[-_]?64|amd64|avx-?512|avx2?|intel cpus?)\b",
    r"\b(?:avx-?512|avx2|x86[-_]64)\b[^.;]{0,25}\b(?:required|is needed|only)\b",
)
_X86_NAMED = any_of(r"\b(?:x86(?:[-_]?64)?|x64|amd64|avx-?512|avx2?|intel cpus?)\b")
_ARM = any_of(r"\b(?:jetson|aarch64|arm64|armv[89]|thunderx2?|graviton)\b")
_INSTANCE = any_of(r"\bfor (?:example|instance)\b|\be\.g\.")
_NAMES = ("ubuntu", "centos", "rhel", "red hat", "rocky", "almalinux", "debian", "fedora", "opensuse", "ros")
_ALIASES = {"red hat": "rhel"}


def read(sentence: Sentence, place: Standing, facts: Facts) -> None:
    """Read the systems, kernels, architectures and Pythons that the sentence names."""
    spot = Spot(sentence.path, sentence.line, quote(sentence.text))
    low = sentence.text.lower()
    # Each pattern needs its word; looking for the word is far cheaper.
    if any(name in low for name in _NAMES):
        _systems(sentence, place, spot, facts)
    if "kernel" in low or "linux" in low:
        _kernels(sentence, place, spot, facts)
    if "py" in low:
        _pythons(sentence, place, spot, facts)
    if _X86_NAMED.search(sentence.text) and not place.aside:
        firm = 1.5 if _X86.search(sentence.text) else 0.3
        facts.specials.append(SpecialSign("x86_64", firm * place.weight, spot))
    if _ARM.search(sentence.text):
        said_first = place.intro or sentence.kind == "heading"
        weight = 0.1 if OPTIONAL.search(sentence.text) else 1.0 if said_first else 0.3
        facts.specials.append(SpecialSign("aarch64", weight * place.weight, spot))


def _systems(sentence: Sentence, place: Standing, spot: Spot, facts: Facts) -> None:
    text = sentence.text
    weight = _system_weight(sentence, place)
    for found in _UBUNTU.finditer(text):
        versions = tuple(f"{m[1]}.{m[2] or '04'}" for m in _VERSION.finditer(found["list"]))
        if versions:
            newer = _NEWER.match(text[found.end() :]) is not None or ">" in found[0] or "≥" in found[0]
            # A list of releases, a lower bound, or one as a heading tells what is supported.
            own = weight * 1.25 ** (newer + (len(versions) > 1) + (sentence.kind == "heading"))
            if _PLANNED.search(text[: found.start()]) or _REFUSED.match(text[found.end() :]):
                own *= 0.1
            facts.systems.append(SystemSign("ubuntu", versions, newer, own, spot))
    for found in _CODENAME.finditer(text):
        version = table("machines")["codenames"][found[1].lower()]
        facts.systems.append(SystemSign("ubuntu", (version,), False, weight, spot))
    if "ubuntu" not in text.lower() and (versions := _of_ros(text)):
        own = weight * (0.5 if _INSTANCE.search(text) else 1.0)
        facts.systems.append(SystemSign("ubuntu", versions, False, own, spot))
    if sentence.kind != "code":
        for found in _OTHERS.finditer(text):
            name = found[1].lower()
            versions = (found[2],) if found[2] else ()
            facts.systems.append(SystemSign(_ALIASES.get(name, name), versions, False, weight * 0.6, spot))


def _of_ros(text: str) -> tuple[str, ...]:
    """Return the Ubuntu releases of the ROS releases named: `ROS (tested with Kinetic and Melodic)`."""
    releases = table("machines")["ros"]
    pattern = _ROS_NAME if _ROS.search(text) else _ROS_PACKAGE
    named = {releases.get(found[1].lower()) for found in pattern.finditer(text)}
    return tuple(sorted(release for release in named if release))


def _system_weight(sentence: Sentence, place: Standing) -> float:
    text = sentence.text
    firm = (
        place.required
        or TESTED.search(text)
        or NEED.search(text)
        or RECOMMEND.search(text)
        or "support" in text.lower()
    )
    weight = place.weight * (0.3 if place.aside else 1.0) * (1.5 if firm else 0.8)
    in_container = _CONTAINER.search(_GUIDE.sub("", text)) is not None
    if not _HOST.search(text) and (in_container or any(_CONTAINER.search(h) for h in sentence.headings[1:])):
        weight *= 0.15
    command = sentence.kind == "code" and _ONLY_SYSTEMS.fullmatch(text) is None
    return weight * (0.8 if _FOR_THE_HOST.search(text) else 0.2) if command else weight


def _kernels(sentence: Sentence, place: Standing, spot: Spot, facts: Facts) -> None:
    found = _KERNEL.search(sentence.text) or _LINUX.search(sentence.text)
    if found is None or place.aside:
        return
    if not (found["newer"] or place.required or NEED.search(sentence.text)):
        return
    wanted = tuple(int(part) for part in found["version"].split("."))
    for row in reversed(table("machines")["kernel"]):
        if tuple(int(part) for part in row["from"].split(".")) >= wanted:
            facts.systems.append(SystemSign("ubuntu", (row["ubuntu"],), True, 0.7 * place.weight, spot))
            return


def _pythons(sentence: Sentence, place: Standing, spot: Spot, facts: Facts) -> None:
    text = sentence.text
    authority = 1 if place.weight >= 0.8 and not place.aside else 0
    for found in _BOUNDED.finditer(text):
        if allowed := _bounds(found["bounds"]):
            facts.pythons.append(PythonSign(allowed, authority, spot, "what it documents"))
    for found in _LISTED.finditer(text):
        if (
            _NEGATED.search(text[: found.start()])
            or _DROPPED.match(text[found.end() :])
            or found["first"] not in PYTHON_MINORS
        ):
            continue
        firm = (
            place.required
            or NEED.search(text)
            or RECOMMEND.search(text)
            or TESTED.search(text)
            or _SUPPORTED.search(text)
        )
        facts.pythons.append(PythonSign(_listed(found), authority if firm else 0, spot, "what it documents"))
    alone = _MAJORS.search(text) if authority and place.required else None
    if alone and not _NEGATED.search(text[: alone.start()]):
        majors = {alone["first"], alone["second"]}
        allowed = frozenset(m for m in PYTHON_MINORS if m[0] in majors)
        facts.pythons.append(PythonSign(allowed, authority, spot, "what it documents"))


def _bounds(written: str) -> frozenset[str]:
    """Parse `>=3.8, <3.12`, also with words and signs of other alphabets between."""
    text = re.sub(r"\s+|and|&", "", written.replace("≥", ">=").replace("≤", "<="))
    text = re.sub(r"(?<=\d)(?=[<>=!~])", ",", text)
    try:
        return minors(SpecifierSet(re.sub(r"(?<![<>=!~])=(?!=)", "==", text)))
    except InvalidSpecifier:
        return frozenset()


def _listed(found: re.Match[str]) -> frozenset[str]:
    """Parse `3.8`, `3.8+`, `3.8-3.11`, `3.10 or 3.11`."""
    named = [found["first"], *re.findall(r"[23]\.\d{1,2}", found["rest"] or "")]
    places = [PYTHON_MINORS.index(n) for n in named if n in PYTHON_MINORS]
    if found["newer"]:
        return frozenset(PYTHON_MINORS[min(places) :])
    if _RANGE.search(found["rest"] or "") and len(places) == 2:
        return frozenset(PYTHON_MINORS[min(places) : max(places) + 1])
    return frozenset(PYTHON_MINORS[p] for p in places)
