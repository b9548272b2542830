"""What holds for all tests: signals do what they do in a user's shell, however the test run itself was started.

A shell's background job, nohup and some CI systems ignore SIGINT or SIGHUP, and every process inherits that.
"""

import signal
import threading

import pytest

pytest_plugins = ["tests.sweeps"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the engine's tests and the kills run on another database."""
    parser.addoption(
        "--journal",
        choices=["sqlite", "postgresql"],
        default="sqlite",
        help="where it is kept in tests/unit/engine and tests/crash",
    )


if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
