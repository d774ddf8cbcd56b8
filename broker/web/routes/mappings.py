"""Mappings: what is in force and was, loading, going back, trying a message."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime, tzinfo
from typing import Any

from starlette.responses import JSONResponse, Response

from broker.errors import BrokerError
from broker.hl7.charset import decode, encode
from broker.hl7.message import Message
from broker.mapping.problems import Problem
from broker.mapping.todo import Todo
from broker.mapping.trace import as_trace
from broker.services.mappings import Attempt, Mappings, unpacked
from broker.web.calls import Asked, Services
from broker.web.mapping_lines import MappingLine, mapping_lines
from broker.web.moments import iso
from broker.web.refusal import Refusal


async def list_mappings(services: Services, asked: Asked) -> Response:
    """Show the mappings in force, the kept sets, and why the folder is not in force if it is not."""
    mappings = services.mappings
    kept = await mappings.kept()
    return JSONResponse(
        {
            "problem": mappings.problem or None,
            "attempt": _attempt(mappings.attempt, services.settings.zone) if mappings.attempt else None,
            "mappings": [_mapping(line) for line in mapping_lines(mappings, services.settings.told_by)],
            "sets": [
                {
                    "digest": one.digest,
                    "loaded_at": iso(one.loaded_at, services.settings.zone),
                    "mappings": one.mappings,
                    "reason": one.reason,
                    "in_force": number == 0,
                    "instead_of": one.instead_of or None,
                }
                for number, one in enumerate(kept)
            ],
        }
    )


async def list_todo(services: Services, asked: Asked) -> Response:
    """Show the codes that no table knows and the values that no attribute can hold."""
    _open(services)
    look = await services.todos.look()
    return JSONResponse({"messages": look.messages, "items": [_todo(one) for one in look.items]})


async def show_set(services: Services, asked: Asked) -> Response:
    """Give the files of a kept set."""
    kept = await services.mappings.find(asked["digest"])
    if kept is None:
        raise Refusal(404, f"no kept set {asked['digest'][:64]}", "broker mappings list shows what is kept")
    files = {name: b64encode(content).decode() for name, content in unpacked(kept.content).items()}
    return JSONResponse({"digest": kept.digest, "files": files})


async def reload_mappings(services: Services, asked: Asked) -> Response:
    """Load the folder now."""
    attempt = await _open(services).reload("asked", is_forced=asked["force"] == "true")
    return JSONResponse(_attempt(attempt, services.settings.zone), 200 if not attempt.why_not else 409)


async def roll_back_mappings(services: Services, asked: Asked) -> Response:
    """Go back to a kept set."""
    try:
        attempt = await _open(services).rollback(asked["digest"] or "")
    except BrokerError as fault:
        raise Refusal(404, fault.message, fault.hint) from fault
    return JSONResponse(_attempt(attempt, services.settings.zone))


async def try_mapping(services: Services, asked: Asked) -> Response:
    """Show what a mapping makes of a message; nothing is stored."""
    mapping = _open(services).current.get(asked["name"])
    if mapping is None:
        known = ", ".join(services.mappings.current.entries)
        raise Refusal(404, f"no mapping {asked['name'][:80]}", f"known: {known}")
    decoded = decode(encode(asked["message"], "UTF-8").raw, ["UTF-8"])
    try:
        message = Message.parse(decoded.text, decoded.codec)
    except BrokerError as fault:
        raise Refusal(400, fault.message, fault.hint) from fault
    translation = mapping.translate(message, services.mappings.zone, datetime.now(UTC), trace=True)
    return JSONResponse(as_trace(translation, shows_values=True))


def _open(services: Services) -> Mappings:
    if not services.mappings.is_open:
        raise Refusal(409, "no broker runs", "it loads the folder of mappings when it starts: broker run")
    return services.mappings


def _mapping(line: MappingLine) -> dict[str, Any]:
    return {
        "name": line.name,
        "title": line.title or None,
        "from": line.source,
        "to": line.target,
        "digest": line.digest,
        "extends": line.extends or None,
        "tests": line.tests,
        "use": line.use,
        "destinations": list(line.destinations),
    }


def _todo(one: Todo) -> dict[str, Any]:
    return {
        "mapping": one.mapping,
        "kind": one.kind,
        "attribute": one.target,
        "text": one.text,
        "rule": one.rule,
        "messages": one.count,
        "example": one.example,
    }


def _attempt(attempt: Attempt, zone: tzinfo) -> dict[str, Any]:
    return {
        "digest": attempt.digest or None,
        "loaded": attempt.is_loaded,
        "at": iso(attempt.at, zone),
        "reason": attempt.reason,
        "why_not": attempt.why_not or None,
        "problems": [_problem(problem) for problem in attempt.problems],
        "failures": list(attempt.failures),
        "flips": list(attempt.flips),
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "code": problem.code,
        "severity": problem.severity,
        "path": problem.place.path,
        "line": problem.place.line,
        "column": problem.place.column,
        "message": problem.message,
        "hint": problem.hint or None,
    }
