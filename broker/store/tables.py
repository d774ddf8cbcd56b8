"""The tables. A row of the first level is a key, the columns that are searched, and the whole value as a JSON document.

Moments are texts in UTC of one width (codec.moment), so that they sort; what is absent is the empty text.
Partial indexes leave out what is done, so that they stay small in a store with a million orders.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    literal_column,
    text,
)
from sqlalchemy.sql.elements import ColumnElement

metadata = MetaData()

TEXT = Text().with_variant(Text(collation="C"), "postgresql")
"""Sorted and compared by code points, as SQLite does, whatever language a PostgreSQL database was made with."""


def _key(name: str) -> Column[str]:
    return Column(name, TEXT, primary_key=True)


def _text(name: str) -> Column[str]:
    return Column(name, TEXT, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, Integer, nullable=False)


def _bytes(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


def _index(name: str, *columns: Column[str] | Column[int], where: str = "", is_unique: bool = False) -> Index:
    condition = text(where) if where else None
    return Index(name, *columns, unique=is_unique, sqlite_where=condition, postgresql_where=condition)


def _links(name: str, *keys: str) -> Table:
    return Table(name, metadata, *(_key(key) for key in keys), sqlite_with_rowid=False)


patients = Table(
    "patients",
    metadata,
    _key("ref"),
    _text("patient_id"),
    _text("issuer"),
    _text("name_key"),
    Column("version", BigInteger, nullable=False),
    _text("document"),
)
_index("patients_identity", patients.c.patient_id, patients.c.issuer, where="patient_id <> ''", is_unique=True)
_index("patients_name", patients.c.name_key)

patient_aliases = Table(
    "patient_aliases",
    metadata,
    _key("patient_id"),
    _key("issuer"),
    _key("patient_ref"),
    _number("is_former"),
    sqlite_with_rowid=False,
)
"""Identifiers that a patient had before, and (*is_former* 0) others that the patient has elsewhere."""
_index("patient_aliases_ref", patient_aliases.c.patient_ref)

orders = Table(
    "orders",
    metadata,
    _key("id"),
    _text("accession"),
    _text("patient_ref"),
    _text("status"),
    _text("modality"),
    _text("start"),
    _text("facility"),
    _text("created_at"),
    _text("updated_at"),
    Column("version", BigInteger, nullable=False),
    _text("document"),
)
_index("orders_accession", orders.c.accession, where="accession <> ''")
_index("orders_patient", orders.c.patient_ref)
_index("orders_status", orders.c.status, orders.c.id)
_index("orders_start", orders.c.start)

order_numbers = Table(
    "order_numbers",
    metadata,
    _key("kind"),
    _key("facility"),
    _key("namespace"),
    _key("number"),
    _text("order_id"),
    sqlite_with_rowid=False,
)
_index("order_numbers_number", order_numbers.c.number)

order_studies = _links("order_studies", "study_uid", "order_id")

steps = Table(
    "steps",
    metadata,
    _key("order_id"),
    _key("procedure_id"),
    _key("step_id"),
    _number("position"),
    _text("patient_ref"),
    _text("status"),
    _text("modality"),
    _text("start"),
    _number("is_listed"),
    _text("completed_at"),
    Column("order_version", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
_index("steps_step", steps.c.step_id)
_index("steps_procedure", steps.c.procedure_id, where="is_listed = 1")
_index("steps_patient", steps.c.patient_ref, where="is_listed = 1")
_index("steps_completed", steps.c.completed_at, where="completed_at <> ''")
_index("steps_start", steps.c.start, steps.c.modality, where="is_listed = 1")

step_stations = _links("step_stations", "ae", "start", "order_id", "procedure_id", "step_id")
"""The stations of listed steps, and their starts once more so that one index answers a scanner's usual query."""
_index("step_stations_order", step_stations.c.order_id)

performed = Table(
    "performed",
    metadata,
    _key("uid"),
    _text("status"),
    _text("ae"),
    _text("updated_at"),
    Column("look_at", TEXT, nullable=False, server_default=text("''")),
    _text("document"),
)
_index("performed_look", performed.c.look_at, where="look_at <> ''")

performed_orders = _links("performed_orders", "order_id", "uid")
_index("performed_orders_uid", performed_orders.c.uid)
performed_studies = _links("performed_studies", "study_uid", "uid")
_index("performed_studies_uid", performed_studies.c.uid)

raw_data_sets = Table(
    "raw_data_sets",
    metadata,
    _key("uid"),
    _key("kind"),
    _key("at"),
    _bytes("content"),
    _text("document"),
)

studies = Table(
    "studies",
    metadata,
    _key("uid"),
    _text("state"),
    _text("last_at"),
    _text("quiet_at"),
    _number("is_complete"),
    _text("document"),
)
_index("studies_state", studies.c.state, studies.c.last_at)
_index("studies_quiet", studies.c.quiet_at, where="is_complete = 0 AND quiet_at <> ''")

study_orders = _links("study_orders", "order_id", "study_uid")
_index("study_orders_study", study_orders.c.study_uid)

instances = Table(
    "instances",
    metadata,
    _key("sop_uid"),
    _key("digest"),
    _text("study_uid"),
    _text("series_uid"),
    Column("spool", TEXT, nullable=False, server_default=text("''")),
    _text("path"),
    _text("document"),
)
"""*spool* tells whose file it is: each broker forwards what its own spool holds."""
_index("instances_study", instances.c.study_uid, instances.c.series_uid)

messages = Table(
    "messages",
    metadata,
    _key("id"),
    _text("key"),
    _text("problem_key"),
    _text("listener"),
    _text("type"),
    _text("state"),
    _text("control_id"),
    _text("received_at"),
    _bytes("raw"),
    _bytes("answer"),
    _text("document"),
)
_index("messages_key", messages.c.key, where="key <> ''", is_unique=True)
_index("messages_problem", messages.c.problem_key, where="problem_key <> ''")
_index("messages_listener", messages.c.listener, messages.c.id)
_index("messages_type", messages.c.type, messages.c.id)
_index("messages_state", messages.c.state, messages.c.id, where="state <> 'accepted'")

message_orders = _links("message_orders", "order_id", "message_id")

tombstones = Table(
    "tombstones",
    metadata,
    _key("kind"),
    _key("facility"),
    _key("namespace"),
    _key("number"),
    _text("expires_at"),
    _text("document"),
)
_index("tombstones_expiry", tombstones.c.expires_at)

events = Table(
    "events",
    metadata,
    _key("id"),
    _text("at"),
    _text("type"),
    _text("order_id"),
    _text("patient_ref"),
    _text("study_uid"),
    _number("is_alarm"),
    _text("document"),
)
_index("events_order", events.c.order_id, where="order_id <> ''")
_index("events_patient", events.c.patient_ref, where="order_id = '' AND patient_ref <> ''")
_index("events_study", events.c.study_uid, where="order_id = '' AND study_uid <> ''")
_index("events_alarm", events.c.id, where="is_alarm = 1")

deliveries = Table(
    "deliveries",
    metadata,
    _key("id"),
    _text("destination"),
    _text("lane"),
    _text("state"),
    _text("not_before"),
    _number("is_open"),
    _text("event_id"),
    _text("order_id"),
    _text("study_uid"),
    _text("sop_uid"),
    _text("digest"),
    _text("document"),
)
"""*is_open* is 0 for what is delivered or cancelled."""
_index("deliveries_lane", deliveries.c.destination, deliveries.c.lane, deliveries.c.id, where="is_open = 1")
_index("deliveries_queue", deliveries.c.destination, deliveries.c.id, where="is_open = 1")
_index("deliveries_object", deliveries.c.study_uid, deliveries.c.sop_uid, where="is_open = 1 AND sop_uid <> ''")
_index("deliveries_order", deliveries.c.order_id, where="order_id <> ''")


users = Table("users", metadata, _key("name"), _text("document"))
tokens = Table("tokens", metadata, _key("name"), _text("token_hash"), _text("document"))
_index("tokens_hash", tokens.c.token_hash, is_unique=True)

leases = Table("leases", metadata, _key("name"), _text("document"))
"""What only one of several brokers does, and which one."""

mapping_sets = Table("mapping_sets", metadata, _key("digest"), _text("loaded_at"), _bytes("content"), _text("document"))
_index("mapping_sets_loaded", mapping_sets.c.loaded_at)

probe = Table("probe", metadata, _key("name"), _text("at"))
"""One row, written to find out whether the store can be written again."""


IS_OPEN: ColumnElement[bool] = literal_column("deliveries.is_open = 1")
IS_LISTED: ColumnElement[bool] = literal_column("steps.is_listed = 1")
"""The conditions of partial indexes in their own words: a planner takes such an index for no others."""


NO_ORDER: ColumnElement[bool] = literal_column("events.order_id = ''")


def in_spool(spool: Any) -> ColumnElement[bool]:
    """Say that an object's file is in *spool*; a row from before spools had names is of the only one."""
    return instances.c.spool.in_([spool, ""])


def present(column: Column[str]) -> ColumnElement[bool]:
    """Say that *column* is not empty, in the words of the partial index on it."""
    return literal_column(f"{column.table.name}.{column.name} <> ''")
