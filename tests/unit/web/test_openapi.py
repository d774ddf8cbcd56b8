"""The OpenAPI document: valid, complete, and true of what is answered."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from broker.domain.order import StepStatus
from broker.domain.worklist import WorklistEntry
from broker.web.calls import JSON
from broker.web.openapi import document
from broker.web.table import CALLS

pytestmark = pytest.mark.anyio

DOCUMENT = document(CALLS, version="1", has_login=True)
FORMATS = FormatChecker(formats=())


@FORMATS.checks("date", raises=ValueError)
def is_date(value: object) -> bool:
    return not isinstance(value, str) or bool(date.fromisoformat(value))


@FORMATS.checks("date-time", raises=ValueError)
def is_moment(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


TEXT = {"type": "string"}
OBJECT = {"type": "object"}
CONTENT = {
    "type": "object",
    "minProperties": 1,
    "additionalProperties": {"type": "object", "properties": {"schema": OBJECT}, "required": ["schema"]},
}
PARAMETER = {
    "type": "object",
    "properties": {
        "name": TEXT,
        "in": {"enum": ["query", "path"]},
        "required": {"type": "boolean"},
        "description": TEXT,
        "schema": OBJECT,
    },
    "required": ["name", "in", "schema"],
    "if": {"properties": {"in": {"const": "path"}}},
    "then": {"properties": {"required": {"const": True}}},
    "additionalProperties": False,
}
RESPONSE = {
    "type": "object",
    "properties": {"description": TEXT, "content": CONTENT},
    "required": ["description"],
    "additionalProperties": False,
}
OPERATION = {
    "type": "object",
    "properties": {
        "operationId": {"type": "string", "pattern": "^[a-zA-Z]+$"},
        "summary": TEXT,
        "parameters": {"type": "array", "items": PARAMETER},
        "requestBody": {
            "type": "object",
            "properties": {"required": {"type": "boolean"}, "content": CONTENT},
            "required": ["content"],
            "additionalProperties": False,
        },
        "responses": {
            "type": "object",
            "minProperties": 1,
            "patternProperties": {"^([1-5][0-9]{2}|default)$": RESPONSE},
            "additionalProperties": False,
        },
        "security": {"type": "array", "items": {"type": "object", "additionalProperties": {"type": "array"}}},
    },
    "required": ["operationId", "responses"],
    "additionalProperties": False,
}
OPENAPI = {
    "type": "object",
    "properties": {
        "openapi": {"type": "string", "pattern": r"^3\.1\.\d+$"},
        "info": {"type": "object", "required": ["title", "version"]},
        "paths": {
            "type": "object",
            "patternProperties": {
                "^/": {
                    "type": "object",
                    "properties": {"get": OPERATION, "post": OPERATION},
                    "additionalProperties": False,
                }
            },
            "additionalProperties": False,
        },
        "components": {
            "type": "object",
            "properties": {
                "schemas": {"type": "object", "propertyNames": {"pattern": "^[A-Za-z]+$"}},
                "securitySchemes": {"type": "object"},
            },
            "additionalProperties": False,
        },
    },
    "required": ["openapi", "info", "paths"],
    "additionalProperties": False,
}


def test_the_document_has_the_form_of_openapi_3_1() -> None:
    Draft202012Validator(OPENAPI).validate(DOCUMENT)


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_a_schema_is_json_schema(name: str) -> None:
    Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][name])


def test_every_reference_leads_to_a_schema() -> None:
    referred = set(re.findall(r"#/components/schemas/(\w+)", str(DOCUMENT)))
    assert referred <= set(DOCUMENT["components"]["schemas"])


def test_no_schema_is_there_for_nobody() -> None:
    referred = set(re.findall(r"#/components/schemas/(\w+)", str(DOCUMENT)))
    assert referred == set(DOCUMENT["components"]["schemas"])


def test_names_of_operations_differ() -> None:
    names = [call.name for call in CALLS]
    assert len(names) == len(set(names))


def test_every_parameter_in_a_path_is_described() -> None:
    for call in CALLS:
        assert set(re.findall(r"{(\w+)}", call.template)) == {p.name for p in call.parameters if p.place == "path"}


def test_calls_that_are_open_ask_for_no_login() -> None:
    assert DOCUMENT["paths"]["/healthz"]["get"]["security"] == []
    assert DOCUMENT["paths"]["/api/v1/orders"]["get"]["security"] == [{"password": []}, {"token": []}]


async def test_the_document_is_served(client: Any) -> None:
    async with client("password", is_local=True) as http:
        served = (await http.get("/api/openapi.json")).json()
    assert set(served["paths"]) == set(DOCUMENT["paths"])


SAID: dict[str, list[tuple[str, dict[str, Any] | None]]] = {
    "listOrders": [("/api/v1/orders", None), ("/api/v1/orders?limit=0", None)],
    "showOrder": [("/api/v1/orders/A41", None), ("/api/v1/orders/A99", None), ("/api/v1/orders/TWICE", None)],
    "showWorklist": [("/api/v1/worklist?ae=CT1", None), ("/api/v1/worklist", None)],
    "explainWorklist": [
        ("/api/v1/worklist/why?ae=CT1&accession=A41", None),
        ("/api/v1/worklist/why?ae=CT2&accession=A41", None),
        ("/api/v1/worklist/why?ae=CT1&accession=A99", None),
    ],
    "listMessages": [("/api/v1/messages", None)],
    "showMessage": [("/api/v1/messages/M1", None), ("/api/v1/messages/M9", None)],
    "listDeliveries": [("/api/v1/deliveries", None)],
    "retryDelivery": [
        ("/api/v1/deliveries/DEAD/retry", None),
        ("/api/v1/deliveries/D1/retry", None),
        ("/api/v1/deliveries/D9/retry", None),
    ],
    "cancelDelivery": [
        ("/api/v1/deliveries/DUE/cancel", None),
        ("/api/v1/deliveries/D1/cancel", None),
        ("/api/v1/deliveries/D9/cancel", None),
    ],
    "listStudies": [("/api/v1/studies", None), ("/api/v1/studies?state=held", None), ("/api/v1/studies?state=x", None)],
    "releaseStudy": [
        ("/api/v1/studies/1.2.41/release", None),
        ("/api/v1/studies/1.2.42/release", {"by": "anna"}),
        ("/api/v1/studies/1.2.49/release", None),
    ],
    "rejectStudy": [
        ("/api/v1/studies/1.2.41/reject", {"by": "anna"}),
        ("/api/v1/studies/1.2.42/reject", None),
        ("/api/v1/studies/1.2.49/reject", None),
    ],
    "linkStudy": [
        ("/api/v1/studies/1.2.42/link", {"accession": "A41", "by": "anna"}),
        ("/api/v1/studies/1.2.43/link", {"accession": "A41"}),
        ("/api/v1/studies/1.2.42/link", {"accession": "TWICE"}),
        ("/api/v1/studies/1.2.42/link", {"accession": "A99"}),
        ("/api/v1/studies/1.2.49/link", {"accession": "A41"}),
        ("/api/v1/studies/1.2.42/link", {}),
        ("/api/v1/studies/1.2.42/link", None),
    ],
    "replayMessage": [
        ("/api/v1/messages/01JD0000000000000000000051/replay?dry_run=true", None),
        ("/api/v1/messages/01JD0000000000000000000051/replay?mapping=old", None),
        ("/api/v1/messages/01JD9999999999999999999999/replay", None),
    ],
    "listMappings": [("/api/v1/mappings", None)],
    "showSet": [
        ("/api/v1/mappings/sets/abcd1", None),
        ("/api/v1/mappings/sets/ffff", None),
        ("/api/v1/mappings/sets/f", None),
    ],
    "listTodo": [("/api/v1/mappings/todo", None)],
    "reloadMappings": [("/api/v1/mappings/reload", {}), ("/api/v1/mappings/reload", {"force": "true"})],
    "rollBackMappings": [
        ("/api/v1/mappings/rollback", {"digest": "abcd1"}),
        ("/api/v1/mappings/rollback", {"digest": "ffff"}),
        ("/api/v1/mappings/rollback", {"digest": "f"}),
    ],
    "tryMapping": [
        ("/api/v1/mappings/a/try", {"message": "MSH|^~\\&|A|B|||20260401||ORM^O01|1|P|2.3\rPID|1||7\rORC|NW\r"}),
        ("/api/v1/mappings/a/try", {"message": "not HL7 at all"}),
        ("/api/v1/mappings/sites/x/try", {"message": "MSH|^~\\&|A|B"}),
        ("/api/v1/mappings/a/try", {}),
    ],
    "addUser": [
        ("/api/v1/users", {"name": "anna", "password": "long enough"}),
        ("/api/v1/users", {"name": "anna", "password": "short"}),
    ],
    "addToken": [
        ("/api/v1/tokens", {"name": "grafana"}),
        ("/api/v1/tokens", {"name": "a", "expires_at": "2027-01-01"}),
    ],
    "healthz": [("/healthz", None)],
    "readyz": [("/readyz", None)],
    "metrics": [("/metrics", None)],
    "openapi": [("/api/openapi.json", None)],
}


def test_every_call_is_tried() -> None:
    assert set(SAID) == {call.name for call in CALLS}


@pytest.mark.parametrize(
    ("name", "url", "body"), [(name, *said) for name, all_said in SAID.items() for said in all_said]
)
async def test_an_answer_is_what_the_document_says(
    client: Any, hospital: Any, make: Any, name: str, url: str, body: dict[str, Any] | None
) -> None:
    entry = WorklistEntry(
        key="k",
        order_id=hospital.lives[0].order.id,
        status=StepStatus.SCHEDULED,
        item={"AccessionNumber": "A41", "ScheduledProcedureStepSequence": [{"ScheduledProcedureStepID": "SP41"}]},
    )
    hospital.listed = [(entry, entry.item)]
    hospital.reasons = {"CT2": ["it is assigned to CT1; asked for was CT2"]}
    hospital.lives += [make.life("TWICE", "T1"), make.life("TWICE", "T2")]
    hospital.studies = {
        "1.2.41": make.held(),
        "1.2.42": make.held(uid="1.2.42", state="available", order_ids=()),
        "1.2.43": make.held(uid="1.2.43", state="rejected"),
    }
    hospital.deliveries |= {
        "DEAD": make.delivery(id="DEAD", state="dead"),
        "DUE": make.delivery(id="DUE", state="available"),
    }
    call = next(call for call in CALLS if call.name == name)
    async with client(is_local=True) as http:
        answer = await http.request(call.method, url, json=body)
    described = DOCUMENT["paths"][call.template][call.method.lower()]["responses"][str(answer.status_code)]
    (media_type,) = described["content"]
    assert answer.headers["content-type"].partition(";")[0] == media_type
    if media_type == JSON:
        schema = {**described["content"][JSON]["schema"], "components": DOCUMENT["components"]}
        Draft202012Validator(schema, format_checker=FORMATS).validate(answer.json())


async def test_mappings_say_whether_they_are_used_and_by_whom(client: Any) -> None:
    async with client() as http:
        listed = (await http.get("/api/v1/mappings")).json()["mappings"]
    assert [(one["name"], one["use"], one["destinations"]) for one in listed] == [
        ("a", "in_force", []),
        ("out", "in_force", ["ris"]),
        ("t", "template", []),
    ]


async def test_a_message_that_no_mapping_translated_is_not_replayed_with_an_old_one(
    client: Any, hospital: Any, make: Any
) -> None:
    hospital.messages = [make.message(mapping="")]
    async with client(is_local=True) as http:
        answer = await http.post("/api/v1/messages/M1/replay?dry_run=true&mapping=old", json={})
    assert (answer.status_code, "no mapping has translated it" in answer.text) == (409, True), answer.text
