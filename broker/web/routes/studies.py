"""Studies: the list, and what a person decides about those that are held or whose order is in doubt."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from broker.domain.study import Study
from broker.services.reconcile import Decided
from broker.web.calls import Asked, Services
from broker.web.refusal import Refusal
from broker.web.routes.orders import get_order
from broker.web.shapes import Json, study_shape


async def list_studies(services: Services, asked: Asked) -> Response:
    """Find studies, those with the newest object first."""
    found, cursor = await services.inspection.studies.search(
        state=asked["state"] or "", limit=asked["limit"], cursor=asked["cursor"] or ""
    )
    items = [await _shape(services, study) for study in found]
    return JSONResponse({"items": items, "next": cursor or None})


async def release_study(services: Services, asked: Asked) -> Response:
    """Let a held study go to the archives as it is."""
    decided = await services.inspection.reconciliation.release(asked["uid"], _who(asked))
    return await _answer(services, decided, asked["uid"], "only a held study is released")


async def reject_study(services: Services, asked: Asked) -> Response:
    """Keep a held study from the archives for good."""
    decided = await services.inspection.reconciliation.reject(asked["uid"], _who(asked))
    return await _answer(services, decided, asked["uid"], "only a held study is rejected")


async def link_study(services: Services, asked: Asked) -> Response:
    """Say by hand whose study it is."""
    order = await get_order(services.inspection, asked["accession"])
    decided = await services.inspection.reconciliation.link(asked["uid"], order.id, _who(asked))
    return await _answer(
        services, decided, asked["uid"], "what was not rejected is linked, to another order than its own"
    )


def _who(asked: Asked) -> str:
    """Name who decides: who logged in, and for whom if that is said."""
    by = asked["by"]
    return f"{by} ({asked.caller})" if by and by != asked.caller else asked.caller


async def _answer(services: Services, decided: Decided, uid: str, hint: str) -> Response:
    if decided.refusal:
        raise Refusal(409, f"study {uid[:80]}: {decided.refusal}", hint)
    if decided.study is None:
        raise Refusal(404, f"no study {uid[:80]}", "list them: GET /api/v1/studies")
    return JSONResponse(await _shape(services, decided.study))


async def _shape(services: Services, study: Study) -> Json:
    found = [await services.inspection.orders.get(id) for id in study.order_ids]
    return study_shape(
        study,
        [order for order in found if order is not None],
        services.inspection.reconciliation.release_at(study),
        services.settings.zone,
    )
