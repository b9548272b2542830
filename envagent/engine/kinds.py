"""What a kind of resource is to the engine: how its objects are requested, found by their tag, and removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from envagent.engine.tables import IntentState


@dataclass(frozen=True, slots=True)
class Found:
    """An object that is tagged with a run's id."""

    id: str
    name: str
    run_id: str
    number: int
    """The number of the intent that it was created for."""
    detail: Mapping[str, Any] = field(default_factory=dict)
    """What a user wants to know about it: end date, cost per hour, address (JSON values)."""
    traits: Mapping[str, str | None] = field(default_factory=dict)
    """What the cloud shows of what the request set (user, name, image, ...); None if it shows nothing."""


def kind_text(kind: str) -> str:
    """Return the name of a kind in words, such as `floating IP`."""
    return kind.replace("_ip", " IP").replace("_", " ")


def object_text(kind: str, name: str) -> str:
    """Return kind and name of an object in words.

    >>> object_text("floating_ip", "192.0.2.7")
    'floating IP 192.0.2.7'
    """
    words = kind_text(kind)
    return name if name.startswith(words) else f"{words} {name}"  # an address has no name before it is created


CHANGE = "change of "
"""The prefix of the kind of an intent that changes an object instead of creating one."""


class ObjectRequest(BaseModel):
    """What is requested of an object; each kind that a run creates has a model of its own.

    It is stored as JSON of the fields that were set. A field with the name of a trait of `Found` must match it.
    """

    model_config = ConfigDict(frozen=True)


RequestT = TypeVar("RequestT", bound=ObjectRequest)
RequestT_co = TypeVar("RequestT_co", bound=ObjectRequest, covariant=True)


@dataclass(frozen=True, slots=True)
class Try(Generic[RequestT]):
    """One intent of a stage that may try several times."""

    number: int
    name: str
    request: RequestT
    state: IntentState = IntentState.SENT
    attempt: int = 0
    removed: bool = False
    removed_at: datetime | None = None
    error: str | None = None
    cloud_id: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    """What is recorded of its object; a stage adds to it with `Ledger.annotate`."""
    is_new: bool = True
    """Whether nothing is stored of it yet."""


class ResourceKind(Protocol):
    """How objects of one kind are found by their tag, removed, and looked up."""

    @property
    def name(self) -> str:
        """The kind's name, such as `lease`."""

    def find(self, run_id: str | None) -> list[Found]:
        """List the project's objects that are tagged with a run's id, or (None) with any run's."""

    def delete(self, cloud_id: str, /) -> None:
        """Request the removal; an object that is already gone is not an error."""

    def exists(self, cloud_id: str) -> bool:
        """Return whether the object still exists; False only when the right project says so."""


class CreatableKind(ResourceKind, Protocol[RequestT_co]):
    """A kind of which a run creates objects."""

    @property
    def request(self) -> type[RequestT_co]:
        """The model of its requests."""
