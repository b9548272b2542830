"""A simulated shell on a simulated node: it interprets the command lines that people type at a new server.

It knows words, quotes, variables, `$(...)`, pipes, redirections, `;`, `&&` and `||`, and nothing that repeats; every
line is bounded in length, in commands and in output. It runs no program and opens no file of this machine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from envagent.sandbox.node_facts import Node
from envagent.sandbox.node_files import Files, Refused

MAX_LINE = 16384
MAX_COMMANDS = 200
MAX_OUTPUT = 1 << 20
MAX_DEPTH = 8
NOT_FOUND = 127
OPERATOR = re.compile(r"&&|\|\||;|\||\n|&>|[12]?>>|[12]?>&[12]|[12]?>|<|&|\(|\)")
VARIABLE = re.compile(r"\?|\w+|\{\w+\}")
KEYWORDS = frozenset({"if", "for", "while", "until", "case", "select", "function", "do", "then", "{", "}", "!"})
REDIRECTIONS = re.compile(r"&>|[12]?>>|[12]?>&[12]|[12]?>|<")
READS_FILES = {"cat": 0, "wc": 0, "head": 0, "tail": 0, "bash": 0, "sh": 0, "grep": 1, "tee": 99}
"""The programs that read their input, with how many words they may have that are no options and still do so."""


class SyntaxProblem(Exception):
    """A line that this shell does not interpret."""


@dataclass(frozen=True)
class Answer:
    """What a command has written, and its exit code."""

    out: str = ""
    err: str = ""
    code: int = 0


Program = Callable[["Shell", list[str], str], Answer]
"""A program: the shell that calls it, its arguments and its input."""


@dataclass(frozen=True)
class _Piece:
    """A part of a word: text as it is, a `variable` or a `command` to substitute."""

    text: str
    kind: str = "text"
    quoted: bool = False


@dataclass
class _Command:
    """A simple command: its words and its redirections (operator and target)."""

    words: list[list[_Piece]] = field(default_factory=list)
    redirections: list[tuple[str, list[_Piece]]] = field(default_factory=list)


_Token = str | list[_Piece]

_OUT = ("", False)
_ERR = ("", True)
"""Where streams go that are not redirected to a file, whose place is its path and whether it is extended."""


@dataclass
class Shell:
    """A session's shell: its folder, variables and last exit code."""

    node: Node
    files: Files
    programs: dict[str, Program]
    user: str
    folder: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    code: int = 0
    ended: bool = False
    _depth: int = 0
    _commands: int = 0
    _stray: str = ""
    """What substituted commands have written as errors."""

    def __post_init__(self) -> None:
        """Begin in the home folder."""
        self.folder = self.folder or self.files.home
        names = {"HOME": self.files.home, "USER": self.user, "SHELL": "/bin/bash", "HOSTNAME": self.node.hostname}
        self.variables = {**names, **self.variables}

    @property
    def prompt(self) -> str:
        """What an interactive shell writes before each line."""
        home = self.files.home
        shown = "~" + self.folder[len(home) :] if f"{self.folder}/".startswith(f"{home}/") else self.folder
        return f"{self.user}@{self.node.hostname}:{shown}$ "

    def run(self, line: str, given: str = "") -> Answer:
        """Run a line, or several, with the input of the first command; the exit code is that of the last one."""
        self._commands = 0
        if len(line) > MAX_LINE:
            return self._syntax_error("line too long")
        return self._interpret(line, given)

    def reads_input(self, line: str) -> bool:
        """Return whether the first command of a line reads its input."""
        try:
            first = next((commands[0] for _, commands in _pipelines(_tokens(line)) if commands), _Command())
        except SyntaxProblem:
            return False
        words = ["".join(piece.text for piece in pieces) for pieces in first.words]
        files = [one for one in words[1:] if not one.startswith("-") or one == "-"]
        given = [target for operator, target in first.redirections if operator == "<"]
        reads = READS_FILES.get(words[0]) if words else None
        return reads is not None and len(files) <= reads and not given

    def run_nested(self, line: str, given: str = "") -> Answer:
        """Run a line within a line, as `$(...)` and `bash -c` do: its folder, variables and end are its own."""
        kept = self.folder, dict(self.variables)
        answer = self._interpret(line, given)
        self.folder, self.variables = kept
        self.ended = False
        return answer

    def _interpret(self, line: str, given: str) -> Answer:
        if self._depth >= MAX_DEPTH:
            return Answer(err="bash: too many nested commands\n", code=1)
        self._depth += 1
        try:
            return self._run_list(_tokens(line), given)
        except SyntaxProblem as problem:
            return self._syntax_error(str(problem))
        finally:
            self._depth -= 1

    def lookup(self, name: str) -> Program | None:
        """Return a program by its name or its path."""
        return self.programs.get(name.rpartition("/")[2] if name.startswith(("/bin/", "/usr/bin/")) else name)

    def call(self, words: list[str], given: str = "") -> Answer:
        """Run one command of expanded words."""
        self._commands += 1
        if self._commands > MAX_COMMANDS:
            return Answer(err="bash: too many commands in a line\n", code=1)
        if not words:
            return Answer(code=0)
        program = self.lookup(words[0])
        if program is None:
            return Answer(err=f"bash: {words[0]}: command not found\n", code=NOT_FOUND)
        return program(self, words[1:], given)

    def _syntax_error(self, what: str) -> Answer:
        self.code = 2
        return Answer(err=f"bash: {what}\n", code=2)

    def _run_list(self, tokens: list[_Token], given: str) -> Answer:
        out, err, joint = "", "", ";"
        for operator, pipeline in _pipelines(tokens):
            skipped = (joint == "&&" and self.code != 0) or (joint == "||" and self.code == 0)
            joint = operator
            if skipped or not pipeline:
                continue
            answer = self._run_pipeline(pipeline, given)
            given = ""
            self.code = answer.code
            out, err = (out + answer.out)[:MAX_OUTPUT], (err + answer.err)[:MAX_OUTPUT]
            if self.ended:
                break
        return Answer(out, err, self.code)

    def _run_pipeline(self, commands: list[_Command], given: str) -> Answer:
        err, code = "", 0
        for command in commands:
            answer = self._run_command(command, given)
            given, code = answer.out[:MAX_OUTPUT], answer.code
            err += answer.err
        return Answer(given, err, code)

    def _run_command(self, command: _Command, given: str) -> Answer:
        words = [word for pieces in command.words for word in self._expand(pieces)]
        while words and (assigned := re.fullmatch(r"([A-Za-z_]\w*)=(.*)", words[0], re.DOTALL)):
            if len(words) == 1 and len(self.variables) < MAX_COMMANDS:
                self.variables[assigned[1]] = assigned[2][:MAX_LINE]
            del words[0]
        targets = [(operator, " ".join(self._expand(pieces))) for operator, pieces in command.redirections]
        for operator, target in targets:
            if operator == "<":
                try:
                    given = self.files.read(self.files.absolute(target, self.folder))
                except Refused as reason:
                    return Answer(err=f"bash: {target}: {reason}\n", code=1)
        stray, self._stray = self._stray, ""
        answer = self.call(words, given)
        answer = Answer(answer.out, stray + answer.err, answer.code)
        return self._redirect(answer, [one for one in targets if one[0] != "<"])

    def _redirect(self, answer: Answer, targets: list[tuple[str, str]]) -> Answer:
        """Write the streams of an answer where the redirections, from left to right, send them."""
        goals = {1: _OUT, 2: _ERR}
        for operator, target in targets:
            if ">&" in operator:
                source, goal = (2, 1) if operator.endswith("1") else (1, 2)
                goals[source] = goals[goal]
                continue
            for stream in (1, 2) if operator == "&>" else (2,) if operator.startswith("2") else (1,):
                goals[stream] = (target, operator.endswith(">>"))
        texts = dict.fromkeys([_OUT, _ERR, *goals.values()], "")
        texts[goals[1]] += answer.out
        texts[goals[2]] += answer.err
        out, err, code = texts.pop(_OUT), texts.pop(_ERR), answer.code
        for (target, append), text in texts.items():
            if target == "/dev/null":
                continue
            try:
                self.files.write(self.files.absolute(target, self.folder), text, append=append)
            except Refused as reason:
                err, code = f"{err}bash: {target}: {reason}\n", 1
        return Answer(out, err, code)

    def _expand(self, pieces: list[_Piece]) -> list[str]:
        """Return the words that a word becomes: an unquoted value is split at its spaces."""
        words: list[str] = []
        current: str | None = None
        length = 0
        for piece in pieces:
            value = self._value(piece)
            length += len(value)
            if length > MAX_OUTPUT:
                raise SyntaxProblem("argument list too long")
            if piece.kind == "text" or piece.quoted:
                current = (current or "") + value
                continue
            parts = value.split()
            if not parts:
                continue
            words += [(current or "") + parts[0], *parts[1:]] if len(parts) > 1 else []
            current = words.pop() if len(parts) > 1 else (current or "") + parts[0]
        if current is not None:
            words.append(current)
        return words

    def _value(self, piece: _Piece) -> str:
        if piece.kind == "command":
            answer = self.run_nested(piece.text)
            self._stray = (self._stray + answer.err)[:MAX_OUTPUT]
            return answer.out.rstrip("\n")
        if piece.kind == "variable":
            return str(self.code) if piece.text == "?" else self.variables.get(piece.text, "")
        return piece.text


def _pipelines(tokens: list[_Token]) -> list[tuple[str, list[_Command]]]:
    """Return the pipelines of a line, each with the operator that follows it."""
    found: list[tuple[str, list[_Command]]] = []
    commands: list[_Command] = []
    current, waiting = _Command(), ""
    for part in [*tokens, ";"]:
        if isinstance(part, list):
            if waiting:
                current.redirections.append((waiting, part))
                waiting = ""
            else:
                _check_keyword(current, part)
                current.words.append(part)
            continue
        if waiting or part in ("&", "(", ")"):
            raise SyntaxProblem(f"syntax error near unexpected token `{_shown(part)}'")
        if REDIRECTIONS.fullmatch(part):
            if ">&" in part:
                current.redirections.append((part, []))
            else:
                waiting = part
            continue
        empty = not current.words and not current.redirections
        if empty and (part == "|" or commands or part in ("&&", "||")):
            raise SyntaxProblem(f"syntax error near unexpected token `{_shown(part)}'")
        commands = commands if empty else [*commands, current]
        current = _Command()
        if part != "|":
            found.append((";" if part == "\n" else part, commands))
            commands = []
    if len(found) > 1 and found[-2][0] in ("&&", "||") and not found[-1][1]:
        raise SyntaxProblem("syntax error: unexpected end of file")
    return found


def _check_keyword(command: _Command, word: list[_Piece]) -> None:
    if not command.words and len(word) == 1 and word[0].kind == "text" and word[0].text in KEYWORDS:
        raise SyntaxProblem(f"{word[0].text}: this simulated shell has no loops, conditions or functions")


def _shown(token: str) -> str:
    return "newline" if token in ("\n", ";") else token


def _tokens(line: str) -> list[_Token]:
    """Split a line into operators and words."""
    tokens: list[_Token] = []
    place = 0
    while place < len(line):
        if line[place] in " \t\r":
            place += 1
        elif line[place] == "#":
            place = line.find("\n", place) if "\n" in line[place:] else len(line)
        elif (operator := OPERATOR.match(line, place)) is not None:
            tokens.append(operator[0])
            place = operator.end()
        else:
            word, place = _word(line, place)
            tokens.append(word)
    return tokens


def _word(line: str, place: int) -> tuple[list[_Piece], int]:
    """Read the word at a place; return its pieces and where it ends."""
    pieces: list[_Piece] = []
    quoted = False
    while place < len(line):
        sign = line[place]
        if sign == '"':
            quoted, place = not quoted, place + 1
            pieces.append(_Piece("", quoted=True))
        elif sign == "\\" and place + 1 < len(line):
            follows = line[place + 1]
            kept = quoted and follows not in '"\\$`'
            pieces.append(_Piece("" if follows == "\n" else "\\" + follows if kept else follows))
            place += 2
        elif sign == "$":
            piece, place = _substitution(line, place, quoted=quoted)
            pieces.append(piece)
        elif sign == "'" and not quoted:
            end = line.find("'", place + 1)
            if end < 0:
                raise SyntaxProblem("unexpected EOF while looking for matching `''")
            pieces.append(_Piece(line[place + 1 : end]))
            place = end + 1
        elif not quoted and sign in " \t\r\n;|&<>()":
            break
        else:
            pieces.append(_Piece(sign))
            place += 1
    if quoted:
        raise SyntaxProblem("unexpected EOF while looking for matching `\"'")
    return _joined(pieces), place


def _joined(pieces: list[_Piece]) -> list[_Piece]:
    """Join neighbouring text."""
    joined: list[_Piece] = []
    for piece in pieces:
        if joined and piece.kind == joined[-1].kind == "text":
            joined[-1] = _Piece(joined[-1].text + piece.text)
        else:
            joined.append(piece)
    return joined


def _substitution(line: str, place: int, *, quoted: bool) -> tuple[_Piece, int]:
    """Read what follows a dollar sign; return it and where it ends."""
    if line.startswith("$(", place):
        depth, end = 1, place + 2
        while end < len(line) and depth:
            depth += {"(": 1, ")": -1}.get(line[end], 0)
            end += 1
        if depth:
            raise SyntaxProblem("unexpected EOF while looking for matching `)'")
        return _Piece(line[place + 2 : end - 1], "command", quoted), end
    named = VARIABLE.match(line, place + 1)
    if named is None:
        return _Piece("$"), place + 1
    return _Piece(named[0].strip("{}"), "variable", quoted), named.end()
