"""An SSH key whose private half is on this machine and whose public half the cloud has."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from envagent import keys, ssh
from envagent.cloud.port import Keypair
from envagent.engine.kinds import Found
from envagent.engine.step import NotYet, Output, Redo, Step, stage
from envagent.errors import ConfigurationError, Conflict, ResourceLost
from envagent.hints import Hint, Option, resume
from envagent.steps import mark
from envagent.steps.initialize import Initialized
from envagent.steps.plan import Approved
from envagent.steps.request import RunRequest
from envagent.steps.resources import KeypairKind, KeypairRequest, registered_keys, same_key
from envagent.steps.services import StepContext


class ChosenKey(Output):
    """The key to use, and whether the cloud has it already."""

    name: str
    public_key: str | None
    """None for a key that is created once the plan is approved."""
    private_key: Path | None
    """None until it is created, and where only the public half is on this machine: then only the user can log in."""
    origin: Literal["existing", "imported", "created"]

    def summary(self) -> str:
        """Name the key, and say where it comes from."""
        whence = {
            "existing": "registered already",
            "imported": "to be registered",
            "created": "to be created and registered",
        }
        return f"{self.name}, {whence[self.origin]}"


class EnsuredKeypair(Output):
    """A key that is registered in the cloud."""

    name: str
    private_key: Path | None

    def summary(self) -> str:
        """Name the keypair."""
        return self.name


class EnsureKeypair(Step):
    """Use a registered key if its private half is on this machine, import one, or create one.

    Reads: Nova's keypairs, the private keys of ~/.ssh and of ENVAGENT_HOME.
    Creates: once the plan is approved, a private key file (0600) where none is given, and a keypair where the cloud
        has none of that name.
    Owner mark: the keypair's name, envagent-RUN_ID; under a name of the user's, the public key itself.
    Undo: delete the keypair; the private key file stays unless its removal is asked for.
    """

    @stage
    def choose(self, context: StepContext, request: RunRequest, initialized: Initialized) -> ChosenKey:
        """Find the key on this machine, or name the one to create; nothing is written anywhere."""
        settings = context.services.settings
        wished = request.key_name or settings.key.name
        public_file = request.public_key or settings.key.public_key
        folder = context.services.key_folder
        name = wished or mark.keypair_name(context.run_id)
        known = None if wished is None else context.services.cloud.keypair(name)
        if known is not None and request.submitted_key is not None:  # whoever submitted the run has the private half
            if not same_key(request.submitted_key, known.public_key):
                raise _taken(known.name)
            chosen = ChosenKey(name=known.name, public_key=known.public_key, private_key=None, origin="existing")
        elif known is not None:
            chosen = _existing(known, folder, public_file)
        elif request.submitted_key is not None:
            chosen = ChosenKey(name=name, public_key=request.submitted_key, private_key=None, origin="imported")
        elif public_file is not None:
            public_key, private = keys.pair_of(public_file)
            chosen = ChosenKey(name=name, public_key=public_key, private_key=private, origin="imported")
        else:
            if (folder / name).exists():  # created for this name by another run
                keys.check_private_key(folder / name)
            chosen = ChosenKey(name=name, public_key=None, private_key=None, origin="created")
        if settings.ssh.enabled:
            obstacle = ssh.no_client() if chosen.origin == "created" else ssh.obstacle(chosen.private_key)
            if obstacle is not None:
                context.warn(f"the SSH login will not be verified: {obstacle}")
        return chosen

    @stage
    def register(self, context: StepContext, chosen: ChosenKey, approved: Approved) -> EnsuredKeypair | NotYet:
        """Register the public half in the cloud, if it is not there."""
        if chosen.origin == "existing" and not context.ledger.is_gone("keypair", chosen.name):
            context.ledger.use("keypair", chosen.name, chosen.name)
            return EnsuredKeypair(name=chosen.name, private_key=chosen.private_key)
        cloud = context.services.cloud
        private_key, public_key = _halves(context, chosen)
        kind = KeypairKind(cloud, {chosen.name: (context.run_id, public_key)})

        # An earlier request of this run may have been carried out, and nobody else uses a name with its tag.
        ours = context.ledger.next_number(kind.name) > 1 or mark.read_keypair_name(chosen.name) is not None
        registered = False

        def make() -> Found:
            nonlocal registered
            try:
                made = cloud.import_keypair(chosen.name, public_key)
            except Conflict:
                there = cloud.keypair(chosen.name)
                if there is None:
                    raise
                if not same_key(there.public_key, public_key):
                    raise _taken(chosen.name) from None
                registered = not ours
                if registered:
                    raise
                made = there
            return Found(made.name, made.name, context.run_id, 1)

        try:
            found = context.ledger.create(kind, 1, chosen.name, KeypairRequest(public_key=public_key), make)
        except Conflict:
            if not registered:
                raise
            # Somebody else has just registered this key, perhaps another run.
            context.ledger.use(kind.name, chosen.name, chosen.name)
            return EnsuredKeypair(name=chosen.name, private_key=private_key)
        if isinstance(found, NotYet):
            return found
        return EnsuredKeypair(name=chosen.name, private_key=private_key)

    def confirm(self, context: StepContext, output: EnsuredKeypair) -> Redo | None:
        """Check that the cloud still has the keypair, until a server has been launched with it."""
        if context.is_done("launch_server"):
            return None
        registered = registered_keys(context.ledger.intents("keypair"))
        known = context.services.cloud.keypair(output.name)
        if known is None:
            context.ledger.record_gone("keypair", output.name)
            return Redo("register", f"keypair {output.name} was deleted; registering it again")
        if output.name in registered and not same_key(known.public_key, registered[output.name][1]):
            raise ConfigurationError(
                f"keypair {output.name!r} now has another key in the cloud",
                hint=Hint("delete that one, then:", resume()),
            )
        return None


def _halves(context: StepContext, chosen: ChosenKey) -> tuple[Path | None, str]:
    """Return both halves of the key to register; create the key if none was given and no other run created it."""
    if chosen.public_key is not None:
        return chosen.private_key, chosen.public_key
    path = context.services.key_folder / chosen.name
    if context.ledger.next_number("keypair") > 1 and not path.exists():
        raise ResourceLost(f"the private key {path} is gone, and its public half is already in the cloud")
    if keys.create_private_key(path):
        context.report(f"created the private key {path}")
    return path, f"{keys.public_key_of(path)} {chosen.name}"


def _existing(known: Keypair, folder: Path, public_file: Path | None) -> ChosenKey:
    """Use a keypair of the cloud; without its private half on this machine, the server would be unreachable."""
    likely = keys.names_of(Path.home() / ".ssh" / known.name)
    if public_file is not None:
        if not same_key(keys.read_public_key(public_file), known.public_key):
            raise _taken(known.name)
        likely = [*keys.names_of(public_file.expanduser()), *likely]
    private = keys.find_private_key(known.public_key, [folder / known.name, *likely, *keys.own_keys()])
    if private is None and public_file is None:
        raise ConfigurationError(
            f"the cloud has a keypair {known.name!r}, but its private key is not on this machine: "
            "a server with it would be unreachable",
            hint=Hint(
                f"put its private key at {likely[0]} or {likely[1]}, or choose another name with", Option("key_name")
            ),
        )
    if private is not None:
        keys.check_private_key(private)
    return ChosenKey(name=known.name, public_key=known.public_key, private_key=private, origin="existing")


def _taken(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"the cloud has another key under the name {name!r}", hint=Hint("choose another name with", Option("key_name"))
    )
