"""Is it alive, is it ready, what does it count, and what can be called."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

from broker.web.calls import Asked, Services
from broker.web.shapes import part_shape


async def healthz(services: Services, asked: Asked) -> Response:
    """Say that the process answers."""
    return JSONResponse({"status": "ok"})


async def readyz(services: Services, asked: Asked) -> Response:
    """Say whether every listener accepts and the store can write; destinations are the console's business."""
    is_ready = services.inspection.is_ready()
    parts = [part_shape(part) for part in services.inspection.health.parts() if part.kind != "destination"]
    return JSONResponse({"status": "ready" if is_ready else "not ready", "parts": parts}, 200 if is_ready else 503)


async def show_metrics(services: Services, asked: Asked) -> Response:
    """Give the counters as Prometheus reads them."""
    return Response(services.metrics(), media_type=CONTENT_TYPE_LATEST)


async def show_openapi(services: Services, asked: Asked) -> Response:
    """Give the OpenAPI document of this API."""
    return JSONResponse(services.document)
