"""The subset of JSON Schema by which services refuse requests, with the messages of its Python validator."""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Schema = Mapping[str, Any]

KINDS: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
PRINTABLE_NAME = "printable characters. Can not start or end with whitespace."


@dataclass(frozen=True)
class Violation:
    """A value that violates a schema: its path, and the validator's message."""

    path: tuple[str | int, ...]
    value: Any
    message: str
    is_name: bool = False


def violation(value: Any, schema: Schema) -> Violation | None:
    """Return the first violation of a schema, None if there is none."""
    return next(_violations(value, schema, ()), None)


def _violations(value: Any, schema: Schema, path: tuple[str | int, ...]) -> Iterator[Violation]:
    for keyword, wanted in schema.items():
        if keyword in PARTS:
            yield from PARTS[keyword](value, wanted, schema, path)
        elif keyword == "name" and isinstance(value, str) and not wanted[0](value):
            message = f"An invalid 'name' value was provided. The name must be: {wanted[1]}"
            yield Violation(path, value, message, is_name=True)
        elif keyword in RULES:
            broken = RULES[keyword](value, wanted)
            if broken is not None:
                yield Violation(path, value, broken)


def _properties(value: Any, wanted: Schema, schema: Schema, path: tuple[str | int, ...]) -> Iterator[Violation]:
    if isinstance(value, dict):
        for key, part in wanted.items():
            if key in value:
                yield from _violations(value[key], part, (*path, key))


def _patterns(value: Any, wanted: Schema, schema: Schema, path: tuple[str | int, ...]) -> Iterator[Violation]:
    if isinstance(value, dict):
        for pattern, part in wanted.items():
            for key in value:
                if re.search(pattern, key):
                    yield from _violations(value[key], part, (*path, key))


def _items(value: Any, wanted: Schema, schema: Schema, path: tuple[str | int, ...]) -> Iterator[Violation]:
    for number, item in enumerate(value if isinstance(value, list) else []):
        yield from _violations(item, wanted, (*path, number))


def _closed(value: Any, wanted: bool, schema: Schema, path: tuple[str | int, ...]) -> Iterator[Violation]:
    patterns = sorted(schema.get("patternProperties", {}))
    if not isinstance(value, dict) or wanted:
        return
    extra = [key for key in value if key not in schema.get("properties", {})]
    extra = sorted(key for key in extra if not any(re.search(pattern, key) for pattern in patterns))
    names, one = ", ".join(repr(key) for key in extra), len(extra) == 1
    if extra and patterns:
        known = ", ".join(repr(pattern) for pattern in patterns)
        yield Violation(path, value, f"{names} {'does' if one else 'do'} not match any of the regexes: {known}")
    elif extra:
        message = f"Additional properties are not allowed ({names} {'was' if one else 'were'} unexpected)"
        yield Violation(path, value, message)


def _required(value: Any, wanted: list[str], schema: Schema, path: tuple[str | int, ...]) -> Iterator[Violation]:
    for key in wanted if isinstance(value, dict) else []:
        if key not in value:
            yield Violation(path, value, f"{key!r} is a required property")


def _all_of(value: Any, wanted: list[Schema], schema: Schema, path: tuple[str | int, ...]) -> Iterator[Violation]:
    for part in wanted:
        yield from _violations(value, part, path)


PARTS: dict[str, Callable[[Any, Any, Schema, tuple[str | int, ...]], Iterator[Violation]]] = {
    "properties": _properties,
    "patternProperties": _patterns,
    "items": _items,
    "required": _required,
    "additionalProperties": _closed,
    "allOf": _all_of,
}


def _type(value: Any, wanted: str | list[str]) -> str | None:
    kinds = [wanted] if isinstance(wanted, str) else wanted
    said = f"{value!r} is not of type {', '.join(repr(kind) for kind in kinds)}"
    return None if any(KINDS[kind](value) for kind in kinds) else said


def _longest(value: Any, wanted: int) -> str | None:
    if not isinstance(value, (str, list)) or len(value) <= wanted:
        return None
    return f"{value!r} is too long" if wanted else f"{value!r} is expected to be empty"


def _shortest(value: Any, wanted: int) -> str | None:
    if not isinstance(value, (str, list, dict)) or len(value) >= wanted:
        return None
    return f"{value!r} should be non-empty" if wanted == 1 else f"{value!r} is too short"


def _minimum(value: Any, wanted: int) -> str | None:
    try:
        number = int(value)
    except (TypeError, ValueError):
        return None
    return f"{number} is less than the minimum of {wanted}" if number < wanted else None


def _one_of(value: Any, wanted: list[Schema]) -> str | None:
    fits = any(violation(value, schema) is None for schema in wanted)
    return None if fits else f"{value!r} is not valid under any of the given schemas"


def _format(value: Any, wanted: str) -> str | None:
    if not isinstance(value, str) or FORMATS[wanted](value):
        return None
    return f"{value!r} is not a {wanted!r}"


RULES: dict[str, Callable[[Any, Any], str | None]] = {
    "type": _type,
    "enum": lambda value, wanted: None if value in wanted else f"{value!r} is not one of {wanted!r}",
    "pattern": lambda value, wanted: (
        f"{value!r} does not match {wanted!r}" if isinstance(value, str) and not re.search(wanted, value) else None
    ),
    "minLength": _shortest,
    "minItems": _shortest,
    "minProperties": _shortest,
    "maxLength": _longest,
    "maxItems": _longest,
    "maxProperties": lambda value, wanted: (
        f"{value!r} has too many properties" if isinstance(value, dict) and len(value) > wanted else None
    ),
    "minimum": _minimum,
    "oneOf": _one_of,
    "format": _format,
}


def is_uuid(text: str) -> bool:
    """Return whether OpenStack accepts a text as a UUID: in any case, with or without dashes."""
    try:
        return uuid.UUID(text).hex == text.lower().replace("-", "")
    except ValueError:
        return False


def _parses(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except (ValueError, re.error):
            return False
        return True

    return check


FORMATS: dict[str, Callable[[str], bool]] = {
    "uuid": is_uuid,
    "ipv4": _parses(ipaddress.IPv4Address),
    "ipv6": _parses(ipaddress.IPv6Address),
    "date-time": _parses(lambda text: datetime.fromisoformat(text)),
    "regex": lambda text: bool(text) and _parses(re.compile)(text),
}


def is_printable_name(text: str) -> bool:
    """Return whether a text is printable and has no blank at either end."""
    return text.isprintable() and text == text.strip()


def closed(fields: Mapping[str, Schema], *required: str) -> Schema:
    """Return the schema of an object with only these fields."""
    needed = {"required": list(required)} if required else {}
    return {"type": "object", "properties": fields, **needed, "additionalProperties": False}


def list_of(item: Schema, longest: int | None = None) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": item, **({} if longest is None else {"maxItems": longest})}


def words(text: str) -> tuple[str, ...]:
    """Split a text; for lists that are too long to quote word by word."""
    return tuple(text.split())


TEXT: Schema = {"type": "string"}
ANYTHING: Schema = {}
NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 255, "name": (is_printable_name, PRINTABLE_NAME)}
UUID: Schema = {"type": "string", "format": "uuid"}
POSITIVE: Schema = {"type": ["integer", "string"], "pattern": "^[0-9]*$", "minimum": 1, "minLength": 1}
DIGITS: Schema = {"type": ["integer", "string"], "pattern": "^[0-9]*$", "minimum": 0, "minLength": 1}
NULL: Schema = {"type": "null"}
ADDRESS: Schema = {"type": "string", "oneOf": [{"format": "ipv4"}, {"format": "ipv6"}]}
