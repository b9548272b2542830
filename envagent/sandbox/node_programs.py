"""The programs of a simulated node: what they print about it, and those that work on text and files."""

from __future__ import annotations

import json
import posixpath
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise

from envagent.sandbox.node_facts import Disk, Node
from envagent.sandbox.node_files import Files, Refused
from envagent.sandbox.node_gpus import lspci, nvidia_smi
from envagent.sandbox.node_set_up import SUPERVISOR, supervise
from envagent.sandbox.node_shell import MAX_OUTPUT, Answer, Program, Shell

UNITS = {"-k": 1, "-m": 1024, "-g": 1024 * 1024}
ROOT_SHARE = 0.97
"""The share of the first disk that its root filesystem shows."""
ROOT_USED = 9_800_000_000


def system_files(node: Node) -> dict[str, str]:
    """Return the files that the node's system has."""
    system = node.system
    like = "ID_LIKE=debian\n" if system.id == "ubuntu" else ""
    code = f"VERSION_CODENAME={system.codename}\n" if system.codename else ""
    release = (
        f'PRETTY_NAME="{system.name} {system.long}"\nNAME="{system.name}"\nVERSION_ID="{system.version}"\n'
        f'VERSION="{system.long}"\n{code}ID={system.id}\n{like}'
    )
    files = {
        "/etc/os-release": release,
        "/etc/hostname": f"{node.hostname}\n",
        "/proc/meminfo": _meminfo(node),
        "/proc/cpuinfo": _cpuinfo(node),
        "/proc/version": f"Linux version {_kernel(node)} (sandbox)\n",
    }
    if node.driven:
        files["/proc/driver/nvidia/version"] = f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {system.driver}\n"
    return files


def _kernel(node: Node) -> str:
    kernel = node.system.kernel
    return f"{kernel}.{node.architecture}" if ".el" in kernel else kernel


def _meminfo(node: Node) -> str:
    total = node.usable_memory
    rows = {"MemTotal": total, "MemFree": int(total * 0.96), "MemAvailable": int(total * 0.97), "SwapTotal": 0}
    return "".join(f"{name + ':':<15} {value:>9} kB\n" for name, value in {**rows, "SwapFree": 0}.items())


def _cpuinfo(node: Node) -> str:
    return "".join(
        f"processor\t: {number}\nmodel name\t: {node.processor}\ncpu MHz\t\t: {node.megahertz}.000\n"
        f"physical id\t: {number % node.sockets}\ncpu cores\t: {node.cores // node.sockets}\n\n"
        for number in range(node.threads)
    )


def _text(make: Callable[[Shell], str]) -> Program:
    """Return a program that prints one thing, whatever its arguments."""
    return lambda shell, arguments, given: Answer(make(shell))


def _echo(shell: Shell, arguments: list[str], given: str) -> Answer:
    if arguments[:1] == ["-n"]:
        return Answer(" ".join(arguments[1:]))
    return Answer(" ".join(arguments) + "\n")


def _printf(shell: Shell, arguments: list[str], given: str) -> Answer:
    if not arguments:
        return Answer(err="printf: usage: printf format [arguments]\n", code=2)
    shape = arguments[0].replace("\\n", "\n").replace("\\t", "\t")
    parts = shape.replace("%d", "%s").split("%s")
    values = iter(arguments[1:])
    return Answer("".join(part + next(values, "") for part in parts[:-1]) + parts[-1])


def _exit(shell: Shell, arguments: list[str], given: str) -> Answer:
    code = arguments[0] if arguments else str(shell.code)
    shell.ended = True
    return Answer(code=int(code) % 256 if code.isascii() and code.isdigit() and len(code) < 9 else 2)


def _hostname(shell: Shell, arguments: list[str], given: str) -> Answer:
    return Answer((shell.node.address if arguments in (["-I"], ["-i"]) else shell.node.hostname) + "\n")


def _uname(shell: Shell, arguments: list[str], given: str) -> Answer:
    node = shell.node
    values = {"s": "Linux", "n": node.hostname, "r": _kernel(node), "v": "#1 SMP", "m": node.architecture}
    shown = {**values, "o": "GNU/Linux"}
    wanted = "".join(argument.lstrip("-") for argument in arguments) or "s"
    if "a" in wanted:
        wanted = "snrvmo"
    if unknown := [one for one in wanted if one not in shown]:
        return Answer(err=f"uname: invalid option -- '{unknown[0]}'\n", code=1)
    return Answer(" ".join(value for name, value in shown.items() if name in wanted) + "\n")


def _lscpu(shell: Shell, arguments: list[str], given: str) -> Answer:
    node = shell.node
    rows = {
        "Architecture": node.architecture,
        "CPU op-mode(s)": "32-bit, 64-bit",
        "Byte Order": "Little Endian",
        "CPU(s)": node.threads,
        "On-line CPU(s) list": f"0-{node.threads - 1}",
        "Model name": node.processor,
        "Thread(s) per core": node.threads_per_core,
        "Core(s) per socket": max(1, node.cores // node.sockets),
        "Socket(s)": node.sockets,
        "CPU max MHz": f"{node.megahertz}.0000",
    }
    return Answer("".join(f"{name + ':':<24} {value}\n" for name, value in rows.items()))


def _human(size: float) -> str:
    for unit in ("B", "K", "M", "G", "T"):
        if size < 1024 or unit == "T":
            break
        size /= 1024
    return f"{size:.1f}{unit}" if size < 10 and unit != "B" else f"{size:.0f}{unit}"


def _free(shell: Shell, arguments: list[str], given: str) -> Answer:
    total = shell.node.usable_memory
    values = [total, int(total * 0.02), int(total * 0.96), 4096, int(total * 0.02), int(total * 0.97)]
    if "-h" in arguments:
        shown = [_human(value * 1024).replace("G", "Gi").replace("M", "Mi") for value in values]
    elif "-b" in arguments:
        shown = [str(value * 1024) for value in values]
    else:
        unit = next((UNITS[argument] for argument in arguments if argument in UNITS), 1)
        shown = [str(value // unit) for value in values]
    head = ("total", "used", "free", "shared", "buff/cache", "available")
    width = max(12, *(len(one) + 2 for one in shown))
    rows = [("", head), ("Mem:", shown), ("Swap:", ["0", "0", "0"])]
    return Answer("".join(f"{name:<7}" + "".join(f"{one:>{width}}" for one in row) + "\n" for name, row in rows))


def _df(shell: Shell, arguments: list[str], given: str) -> Answer:
    node = shell.node
    disk = node.disks[0] if node.disks else Disk("sda", 20_000_000_000, "disk", rotational=False)
    size = max(1, int(disk.size * ROOT_SHARE))
    used = min(ROOT_USED, size // 2)
    show, head = (_human, "Size") if "-h" in arguments else (lambda size: str(int(size) // 1024), "1K-blocks")
    if "-B1" in arguments or "-B1" in "".join(arguments):
        show, head = (lambda size: str(int(size))), "1B-blocks"
    row = [f"/dev/{disk.name}{_partition(disk)}", show(size), show(used), show(size - used), f"{100 * used // size}%"]
    return Answer(
        _aligned([["Filesystem", head, "Used", "Avail", "Use%", "Mounted on"], [*row, "/"]], right=(1, 2, 3, 4))
    )


def _aligned(rows: list[list[str]], right: Sequence[int] = ()) -> str:
    """Lay rows out in columns, some of them aligned on the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = zip(row, widths, strict=True)
        padded = [one.rjust(wide) if place in right else one.ljust(wide) for place, (one, wide) in enumerate(cells)]
        lines.append(" ".join(padded).rstrip())
    return "".join(f"{line}\n" for line in lines)


def _partition(disk: Disk) -> str:
    return "p1" if disk.name.startswith("nvme") else "1"


def _lsblk(shell: Shell, arguments: list[str], given: str) -> Answer:
    """Print the disks with the columns that were asked for, as text or JSON."""
    flags = "".join(argument[1:] for argument in arguments if argument.startswith("-") and "=" not in argument)
    named = next((after for before, after in pairwise(arguments) if before[-1:] == "o"), None)
    columns = (named or "NAME,SIZE,TYPE,MOUNTPOINTS").upper().split(",")
    rows = []
    for number, disk in enumerate(shell.node.disks):
        mounted = "/" if number == 0 else ""
        whole = {"NAME": disk.name, "TYPE": "disk", "MODEL": disk.model, "ROTA": str(int(disk.rotational))}
        sizes = {"SIZE": str(disk.size) if "b" in flags else _human(disk.size), "KNAME": disk.name}
        rows.append({**whole, **sizes, "MOUNTPOINTS": "" if "d" not in flags else mounted})
        if "d" not in flags and number == 0:
            part = disk.name + _partition(disk)
            rows.append({**rows[-1], "NAME": part, "KNAME": part, "TYPE": "part", "MOUNTPOINTS": mounted})
    shown = [{column: row.get(column, "") for column in columns} for row in rows]
    if "J" in flags:
        devices = [{name.lower(): int(v) if v.isdigit() else v for name, v in row.items()} for row in shown]
        return Answer(json.dumps({"blockdevices": devices}) + "\n")
    if "n" not in flags:
        shown.insert(0, {column: column for column in columns})
    return Answer(_aligned([list(row.values()) for row in shown]))


def _lsb_release(shell: Shell, arguments: list[str], given: str) -> Answer:
    system = shell.node.system
    rows = {"i": ("Distributor ID", system.name), "d": ("Description", f"{system.name} {system.long}")}
    rows |= {"r": ("Release", system.version), "c": ("Codename", system.codename)}
    flags = "".join(argument.lstrip("-") for argument in arguments)
    wanted = [row for flag, row in rows.items() if "a" in flags or flag in flags]
    short = "s" in flags
    return Answer("".join(f"{value}\n" if short else f"{name + ':':<15} {value}\n" for name, value in wanted))


def _python(shell: Shell, arguments: list[str], given: str) -> Answer:
    if arguments and arguments[0] in ("--version", "-V"):
        return Answer(f"Python {shell.node.system.python}\n")
    return Answer(err="python3: this simulated node only shows its version\n", code=1)


def _id(shell: Shell, arguments: list[str], given: str) -> Answer:
    if arguments == ["-u"]:
        return Answer("1000\n")
    name = shell.user
    return Answer(f"uid=1000({name}) gid=1000({name}) groups=1000({name}),27(sudo)\n")


def _uptime(shell: Shell, arguments: list[str], given: str) -> Answer:
    minutes = max(0, int(time.time() - shell.node.booted_at)) // 60
    return Answer(f" up {minutes} min,  1 user,  load average: 0.00, 0.00, 0.00\n")


def _cat(shell: Shell, arguments: list[str], given: str) -> Answer:
    return _each(shell, "cat", arguments, given, lambda text: text)


def _each(shell: Shell, name: str, paths: Iterable[str], given: str, show: Callable[[str], str]) -> Answer:
    """Show the text of each file, or of the input where there is none."""
    out, err = "", ""
    for path in list(paths) or ["-"]:
        try:
            text = given if path == "-" else shell.files.read(shell.files.absolute(path, shell.folder))
            out += show(text)[: MAX_OUTPUT - len(out)]
        except Refused as reason:
            err += f"{name}: {path}: {reason}\n"
    return Answer(out, err, int(bool(err)))


def _lines(name: str, *, last: bool) -> Program:
    def program(shell: Shell, arguments: list[str], given: str) -> Answer:
        number, paths = "10", list(arguments)
        if paths and paths[0].startswith("-"):
            first = paths.pop(0)
            number = first[2:] or (paths.pop(0) if paths else "") if first.startswith("-n") else first[1:]
        if not (number.isascii() and number.isdigit() and len(number) < 9):
            return Answer(err=f"{name}: invalid number of lines: '{number}'\n", code=1)
        count = int(number)

        def show(text: str) -> str:
            lines = text.splitlines(keepends=True)
            return "".join(lines[max(0, len(lines) - count) :] if last else lines[:count])

        return _each(shell, name, paths, given, show)

    return program


def _grep(shell: Shell, arguments: list[str], given: str) -> Answer:
    """Show the lines that contain a text; patterns are taken literally."""
    flags = "".join(one[1:] for one in arguments if one.startswith("-") and len(one) > 1)
    words = [one for one in arguments if not one.startswith("-") or one == "-"]
    if not words:
        return Answer(err="Usage: grep [OPTION]... PATTERNS [FILE]...\n", code=2)
    wanted = words[0].lower() if "i" in flags else words[0]

    def fits(line: str) -> bool:
        return (wanted in (line.lower() if "i" in flags else line)) != ("v" in flags)

    def show(text: str) -> str:
        found = [line for line in text.splitlines() if fits(line)]
        return f"{len(found)}\n" if "c" in flags else "".join(f"{line}\n" for line in found)

    answer = _each(shell, "grep", words[1:], given, show)
    none = answer.out.strip() in ("", "0") and not answer.code
    return Answer("" if "q" in flags else answer.out, answer.err, 1 if none else 2 * answer.code)


def _wc(shell: Shell, arguments: list[str], given: str) -> Answer:
    paths = [one for one in arguments if not one.startswith("-")]
    count: Callable[[str], int] = lambda text: text.count("\n")  # noqa: E731
    if "-c" in arguments:
        count = lambda text: len(text.encode())  # noqa: E731
    elif "-w" in arguments:
        count = lambda text: len(text.split())  # noqa: E731
    return _each(shell, "wc", paths, given, lambda text: f"{count(text)}\n")


def _tee(shell: Shell, arguments: list[str], given: str) -> Answer:
    paths = [one for one in arguments if one != "-a"]
    answer = _change(shell, "tee", paths, lambda files, path: files.write(path, given, append="-a" in arguments))
    return Answer(given, answer.err, answer.code)


def _change(shell: Shell, name: str, paths: Iterable[str], act: Callable[[Files, str], None]) -> Answer:
    """Do something to each path."""
    err = ""
    for path in paths:
        try:
            act(shell.files, shell.files.absolute(path, shell.folder))
        except Refused as reason:
            err += f"{name}: '{path}': {reason}\n"
    return Answer(err=err, code=int(bool(err)))


def _ls(shell: Shell, arguments: list[str], given: str) -> Answer:
    paths = [one for one in arguments if not one.startswith("-")] or ["."]
    out, err = "", ""
    for path in paths:
        try:
            names = shell.files.list(shell.files.absolute(path, shell.folder))
        except Refused as reason:
            err += f"ls: cannot access '{path}': {reason}\n"
            continue
        out += f"{path}:\n" if len(paths) > 1 else ""
        hidden = any(one.startswith("-") and "a" in one for one in arguments)
        out += "".join(f"{name}\n" for name in names if hidden or not posixpath.basename(name).startswith("."))
    return Answer(out, err, 2 if err else 0)


def _cd(shell: Shell, arguments: list[str], given: str) -> Answer:
    path = arguments[0] if arguments else shell.files.home
    folder = shell.files.absolute(path, shell.folder)
    if not shell.files.is_folder(folder):
        reason = "Not a directory" if shell.files.exists(folder) else "No such file or directory"
        return Answer(err=f"bash: cd: {path}: {reason}\n", code=1)
    shell.folder = folder
    return Answer()


def _rm(shell: Shell, arguments: list[str], given: str) -> Answer:
    flags = "".join(one[1:] for one in arguments if one.startswith("-")).lower()
    paths = [one for one in arguments if not one.startswith("-")]
    if "f" in flags:
        paths = [one for one in paths if shell.files.exists(shell.files.absolute(one, shell.folder))]
    return _change(shell, "rm", paths, lambda files, path: files.remove(path, recursive="r" in flags))


def _mv(shell: Shell, arguments: list[str], given: str) -> Answer:
    """Give one file another name."""
    if len(arguments) != 2:
        return Answer(err="mv: needs a file and its new name\n", code=1)

    def move(files: Files, path: str) -> None:
        files.write(files.absolute(arguments[1], shell.folder), files.read(path))
        files.remove(path, recursive=False)

    return _change(shell, "mv", arguments[:1], move)


def _mkdir(shell: Shell, arguments: list[str], given: str) -> Answer:
    def make(files: Files, path: str) -> None:
        if "-p" not in arguments:
            files.make_folder(path)
            return
        parts = path.strip("/").split("/")
        for number in range(1, len(parts) + 1):
            folder = "/" + "/".join(parts[:number])
            if not files.is_folder(folder):
                files.make_folder(folder)

    return _change(shell, "mkdir", [one for one in arguments if not one.startswith("-")], make)


def _touch(shell: Shell, arguments: list[str], given: str) -> Answer:
    return _change(shell, "touch", arguments, lambda files, path: files.write(path, "", append=True))


def _test(shell: Shell, arguments: list[str], given: str) -> Answer:
    words = arguments[:-1] if arguments[-1:] == ["]"] else arguments
    files = shell.files
    if len(words) == 2 and words[0] in ("-e", "-f", "-d"):
        path = files.absolute(words[1], shell.folder)
        there = files.is_folder(path) if words[0] == "-d" else files.exists(path)
        return Answer(code=int(not there or (words[0] == "-f" and files.is_folder(path))))
    if len(words) == 2 and words[0] in ("-n", "-z"):
        return Answer(code=int(bool(words[1]) != (words[0] == "-n")))
    if len(words) == 3 and words[1] in ("=", "==", "!="):
        return Answer(code=int((words[0] == words[2]) == (words[1] == "!=")))
    return Answer(code=int(words in ([], [""])))


def _export(shell: Shell, arguments: list[str], given: str) -> Answer:
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals:
            shell.variables[name] = value
    return Answer()


def _which(shell: Shell, arguments: list[str], given: str) -> Answer:
    names = [one for one in arguments if not one.startswith("-")]
    known = [name for name in names if shell.lookup(name) is not None]
    return Answer("".join(f"/usr/bin/{name}\n" for name in known), code=int(known != names))


def _shell(shell: Shell, arguments: list[str], given: str) -> Answer:
    if arguments and posixpath.basename(arguments[0]) == SUPERVISOR:
        return supervise(shell, arguments)
    lines = arguments[1] if arguments[:1] in (["-c"], ["-lc"]) and len(arguments) > 1 else given
    return shell.run_nested(lines)


def _within(shell: Shell, arguments: list[str], given: str) -> Answer:
    """Run the command that follows options, as `sudo` and `nohup` do."""
    while arguments and arguments[0].startswith("-"):
        arguments = arguments[1:]
    return shell.call(arguments, given)


def _timeout(shell: Shell, arguments: list[str], given: str) -> Answer:
    rest = list(arguments)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in ("-k", "-s"):
            rest = rest[1:]
    return shell.call(rest[1:], given)


PROGRAMS: dict[str, Program] = {
    "true": lambda shell, arguments, given: Answer(),
    ":": lambda shell, arguments, given: Answer(),
    "false": lambda shell, arguments, given: Answer(code=1),
    "exit": _exit,
    "logout": _exit,
    "echo": _echo,
    "printf": _printf,
    "hostname": _hostname,
    "whoami": _text(lambda shell: f"{shell.user}\n"),
    "id": _id,
    "pwd": _text(lambda shell: f"{shell.folder}\n"),
    "cd": _cd,
    "date": _text(lambda shell: time.strftime("%a %b %e %H:%M:%S UTC %Y\n", time.gmtime())),
    "uptime": _uptime,
    "uname": _uname,
    "arch": _text(lambda shell: f"{shell.node.architecture}\n"),
    "nproc": _text(lambda shell: f"{shell.node.threads}\n"),
    "lscpu": _lscpu,
    "free": _free,
    "df": _df,
    "lsblk": _lsblk,
    "lspci": lspci,
    "lsb_release": _lsb_release,
    "nvidia-smi": nvidia_smi,
    "python3": _python,
    "cat": _cat,
    "head": _lines("head", last=False),
    "tail": _lines("tail", last=True),
    "grep": _grep,
    "wc": _wc,
    "tee": _tee,
    "ls": _ls,
    "rm": _rm,
    "mkdir": _mkdir,
    "mv": _mv,
    "chmod": lambda shell, arguments, given: Answer(),
    "touch": _touch,
    "test": _test,
    "[": _test,
    "export": _export,
    "which": _which,
    "command": _which,
    "bash": _shell,
    "sh": _shell,
    "sudo": _within,
    "nohup": _within,
    "timeout": _timeout,
    "help": _text(lambda shell: f"This node is simulated. It knows: {' '.join(sorted(shell.programs))}\n"),
    "clear": _text(lambda shell: "\x1b[H\x1b[2J"),
}


def programs_of(node: Node) -> dict[str, Program]:
    """Return the programs that a node has."""
    system = node.system
    there = {"nvidia-smi": system.driver, "python3": system.python, "lsb_release": system.id == "ubuntu"}
    return {name: program for name, program in PROGRAMS.items() if there.get(name, True)}
