"""envagent doctor: check what a run needs."""

from __future__ import annotations

import shlex
from itertools import chain

import typer

from envagent.cli.commands.options import AS_JSON, CLOUD, CONFIG, Invocation, examples

EPILOG = examples("envagent doctor --cloud sandbox", "envagent doctor --cloud chi_uc --json")


def doctor(context: typer.Context, cloud: CLOUD = None, as_json: AS_JSON = False, config: CONFIG = None) -> int:
    """Show whether a run has all it needs, and how to fix the rest.

    Checks this machine, the settings, and what the credentials are good for: project, roles, services, clock, quota,
    addresses, network. Only reads, and asks no AI. The exit code is 0, or that of the first failure.
    """
    from envagent.cli.checks import further_checks, settings_check
    from envagent.cli.clouds import chosen_cloud
    from envagent.cli.documents.check_models import CheckPart, ChecksDocument
    from envagent.cli.render.check_screen import show_check, show_verdict
    from envagent.cli.render.terminal import out, print_document

    arguments = context.obj.arguments if isinstance(context.obj, Invocation) else []
    again, terminal = shlex.join(["envagent", *arguments]), out()
    parts: list[CheckPart] = []
    first, settings = settings_check(cloud, config)
    for check in chain([first], further_checks(settings)):
        parts.append(check.part(again))
        if not as_json:
            show_check(terminal, parts[-1])
    exit_code = next((one.exit_code for one in parts if one.state == "fail" and one.exit_code), 0)
    if as_json:
        name = cloud if settings is None else chosen_cloud(settings)
        print_document(ChecksDocument(cloud=name, checks=parts, exit_code=exit_code))
    else:
        show_verdict(terminal, parts)
    return exit_code
