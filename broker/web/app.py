"""The web application: the route table, the pages and the guard put together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from broker.errors import BrokerError
from broker.services.accounts import Accounts
from broker.services.inspect import Inspection
from broker.services.mappings import Mappings
from broker.services.messages import Messages
from broker.services.todo import Todos
from broker.web.asked import read
from broker.web.calls import Call, Services
from broker.web.guard import Guard, is_local
from broker.web.openapi import document
from broker.web.refusal import Refusal, on_broker_error, on_fault, on_http_exception, on_refusal
from broker.web.routes.console import Console
from broker.web.settings import WebSettings
from broker.web.table import CALLS

STATIC = Path(__file__).parent / "static"


def create(
    settings: WebSettings,
    *,
    inspection: Inspection,
    accounts: Accounts,
    mappings: Mappings,
    messages: Messages,
    todos: Todos,
    metrics: Callable[[], bytes],
) -> Starlette:
    """Make the application; *metrics* gives the Prometheus text."""
    services = Services(
        settings=settings,
        inspection=inspection,
        accounts=accounts,
        mappings=mappings,
        messages=messages,
        todos=todos,
        metrics=metrics,
        document=document(CALLS, version=settings.version, has_login=settings.auth == "password"),
    )
    console = Console(settings, inspection, mappings, todos)
    routes: list[BaseRoute] = [
        *(Route(call.path, _endpoint(call, services), methods=[call.method], name=call.name) for call in CALLS),
        Route("/", console.overview, name="overview"),
        Route("/mappings", console.mappings, name="mappings"),
        Route("/orders/{ref:path}", console.order, name="order"),
        Mount("/static", StaticFiles(directory=STATIC), name="static"),
    ]
    open_paths = frozenset(call.path for call in CALLS if call.is_open)
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, settings=settings, accounts=accounts, open_paths=open_paths)],
        exception_handlers={
            Refusal: on_refusal,
            BrokerError: on_broker_error,
            HTTPException: on_http_exception,
            Exception: on_fault,
        },
    )
    app.router.redirect_slashes = False
    return app


def _endpoint(call: Call, services: Services) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        if call.is_local and not is_local(request):
            raise Refusal(403, "this is for the command line alone", "use broker user or broker token on its machine")
        return await call.route(services, await read(call, request, services.settings.zone))

    return endpoint
