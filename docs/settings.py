"""Write envagent.toml.example from the settings: python docs/settings.py."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from envagent.cli.documents.settings_text import toml_text  # noqa: E402

if __name__ == "__main__":
    (ROOT / "envagent.toml.example").write_text(toml_text(), encoding="utf-8")
