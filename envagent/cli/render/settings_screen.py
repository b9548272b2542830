"""The screen of `config show`: the settings, and where they come from."""

from __future__ import annotations

from pydantic import JsonValue

from envagent.cli.documents.settings_text import SettingsDocument
from envagent.cli.render.terminal import Terminal


def show_settings(terminal: Terminal, document: SettingsDocument, *, origin: bool) -> None:
    """Print the settings.

    Args:
        terminal: where to print.
        document: the settings.
        origin: whether to show where each value comes from.
    """
    rows = [(one.name, _value(one.value), *([one.source] if origin else [])) for one in document.settings]
    head = ("setting", "value", *(["set in"] if origin else []))
    terminal.table(rows, head=head, indent=0)


def _value(value: JsonValue) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
