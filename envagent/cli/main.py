"""The application: its commands, and the one place that maps errors to exit codes.

An error's exit code is that of its class (see the tree in `envagent.errors`), 0 is success, and 129, 130 and 143 are
SIGHUP, Ctrl-C (or a declined question) and SIGTERM. After a bug (1) a report is written to ENVAGENT_HOME/crash.
"""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import shlex
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from envagent import __version__
from envagent.cli.command_table import CommandGroup
from envagent.cli.commands.options import COLOR, REQUESTS, VERBOSE, Invocation, examples
from envagent.cli.render.terminal import err, print_document, printable, safe_streams
from envagent.errors import EnvagentError, OutputLost

if TYPE_CHECKING:
    from envagent.cli.documents.json_models import ErrorPart
    from envagent.cli.render.terminal import SafeStream

CTRL_C = 130
RARELY = 100_000
"""New objects between two collections. Importing makes many that stay (90,000 for `status`); looking through them took
a tenth of the start."""
LONGEST_LOG_LINE = 300

app = typer.Typer(
    name="envagent",
    cls=CommandGroup,
    rich_markup_mode=None,
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
    verbose: VERBOSE = False,
    color: COLOR = "auto",
) -> None:
    """Go from a repository to a bare-metal server on Chameleon Cloud that you can log in to."""


def main() -> None:
    """Run the command line; end the process with its exit code."""
    os.umask(0o077)  # whatever we or our libraries write is for its owner alone
    gc.set_threshold(RARELY)
    invocation = Invocation(sys.argv[1:])
    with safe_streams() as stdout, _logging(invocation):
        code = _delivered(stdout, _exit_code(invocation), invocation)
    gc.freeze()  # or the interpreter looks through it all before it ends: a sixth of `status`
    sys.exit(code)


@contextlib.contextmanager
def _logging(invocation: Invocation) -> Iterator[None]:
    """Show what is logged only with --verbose: requests as one line each, and the libraries' warnings."""
    handler, root = _LogLines(invocation), logging.getLogger()
    root.addHandler(handler)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        logging.getLogger(REQUESTS).setLevel(logging.NOTSET)
        root.removeHandler(handler)


class _LogLines(logging.Handler):
    """Print log records as lines on stderr, without control characters and secrets."""

    def __init__(self, invocation: Invocation) -> None:
        super().__init__()
        self._invocation = invocation

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record."""
        if self._invocation.verbose:
            from envagent.advice.untrusted import redact
            from envagent.cli.render import times

            at = times.clock(datetime.fromtimestamp(record.created, UTC))
            kind = "" if record.name == REQUESTS else f"{record.levelname.lower()} of {record.name}: "
            err().line((f"{at}  {kind}{printable(redact(record.getMessage()), limit=LONGEST_LOG_LINE)}", "dim"))


def _exit_code(invocation: Invocation) -> int:
    """Run a command and return its exit code, whatever happens."""
    command: Any = typer.main.get_command(app)
    try:
        returned = command.main(invocation.arguments, prog_name="envagent", standalone_mode=False, obj=invocation)
    except EnvagentError as error:
        return _failed(error, invocation)
    except typer.TyperException as error:
        return _misused(error, invocation)
    except typer.Abort:
        return CTRL_C
    except KeyboardInterrupt:
        return CTRL_C
    except SystemExit as left:  # shell completion ends this way
        return left.code if isinstance(left.code, int) else int(left.code is not None)
    except Exception as error:
        return _crashed(error, invocation)
    return returned if isinstance(returned, int) else 0


def _delivered(stdout: SafeStream, code: int, invocation: Invocation) -> int:
    """Return the exit code once what was printed has arrived: a lost document must not look like success.

    A person who leaves a pager, or a `head` that has seen enough, causes no failure.
    """
    stdout.flush()
    trouble = stdout.trouble
    if trouble is None or (isinstance(trouble, BrokenPipeError) and not invocation.as_json):
        return code
    from envagent.cli.documents.json_models import ErrorPart
    from envagent.cli.render import screens

    reason = trouble.strerror if isinstance(trouble, OSError) and trouble.strerror else str(trouble)
    lost = OutputLost(f"the result could not be written to stdout: {reason}")
    screens.show_error(err(), ErrorPart.of(lost))
    return code or lost.exit_code


def _failed(error: EnvagentError, invocation: Invocation) -> int:
    """Report an error that ends a command."""
    from envagent.cli.documents.json_models import ErrorPart
    from envagent.cli.render import screens

    part = ErrorPart.of(error, again=shlex.join(["envagent", *invocation.arguments]))
    screens.show_error(err(), part)
    _print_error(part, invocation)
    return error.exit_code


def _misused(error: typer.TyperException, invocation: Invocation) -> int:
    """Report a wrong use of the command line: in typer's words, exit code 2."""
    from envagent.cli.documents.json_models import ErrorPart

    shown: Any = error
    shown.show()
    hint, message = "envagent --help", error.format_message()
    wanted = _options(getattr(error, "ctx", None), invocation.arguments)
    invocation.in_lines |= bool(wanted.get("json_stream"))
    invocation.as_json |= invocation.in_lines or bool(wanted.get("as_json"))
    _print_error(ErrorPart(type="UsageError", message=message, hint=hint, exit_code=error.exit_code), invocation)
    return error.exit_code


def _options(context: Any, arguments: list[str]) -> dict[str, Any]:
    """Return the options among arguments that cannot be parsed as they are."""
    if context is None:
        return {}
    parser = context.command.make_parser(context)
    parser.ignore_unknown_options = True
    try:
        values, *_ = parser.parse_args(list(arguments))
    except typer.TyperException:
        return {}
    return dict(values)


def _crashed(error: Exception, invocation: Invocation) -> int:
    """Report a bug in one line, and write what is needed to find it to a file."""
    from envagent.advice.untrusted import one_line, redact
    from envagent.cli.documents.json_models import ErrorPart
    from envagent.cli.render import screens
    from envagent.cli.render.hint_text import hint_text
    from envagent.hints import Hint, command

    if os.environ.get("ENVAGENT_DEBUG") == "1":
        import traceback

        err().raw(redact("".join(traceback.format_exception(error))))
    path = _write_report(error, invocation.arguments)
    where = "no report could be written" if path is None else f"report: {path}"
    message = f"internal error, a bug: {type(error).__name__}: {one_line(str(error))}"
    hint = Hint("please report this with that file; to continue a run:", command("resume", "last"))
    part = ErrorPart(type=type(error).__name__, message=message, hint=hint_text(hint), exit_code=1)
    screens.show_error(err(), part.model_copy(update={"message": f"{message} ({where})"}))
    _print_error(part, invocation)
    return 1


def _print_error(part: ErrorPart, invocation: Invocation) -> None:
    if invocation.as_json:
        from envagent.cli.documents.json_models import ErrorDocument

        print_document(ErrorDocument(error=part), in_line=invocation.in_lines)


def _write_report(error: BaseException, arguments: list[str]) -> Path | None:
    """Write a bug report for its owner alone, without secrets, below ENVAGENT_HOME or in the temporary folder.

    Returns:
        The file; None when no folder can be written to.
    """
    import platform
    import tempfile
    import traceback

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
    except Exception:  # whatever is wrong there, the first bug must be reported
        return [elsewhere]


if __name__ == "__main__":
    main()
