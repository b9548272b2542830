"""What came of a step, in a few words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Fields = Mapping[str, Any]


def summary(step: str, outputs: Mapping[str, Fields]) -> str:
    """Say what came of a finished step.

    Args:
        step: its name.
        outputs: stage key to the fields of its output.
    """
    known = _STEPS.get(step)
    if known is None:
        return ""
    stage, say = known
    output = outputs.get(f"{step}.{stage}")
    return "" if output is None else say(output)


def needs(requirements: Fields) -> str:
    """Say what a repository needs.

    >>> needs({"gpu_required": True, "gpu_vendor": "nvidia", "gpu_memory_gb": 16.0, "python_version": "3.11"})
    'nvidia GPU with 16 GB, Python 3.11'
    """
    parts = []
    if requirements.get("gpu_required"):
        count, memory = requirements.get("gpu_count"), requirements.get("gpu_memory_gb")
        vendor = f"{requirements['gpu_vendor']} " if requirements.get("gpu_vendor") else ""
        parts.append(
            f"{f'{count} x ' if count and count > 1 else ''}{vendor}GPU{f' with {memory:g} GB' if memory else ''}"
        )
    for name, unit in (("cpu_cores", "cores"), ("ram_gb", "GB RAM"), ("disk_gb", "GB disk")):
        if requirements.get(name):
            parts.append(f"{requirements[name]:g} {unit}")
    for name, word in (("os_type", ""), ("os_version", ""), ("cuda_version", "CUDA "), ("python_version", "Python ")):
        if requirements.get(name):
            parts.append(f"{word}{requirements[name]}")
    return ", ".join(parts) or "nothing special"


def _login(output: Fields) -> str:
    if output["logged_in"]:
        return f"logged in as {output['ssh_user']}"
    return "no login proved" if output["ssh_command"] else "no address to log in at"


_STEPS: dict[str, tuple[str, Callable[[Fields], str]]] = {
    "initialize": (
        "log_in",
        lambda output: (
            f"{output['identity']['region'] or output['identity']['auth_url']}, "
            f"project {output['identity']['project_name'] or output['identity']['project_id']}"
        ),
    ),
    "analyze_repository": ("analyze", lambda output: needs(output["analysis"]["requirements"])),
    "select_image": ("choose_image", lambda output: str(output["image"]["name"])),
    "ensure_keypair": ("register", lambda output: str(output["name"])),
    "find_network": ("find", lambda output: str(output["network_name"])),
    "reserve_hardware": ("reserve", lambda output: f"{output['node_type']} for {output['hours']} h"),
    "launch_server": ("launch", lambda output: str(output["server_name"])),
    "assign_floating_ip": ("attach", lambda output: str(output["address"] or "none")),
    "verify": ("check", _login),
    "save_state": ("save", lambda output: str(output["path"])),
}
"""By step: the stage whose output tells, and how."""
