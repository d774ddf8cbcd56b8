"""Every call of the API: the one table that routing, the reading of parameters and the OpenAPI document are made of."""

from __future__ import annotations

from dataclasses import replace

from broker.web.calls import Answer, Call, Parameter
from broker.web.mapping_calls import MAPPING_CALLS
from broker.web.openapi import PROBLEM
from broker.web.routes import accounts, deliveries, health, messages, orders, studies, worklist
from broker.web.schemas import DELIVERY_STATES, MESSAGE_STATES, ORDER_STATES, STUDY_STATES

LIMIT = Parameter(name="limit", text="how many at most", kind="integer", limits=(1, 500), default=50)
CURSOR = Parameter(
    name="cursor",
    text="where the page before ended: its next",
    pattern="[0-9A-HJKMNP-TV-Z]{26}",
    hint="take it from next of the page before, or leave it out for the first page",
)
AE = Parameter(name="ae", text="AE title of the scanner", limits=(1, 16), is_required=True)
ID = Parameter(name="id", text="our id", place="path", is_required=True)
STUDY_CURSOR = replace(CURSOR, pattern="[0-9T:.-]{26}Z~.{1,64}")
STUDY = Parameter(name="uid", text="Study Instance UID", place="path", is_required=True)
BY = Parameter(name="by", text="for whom the caller decides, as in a name", place="body", limits=(1, 64))

CALLS: tuple[Call, ...] = (
    Call(
        method="GET",
        path="/api/v1/orders",
        name="listOrders",
        text="Find orders",
        route=orders.list_orders,
        parameters=(
            Parameter(name="accession", text="accession number"),
            Parameter(name="patient_id", text="patient's number"),
            Parameter(name="status", text="status of the order", choices=ORDER_STATES),
            Parameter(name="modality", text="modality of a step", limits=(1, 16)),
            Parameter(name="from", text="earliest start of a step", kind="moment"),
            Parameter(name="to", text="latest start of a step; a date alone is included", kind="moment"),
            LIMIT,
            CURSOR,
        ),
        answers={200: Answer(text="a page of orders", schema="Orders")},
    ),
    Call(
        method="GET",
        path="/api/v1/orders/{ref:path}",
        name="showOrder",
        text="Show the life of one order",
        route=orders.show_order,
        parameters=(
            Parameter(
                name="ref",
                text="our id, or an accession number that names one order (percent-encoded, any character)",
                place="path",
                is_required=True,
            ),
        ),
        answers={
            200: Answer(text="the order", schema="Order"),
            404: PROBLEM,
            409: Answer(text="several orders have that accession number", schema="Candidates"),
        },
    ),
    Call(
        method="GET",
        path="/api/v1/worklist",
        name="showWorklist",
        text="Show what a scanner would be given now",
        route=worklist.show_worklist,
        parameters=(AE,),
        answers={200: Answer(text="its worklist", schema="Worklist")},
    ),
    Call(
        method="GET",
        path="/api/v1/worklist/why",
        name="explainWorklist",
        text="Say whether a scanner sees an order, and if not, why",
        route=worklist.show_why,
        parameters=(AE, Parameter(name="accession", text="accession number, or our id", is_required=True)),
        answers={200: Answer(text="each reason in words", schema="Why"), 404: PROBLEM},
    ),
    Call(
        method="GET",
        path="/api/v1/messages",
        name="listMessages",
        text="Find received HL7 messages, the newest first; patient data is left out unless they are asked for in full",
        route=messages.list_messages,
        parameters=(
            Parameter(name="state", text="what became of it", choices=MESSAGE_STATES),
            Parameter(name="listener", text="name of the listener"),
            Parameter(name="type", text="such as ORM^O01"),
            Parameter(name="order", text="our id of an order"),
            Parameter(name="control_id", text="MSH-10"),
            Parameter(name="sender", text="part of MSH-3 or MSH-4"),
            Parameter(
                name="accession", text="of an order that the message made or changed, or a value that stands in it"
            ),
            Parameter(name="patient_id", text="a value that stands somewhere in the message"),
            Parameter(name="number", text="an order number: a value that stands somewhere in the message"),
            Parameter(name="text", text="part of the message, in whatever case"),
            Parameter(name="from", text="received then or later", kind="moment"),
            Parameter(name="to", text="received then or earlier; a date alone is included", kind="moment"),
            Parameter(name="detail", text="full: each as it came, with its answer", choices=("line", "full")),
            LIMIT,
            CURSOR,
        ),
        answers={200: Answer(text="a page of messages", schema="Messages")},
    ),
    Call(
        method="GET",
        path="/api/v1/messages/{id}",
        name="showMessage",
        text="Show one message as it came, what its mapping made of it, and its answer",
        route=messages.show_message,
        parameters=(
            ID,
            Parameter(name="mask", text="true: values of patients are masked in the trace", choices=("true", "false")),
        ),
        answers={200: Answer(text="the message", schema="Message"), 404: PROBLEM},
    ),
    Call(
        method="POST",
        path="/api/v1/messages/{id}/replay",
        name="replayMessage",
        text="Send a stored message through the intake again, or say what would become of it",
        route=messages.replay_message,
        parameters=(
            ID,
            Parameter(name="dry_run", text="true: nothing is changed", choices=("true", "false")),
            Parameter(name="mapping", text="old: the one that translated it then", choices=("current", "old")),
            Parameter(
                name="force", text="true: also when a later message changed its order", choices=("true", "false")
            ),
        ),
        answers={
            200: Answer(text="what became of it", schema="Replayed"),
            404: PROBLEM,
            409: Answer(text="why it was left alone", schema="Replayed"),
        },
    ),
    Call(
        method="GET",
        path="/api/v1/deliveries",
        name="listDeliveries",
        text="Find what is in the outbox, the newest first",
        route=deliveries.list_deliveries,
        parameters=(
            Parameter(name="state", text="state of the delivery", choices=DELIVERY_STATES),
            Parameter(name="destination", text="name of the destination"),
            LIMIT,
            CURSOR,
        ),
        answers={200: Answer(text="a page of deliveries", schema="Deliveries")},
    ),
    Call(
        method="POST",
        path="/api/v1/deliveries/{id}/retry",
        name="retryDelivery",
        text="Send a delivery again that waits after a fault, is dead or was cancelled",
        route=deliveries.retry_delivery,
        parameters=(ID,),
        answers={200: Answer(text="the delivery", schema="Delivery"), 404: PROBLEM, 409: PROBLEM},
    ),
    Call(
        method="POST",
        path="/api/v1/deliveries/{id}/cancel",
        name="cancelDelivery",
        text="Cancel a notice that has not ended; objects are never cancelled",
        route=deliveries.cancel_delivery,
        parameters=(ID,),
        answers={200: Answer(text="the delivery", schema="Delivery"), 404: PROBLEM, 409: PROBLEM},
    ),
    *MAPPING_CALLS,
    Call(
        method="GET",
        path="/api/v1/studies",
        name="listStudies",
        text="Find studies, those with the newest object first",
        route=studies.list_studies,
        parameters=(Parameter(name="state", text="state of the study", choices=STUDY_STATES), LIMIT, STUDY_CURSOR),
        answers={200: Answer(text="a page of studies", schema="Studies")},
    ),
    Call(
        method="POST",
        path="/api/v1/studies/{uid:path}/release",
        name="releaseStudy",
        text="Let a held study go to the archives as it is",
        route=studies.release_study,
        parameters=(STUDY, BY),
        answers={200: Answer(text="the study", schema="Study"), 404: PROBLEM, 409: PROBLEM},
    ),
    Call(
        method="POST",
        path="/api/v1/studies/{uid:path}/reject",
        name="rejectStudy",
        text="Keep a held study from the archives for good; its files stay in the spool, set aside",
        route=studies.reject_study,
        parameters=(STUDY, BY),
        answers={200: Answer(text="the study", schema="Study"), 404: PROBLEM, 409: PROBLEM},
    ),
    Call(
        method="POST",
        path="/api/v1/studies/{uid:path}/link",
        name="linkStudy",
        text="Say by hand whose study it is: it counts as matched, and a held one goes",
        route=studies.link_study,
        parameters=(
            STUDY,
            Parameter(
                name="accession",
                text="accession number of its order, or our id",
                place="body",
                is_required=True,
            ),
            BY,
        ),
        answers={
            200: Answer(text="the study", schema="Study"),
            404: PROBLEM,
            409: Answer(text="several orders have that accession number, or it cannot be linked", schema="NotLinked"),
        },
    ),
    Call(
        method="POST",
        path="/api/v1/users",
        name="addUser",
        text="Add a user, or give one a new password (Unix socket alone)",
        route=accounts.add_user,
        is_local=True,
        parameters=(
            Parameter(name="name", text="name of the user", place="body", limits=(1, 64), is_required=True),
            Parameter(
                name="password",
                text="at least 8 characters",
                place="body",
                kind="secret",
                limits=(8, 256),
                is_required=True,
            ),
        ),
        answers={
            200: Answer(text="the user has a new password", schema="UserAdded"),
            201: Answer(text="the user was added", schema="UserAdded"),
        },
    ),
    Call(
        method="POST",
        path="/api/v1/tokens",
        name="addToken",
        text="Add a bearer token, or replace one (Unix socket alone)",
        route=accounts.add_token,
        is_local=True,
        parameters=(
            Parameter(name="name", text="name of the program", place="body", limits=(1, 64), is_required=True),
            Parameter(name="expires_at", text="when it ends; never without", place="body", kind="moment"),
        ),
        answers={
            200: Answer(text="the token was replaced", schema="TokenAdded"),
            201: Answer(text="the token was added", schema="TokenAdded"),
        },
    ),
    Call(
        method="GET",
        path="/healthz",
        name="healthz",
        text="Say that the process answers",
        route=health.healthz,
        is_open=True,
        answers={200: Answer(text="it is alive", schema="Alive")},
    ),
    Call(
        method="GET",
        path="/readyz",
        name="readyz",
        text="Say whether every listener accepts and the store can write",
        route=health.readyz,
        is_open=True,
        answers={
            200: Answer(text="it is ready", schema="Readiness"),
            503: Answer(text="it is not, and which part", schema="Readiness"),
        },
    ),
    Call(
        method="GET",
        path="/metrics",
        name="metrics",
        text="Give the counters as Prometheus reads them",
        route=health.show_metrics,
        answers={200: Answer(text="text exposition format", media_type="text/plain")},
    ),
    Call(
        method="GET",
        path="/api/openapi.json",
        name="openapi",
        text="Give this document",
        route=health.show_openapi,
        answers={200: Answer(text="OpenAPI 3.1")},
    ),
)
"""In the order of the contract; the first path that fits answers."""
