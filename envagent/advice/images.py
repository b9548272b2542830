"""Which image: read names and properties, refuse what cannot run on a node, rank the rest.

Only current public Chameleon builds are chosen by rules; any other image is taken when the user names it exactly.
Glance's min_disk and min_ram are mostly 0 on Chameleon, so names and build properties decide.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from envagent.advice.needs import Need
from envagent.catalog import NodeType
from envagent.catalog.gpus import capabilities, version
from envagent.catalog.releases import cuda_toolkit, relative, releases, ssh_users
from envagent.cloud.port import Image
from envagent.errors import UsageError

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
    """What an image's name and properties tell."""

    distro: str | None
    release: str | None
    variant: Variant
    official: bool
    """Public, active, and named and built as Chameleon's own."""
    current: bool
    """The bare name, and not marked as superseded."""
    cuda: tuple[int, int] | None
    """CUDA toolkit, of CUDA images."""
    architecture: str | None
    """None where nothing tells (images that are not Chameleon's)."""


def traits(image: Image) -> Traits:
    """Read an image."""
    match = _NAME.fullmatch(image.name)
    told = image.properties
    if match is None:
        by_code = next((r for r in releases() if r.codename == told.get("build-release")), None)
        return Traits(
            distro=told.get("build-distro"),
            release=by_code.release if by_code else None,
            variant="custom",
            official=False,
            current=False,
            cuda=None,
            architecture=told.get("architecture"),
        )
    word = (match["variant"] or "").lstrip("-").casefold()
    variant = _VARIANTS.get(word, "cuda")
    repo = told.get("build-repo", "")
    ours = not repo or "chameleoncloud/cc-images" in repo.casefold()
    return Traits(
        distro=match["distro"].casefold(),
        release=match["release"],
        variant=variant,
        official=ours and image.visibility == "public" and image.status == "active",
        current=match["stamp"] is None and told.get("chameleon-supported", "true").casefold() != "no",
        cuda=cuda_toolkit(eleven=word == "cuda11") if variant in ("cuda", "vgpu") else None,
        architecture="aarch64" if variant == "arm64" else "x86_64",
    )


def _built(image: Image) -> float:
    """When an image was made, to compare: seconds since 1970, or 0; of a dated name its digits say it."""
    if image.created_at is not None:
        return image.created_at.timestamp()
    match = _NAME.fullmatch(image.name)
    stamp = re.sub(r"\D", "", match["stamp"] or "")[:8] if match else ""
    return float(stamp or 0)


def ssh_user(image: Image) -> str:
    """The login user of an image: `cc` on everything built by Chameleon, else the distribution's custom."""
    if image.name.startswith("CC-") or "build-repo" in image.properties:
        return "cc"
    said = image.properties.get("os_admin_user", "")
    if _USER.fullmatch(said):
        return said
    words = f"{image.name} {image.properties.get('os_distro', '')}".casefold()
    return next((user for word, user in ssh_users() if word in words), "cc")


def misfit(image: Image, node: NodeType, need: Need) -> str | None:
    """Why an image cannot serve on a node for a need, or None when it can.

    A node without GPU carries no GPU image even for a GPU need: that pairing exists by the user's wish alone.
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
    """Whether the GPU is outside what the image's CUDA toolkit and driver support."""
    if seen.cuda is None or node.gpu is None or node.gpu.compute_capability is None:
        return None
    oldest, newest = capabilities(seen.cuda)
    has = version(node.gpu.compute_capability)
    if oldest <= has <= newest:
        return None
    age = "old" if has < oldest else "new"
    toolkit = ".".join(map(str, seen.cuda))
    return f"the {node.gpu.model} is too {age} for its CUDA {toolkit}"


def _preferred_release(distro: str, need: Need) -> str:
    known = [r for r in releases() if r.distro == distro]
    by_python = next((r for r in known if r.supported and r.python == need.python), None)
    return (by_python or known[0]).release


def _rank(image: Image, need: Need) -> tuple[object, ...]:
    """Sort key, best first: maintained, distribution, required release, current build, preferred release, newest.

    A release that Chameleon no longer maintains counts only where the project requires just that one; CUDA on
    anything but Ubuntu is not maintained at all.
    """
    seen = traits(image)
    distro = relative(need.os_type)
    required = need.os_version if distro == (need.os_type or distro) else None
    order = [r.release for r in releases() if r.distro == seen.distro]
    preferred = _preferred_release(seen.distro, need) if seen.distro and order else None
    place = order.index(seen.release) if seen.release in order else len(order)
    exact = required is not None and _same_release(seen.release, required)
    eol = not maintained(seen) and not (exact and seen.distro == distro)
    return (
        eol or (seen.cuda is not None and seen.distro != "ubuntu"),
        seen.distro != distro,
        required is not None and not exact,
        not seen.current,
        -1 if seen.release == preferred else place,
        bool(seen.cuda and seen.cuda[0] == cuda_toolkit(eleven=True)[0]),
        -_built(image),
        image.name,
        image.id,
    )


def worse(image: Image, best: Image, need: Need) -> str | None:
    """In which respect that rules insist on an image is worse than another, or None: the first four of the rank."""
    reasons = (
        "no longer maintained",
        "another distribution than the project's",
        f"not the release {need.os_version} that the project requires",
        f"superseded: {best.name} is current",
    )
    for reason, has, other in zip(reasons, _rank(image, need), _rank(best, need), strict=False):
        if has and not other:
            return reason
    return None


def maintained(seen: Traits) -> bool:
    """Whether Chameleon still builds images of this release."""
    return any(r.supported and (r.distro, r.release) == (seen.distro, seen.release) for r in releases())


def _same_release(release: str | None, required: str) -> bool:
    """Compare `9` with `9`, `9-stream` or `9.4`, and `22.04` with `22.04` or `22.04 LTS`."""
    if release is None:
        return False
    found = re.match(r"\d+(?:\.\d+)?", required.strip())
    if not found:
        return False
    wanted = found.group()
    return wanted == release or wanted.split(".")[0] == release


def ranked(images: Iterable[Image], nodes: Sequence[NodeType], need: Need) -> list[Image]:
    """Official images that suit at least one of the nodes, best first, the newest of each name only."""
    newest: dict[str, Image] = {}
    for image in images:
        if not traits(image).official:
            continue
        held = newest.get(image.name)
        if held is None or (_built(image), image.id) > (_built(held), held.id):
            newest[image.name] = image
    fitting = [i for i in newest.values() if any(misfit(i, n, need) is None for n in nodes)]
    best = nodes[0] if nodes else None
    return sorted(
        fitting,
        key=lambda i: (best is not None and misfit(i, best, need) is not None, *_rank(i, need)),
    )


def fitting(candidates: Iterable[Image], node: NodeType, need: Need) -> list[Image]:
    """Those of the candidates that suit a node, best first by rules, whoever put them on the list."""
    return sorted((i for i in candidates if misfit(i, node, need) is None), key=lambda i: _rank(i, need))


def shortlist(found: Sequence[Image]) -> list[Image]:
    """The first three of ranked images, and up to two more that are current builds of maintained releases."""
    further = [i for i in found[FEWEST_CANDIDATES:] if (seen := traits(i)).current and maintained(seen)]
    return [*found[:FEWEST_CANDIDATES], *further][:MOST_CANDIDATES]


def explain(image: Image, need: Need) -> tuple[str, tuple[str, ...]]:
    """The reason for an image in words, and what to warn of."""
    seen = traits(image)
    if seen.variant == "custom":
        return "named by the user", ("not a Chameleon build: what it holds is unknown",)
    warnings = []
    wanted = relative(need.os_type)
    if seen.distro != wanted:
        warnings.append(f"the project asks for {need.os_type}, for which this hardware has no image here")
    elif need.os_type and need.os_type != wanted:
        warnings.append(f"{need.os_type} has no image here: {seen.distro} is its nearest relative")
    if need.os_version and seen.distro == need.os_type and not _same_release(seen.release, need.os_version):
        warnings.append(f"the project asks for {need.os_type} {need.os_version}, which has no image here")
    known = next((r for r in releases() if (r.distro, r.release) == (seen.distro, seen.release)), None)
    if known and not known.supported:
        warnings.append(f"{image.name} is no longer maintained by Chameleon")
    if known and need.python and known.python != need.python:
        warnings.append(f"the image ships Python {known.python}; install {need.python} with uv or conda")
    if seen.cuda and need.gpu and need.gpu.cuda and need.gpu.cuda[0] > seen.cuda[0]:
        asked = ".".join(map(str, need.gpu.cuda))
        warnings.append(f"its driver may be too old for CUDA {asked}: check nvidia-smi before installing")
    parts = [f"{seen.distro} {seen.release}", {"base": "no GPU software"}.get(seen.variant, seen.variant)]
    if seen.current:
        parts.append("the current public Chameleon build")
    else:
        parts.append("a dated build, since no current one matches")
    return ", ".join(parts), tuple(warnings)


def find_named(images: Sequence[Image], wish: str) -> Image:
    """The image that a user names: by id, by exact name, or by a name that differs in case only.

    Of several Chameleon builds of one name the newest public one counts.

    Raises:
        UsageError: no such image, or several that only an id tells apart.
    """
    by_id = next((i for i in images if i.id == wish), None)
    if by_id:
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
        raise UsageError(f"{len(active)} images are named {wish}", hint=f"give the id: --image with one of {ids}")
    if found:
        raise UsageError(f"image {wish} is {found[0].status}", hint="name an active image with --image")
    near = difflib.get_close_matches(wish, sorted({i.name for i in images}), n=3, cutoff=0.5)
    raise UsageError(
        f"no image here is named {wish}",
        hint=f"near names: {', '.join(near)}" if near else "leave out --image to let the rules choose",
    )


def lacking(available: Sequence[Image], node: NodeType, need: Need) -> str:
    """What kind of image a node would need, when none of the site's suits; names the nearest miss."""
    wanted = _wanted_variant(node, need)
    of_kind = [i for i in available if traits(i).variant == wanted]
    if not of_kind:
        return f"the {wanted} variant is not offered"
    return f"{of_kind[0].name}: {misfit(of_kind[0], node, need)}"
