"""The OpenAPI 3.1 document, made of the route table that also drives routing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from broker.web.calls import JSON, Answer, Call, Parameter
from broker.web.schemas import SCHEMAS, Schema, ref

PROBLEM = Answer(text="what is wrong, and what to do", schema="Problem")
_BY_LOGIN: list[dict[str, list[str]]] = [{"password": []}, {"token": []}]


def document(calls: Sequence[Call], *, version: str, has_login: bool) -> Mapping[str, Any]:
    """Describe *calls*; without login nobody is asked who he is."""
    paths: dict[str, dict[str, Any]] = {}
    for call in calls:
        paths.setdefault(call.template, {})[call.method.lower()] = _operation(call, has_login)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "radbroker",
            "version": version or "0",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": dict(SCHEMAS),
            "securitySchemes": {
                "password": {"type": "http", "scheme": "basic"},
                "token": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(call: Call, has_login: bool) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": call.name,
        "summary": call.text,
        "parameters": [_parameter(p) for p in call.parameters if p.place != "body"],
        "responses": {
            **{str(status): _response(answer) for status, answer in _answers(call, has_login).items()},
            "default": _response(PROBLEM),
        },
        "security": _BY_LOGIN if has_login and not call.is_open and not call.is_local else [],
    }
    body = [p for p in call.parameters if p.place == "body"]
    if body:
        is_needed = any(p.is_required for p in body)
        operation["requestBody"] = {"required": is_needed, "content": {JSON: {"schema": _body(body)}}}
    return operation


def _answers(call: Call, has_login: bool) -> dict[int, Answer]:
    answers = dict(call.answers)
    if call.parameters:
        answers.setdefault(400, PROBLEM)
    if has_login and not call.is_open and not call.is_local:
        answers.setdefault(401, PROBLEM)
    if any(parameter.place == "body" for parameter in call.parameters):
        answers |= {408: PROBLEM, 413: PROBLEM}
    if call.is_local or call.method == "POST":
        answers.setdefault(403, PROBLEM)
    return dict(sorted(answers.items()))


def _response(answer: Answer) -> dict[str, Any]:
    schema = ref(answer.schema) if answer.schema else {"type": "string" if answer.media_type != JSON else "object"}
    return {"description": answer.text, "content": {answer.media_type: {"schema": schema}}}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.is_required or parameter.place == "path",
        "description": parameter.text,
        "schema": _schema(parameter),
    }


def _body(parameters: Sequence[Parameter]) -> Schema:
    return {
        "type": "object",
        "properties": {p.name: {**_schema(p), "description": p.text} for p in parameters},
        "required": [p.name for p in parameters if p.is_required],
        "additionalProperties": False,
    }


def _schema(parameter: Parameter) -> Schema:
    low, high = parameter.limits
    match parameter.kind:
        case "integer":
            schema: Schema = {"type": "integer", "minimum": low, "maximum": high}
        case "moment":
            schema = {"type": "string", "description": "a date, or a time with or without offset"}
        case "secret":
            schema = {"type": "string", "format": "password", "minLength": low, "maxLength": high}
        case "text":
            schema = {"type": "string", "maxLength": high}
    if parameter.pattern:
        schema["pattern"] = f"^{parameter.pattern}$"
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    if parameter.default is not None:
        schema["default"] = parameter.default
    return schema
