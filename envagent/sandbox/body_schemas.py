"""The JSON Schema by which services check request bodies: jsonschema, with the liberties of Nova's validator."""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from jsonschema import Draft4Validator, FormatChecker, ValidationError, validators

Schema = Mapping[str, Any]

PRINTABLE_NAME = "printable characters. Can not start or end with whitespace."


def violation(value: Any, schema: Schema) -> ValidationError | None:
    """Return the first violation of a schema, None if there is none."""
    return next(_VALIDATOR.evolve(schema=schema).iter_errors(value), None)


def complaint(found: ValidationError) -> str:
    """Return the words in which Nova and Keystone report a violation in a body."""
    if found.validator == "name" or not found.path:
        return str(found.message)
    return f"Invalid input for field/attribute {found.path[-1]}. Value: {found.instance}. {found.message}"


def _minimum(validator: Any, wanted: int, value: Any, schema: Schema) -> Iterator[ValidationError]:
    """Compare numbers in strings as well, as Nova does."""
    try:
        number = int(value)
    except (TypeError, ValueError):
        return
    if number < wanted:
        yield ValidationError(f"{number} is less than the minimum of {wanted}")


def _name(validator: Any, wanted: Any, value: Any, schema: Schema) -> Iterator[ValidationError]:
    """Check a name by a predicate; Nova reports such an error without the path."""
    is_valid, characters = wanted
    if isinstance(value, str) and not is_valid(value):
        yield ValidationError(f"An invalid 'name' value was provided. The name must be: {characters}")


_FORMATS = FormatChecker(())
_NOVA = validators.extend(Draft4Validator, {"minimum": _minimum, "name": _name})  # type: ignore[no-untyped-call]
_VALIDATOR = _NOVA({}, format_checker=_FORMATS)


def is_uuid(text: str) -> bool:
    """Return whether OpenStack accepts a text as a UUID: in any case, with or without dashes."""
    try:
        return uuid.UUID(text).hex == text.lower().replace("-", "")
    except ValueError:
        return False


def _parses(text: Any, parse: Callable[[str], Any]) -> bool:
    """Return whether a text parses; other values pass, because another rule checks their type."""
    return not isinstance(text, str) or (bool(text) and bool(parse(text)))


_PARSERS: dict[str, Callable[[str], Any]] = {
    "uuid": is_uuid,
    "ipv4": ipaddress.IPv4Address,
    "ipv6": ipaddress.IPv6Address,
    "date-time": datetime.fromisoformat,
    "regex": re.compile,
}
for _name_of_format, _parse in _PARSERS.items():
    _FORMATS.checks(_name_of_format, raises=(ValueError, re.error))(partial(_parses, parse=_parse))


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
