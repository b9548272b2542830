"""The RO-Crate of a packed run, which archives and Chameleon's Trovi import: the only module that imports `rocrate`.

What Trovi reads of it is in the root: `name`, `disambiguatingDescription`, `description`, `keywords` (one text with
commas) and `author` (a list).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from envagent import __version__
from envagent.cli.documents.pack_models import PackedResult
from envagent.cli.pack_folder import CRATE, TROVI
from envagent.cli.render.pack_readme import described, name_of, summary
from envagent.steps.packed_run import PackedRun

VERSION = "1.1"
"""Of the specification; the one that Trovi's own tests use."""

LONGEST_NAME, LONGEST_SUMMARY = 140, 200
"""Trovi's limits."""

ENVAGENT = "#envagent"
KINDS = {".json": "application/json", ".md": "text/markdown", ".sh": "application/x-sh", ".txt": "text/plain"}


def crate_of(packed: PackedRun, result: PackedResult, files: Iterable[str], name: str) -> str:
    """Return the text of the metadata file.

    Args:
        packed: what makes the same again.
        result: how the run ended.
        files: the names of all files of the folder.
        name: of the metadata file itself.
    """
    from rocrate.model.contextentity import ContextEntity
    from rocrate.rocrate import ROCrate

    crate = ROCrate(version=VERSION)
    owner, program = f"{packed.repository}#authors", ENVAGENT

    def add(identifier: str, kind: str, **properties: Any) -> Any:
        return crate.add(ContextEntity(crate, identifier, {"@type": kind, **properties}))

    authors = add(owner, "Organization", name=f"The authors of {name_of(packed)}", url=packed.repository)
    code = add(
        packed.repository,
        "SoftwareSourceCode",
        name=name_of(packed),
        codeRepository=packed.repository,
        version=packed.commit,
    )
    tool = add(program, "SoftwareApplication", name="envagent", softwareVersion=__version__)
    parts = {
        path: crate.add_file(
            dest_path=path,
            properties={
                "name": path,
                "description": described(path),
                "encodingFormat": KINDS.get(path[path.rfind(".") :], "text/plain"),
            },
        )
        for path in sorted({*files} - {CRATE, TROVI})
    }
    proofs = [part for path, part in parts.items() if path.startswith("proof/")]
    action = add(
        f"#run-{result.run_id}",
        "CreateAction",
        name=summary(packed, result),
        startTime=result.started_at,
        instrument=tool,
        object=code,
        result=[parts["result.json"], *proofs],
    )
    root = crate.root_dataset
    texts = {
        "name": f"{name_of(packed)} on Chameleon"[:LONGEST_NAME],
        "disambiguatingDescription": summary(packed, result)[:LONGEST_SUMMARY],
        "description": f"{summary(packed, result)} To make the same again: envagent run --from FOLDER.",
        "keywords": "reproducibility, chameleon",
        "datePublished": result.started_at,
        "license": "The repository states the license of its code.",
    }
    for key, text in texts.items():
        root[key] = text
    root["author"], root["isBasedOn"], root["mentions"] = [authors], code, [action]
    graph = crate.metadata.generate()
    for one in graph["@graph"]:
        if one["@id"] == CRATE:
            one["@id"] = name
    return json.dumps(graph, indent=1, sort_keys=True) + "\n"
