"""The pages: the overview, the life of one order and the mappings, for people."""

from __future__ import annotations

from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from broker.services.inspect import Inspection
from broker.services.mappings import Mappings
from broker.services.todo import Todos
from broker.web.mapping_lines import mapping_lines
from broker.web.mask import ending, initials
from broker.web.overview import order_line, overview
from broker.web.refusal import Refusal
from broker.web.routes.orders import get_life
from broker.web.settings import WebSettings
from broker.web.shapes import life_shape

TEMPLATES = Path(__file__).parent.parent / "templates"
TODO_SHOWN = 100
_PERSONAL = ("Patient", "OtherPatient")


class Console:
    """Writes the pages; every value is escaped by the templates."""

    def __init__(self, settings: WebSettings, inspection: Inspection, mappings: Mappings, todos: Todos) -> None:
        self._zone = settings.zone
        self._inspection = inspection
        self._mappings, self._todos, self._told_by = mappings, todos, settings.told_by
        self._templates = Environment(
            loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        self._templates.filters["words"] = lambda state: str(state).replace("_", " ").lower()
        self._templates.filters["waiting"] = lambda state: "waiting" if state == "available" else state
        self._templates.filters["shown_time"] = lambda at: _shown(at, settings.zone, "%H:%M:%S")
        self._templates.filters["shown_moment"] = lambda at: _shown(at, settings.zone, "%Y-%m-%d %H:%M")
        self._templates.filters["shown_finding"] = _shown_finding
        self._templates.globals["site"] = settings.site

    async def overview(self, request: Request) -> Response:
        """Show how everything is."""
        return self._page("overview.html", page=await overview(self._inspection, self._zone))

    async def order(self, request: Request) -> Response:
        """Show the life of one order."""
        ref = request.path_params["ref"]
        try:
            life = await get_life(self._inspection, ref)
        except Refusal as refusal:
            candidates = refusal.more.get("candidates", ())
            return self._page("refusal.html", refusal.status, refusal=refusal, candidates=candidates)
        return self._page(
            "order.html",
            line=order_line(life.order, life.patient, self._zone),
            order=life_shape(life, self._zone),
            is_cancel_asked=life.order.is_cancel_asked,
        )

    async def mappings(self, request: Request) -> Response:
        """Show what is left to do for the mappings, which are in force, and what keeps the folder from being so."""
        return self._page(
            "mappings.html",
            problem=self._mappings.problem,
            attempt=self._mappings.attempt,
            todo=await self._todos.look(),
            lines=mapping_lines(self._mappings, self._told_by),
            sets=await self._mappings.kept(),
            shown=TODO_SHOWN,
        )

    def _page(self, name: str, status: int = 200, **values: Any) -> Response:
        return HTMLResponse(self._templates.get_template(name).render(values), status)


def _shown(at: datetime | str | None, zone: tzinfo, layout: str) -> str:
    """Write a moment, or the ISO 8601 text of one, for a person."""
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return moment.astimezone(zone).strftime(layout) if moment else ""


def _shown_finding(value: str | None, attribute: str) -> str:
    """Write one side of a finding, masked when it is of the patient."""
    if not value:
        return "empty"
    if not attribute.startswith(_PERSONAL):
        return value
    if attribute.endswith("Name"):
        return initials(value)
    return value[:4] if attribute.endswith("Date") else ending(value)
