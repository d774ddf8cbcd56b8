"""JSON schemas of what the API answers; shapes.py writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from broker.domain.order import OrderStatus, StepStatus
from broker.domain.records import DeliveryState, MessageState
from broker.domain.study import StudyState, Verdict
from broker.web.mapping_lines import Use

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
TABLE_OF_TEXTS: Schema = {"type": "object", "additionalProperties": TEXT}
MAYBE: Schema = {"type": ["string", "null"]}
COUNT: Schema = {"type": "integer", "minimum": 0}
YES_OR_NO: Schema = {"type": "boolean"}
MOMENT: Schema = {"type": "string", "format": "date-time"}
MAYBE_MOMENT: Schema = {"type": ["string", "null"], "format": "date-time"}
MAYBE_DATE: Schema = {"type": ["string", "null"], "format": "date"}

ORDER_STATES = tuple(str(status) for status in OrderStatus)
MESSAGE_STATES: tuple[str, ...] = get_args(MessageState)
DELIVERY_STATES: tuple[str, ...] = get_args(DeliveryState)
STUDY_STATES: tuple[str, ...] = get_args(StudyState)


def ref(name: str) -> Schema:
    """Refer to a schema of this module by name."""
    return {"$ref": f"#/components/schemas/{name}"}


def many(items: Schema) -> Schema:
    """Make the schema of a list."""
    return {"type": "array", "items": items}


def one_of(*values: str) -> Schema:
    """Make the schema of a closed set of texts."""
    return {"type": "string", "enum": list(values)}


def record(**fields: Schema) -> Schema:
    """Make the schema of an object whose fields are always all there."""
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}


def page(name: str) -> Schema:
    """Make the schema of a page of a list; *next* is the cursor of the page after it."""
    return record(items=many(ref(name)), next=MAYBE)


def with_more(schema: Schema, **fields: Schema) -> Schema:
    """Make a record with more fields."""
    return record(**{**schema["properties"], **fields})


_PATIENT = record(
    id=MAYBE,
    issuer=MAYBE,
    name={**MAYBE, "description": "DICOM PN"},
    birth_date=MAYBE_DATE,
    sex=MAYBE,
    other_ids=many(record(id=TEXT, issuer=MAYBE)),
)

_ORDER_LINE = record(
    id=TEXT,
    accession=MAYBE,
    accession_issuer=MAYBE,
    placer_number=MAYBE,
    filler_number=MAYBE,
    status=one_of(*ORDER_STATES),
    priority=MAYBE,
    patient=ref("Patient"),
    procedures=many(record(id=MAYBE, study_uid=MAYBE, code=MAYBE, scheme=MAYBE, description=MAYBE)),
    steps=many(
        record(
            id=MAYBE,
            procedure_id=MAYBE,
            status=one_of(*StepStatus),
            modality=MAYBE,
            stations=many(TEXT),
            start=MAYBE_MOMENT,
            description=MAYBE,
        )
    ),
)

_FINDINGS = many(record(attribute=TEXT, ordered=MAYBE, found=MAYBE, weight={"type": "integer"}))

_ORDER_STUDY = record(
    uid=TEXT,
    status=one_of(*STUDY_STATES),
    verdict=one_of(*get_args(Verdict)),
    evidence=MAYBE,
    series=COUNT,
    instances=COUNT,
    findings=_FINDINGS,
)

_STUDY = with_more(
    _ORDER_STUDY,
    ae=TEXT,
    modality=MAYBE,
    accession=MAYBE,
    patient={
        **record(id=MAYBE, issuer=MAYBE, name=MAYBE, birth_date=MAYBE_DATE, sex=MAYBE),
        "description": "whom its objects name",
    },
    orders=many(record(id=TEXT, accession=MAYBE)),
    pending={**COUNT, "description": "objects that some archive has not accepted yet"},
    first_at=MOMENT,
    last_at=MOMENT,
    held_at=MAYBE_MOMENT,
    release_at={**MAYBE_MOMENT, "description": "when a held study is released if nobody decides"},
    decided_at=MAYBE_MOMENT,
    linked_by=MAYBE,
)

_DELIVERY = record(
    id=TEXT,
    destination=TEXT,
    event=MAYBE,
    state=one_of(*DELIVERY_STATES),
    attempts=COUNT,
    at=MOMENT,
    created_at=MOMENT,
    not_before=MOMENT,
    order_id=MAYBE,
    study_uid=MAYBE,
    sop_uid=MAYBE,
    control_id=MAYBE,
    error=MAYBE,
)

_MESSAGE_LINE = record(
    id=TEXT,
    received_at=MOMENT,
    listener=TEXT,
    sender=MAYBE,
    type=MAYBE,
    control_id=MAYBE,
    state=one_of(*MESSAGE_STATES),
    mapping=MAYBE,
    code=MAYBE,
    error=MAYBE,
    warnings=many(TEXT),
    order_ids=many(TEXT),
    count=COUNT,
)

_CANDIDATES = record(
    error=TEXT,
    hint=TEXT,
    candidates=many(
        record(
            id=TEXT,
            accession=MAYBE,
            accession_issuer=MAYBE,
            facility=MAYBE,
            placer_number=MAYBE,
            filler_number=MAYBE,
            status=one_of(*ORDER_STATES),
        )
    ),
)

_PART = record(
    name=TEXT,
    kind=one_of("listener", "destination", "store", "mappings"),
    up={"type": ["boolean", "null"], "description": "null: not tried yet"},
    address=MAYBE,
    error=MAYBE,
)

_ATTEMPT = record(
    digest=MAYBE,
    loaded=YES_OR_NO,
    at=MOMENT,
    reason=TEXT,
    why_not=MAYBE,
    problems=many(
        record(
            code=TEXT,
            severity=one_of("error", "warning"),
            path=TEXT,
            line=COUNT,
            column=COUNT,
            message=TEXT,
            hint=MAYBE,
        )
    ),
    failures=many(TEXT),
    flips=many(TEXT),
)

_TRACE = record(
    outputs=many({"type": "object"}), rejections=many({"type": "object"}), trace=many(TEXT), unused=many(TEXT)
)

SCHEMAS: Mapping[str, Schema] = {
    "Patient": _PATIENT,
    "OrderLine": _ORDER_LINE,
    "Order": with_more(
        _ORDER_LINE,
        performed_steps=many(
            record(
                uid=TEXT,
                status=TEXT,
                ae=TEXT,
                started=MAYBE_MOMENT,
                ended=MAYBE_MOMENT,
                step_ids=many(TEXT),
                series=COUNT,
                instances={**COUNT, "description": "objects that it names"},
                missing={**COUNT, "description": "those of them that were not here when they were last looked for"},
            )
        ),
        studies=many(_ORDER_STUDY),
        deliveries=many(
            record(
                id=TEXT,
                destination=TEXT,
                event=MAYBE,
                state=one_of(*DELIVERY_STATES),
                attempts=COUNT,
                at=MOMENT,
                error=MAYBE,
            )
        ),
        timeline=many(
            record(
                at=MOMENT,
                event=TEXT,
                text=TEXT,
                alarm=YES_OR_NO,
                ref={"type": "object", "additionalProperties": TEXT},
            )
        ),
    ),
    "Orders": page("OrderLine"),
    "Candidates": _CANDIDATES,
    "NotLinked": {**_CANDIDATES, "required": ["error", "hint"]},
    "Worklist": record(
        ae=TEXT,
        items=many(
            record(
                order_id=TEXT,
                accession=MAYBE,
                step_id=MAYBE,
                item={"type": "object", "description": "the worklist item by DICOM keyword, as it would be answered"},
            )
        ),
    ),
    "Why": record(
        ae=TEXT,
        accession=TEXT,
        visible=YES_OR_NO,
        reasons=many(TEXT),
        steps=many(
            record(order_id=TEXT, step_id=MAYBE, status=one_of(*StepStatus), visible=YES_OR_NO, reasons=many(TEXT))
        ),
    ),
    "MessageLine": _MESSAGE_LINE,
    "Message": with_more(
        _MESSAGE_LINE, charset=MAYBE, raw=TEXT, answer=TEXT, trace={"oneOf": [_TRACE, {"type": "null"}]}
    ),
    "Replayed": record(
        message=TEXT,
        dry_run=YES_OR_NO,
        outcome=MAYBE,
        mapping=MAYBE,
        error=MAYBE,
        refusal=MAYBE,
        events=many(record(event=TEXT, text=TEXT)),
        told=TEXT,
    ),
    "Messages": page("MessageLine"),
    "Delivery": _DELIVERY,
    "Deliveries": page("Delivery"),
    "Mappings": record(
        problem=MAYBE,
        attempt={"oneOf": [_ATTEMPT, {"type": "null"}]},
        mappings=many(
            record(
                **{
                    "name": TEXT,
                    "title": MAYBE,
                    "from": TEXT,
                    "to": TEXT,
                    "digest": TEXT,
                    "extends": MAYBE,
                    "tests": COUNT,
                    "use": {
                        **one_of(*get_args(Use)),
                        "description": "template: it is there to be extended; unused: no destination names it",
                    },
                    "destinations": {**many(TEXT), "description": "those that tell others with it"},
                }
            )
        ),
        sets=many(
            record(digest=TEXT, loaded_at=MOMENT, mappings=COUNT, reason=TEXT, in_force=YES_OR_NO, instead_of=MAYBE)
        ),
    ),
    "Todo": record(
        messages={**COUNT, "description": "how many were looked at, the newest"},
        items=many(
            record(
                mapping=TEXT,
                kind=one_of("unknown", "invalid"),
                attribute=TEXT,
                text=TEXT,
                rule=TEXT,
                messages=COUNT,
                example={**TEXT, "description": "id of the newest of those messages"},
            )
        ),
    ),
    "Set": record(
        digest=TEXT,
        files={**TABLE_OF_TEXTS, "description": "content by name below the folder, in base64"},
    ),
    "Attempt": _ATTEMPT,
    "Trace": _TRACE,
    "Study": _STUDY,
    "Studies": page("Study"),
    "UserAdded": record(
        name=TEXT, created={**YES_OR_NO, "description": "false: a new password for one that was there"}
    ),
    "TokenAdded": record(
        name=TEXT,
        token={**TEXT, "description": "shown this once, kept nowhere"},
        created={**YES_OR_NO, "description": "false: the token of that name was replaced"},
        expires_at=MAYBE_MOMENT,
    ),
    "Alive": record(status=one_of("ok")),
    "Readiness": record(status=one_of("ready", "not ready"), parts=many(ref("Part"))),
    "Part": _PART,
    "Problem": record(error=TEXT, hint=TEXT),
}
"""Every schema by name."""
