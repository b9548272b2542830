"""Choose images: read names and properties, reject what cannot run on a node, rank the rest.

By rules, only current public Chameleon builds are chosen; any other image is used if the user names it exactly.
Glance's min_disk and min_ram are mostly 0 on Chameleon, so names and build properties decide.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from envagent.advice.needs import Need
from envagent.catalog import NodeType
from envagent.catalog.gpus import capabilities, dotted, version
from envagent.catalog.releases import cuda_toolkit, distance, equivalent, relative, releases, ssh_users
from envagent.cloud.port import Image
from envagent.errors import UsageError
from envagent.hints import Hint, Option

Variant = Literal["base", "cuda", "vgpu", "rocm", "arm64", "custom"]

FEWEST_CANDIDATES, MOST_CANDIDATES = 3, 5

_NAME = re.compile(
    r"CC-(?P<distro>Ubuntu|CentOS)(?P<release>\d+(?:\.\d+)?)(?:-Stream)?"
    r"(?P<variant>-CUDA-VGPU|-CUDA\d*|-ROCm|-ARM64)?"
    r"(?P<stamp>[-_]\d{4}(?:\d\d|-\d).*)?",
    re.IGNORECASE,
)
_VARIANTS: dict[str, Variant] = {"": "base", "cuda": "cuda", "rocm": "rocm", "arm64": "arm64", "cuda-vgpu": "vgpu"}
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")


@dataclass(frozen=True)
class Traits:
    """What an image's name and properties say."""

    distro: str | None
    release: str | None
    variant: Variant
    official: bool
    """Public, active, and named and built as Chameleon's own."""
    current: bool
    """A name without a date, and not marked as superseded."""
    cuda: tuple[int, int] | None
    """CUDA toolkit, of CUDA images."""
    architecture: str | None
    """None if unknown, as for images that are not Chameleon's."""


def traits(image: Image) -> Traits:
    """Read the name and properties of an image."""
    match = _NAME.fullmatch(image.name)
    properties = image.properties
    if match is None:
        by_code = next((r for r in releases() if r.codename == properties.get("build-release")), None)
        return Traits(
            distro=properties.get("build-distro"),
            release=by_code.release if by_code else None,
            variant="custom",
            official=False,
            current=False,
            cuda=None,
            architecture=properties.get("architecture"),
        )
    word = (match["variant"] or "").lstrip("-").casefold()
    variant = _VARIANTS.get(word, "cuda")
    repo = properties.get("build-repo", "")
    ours = not repo or "chameleoncloud/cc-images" in repo.casefold()
    return Traits(
        distro=match["distro"].casefold(),
        release=match["release"],
        variant=variant,
        official=ours and image.visibility == "public" and image.status == "active",
        current=match["stamp"] is None and properties.get("chameleon-supported", "true").casefold() != "no",
        cuda=cuda_toolkit(eleven=word == "cuda11") if variant in ("cuda", "vgpu") else None,
        architecture="aarch64" if variant == "arm64" else "x86_64",
    )


def is_dated(name: str) -> bool:
    """Return whether a name is that of a dated Chameleon build, which a later one with the name alone supersedes."""
    match = _NAME.fullmatch(name)
    return match is not None and match["stamp"] is not None


def _built(image: Image) -> float:
    """Return a creation time for comparison: seconds since 1970, else the digits of a dated name, else 0."""
    if image.created_at is not None:
        return image.created_at.timestamp()
    match = _NAME.fullmatch(image.name)
    stamp = re.sub(r"\D", "", match["stamp"] or "")[:8] if match else ""
    return float(stamp or 0)


def ssh_user(image: Image) -> str:
    """Return the login user of an image: `cc` on all Chameleon builds, else the distribution's default."""
    if image.name.startswith("CC-") or "build-repo" in image.properties:
        return "cc"
    said = image.properties.get("os_admin_user", "")
    if _USER.fullmatch(said):
        return said
    words = f"{image.name} {image.properties.get('os_distro', '')}".casefold()
    return next((user for word, user in ssh_users() if word in words), "cc")


def misfit(image: Image, node: NodeType, need: Need) -> str | None:
    """Return why an image cannot be used on a node for a need, or None if it can.

    A node without a GPU gets no GPU image even for a GPU need: that pairing only exists if the user asked for it.
    """
    seen = traits(image)
    if image.status != "active":
        return f"its status is {image.status}"
    if seen.architecture is not None and seen.architecture != node.architecture:
        return f"it is for {seen.architecture}, {node.name} is {node.architecture}"
    if image.min_disk_gb and node.disk_gb and image.min_disk_gb > node.disk_gb:
        return f"it needs {image.min_disk_gb} GB of disk, {node.name} has {node.disk_gb}"
    if seen.variant == "custom":
        return None
    wanted = _wanted_variant(node, need)
    if seen.variant != wanted:
        return f"it is the {seen.variant} variant, {node.name} needs the {wanted} one"
    return _too_old(seen, node)


def _wanted_variant(node: NodeType, need: Need) -> Variant:
    if node.architecture == "aarch64":
        return "arm64"
    if need.gpu is None or node.gpu is None:
        return "base"
    if node.gpu.vendor == "nvidia":
        return "vgpu" if "vgpu" in node.tags else "cuda"
    return "rocm" if node.gpu.vendor == "amd" else "base"


def _too_old(seen: Traits, node: NodeType) -> str | None:
    """Return why the GPU is not supported by the image's CUDA toolkit, or None if it is."""
    if seen.cuda is None or node.gpu is None or node.gpu.compute_capability is None:
        return None
    oldest, newest = capabilities(seen.cuda)
    has = version(node.gpu.compute_capability)
    if oldest <= has <= newest:
        return None
    age = "old" if has < oldest else "new"
    return f"the {node.gpu.model} is too {age} for its CUDA {dotted(seen.cuda)}"


def _preferred_release(distro: str, need: Need) -> str:
    known = [r for r in releases() if r.distro == distro]
    by_python = next((r for r in known if r.supported and r.python in need.pythons), None)
    return (by_python or known[0]).release


def _rank(image: Image, need: Need) -> tuple[Any, ...]:
    """Return a sort key, best first: maintained, distribution, nearest release, current, preferred release, newest.

    A release that Chameleon no longer maintains counts only if the project requires exactly that one; CUDA on
    anything but Ubuntu is not maintained at all. The preferred release has a Python that the project allows.
    """
    seen = traits(image)
    distro = relative(need.os_type)
    required = need.os_version if distro == (need.os_type or distro) else None
    wanted = equivalent(need.os_type, need.os_version)
    order = [r.release for r in releases() if r.distro == seen.distro]
    preferred = _preferred_release(seen.distro, need) if seen.distro and order else None
    place = order.index(seen.release) if seen.release in order else len(order)
    exact = required is not None and _same_release(seen.release, required)
    same_distro = seen.distro == distro
    eol = not maintained(seen) and not (exact and same_distro)
    return (
        eol or (seen.cuda is not None and seen.distro != "ubuntu"),
        not same_distro,
        0.0 if exact or not (wanted and seen.release and same_distro) else distance(distro, seen.release, wanted),
        not seen.current,
        -1 if seen.release == preferred else place,
        bool(seen.cuda and seen.cuda[0] == cuda_toolkit(eleven=True)[0]),
        -_built(image),
        image.name,
        image.id,
    )


def worse(image: Image, best: Image, need: Need) -> str | None:
    """Return how an image is worse than another in one of the first four criteria of the rank, or None."""
    reasons = (
        "no longer maintained",
        "another distribution than the project's",
        f"further from the release {need.os_version} that the project requires",
        f"superseded: {best.name} is current",
    )
    compared = zip(reasons, _rank(image, need), _rank(best, need), strict=False)
    return next((reason for reason, has, other in compared if has > other), None)


def maintained(seen: Traits) -> bool:
    """Return whether Chameleon still builds images of this release."""
    return any(r.supported and (r.distro, r.release) == (seen.distro, seen.release) for r in releases())


def _same_release(release: str | None, required: str) -> bool:
    """Compare `9` with `9`, `9-stream` or `9.4`, and `22.04` with `22.04` or `22.04 LTS`."""
    found = re.match(r"\d+(?:\.\d+)?", required.strip())
    return found is not None and release in (found[0], found[0].split(".")[0])


def ranked(images: Iterable[Image], nodes: Sequence[NodeType], need: Need) -> list[Image]:
    """Rank the official images that suit at least one of the nodes; only the newest of each name."""
    newest: dict[str, Image] = {}
    for image in images:
        if not traits(image).official:
            continue
        held = newest.get(image.name)
        if held is None or (_built(image), image.id) > (_built(held), held.id):
            newest[image.name] = image
    fitting = [i for i in newest.values() if any(misfit(i, n, need) is None for n in nodes)]
    # What suits the best node comes first.
    return sorted(fitting, key=lambda i: (misfit(i, nodes[0], need) is not None, *_rank(i, need)))


def fitting(candidates: Iterable[Image], node: NodeType, need: Need) -> list[Image]:
    """Rank the candidates that suit a node."""
    return sorted((i for i in candidates if misfit(i, node, need) is None), key=lambda i: _rank(i, need))


def shortlist(found: Sequence[Image]) -> list[Image]:
    """Return the first three ranked images, and up to two more current builds of maintained releases."""
    further = [i for i in found[FEWEST_CANDIDATES:] if (seen := traits(i)).current and maintained(seen)]
    return [*found[:FEWEST_CANDIDATES], *further][:MOST_CANDIDATES]


def explain(image: Image, need: Need) -> tuple[str, tuple[str, ...]]:
    """Return the reason for an image, and warnings."""
    seen = traits(image)
    if seen.variant == "custom":
        return "requested by the user", ("not a Chameleon build, so its contents are unknown",)
    warnings = []
    wanted = relative(need.os_type)
    if seen.distro != wanted:
        warnings.append(f"the project asks for {need.os_type}, but this site has no such image for this hardware")
    elif need.os_type and need.os_type != wanted:
        warnings.append(f"this site has no {need.os_type} image; {seen.distro} is the closest relative")
    if need.os_version and seen.distro == need.os_type and not _same_release(seen.release, need.os_version):
        warnings.append(f"the project asks for {need.os_type} {need.os_version}, but this site has no such image")
    known = next((r for r in releases() if (r.distro, r.release) == (seen.distro, seen.release)), None)
    if known and not known.supported:
        warnings.append(f"{image.name} is no longer maintained by Chameleon")
    if known and need.pythons and known.python not in need.pythons:
        warnings.append(f"the image ships Python {known.python}; install {need.pythons[0]} with uv or conda")
    if seen.cuda and need.gpu and need.gpu.cuda and need.gpu.cuda[0] > seen.cuda[0]:
        asked = ".".join(map(str, need.gpu.cuda))
        warnings.append(f"its driver may be too old for CUDA {asked}; check nvidia-smi before installing")
    software = "no GPU software" if seen.variant == "base" else seen.variant
    build = "the current public Chameleon build" if seen.current else "a dated build, because no current one matches"
    return f"{seen.distro} {seen.release}, {software}, {build}", tuple(warnings)


def find_named(images: Sequence[Image], wish: str) -> Image:
    """Find the image requested by the user: by id, by exact name, or ignoring case.

    Of several Chameleon builds with one name, the newest public one is used.

    Raises:
        UsageError: no such image, or several that only differ by id.
    """
    if by_id := next((i for i in images if i.id == wish), None):
        return by_id
    found = [i for i in images if i.name == wish] or [i for i in images if i.name.casefold() == wish.casefold()]
    active = [i for i in found if i.status == "active"]
    official = [i for i in active if traits(i).official]
    if official:
        return max(official, key=lambda i: (_built(i), i.id))
    if len(active) == 1:
        return active[0]
    if active:
        ids = ", ".join(sorted(i.id for i in active))
        raise UsageError(
            f"{len(active)} images are named {wish}",
            hint=Hint("choose one by its id with", Option("image"), f": {ids}"),
        )
    if found:
        raise UsageError(
            f"image {wish} is {found[0].status}", hint=Hint("choose an active image with", Option("image"))
        )
    near = difflib.get_close_matches(wish, sorted({i.name for i in images}), n=3, cutoff=0.5)
    choice = Hint("let the rules choose by leaving out", Option("image"))
    hint = Hint(f"did you mean {' or '.join(near)}?") if near else choice
    raise UsageError(f"no image at this site is named {wish}", hint=hint)


def lacking(available: Sequence[Image], node: NodeType, need: Need) -> str:
    """Describe the kind of image that a node needs and this site lacks; name the nearest miss."""
    wanted = _wanted_variant(node, need)
    of_kind = [i for i in available if traits(i).variant == wanted]
    if not of_kind:
        return f"the {wanted} variant is not available"
    return f"{of_kind[0].name}: {misfit(of_kind[0], node, need)}"
