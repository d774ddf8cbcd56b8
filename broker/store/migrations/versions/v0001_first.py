"""The first tables."""

from __future__ import annotations

from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, Text, text

revision = "0001"
down_revision = None

TYPES = {"text": Text, "int": Integer, "bigint": BigInteger, "bytes": LargeBinary}

TABLES = (
    ("patients", "*ref patient_id issuer name_key version:bigint document", True),
    ("patient_aliases", "*patient_id *issuer *patient_ref is_former:int", False),
    (
        "orders",
        "*id accession patient_ref status modality start facility created_at updated_at version:bigint document",
        True,
    ),
    ("order_numbers", "*kind *facility *namespace *number order_id", False),
    ("order_studies", "*study_uid *order_id", False),
    (
        "steps",
        "*order_id *procedure_id *step_id position:int patient_ref status modality start "
        "is_listed:int completed_at order_version:bigint",
        False,
    ),
    ("step_stations", "*ae *start *order_id *procedure_id *step_id", False),
    ("performed", "*uid status ae updated_at document", True),
    ("performed_orders", "*order_id *uid", False),
    ("performed_studies", "*study_uid *uid", False),
    ("raw_data_sets", "*uid *kind *at content:bytes document", True),
    ("studies", "*uid state last_at quiet_at is_complete:int document", True),
    ("study_orders", "*order_id *study_uid", False),
    ("instances", "*sop_uid *digest study_uid series_uid path document", True),
    (
        "messages",
        "*id key problem_key listener type state control_id received_at raw:bytes answer:bytes document",
        True,
    ),
    ("message_orders", "*order_id *message_id", False),
    ("tombstones", "*kind *facility *namespace *number expires_at document", True),
    ("events", "*id at type order_id patient_ref study_uid is_alarm:int document", True),
    (
        "deliveries",
        "*id destination lane state not_before is_open:int event_id order_id study_uid sop_uid digest document",
        True,
    ),
    ("users", "*name document", True),
    ("tokens", "*name token_hash document", True),
    ("probe", "*name at", True),
)
"""Name, columns (``*`` is of the primary key), and whether SQLite keeps a row number of its own."""

INDEXES = (
    ("patients_identity", "patients", "patient_id issuer", "patient_id <> ''", True),
    ("patients_name", "patients", "name_key", "", False),
    ("patient_aliases_ref", "patient_aliases", "patient_ref", "", False),
    ("orders_accession", "orders", "accession", "accession <> ''", False),
    ("orders_patient", "orders", "patient_ref", "", False),
    ("orders_start", "orders", "start", "", False),
    ("orders_status", "orders", "status id", "", False),
    ("steps_patient", "steps", "patient_ref", "is_listed = 1", False),
    ("steps_procedure", "steps", "procedure_id", "is_listed = 1", False),
    ("order_numbers_number", "order_numbers", "number", "", False),
    ("steps_completed", "steps", "completed_at", "completed_at <> ''", False),
    ("steps_start", "steps", "start modality", "is_listed = 1", False),
    ("steps_step", "steps", "step_id", "", False),
    ("step_stations_order", "step_stations", "order_id", "", False),
    ("performed_open", "performed", "updated_at", "status = 'IN PROGRESS'", False),
    ("performed_orders_uid", "performed_orders", "uid", "", False),
    ("performed_studies_uid", "performed_studies", "uid", "", False),
    ("studies_quiet", "studies", "quiet_at", "is_complete = 0 AND quiet_at <> ''", False),
    ("studies_state", "studies", "state last_at", "", False),
    ("study_orders_study", "study_orders", "study_uid", "", False),
    ("instances_study", "instances", "study_uid series_uid", "", False),
    ("messages_key", "messages", "key", "key <> ''", True),
    ("messages_listener", "messages", "listener id", "", False),
    ("messages_problem", "messages", "problem_key", "problem_key <> ''", False),
    ("messages_state", "messages", "state id", "state <> 'accepted'", False),
    ("messages_type", "messages", "type id", "", False),
    ("tombstones_expiry", "tombstones", "expires_at", "", False),
    ("events_alarm", "events", "id", "is_alarm = 1", False),
    ("events_order", "events", "order_id", "order_id <> ''", False),
    ("events_patient", "events", "patient_ref", "order_id = '' AND patient_ref <> ''", False),
    ("events_study", "events", "study_uid", "order_id = '' AND study_uid <> ''", False),
    ("deliveries_lane", "deliveries", "destination lane id", "is_open = 1", False),
    ("deliveries_object", "deliveries", "study_uid sop_uid", "is_open = 1 AND sop_uid <> ''", False),
    ("deliveries_order", "deliveries", "order_id", "order_id <> ''", False),
    ("deliveries_queue", "deliveries", "destination id", "is_open = 1", False),
    ("tokens_hash", "tokens", "token_hash", "", True),
)
"""Name, table, columns, condition, and whether it is unique."""


def upgrade() -> None:
    """Make the tables and their indexes."""
    for name, columns, has_rowid in TABLES:
        op.create_table(name, *(_column(said) for said in columns.split()), sqlite_with_rowid=has_rowid)
    for name, table, columns, where, is_unique in INDEXES:
        condition = text(where) if where else None
        op.create_index(
            name, table, columns.split(), unique=is_unique, sqlite_where=condition, postgresql_where=condition
        )


def _column(said: str) -> Column[Any]:
    name, _, kind = said.partition(":")
    return Column(name.lstrip("*"), TYPES[kind or "text"], primary_key=name.startswith("*"), nullable=False)
