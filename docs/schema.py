"""Write docs/json-schema.json, the schema of what `--json` prints: python docs/schema.py [--check]."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from pydantic import BaseModel  # noqa: E402
from pydantic.json_schema import JsonSchemaMode, models_json_schema  # noqa: E402

from envagent.cli.documents import (  # noqa: E402
    batch_document,
    check_models,
    explanation,
    limit_models,
    log_models,
    moving_models,
    node_models,
    pack_models,
    run_models,
    sandbox_models,
    settings_text,
    setup_models,
    share_models,
)
from envagent.cli.documents import json_models as documents  # noqa: E402

COMMANDS: dict[str, type[BaseModel]] = {
    "run, resume, status RUN_ID, teardown RUN_ID": run_models.RunDocument,
    "run --file, resume --file, teardown --file": batch_document.BatchDocument,
    "status": documents.RunsDocument,
    "archive": documents.ArchivedDocument,
    "export": moving_models.ExportedDocument,
    "import": moving_models.ImportedDocument,
    "limits": limit_models.LimitsDocument,
    "migrate": moving_models.MigratedDocument,
    "plan": run_models.PlanDocument,
    "analyze": run_models.AnalysisDocument,
    "doctor": check_models.ChecksDocument,
    "config show": settings_text.SettingsDocument,
    "nodes": node_models.NodesDocument,
    "explain": explanation.ExplanationDocument,
    "logs": log_models.RunLogDocument,
    "logs --follow, and all but the last line of run, resume and teardown with --json-stream": log_models.LogEntry,
    "setup": setup_models.SetupDocument,
    "share": share_models.SharedDocument,
    "pack": pack_models.PackedDocument,
    "logs --setup": setup_models.SetupLogDocument,
    "logs --setup --follow": setup_models.JobPart,
    "teardown --orphans": documents.OrphansDocument,
    "sandbox log": sandbox_models.LogDocument,
    "any command that fails before there is a run": documents.ErrorDocument,
}


def document() -> str:
    """Return the file's text."""
    modes: dict[str, tuple[type[BaseModel], JsonSchemaMode]] = {
        name: (model, "serialization") for name, model in COMMANDS.items()
    }
    places, schema = models_json_schema(list(modes.values()), ref_template="#/$defs/{model}")
    printed: dict[str, Any] = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What envagent prints with --json",
        "description": documents.__doc__,
        "commands": {name: places[mode] for name, mode in modes.items()},
        "anyOf": [places[mode] for mode in modes.values()],
        **schema,
    }
    return json.dumps(printed, indent=2) + "\n"


if __name__ == "__main__":
    target = ROOT / "docs" / "json-schema.json"
    if "--check" in sys.argv:
        sys.exit(
            0
            if target.read_text(encoding="utf-8") == document()
            else "docs/json-schema.json is stale: python docs/schema.py"
        )
    target.write_text(document(), encoding="utf-8")
