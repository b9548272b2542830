"""envagent run: reserve and launch a server for a repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from envagent.cli.commands.options import (
    ALSO,
    AS_JSON,
    CLOUD,
    CONFIG,
    CSV,
    FILE,
    HOURS,
    IMAGE,
    JSON_STREAM,
    MAX_SU,
    MAX_SU_TOTAL,
    NAME,
    NETWORK,
    NO_AI,
    NO_FLOATING_IP,
    NO_REPAIR,
    NODE_TYPE,
    PARALLEL,
    REF,
    SERVER_NAME,
    SITE,
    SOME_REPO,
    SPEED,
    START,
    WAIT_FOR_CAPACITY,
    YES,
    examples,
)
from envagent.errors import UsageError
from envagent.hints import Hint, Option, command

EPILOG = examples(
    "envagent run https://github.com/karpathy/minGPT --cloud sandbox",
    "envagent run https://github.com/openai/whisper --node-type gpu_rtx_6000 --hours 12",
)


def run(
    repo: SOME_REPO = None,
    cloud: CLOUD = None,
    yes: YES = False,
    as_json: AS_JSON = False,
    json_stream: JSON_STREAM = False,
    plan: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Carry out this plan, saved by `plan -o`, instead of a REPO.")
    ] = None,
    from_: Annotated[
        Path | None,
        typer.Option("--from", metavar="FOLDER", help="Make the run of this folder again, written by `pack`."),
    ] = None,
    node_type: NODE_TYPE = None,
    image: IMAGE = None,
    hours: HOURS = None,
    max_su: MAX_SU = None,
    key_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Keypair in the cloud; registered if it does not exist.")
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Public key file to register. Default: create a new key.")
    ] = None,
    network: NETWORK = None,
    server_name: SERVER_NAME = None,
    no_floating_ip: NO_FLOATING_IP = False,
    no_ai: NO_AI = False,
    ref: REF = None,
    also: ALSO = None,
    submit: Annotated[
        bool,
        typer.Option("--submit", help="Leave the run to the workers of a shared journal, and return. Needs --yes."),
    ] = False,
    start: START = None,
    wait_for_capacity: WAIT_FOR_CAPACITY = False,
    site: SITE = None,
    name: NAME = None,
    new: Annotated[
        bool, typer.Option("--new", help="Launch another server, even if a run of this repository and commit has one.")
    ] = False,
    on_failure: Annotated[
        Literal["keep", "teardown"], typer.Option(help="Keep or remove resources if the run fails.")
    ] = "keep",
    setup: Annotated[
        bool,
        typer.Option("--setup", help="Then set the repository up on the server: runs its code there, never here."),
    ] = False,
    no_repair: NO_REPAIR = False,
    file: FILE = None,
    parallel: PARALLEL = None,
    max_su_total: MAX_SU_TOTAL = None,
    csv: CSV = None,
    speed: SPEED = None,
    config: CONFIG = None,
) -> int:
    """Reserve and launch a server on which a repository will run.

    Reads what the repository needs, reserves matching hardware, launches a server, assigns it an address and verifies
    the SSH login. If it is interrupted at any moment, `envagent resume` continues it.

    With --file, does so for each line of a file: a repository, with options of its own such as --ref and --hours. Asks
    once for all. Repeated, it skips what has succeeded and continues the rest.
    """
    from envagent.cli.actions import RunOptions, start_run
    from envagent.cli.audience import Audience
    from envagent.cli.inputs import check_for_file, start_time
    from envagent.cli.run_session import close

    options = RunOptions(
        repo=repo,
        plan=plan,
        pack=from_,
        cloud=cloud,
        node_type=node_type,
        image=image,
        hours=hours,
        max_su=max_su,
        key_name=key_name,
        public_key=public_key,
        network=network,
        server_name=server_name,
        floating_ip=not no_floating_ip,
        ai=not no_ai,
        ref=ref,
        also=also or (),
        start=None if start is None else start_time(start),
        wait_for_capacity=wait_for_capacity,
        site=site,
        new=new,
        name=name,
        on_failure=on_failure,
        setup=setup,
        repair=not no_repair,
        speed=speed,
        config=config,
    )
    if setup and (submit or file is not None):
        raise UsageError("--setup takes one run at a time", hint=Hint("leave it out; later:", command("setup", "last")))
    if from_ is not None and (plan is not None or file is not None):
        raise UsageError("a pack is a run of its own", hint=Hint("leave out", Option("plan"), "and", Option("file")))
    if submit:
        from envagent.cli.submission import submit_run

        if plan is not None or from_ is not None:
            wrong = Option("plan") if plan is not None else Option("from_")
            raise UsageError("--submit takes a repository or a file of them", hint=Hint("leave out", wrong))
        if file is not None:
            from envagent.cli.submission import submit_file

            if (parallel, max_su_total, csv) != (None, None, None):
                raise UsageError(
                    "the workers decide how many lines are worked on at once",
                    hint=Hint("leave out", Option("parallel"), ",", Option("max_su_total"), "and", Option("csv")),
                )
            return submit_file(file, options, Audience(yes=yes, stream=json_stream), as_json=as_json)
        return submit_run(options, Audience(yes=yes, stream=json_stream), as_json=as_json)
    if file is not None:
        from envagent.cli.batch_session import PARALLEL_LINES, BatchOptions, close_batch, run_batch

        batch = BatchOptions(
            file,
            parallel=parallel or PARALLEL_LINES,
            max_su_total=max_su_total,
            yes=yes,
            stream=json_stream,
            csv=csv,
            config=config,
        )
        return close_batch(run_batch(batch, options), batch, as_json=as_json)
    check_for_file(parallel=parallel, max_su_total=max_su_total, csv=csv)
    return close(start_run(options, Audience(yes=yes, stream=json_stream)), as_json=as_json, in_line=json_stream)
