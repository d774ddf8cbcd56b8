"""One call of the API as a value: what it asks for, what it answers, who does it. Routing and OpenAPI are made of it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from starlette.responses import Response

from broker.services.accounts import Accounts
from broker.services.inspect import Inspection
from broker.services.mappings import Mappings
from broker.services.messages import Messages
from broker.services.todo import Todos
from broker.web.settings import WebSettings

Kind = Literal["text", "integer", "moment", "secret"]
Place = Literal["path", "query", "body"]

JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """Something that a call asks for. *choices* closes the set; *limits* are of an integer, or of a text's length.

    *pattern* is a regular expression of the whole text, *hint* says what to do when it is another.

    A moment is a date, or an ISO 8601 time with or without offset (without one: the department's).
    """

    name: str
    text: str
    place: Place = "query"
    kind: Kind = "text"
    choices: tuple[str, ...] = ()
    limits: tuple[int, int] = (1, 256)
    pattern: str = ""
    hint: str = ""
    default: int | None = None
    is_required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a call may answer: a JSON schema of schemas.py by name, or text of another media type."""

    text: str
    schema: str = ""
    media_type: str = JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the routes speak to."""

    settings: WebSettings
    inspection: Inspection
    accounts: Accounts
    mappings: Mappings
    messages: Messages
    todos: Todos
    metrics: Callable[[], bytes]
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request after its parameters have been read: values by name, None where one was not given; *caller* asks."""

    values: Mapping[str, Any]
    caller: str = ""

    def __getitem__(self, name: str) -> Any:
        return self.values[name]


Route = Callable[[Services, Asked], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A line of the route table. *path* is Starlette's; *is_local* calls are for the Unix socket alone."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    text: str
    route: Route
    parameters: tuple[Parameter, ...] = ()
    answers: Mapping[int, Answer] = field(default_factory=dict)
    is_open: bool = False
    is_local: bool = False

    @property
    def template(self) -> str:
        """The path as OpenAPI writes it: ``{ref}`` where Starlette has ``{ref:path}``."""
        return re.sub(r"{(\w+):\w+}", r"{\1}", self.path)
