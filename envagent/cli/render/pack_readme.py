"""The README.md of a packed run: what it is, how to make the same again, what was shown and what is missing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from envagent.cli.documents.pack_models import PackedResult
from envagent.steps.packed_run import PackedRun

FILES = {
    "setup.sh": "the script that sets the repository up, step by step with its reasons; runs on Ubuntu or Debian",
    "requirements.json": "what the repository needs, with the lines that say so",
    "plan.json": "the node types that were considered, and each decision with its reason",
    "result.json": "what was reserved, what it cost, what the node showed, and how the set-up ended",
    "pack.json": "what `envagent run --from` reads, with the checksums of the other files",
    "ro-crate-metadata.json": "the RO-Crate metadata of this folder",
    "trovi.json": "the same, under the name that Trovi reads",
    "README.md": "this text",
    "node/lscpu.txt": "the processors of the node",
    "node/nvidia-smi.txt": "its GPUs and their driver",
    "node/lsblk.txt": "its disks",
    "node/versions.txt": "its system, kernel and compilers",
    "node/python-packages.txt": "the Python packages of the environment",
}


def name_of(packed: PackedRun) -> str:
    """Return the repository's short name, such as `owner/name`."""
    return urlsplit(packed.repository).path.strip("/").removesuffix(".git")


def described(path: str) -> str:
    """Return what a file of a pack has, in words."""
    return FILES.get(path, "the output of a proof" if path.startswith("proof/") else "a part of the pack")


def summary(packed: PackedRun, result: PackedResult) -> str:
    """Say in one sentence what was done."""
    done = "was set up" if result.setup is not None and result.setup.state == "succeeded" else "was given a server"
    where = f"{packed.node_type} at {packed.site}{' (simulated)' if result.simulated else ''}"
    return f"{name_of(packed)} at commit {packed.commit[:12]} {done} on {where} with {packed.image_name}."


def readme(packed: PackedRun, result: PackedResult, files: Sequence[str]) -> str:
    """Return the text."""
    return "\n".join(_lines(packed, result, files)) + "\n"


def _lines(packed: PackedRun, result: PackedResult, files: Sequence[str]) -> Iterator[str]:
    yield from (f"# {name_of(packed)} on Chameleon", "", _plain(summary(packed, result)))
    yield "This folder has what is needed to make the same again."
    if result.simulated:
        yield from ("", "**The node was simulated: nothing was carried out there, and nothing is proved.**")
    yield from ("", "## Make the same again", "")
    yield from ("```console", "$ pip install envagent", "$ envagent run --from .", "```", "")
    yield from (
        "This reserves the same node type for the same time, with the same image"
        + (", and sets the same commit up." if packed.setup else "; add `--setup` to set the same commit up."),
        "It shows the price and asks first. The commands of `setup.sh` run on that node alone, never on your machine.",
        "Without envagent, `bash setup.sh` does the set-up on any node with Ubuntu or Debian.",
    )
    yield from ("", "## What it was", "", "| | |", "| --- | --- |", *_facts(packed, result))
    yield from ("", "## What was proved", "", *_proofs(result))
    if result.missing:
        yield from ("", "## What is missing", "", *(f"- {_plain(one)}" for one in result.missing))
    yield from ("", "## Files", "", "| file | content |", "| --- | --- |")
    yield from (f"| `{one}` | {described(one)} |" for one in files)
    yield from (
        "",
        "## Sharing it",
        "",
        "Put this folder into a repository of your own. Trovi imports it from there, by `trovi.json`; add the authors' "
        "names and the license in it first, and keywords that Trovi knows as tags. You can edit this text, too; "
        "`envagent run --from` refuses the folder if another file was changed. Commands and quotes come from the "
        "repository, e-mail addresses in quotes are masked.",
    )


def _facts(packed: PackedRun, result: PackedResult) -> Iterator[str]:
    facts = {
        "repository": packed.repository,
        "commit": packed.commit,
        "node type": f"{packed.node_type} at {packed.site}",
        "image": packed.image_name,
        "node": None if result.node is None else result.node.summary,
        "lease": f"{packed.hours} h",
        "cost": None if result.cost is None else f"{result.cost.su_estimate:g} SU for the whole lease",
        "date": result.started_at[:10],
    }
    yield from (f"| {name} | {_plain(value)} |" for name, value in facts.items() if value)


def _proofs(result: PackedResult) -> Iterator[str]:
    setup = result.setup
    if setup is None:
        yield "Nothing: the repository was not set up."
        return
    proved = [f"- {_plain(one)}" for one in setup.proved]
    yield from proved or ["Nothing."]
    if setup.not_proved and not result.simulated:
        yield from ("", "Not proved:", "", *(f"- {_plain(one)}" for one in setup.not_proved))


def _plain(text: str) -> str:
    """Return untrusted text as one line that Markdown shows as it is."""
    line = " ".join(text.split())
    return "".join(f"\\{sign}" if sign in "\\`*[]<>|" else sign for sign in line)
