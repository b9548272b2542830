"""YAML files that only their content identifies.

Owns: the first lines by which each kind is recognized. Must not: parse.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from envagent.repository.facts import Facts
from envagent.repository.readers import clusters, conda, gpu_platforms

_HEAD = 64 << 10


def _all_of(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.MULTILINE) for pattern in patterns)


_KINDS: tuple[tuple[Callable[[str, str, Facts], None], tuple[re.Pattern[str], ...]], ...] = (
    (clusters.read_kubernetes, _all_of(r"^[\"']?apiVersion[\"']?[ \t]*:", r"^[\"']?kind[\"']?[ \t]*:")),
    (
        clusters.read_ray_cluster,
        _all_of(r"^(?:available_node_types|head_node|worker_nodes):", r"^(?:cluster_name|provider):"),
    ),
    (gpu_platforms.read_dstack, _all_of(r"^type:[ \t]*(?:task|service|dev-environment|fleet)\b")),
    (
        gpu_platforms.read_skypilot,
        _all_of(
            r"^resources:",
            r"^(?:run|setup|num_nodes|workdir|file_mounts|service|envs):|^[ \t]+(?:- )?accelerators:",
        ),
    ),
    (gpu_platforms.read_truss, _all_of(r"^(?:model_name|model_class_name|model_metadata|base_image):", r"^resources:")),
    (gpu_platforms.read_determined, _all_of(r"^(?:entrypoint|searcher):", r"^[ \t]+slots(?:_per_trial)?:")),
    (gpu_platforms.read_launcher, _all_of(r"^distributed_type:", r"^(?:compute_environment|num_processes):")),
    (gpu_platforms.read_launcher, _all_of(r"^trainer:", r"^[ \t]+(?:accelerator|gpus):")),
    (conda.read, _all_of(r"^(?:channels|prefix):", r"^dependencies:")),
    (
        gpu_platforms.read_cloud,
        _all_of(r"(?i)\b(?:(?:instance|machine|node)_?type|vm_?size|accelerator_?type)\b|\bsize: standard_n"),
    ),
)


def read(path: str, text: str, facts: Facts) -> None:
    """Read a file with the reader of its kind; other files say nothing."""
    head = text[:_HEAD]
    for reader, patterns in _KINDS:
        if all(pattern.search(head) for pattern in patterns):
            notes = len(facts.notes)
            reader(path, text, facts)
            # Templates look like manifests and are not valid YAML.
            del facts.notes[notes:]
            return
