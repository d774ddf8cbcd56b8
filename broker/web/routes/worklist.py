"""Worklists: what a scanner would be given now, and why it does or does not see an order."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from broker.domain.facts import text
from broker.web.calls import Asked, Services
from broker.web.refusal import Refusal
from broker.web.shapes import plain


async def show_worklist(services: Services, asked: Asked) -> Response:
    """Show what *ae* would be given now."""
    listed = await services.inspection.worklist.listed(asked["ae"])
    items = [
        {
            "order_id": entry.order_id,
            "accession": text(entry.item, "AccessionNumber") or None,
            "step_id": text(entry.step, "ScheduledProcedureStepID") or None,
            "item": plain(item),
        }
        for entry, item in listed
    ]
    return JSONResponse({"ae": asked["ae"], "items": items})


async def show_why(services: Services, asked: Asked) -> Response:
    """Say whether *ae* sees the order, and if not, why."""
    found = await services.inspection.find_orders(asked["accession"])
    if not found:
        raise Refusal(404, f"no order {asked['accession']}", "check the accession number, or give our id")
    explained = await services.inspection.worklist.explain(asked["ae"], [order.id for order in found])
    steps = [
        {
            "order_id": entry.order_id,
            "step_id": text(entry.step, "ScheduledProcedureStepID") or None,
            "status": str(entry.status),
            "visible": not reasons,
            "reasons": list(reasons),
        }
        for entry, reasons in explained
    ]
    is_visible = any(step["visible"] for step in steps)
    reasons = list(dict.fromkeys(reason for _, reasons in explained for reason in reasons))
    if not steps:
        reasons = ["the order has no scheduled step"]
    return JSONResponse(
        {
            "ae": asked["ae"],
            "accession": asked["accession"],
            "visible": is_visible,
            "reasons": [] if is_visible else reasons,
            "steps": steps,
        }
    )
