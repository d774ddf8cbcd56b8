"""From a request to the values that a call asks for; whatever is not asked for is refused with what is allowed."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from datetime import date, datetime, time, tzinfo
from typing import Any

from starlette.requests import Request

from broker.web.calls import Asked, Call, Parameter
from broker.web.guard import caller_of
from broker.web.refusal import Refusal

MAX_BODY = 64 * 1024
BODY_SECONDS = 30


async def read(call: Call, request: Request, zone: tzinfo) -> Asked:
    """Read the parameters of *call*; raise Refusal (400, 413) when they are not what it asks for."""
    said: dict[str, Any] = dict(request.path_params)
    for name, value in request.query_params.multi_items():
        if name in said:
            raise Refusal(400, f"{name} is given twice", "give it once")
        said[name] = value
    places: dict[str, str] = {name: "path" if name in request.path_params else "query" for name in said}
    if any(parameter.place == "body" for parameter in call.parameters):
        is_needed = any(parameter.place == "body" and parameter.is_required for parameter in call.parameters)
        body = await _read_body(request, is_needed)
        said |= body
        places |= dict.fromkeys(body, "body")
    allowed = {parameter.name: parameter for parameter in call.parameters}
    for name, place in places.items():
        if name not in allowed or allowed[name].place != place:
            raise Refusal(400, f"{name[:60]!r} is not a parameter of {call.template}", _allowed(call))
    values = {name: _read_value(p, said.get(name), zone) for name, p in allowed.items()}
    return Asked(values=values, caller=caller_of(request))


def _allowed(call: Call) -> str:
    names = [p.name for p in call.parameters if p.place != "path"]
    return f"allowed: {', '.join(names)}" if names else "it takes none"


async def _read_body(request: Request, is_needed: bool) -> Mapping[str, Any]:
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > MAX_BODY:
                    raise Refusal(413, f"the body is larger than {MAX_BODY} bytes", "send less")
    except TimeoutError:
        raise Refusal(408, f"the body did not come within {BODY_SECONDS} seconds", "send it at once") from None
    if not body and not is_needed:
        return {}
    try:
        value = json.loads(bytes(body))
    except (ValueError, RecursionError):
        raise Refusal(400, "the body is not JSON", 'send an object, such as {"name": "..."}') from None
    if not isinstance(value, dict):
        raise Refusal(400, "the body is not a JSON object", 'send an object, such as {"name": "..."}')
    return value


def _read_value(parameter: Parameter, said: Any, zone: tzinfo) -> Any:
    if said is None or said == "":
        if parameter.is_required:
            raise Refusal(400, f"{parameter.name} is missing", parameter.text)
        return parameter.default
    if not isinstance(said, str):
        raise Refusal(400, f"{parameter.name} is not a text", parameter.text)
    if parameter.choices and said not in parameter.choices:
        raise _wrong(parameter, said, f"allowed: {', '.join(parameter.choices)}")
    match parameter.kind:
        case "integer":
            return _read_integer(parameter, said)
        case "moment":
            return _read_moment(parameter, said, zone)
        case "text" | "secret":
            shortest, longest = parameter.limits
            if not shortest <= len(said) <= longest:
                raise Refusal(400, f"{parameter.name} has {len(said)} characters", f"allowed: {shortest} to {longest}")
            if parameter.pattern and not re.fullmatch(parameter.pattern, said):
                raise _wrong(parameter, said, parameter.hint)
            return said


def _read_integer(parameter: Parameter, said: str) -> int:
    lowest, highest = parameter.limits
    is_number = said.isascii() and said.isdigit() and len(said) <= 9
    if not is_number or not lowest <= int(said) <= highest:
        raise _wrong(parameter, said, f"allowed: a number from {lowest} to {highest}")
    return int(said)


def _read_moment(parameter: Parameter, said: str, zone: tzinfo) -> datetime:
    """Read a moment; a date alone begins at midnight, or as the end of a span (``to``) ends with its last second."""
    try:
        if len(said) == 10:
            clock = time(23, 59, 59) if parameter.name == "to" else time()
            return datetime.combine(date.fromisoformat(said), clock, zone)
        moment = datetime.fromisoformat(said[:11] + said[11:].replace(" ", "+"))  # a plus that nobody encoded
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(zone)
    except (ValueError, OverflowError):
        hint = "allowed: a date (2026-04-01) or a time (2026-04-01T10:15:00+02:00)"
        raise _wrong(parameter, said, hint) from None


def _wrong(parameter: Parameter, said: str, hint: str) -> Refusal:
    return Refusal(400, f"{parameter.name} cannot be {said[:60]!r}", hint)
