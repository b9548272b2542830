"""The programs of a simulated node that show its GPUs."""

from __future__ import annotations

from envagent.sandbox.inventory import stable_id
from envagent.sandbox.node_facts import Gpu
from envagent.sandbox.node_shell import Answer, Shell

MAKERS = {"NVIDIA": "NVIDIA Corporation", "AMD": "Advanced Micro Devices, Inc. [AMD/ATI]", "Intel": "Intel Corporation"}
WIDTH = 79


def lspci(shell: Shell, arguments: list[str], given: str) -> Answer:
    """List the devices: a bridge, and the GPUs, with or without a driver."""
    lines = ["00:00.0 Host bridge: Intel Corporation Host bridge\n"]
    for number, gpu in enumerate(shell.node.gpus):
        maker = MAKERS.get(gpu.vendor, gpu.vendor)
        lines.append(f"{_bus(number)}:00.0 3D controller: {maker} {gpu.chip} (rev a1)\n")
    return Answer("".join(lines))


def nvidia_smi(shell: Shell, arguments: list[str], given: str) -> Answer:
    """Show NVIDIA's GPUs: a table, a list, or fields that were asked for."""
    gpus = shell.node.driven
    if not gpus:
        return Answer("No devices were found\n", code=6)
    query = next((one.partition("=")[2] for one in arguments if one.startswith("--query-gpu=")), None)
    if query is not None:
        return _query(shell, gpus, query.split(","), arguments)
    if arguments in (["-L"], ["--list-gpus"]):
        lines = [f"GPU {number}: {gpu.name} (UUID: {_uuid(shell, number)})\n" for number, gpu in enumerate(gpus)]
        return Answer("".join(lines))
    if arguments:
        return Answer(f"Invalid combination of input arguments: {' '.join(arguments)}\n", code=2)
    return Answer(_table(shell, gpus))


def _bus(number: int) -> str:
    return f"{0x3B + 0x20 * number & 0xFF:02x}"


def _uuid(shell: Shell, number: int) -> str:
    return f"GPU-{stable_id(shell.node.hostname, 'gpu', str(number))}"


def _query(shell: Shell, gpus: tuple[Gpu, ...], names: list[str], arguments: list[str]) -> Answer:
    """Print the fields as CSV."""
    format = next((one.partition("=")[2] for one in arguments if one.startswith("--format=")), "csv").split(",")
    unit = "" if "nounits" in format else " MiB"
    lines = [] if "noheader" in format else [", ".join(f"{n} [MiB]" if "memory" in n else n for n in names)]
    for number, gpu in enumerate(gpus):
        values = {
            "index": str(number),
            "name": gpu.name,
            "gpu_name": gpu.name,
            "uuid": _uuid(shell, number),
            "count": str(len(gpus)),
            "driver_version": shell.node.system.driver or "",
            "memory.total": f"{gpu.memory}{unit}",
            "memory.used": f"0{unit}",
            "memory.free": f"{gpu.memory}{unit}",
            "utilization.gpu": "0" if "nounits" in format else "0 %",
            "temperature.gpu": "31",
        }
        unknown = next((name for name in names if name.strip() not in values), None)
        if unknown is not None:
            return Answer(f'Field "{unknown}" is not a valid field to query.\n\n', code=2)
        lines.append(", ".join(values[name.strip()] for name in names))
    return Answer("".join(f"{line}\n" for line in lines))


def _table(shell: Shell, gpus: tuple[Gpu, ...]) -> str:
    system = shell.node.system
    version = f"NVIDIA-SMI {system.driver}"
    head = f"{version:<27}Driver Version: {system.driver:<14}CUDA Version: {system.cuda}"
    rule, double = "+" + "-" * (WIDTH - 2) + "+", "|" + "=" * (WIDTH - 2) + "|"
    rows = [rule, _row(head), rule.replace("+-", "|-", 1)[:-1] + "|"]
    rows += [_row(f"{'GPU  Name':<40}{'Memory-Usage':<24}GPU-Util"), double]
    for number, gpu in enumerate(gpus):
        used = f"0MiB / {gpu.memory}MiB"
        rows.append(_row(f"{number:>3}  {gpu.name:<35}{used:<24}{'0%':>8}"))
    rows += [rule, "", rule, _row("Processes:"), _row("  No running processes found"), rule]
    return "".join(f"{row}\n" for row in rows)


def _row(text: str) -> str:
    return f"| {text:<{WIDTH - 4}} |"
