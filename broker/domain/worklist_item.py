"""From the order book to a worklist entry: the levels of an order joined to one item (PS3.4 Table K.6-1)."""

from __future__ import annotations

from typing import Any

from broker.domain.identity import items
from broker.domain.order import Item, Order, Patient, Procedure, Step
from broker.domain.worklist import WorklistEntry


def entry(key: str, patient: Patient, order: Order, step: Step) -> WorklistEntry:
    """Make the worklist entry of *step*, which is one of *order*; *key* changes when anything in it does."""
    procedure = order.procedure(step.procedure_id) or Procedure(procedure_id=step.procedure_id, study_uid="")
    return WorklistEntry(
        key=key,
        item=compose(patient, order, procedure, step),
        status=step.status,
        stations=step.stations,
        modality=step.modality,
        start=step.start,
        order_id=order.id,
        is_start_known=step.is_start_known,
        completed_at=step.completed_at,
    )


def compose(patient: Patient, order: Order, procedure: Procedure, step: Step) -> Item:
    """Compose the whole worklist item; what the broker knows by itself stands over what a message said.

    The step's status is left to whoever answers (`WorklistEntry.wire_status`).
    """
    item: dict[str, Any] = {**order.attributes, **procedure.attributes, **patient.attributes}
    item["PatientID"] = patient.patient_id
    item["IssuerOfPatientID"] = patient.issuer
    others = _other_ids(patient)
    if others:
        item["OtherPatientIDsSequence"] = others
    item["AccessionNumber"] = order.accession
    item["StudyInstanceUID"] = procedure.study_uid
    item["RequestedProcedureID"] = procedure.procedure_id
    item["ScheduledProcedureStepSequence"] = [_step_item(step)]
    return item


def _step_item(step: Step) -> Item:
    return {
        **step.attributes,
        "ScheduledStationAETitle": step.stations[0] if len(step.stations) == 1 else list(step.stations) or "",
        "ScheduledProcedureStepStartDate": step.start[:8],
        "ScheduledProcedureStepStartTime": step.start[8:],
        "Modality": step.modality,
        "ScheduledProcedureStepID": step.step_id,
    }


def _other_ids(patient: Patient) -> list[Item]:
    """List the patient's other identifiers, those of old with them, each once (PS3.3 C.2.2)."""
    listed = list(items(patient.attributes, "OtherPatientIDsSequence"))
    known = {(one.get("PatientID", ""), one.get("IssuerOfPatientID", "")) for one in listed}
    known.add((patient.patient_id, patient.issuer))
    for former in patient.former:
        if former.patient_id and (former.patient_id, former.issuer) not in known:
            known.add((former.patient_id, former.issuer))
            listed.append(
                {"PatientID": former.patient_id, "IssuerOfPatientID": former.issuer, "TypeOfPatientID": "TEXT"}
            )
    return listed
