"""The calls of the API that concern the mappings; part of the table of all."""

from __future__ import annotations

from broker.web.calls import Answer, Call, Parameter
from broker.web.openapi import PROBLEM
from broker.web.routes import mappings

MAPPING_CALLS: tuple[Call, ...] = (
    Call(
        method="GET",
        path="/api/v1/mappings",
        name="listMappings",
        text="Show the mappings in force, the sets that were, and what keeps the folder from being loaded",
        route=mappings.list_mappings,
        answers={200: Answer(text="mappings and sets", schema="Mappings")},
    ),
    Call(
        method="GET",
        path="/api/v1/mappings/todo",
        name="listTodo",
        text="List the codes that no table knows and the values that no attribute can hold, in the last messages",
        route=mappings.list_todo,
        answers={200: Answer(text="the most frequent first", schema="Todo"), 409: PROBLEM},
    ),
    Call(
        method="GET",
        path="/api/v1/mappings/sets/{digest}",
        name="showSet",
        text="Give the files of a set that is kept (Unix socket alone)",
        route=mappings.show_set,
        is_local=True,
        parameters=(
            Parameter(
                name="digest",
                text="of the set, or of a mapping in it; a beginning is enough",
                place="path",
                limits=(4, 64),
                is_required=True,
            ),
        ),
        answers={200: Answer(text="its files", schema="Set"), 404: PROBLEM},
    ),
    Call(
        method="POST",
        path="/api/v1/mappings/reload",
        name="reloadMappings",
        text="Check the folder of mappings, run its tests, try it over stored messages, put it in force",
        route=mappings.reload_mappings,
        parameters=(
            Parameter(
                name="force",
                text="true: also when messages that came would be refused now",
                place="body",
                choices=("true", "false"),
            ),
        ),
        answers={
            200: Answer(text="it is in force, or had not changed", schema="Attempt"),
            409: Answer(text="the old set stays in force", schema="Attempt"),
        },
    ),
    Call(
        method="POST",
        path="/api/v1/mappings/rollback",
        name="rollBackMappings",
        text="Go back to a set that was in force, until the folder changes",
        route=mappings.roll_back_mappings,
        parameters=(Parameter(name="digest", text="of the set; else the one before", place="body", limits=(4, 64)),),
        answers={200: Answer(text="it is in force", schema="Attempt"), 404: PROBLEM, 409: PROBLEM},
    ),
    Call(
        method="POST",
        path="/api/v1/mappings/{name:path}/try",
        name="tryMapping",
        text="Show what a mapping makes of a message; nothing is stored",
        route=mappings.try_mapping,
        parameters=(
            Parameter(name="name", text="the mapping's name, as in ihe/orm-to-mwl", place="path", is_required=True),
            Parameter(name="message", text="the HL7 message", place="body", limits=(8, 1_000_000), is_required=True),
        ),
        answers={200: Answer(text="its trace", schema="Trace"), 404: PROBLEM, 409: PROBLEM},
    ),
)
