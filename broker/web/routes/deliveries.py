"""The outbox: what is on its way, and what a person may do to it."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from broker.services.inspect import Settled
from broker.web.calls import Asked, Services
from broker.web.refusal import Refusal
from broker.web.shapes import delivery_shape


async def list_deliveries(services: Services, asked: Asked) -> Response:
    """Find deliveries, the newest first."""
    found, cursor = await services.inspection.deliveries.search(
        state=asked["state"] or "",
        destination=asked["destination"] or "",
        limit=asked["limit"],
        cursor=asked["cursor"] or "",
    )
    items = [delivery_shape(delivery, services.settings.zone) for delivery in found]
    return JSONResponse({"items": items, "next": cursor or None})


async def retry_delivery(services: Services, asked: Asked) -> Response:
    """Make a delivery leave again at once."""
    settled = await services.inspection.retry(asked["id"])
    return _answer(services, settled, asked["id"], "only what waits after a fault, is dead or was cancelled is retried")


async def cancel_delivery(services: Services, asked: Asked) -> Response:
    """Cancel a notice that has not ended."""
    settled = await services.inspection.cancel(asked["id"])
    return _answer(services, settled, asked["id"], "only a notice that has not ended is cancelled")


def _answer(services: Services, settled: Settled, id: str, hint: str) -> Response:
    if settled.refusal:
        raise Refusal(409, f"delivery {id}: {settled.refusal}", hint)
    if settled.delivery is None:
        raise Refusal(404, f"no delivery {id[:80]}", "list them; delivered ones are kept for a time")
    return JSONResponse(delivery_shape(settled.delivery, services.settings.zone))
