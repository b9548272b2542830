"""The folder of a packed run: written whole or not at all, and read back as what anybody can have written."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from envagent import __version__
from envagent.drafts import write_whole
from envagent.environment.setup_script import setup_script
from envagent.errors import PlanOutdated, UsageError, first_problem
from envagent.hints import Hint, Option, Shell
from envagent.steps.packed_run import PackedRun

PACK, SCRIPT, README = "pack.json", "setup.sh", "README.md"
CRATE, TROVI = "ro-crate-metadata.json", "trovi.json"
"""The metadata of the crate, and the same under the name by which Trovi looks for it in a repository."""

EDITABLE = (README, CRATE, TROVI)
"""The files that people complete: authors, a license, a text."""

LARGEST = 16 << 20
"""Bytes of a file."""
MOST_FILES = 200
PATH = r"[A-Za-z0-9][\w.-]{0,99}(?:/[A-Za-z0-9][\w.-]{0,99})?"


class PackFile(BaseModel):
    """`pack.json`: what makes the same again, and the checksums of all other files."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["envagent pack"] = "envagent pack"
    envagent: Annotated[str, Field(pattern=r"^[\w.+!-]{1,60}$")] = __version__
    run_id: Annotated[str, Field(pattern=r"^[a-z0-9]{1,40}$")]
    packed: Any
    files: Annotated[dict[Annotated[str, Field(pattern=f"^{PATH}$")], str], Field(max_length=MOST_FILES)]
    digest: str = ""

    @property
    def own_digest(self) -> str:
        """The checksum of everything else in it."""
        return _digest(json.dumps(self.model_dump(mode="json", exclude={"digest"}), sort_keys=True).encode())


def pack_file(run_id: str, packed: PackedRun, others: Mapping[str, str]) -> str:
    """Return the text of `pack.json` for a folder with these other files."""
    files = {name: _digest(text.encode()) for name, text in sorted(others.items())}
    made = PackFile(run_id=run_id, packed=packed.model_dump(mode="json"), files=files)
    return made.model_copy(update={"digest": made.own_digest}).model_dump_json(indent=1) + "\n"


def check_target(path: Path, run_id: str) -> None:
    """Refuse to overwrite anything but an empty folder, and an untouched pack of the same run.

    Raises:
        UsageError: there is something else.
    """
    if not os.path.lexists(path) or (_is_folder(path) and not any(path.iterdir())):
        return
    if _is_folder(path) and _is_untouched(path, run_id):
        return
    raise UsageError(
        f"{path} exists and is not an unchanged pack of run {run_id}",
        hint=Hint("choose another folder with", Option("output")),
    )


def write_folder(path: Path, run_id: str, files: Mapping[str, str]) -> None:
    """Write a folder with these files; whoever looks sees all of them or none.

    Raises:
        UsageError: it cannot be written, or there is something else.
    """
    try:
        with _draft_folder(path) as draft:
            for name, text in files.items():
                target = draft / name
                if target.parent != draft:
                    target.parent.mkdir(exist_ok=True)
                    target.parent.chmod(0o755)
                write_whole(target, text, mode=0o755 if name.endswith(".sh") else 0o644)
            check_target(path, run_id)
            _give_name(draft, path)
    except OSError as error:
        raise UsageError(
            f"cannot write {path}: {error.strerror}", hint=Hint("choose another folder with", Option("output"))
        ) from None


@contextmanager
def _draft_folder(path: Path) -> Iterator[Path]:
    draft = Path(tempfile.mkdtemp(prefix=".envagent-pack-", dir=path.absolute().parent))
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _give_name(draft: Path, path: Path) -> None:
    """Rename a complete draft; an older pack of the same run is put aside until that has succeeded."""
    draft.chmod(0o755)
    if not path.exists() or not any(path.iterdir()):
        draft.rename(path)
        return
    with _draft_folder(path) as aside:
        former = aside / "former"
        path.rename(former)
        try:
            draft.rename(path)
        except OSError:
            former.rename(path)
            raise


def read_pack(folder: Path) -> PackedRun:
    """Read a folder that `write_folder` made; it may come from anybody.

    Raises:
        UsageError: it cannot be read, is not a pack, or was changed.
        PlanOutdated: another version made it.
    """
    stored = _stored(folder)
    if stored.envagent != __version__:
        raise PlanOutdated(
            f"{folder} was packed by envagent {stored.envagent}; this is {__version__}",
            hint=Hint("use the version that wrote it:", Shell("pip", "install", f"envagent=={stored.envagent}")),
        )
    try:
        packed = PackedRun.model_validate(stored.packed)
    except ValidationError as error:
        raise _invalid(folder, first_problem(error)) from None
    changed = [] if stored.digest == stored.own_digest else [PACK]
    script = _digest(setup_script(packed.setup_plan).encode())  # what can be read there is what will run
    kept = {name: digest for name, digest in stored.files.items() if name not in EDITABLE}
    changed += _changed(folder, {**kept, SCRIPT: script})
    if changed:
        raise UsageError(
            f"{folder} was changed after it was packed: {', '.join(changed[:5])}",
            hint=Hint("get the folder again; only", ", ".join(EDITABLE), "may be edited"),
        )
    return packed


def _stored(folder: Path) -> PackFile:
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", hint=Hint("name the folder of a packed run"))
    try:
        return PackFile.model_validate_json(_read(folder, PACK))
    except FileNotFoundError:
        raise UsageError(f"{folder} is not a packed run: it has no {PACK}", hint=_NEW) from None
    except OSError as error:
        raise UsageError(f"cannot read {folder / PACK}: {error.strerror}", hint=_NEW) from None
    except ValidationError as error:
        raise _invalid(folder, first_problem(error)) from None


def _is_untouched(folder: Path, run_id: str) -> bool:
    """Return whether a folder is a pack of a run as it was written, with nothing else in it."""
    try:
        stored = _stored(folder)
        there = {str(one.relative_to(folder)) for one in folder.rglob("*") if not _is_folder(one)}
        ours = stored.run_id == run_id and stored.digest == stored.own_digest
        return ours and there == {PACK, *stored.files} and not _changed(folder, stored.files)
    except (UsageError, OSError):
        return False


def _changed(folder: Path, files: Mapping[str, str]) -> list[str]:
    """List the files that are gone or have another content."""
    changed = []
    for name, digest in files.items():
        try:
            if _digest(_read(folder, name)) != digest:
                changed.append(name)
        except OSError:
            changed.append(name)
    return changed


def _read(folder: Path, name: str) -> bytes:
    """Read a file of the folder, and nothing that a link leads to.

    Raises:
        OSError: it is not there, is not a regular file, or is too large.
    """
    if not re.fullmatch(PATH, name) or (folder / name).parent.is_symlink():
        raise OSError(0, "not a file of the folder")
    descriptor = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise OSError(0, f"larger than {LARGEST >> 20} MiB")
    return content


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


_NEW = Hint("get the whole folder again, as it was packed")


def _invalid(folder: Path, problem: str) -> UsageError:
    return UsageError(f"{folder} is not a valid pack: {problem:.300}", hint=_NEW)
