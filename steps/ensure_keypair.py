"""Step 3: an SSH key whose private half is here and whose public half the cloud has."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from envagent import ssh
from envagent.cloud.port import Keypair
from envagent.engine.intents import Found
from envagent.engine.step import NotYet, Output, Step, stage
from envagent.errors import ConfigurationError, Conflict
from envagent.steps import mark
from envagent.steps.initialize import Initialized
from envagent.steps.plan import Approved
from envagent.steps.request import RunRequest
from envagent.steps.resources import KeypairKind, same_key
from envagent.steps.services import StepContext


class ChosenKey(Output):
    """Which key it will be, and whether the cloud has it already."""

    name: str
    public_key: str
    private_key: Path | None
    """None when only the public half is known here: the login is then the user's to try."""
    origin: Literal["existing", "imported", "created"]


class EnsuredKeypair(Output):
    """A key that the cloud has."""

    name: str
    private_key: Path | None


class EnsureKeypair(Step):
    """Use the key that is there if its private half is here, import one, or make one.

    Reads: Nova's keypairs, the private keys of ~/.ssh and of ENVAGENT_HOME.
    Creates: a keypair where the cloud has none of that name; a private key file (0600) where none is given.
    Owner mark: the keypair's name, envagent-RUN_ID; under a name of the user's, the public key itself.
    Undo: delete the keypair; the private key file stays unless its removal is asked for.
    """

    @stage
    def choose(self, context: StepContext, request: RunRequest, initialized: Initialized) -> ChosenKey:
        """Find or make the key on this machine; nothing is written to the cloud."""
        settings = context.services.settings.key
        wished = request.key_name or settings.name
        public_file = request.public_key or settings.public_key
        folder = context.services.key_folder
        name = wished or mark.keypair_name(context.run_id)
        if wished is not None:
            known = context.services.cloud.keypair(name)
            if known is not None:
                return _existing(known, folder, public_file)
        if public_file is not None:
            public_key = ssh.read_public_key(public_file)
            private = ssh.find_private_key(public_key, [public_file.expanduser().with_suffix(""), *_own_keys()])
            return ChosenKey(name=name, public_key=public_key, private_key=private, origin="imported")
        path = folder / name
        if ssh.create_private_key(path):  # else made by this run before a crash, or for this name by another one
            context.report(f"made the private key {path}")
        public_key = f"{ssh.public_key_of(path)} {name}"
        return ChosenKey(name=name, public_key=public_key, private_key=path, origin="created")

    @stage
    def register(self, context: StepContext, chosen: ChosenKey, approved: Approved) -> EnsuredKeypair | NotYet:
        """Give the public half to the cloud, where it does not have it."""
        if chosen.origin == "existing":
            context.use("keypair", chosen.name, chosen.name)
            return EnsuredKeypair(name=chosen.name, private_key=chosen.private_key)
        cloud = context.services.cloud
        kind = KeypairKind(cloud, {chosen.name: (context.run_id, chosen.public_key)})

        # An earlier request of this run's may have come through, and nobody else takes a name with its mark.
        ours = context.ledger.next_number(kind.name) > 1 or mark.read_keypair_name(chosen.name) is not None
        registered = False

        def make() -> Found:
            nonlocal registered
            try:
                made = cloud.import_keypair(chosen.name, chosen.public_key)
            except Conflict:
                there = cloud.keypair(chosen.name)
                if there is None:
                    raise
                if not same_key(there.public_key, chosen.public_key):
                    raise _taken(chosen.name) from None
                registered = not ours
                if registered:
                    raise
                made = there
            return Found(made.name, made.name, context.run_id, 1)

        try:
            found = context.create(kind, 1, chosen.name, {"public_key": chosen.public_key}, make)
        except Conflict:
            if not registered:
                raise
            # Since the look for it somebody else has given the cloud this key, perhaps another run.
            context.use(kind.name, chosen.name, chosen.name)
            return EnsuredKeypair(name=chosen.name, private_key=chosen.private_key)
        if isinstance(found, NotYet):
            return found
        return EnsuredKeypair(name=chosen.name, private_key=chosen.private_key)


def _existing(known: Keypair, folder: Path, public_file: Path | None) -> ChosenKey:
    """Use a keypair of the cloud's; its private half must be here, or the server could not be reached."""
    if public_file is not None and not same_key(ssh.read_public_key(public_file), known.public_key):
        raise _taken(known.name)
    beside = [folder / known.name, Path.home() / ".ssh" / known.name]
    private = ssh.find_private_key(known.public_key, [*beside, *_own_keys()])
    if private is None and public_file is None:
        raise ConfigurationError(
            f"the cloud has a keypair {known.name!r} and no private key here belongs to it: "
            "a server with it could not be reached",
            hint=f"put its private key at {beside[1]}, or take another name with --key-name",
        )
    return ChosenKey(name=known.name, public_key=known.public_key, private_key=private, origin="existing")


def _taken(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"the cloud has another key under the name {name!r}", hint="take another name with --key-name"
    )


def _own_keys() -> list[Path]:
    """List the private keys in ~/.ssh by their public halves."""
    folder = Path.home() / ".ssh"
    try:
        return sorted(path.with_suffix("") for path in folder.glob("*.pub") if path.with_suffix("").is_file())
    except OSError:
        return []
