"""Orders: the list and the life of one."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from broker.domain.order import Order
from broker.services.inspect import Inspection, OrderLife
from broker.web.calls import Asked, Services
from broker.web.moments import local_digits
from broker.web.refusal import Refusal
from broker.web.shapes import candidate_shape, life_shape, order_shape


async def list_orders(services: Services, asked: Asked) -> Response:
    """Find orders; *from* and *to* bound the start of their steps."""
    zone = services.settings.zone
    found, cursor = await services.inspection.orders.search(
        accession=asked["accession"] or "",
        patient_id=asked["patient_id"] or "",
        status=asked["status"] or "",
        modality=asked["modality"] or "",
        start_from=local_digits(asked["from"], zone) if asked["from"] else "",
        start_to=local_digits(asked["to"], zone) if asked["to"] else "",
        limit=asked["limit"],
        cursor=asked["cursor"] or "",
    )
    items = [order_shape(order, patient, zone) for order, patient in found]
    return JSONResponse({"items": items, "next": cursor or None})


async def show_order(services: Services, asked: Asked) -> Response:
    """Show the order that *ref* names."""
    life = await get_life(services.inspection, asked["ref"])
    return JSONResponse(life_shape(life, services.settings.zone))


async def get_life(inspection: Inspection, ref: str) -> OrderLife:
    """Get the life of the order that *ref* names; raise Refusal: 404 for none, 409 with the candidates for several."""
    order = await get_order(inspection, ref)
    life = await inspection.orders.life(order.id)
    if life is None:
        raise _unknown(ref)
    return life


async def get_order(inspection: Inspection, ref: str) -> Order:
    """Get the order that *ref* names; raise Refusal: 404 for none, 409 with the candidates for several."""
    found = await inspection.find_orders(ref)
    if len(found) > 1:
        raise Refusal(
            409,
            f"{len(found)} orders have accession number {ref}",
            "ask for one of them by its id",
            candidates=[candidate_shape(order) for order in found],
        )
    if not found:
        raise _unknown(ref)
    return found[0]


def _unknown(ref: str) -> Refusal:
    return Refusal(404, f"no order {ref[:80]}", "give our id, or an accession number (percent-encoded in a path)")
