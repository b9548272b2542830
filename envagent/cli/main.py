"""The application: its commands, and the one place that maps errors to exit codes.

0    done
1    a bug; a report is written to ENVAGENT_HOME/crash
2    usage or configuration
4    authentication
5    no capacity or quota
6    provisioning failed
7    cloud unreachable, or an outcome that nobody knows
8    the AI was demanded and is unavailable
9    repository refused
10   run state: locked, not found, ambiguous, journal
11   leftovers exist after a teardown
12   done, but the result could not be written to stdout
129, 130, 143   stopped by SIGHUP, Ctrl-C (or declined), SIGTERM
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envagent import __version__
from envagent.cli.commands import analyze, resume, run, sandbox, status, teardown
from envagent.cli.commands.options import examples
from envagent.cli.render.terminal import err, print_document, safe_streams
from envagent.errors import EnvagentError, OutputLost

if TYPE_CHECKING:
    from envagent.cli.render.terminal import SafeStream

CTRL_C = 130

app = typer.Typer(
    name="envagent",
    rich_markup_mode=None,  # rich would triple the time of --help
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples("envagent run https://github.com/karpathy/minGPT --cloud sandbox", "envagent status last"),
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"envagent {__version__}")
        raise typer.Exit


@app.callback()
def _envagent(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Go from a repository to a bare-metal server on Chameleon Cloud that you can log in to."""


app.command(epilog=run.EPILOG)(run.run)
app.command(epilog=resume.EPILOG)(resume.resume)
app.command(epilog=status.EPILOG)(status.status)
app.command(epilog=teardown.EPILOG)(teardown.teardown)
app.command(epilog=analyze.EPILOG)(analyze.analyze)
app.add_typer(sandbox.app, name="sandbox")


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    os.umask(0o077)  # whatever we or our libraries write is for its owner alone
    logging.disable(logging.CRITICAL)  # libraries log requests, and some of them secrets; users read our own words
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    with safe_streams() as stdout:
        code = _delivered(stdout, _guarded(sys.argv[1:]), sys.argv[1:])
    sys.exit(code)


def _guarded(arguments: list[str]) -> int:
    """Run a command and give its exit code, whatever happens."""
    command: Any = typer.main.get_command(app)
    try:
        returned = command.main(arguments, prog_name="envagent", standalone_mode=False)
    except EnvagentError as error:
        return _failed(error, arguments)
    except typer.TyperException as error:
        return _misused(error, arguments)
    except typer.Abort:
        return CTRL_C
    except KeyboardInterrupt:
        return CTRL_C
    except SystemExit as left:  # so ends the completion of a shell's line
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except Exception as error:
        return _crashed(error, arguments)
    return returned if isinstance(returned, int) else 0


def _delivered(stdout: SafeStream, code: int, arguments: list[str]) -> int:
    """Give the exit code once what was printed has arrived: whoever wants a document must not take its loss for a yes.

    A person who leaves a pager, or a `head` that has seen enough, is no trouble.
    """
    stdout.flush()
    trouble = stdout.trouble
    if trouble is None or (isinstance(trouble, BrokenPipeError) and "--json" not in arguments):
        return code
    from envagent.cli.documents.json_models import ErrorPart
    from envagent.cli.render import screens

    reason = trouble.strerror if isinstance(trouble, OSError) and trouble.strerror else str(trouble)
    lost = OutputLost(f"the result could not be written to stdout: {reason}")
    screens.show_error(err(), ErrorPart.of(lost))
    return code or lost.exit_code


def _failed(error: EnvagentError, arguments: list[str]) -> int:
    """Tell an error that ends a command."""
    from envagent.cli.documents.json_models import ErrorPart
    from envagent.cli.render import screens

    part = ErrorPart.of(error, again=shlex.join(["envagent", *arguments]))
    screens.show_error(err(), part)
    _document_of(part, arguments)
    return error.exit_code


def _misused(error: typer.TyperException, arguments: list[str]) -> int:
    """Tell a wrong use of the command line: in typer's words, exit code 2."""
    from envagent.cli.documents.json_models import ErrorPart

    show: Any = error
    show.show()
    message = error.format_message()
    _document_of(
        ErrorPart(type="UsageError", message=message, hint="envagent --help", exit_code=error.exit_code), arguments
    )
    return error.exit_code


def _crashed(error: Exception, arguments: list[str]) -> int:
    """Tell a bug in one line, and write what its finder needs to a file."""
    from envagent.advice.untrusted import one_line, redact
    from envagent.cli.documents.json_models import ErrorPart

    if os.environ.get("ENVAGENT_DEBUG") == "1":
        import traceback

        err().raw(redact("".join(traceback.format_exception(error))))
    path = _write_report(error, arguments)
    where = "no report could be written" if path is None else f"report: {path}"
    message = f"internal error, a bug: {type(error).__name__}: {one_line(str(error))}"
    err().line(("error: ", "bold red"), f"{message} ({where})")
    hint = "please report this with that file; a run goes on with: envagent resume last"
    err().line(("hint: ", "bold"), hint)
    _document_of(ErrorPart(type=type(error).__name__, message=message, hint=hint, exit_code=1), arguments)
    return 1


def _document_of(part: Any, arguments: list[str]) -> None:
    if "--json" in arguments:
        from envagent.cli.documents.json_models import ErrorDocument

        print_document(ErrorDocument(error=part))


def _write_report(error: BaseException, arguments: list[str]) -> Path | None:
    """Write the report below ENVAGENT_HOME, or where that is impossible in the temporary folder.

    Returns:
        The file; None when it can be written nowhere.
    """
    import platform
    import tempfile
    import traceback
    from datetime import UTC, datetime

    from envagent.advice.untrusted import redact

    now = datetime.now(UTC)
    text = "\n".join(
        [
            f"envagent {__version__}, Python {platform.python_version()}, {platform.platform()}, {now.isoformat()}",
            f"arguments: {arguments!r}",
            "".join(traceback.format_exception(error)),
        ]
    )
    for folder in _report_folders():
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(".txt", f"{now:%Y%m%d-%H%M%S}-", folder)  # created 0600
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(redact(text))
        except OSError:
            continue
        return Path(name)
    return None


def _report_folders() -> list[Path]:
    import tempfile

    from envagent import config

    elsewhere = Path(tempfile.gettempdir())
    try:
        return [config.load().home / "crash", elsewhere]
    except Exception:  # whatever is wrong there, the first bug must be told
        return [elsewhere]


if __name__ == "__main__":
    main()
