"""With no broker running: the same calls, answered by this process from the database, which it locks meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx

from broker import wiring
from broker.config.model import Configuration
from broker.observe.logging import configure
from broker.observe.metrics import Metrics
from broker.services.accounts import Accounts
from broker.services.identifiers import Ulids
from broker.services.inspect import Inspection, Part
from broker.services.messages import Messages
from broker.services.notices import Outbox
from broker.services.reconcile import Reconciliation
from broker.services.todo import Todos
from broker.services.worklist import Worklist
from broker.store.store import Store
from broker.web.app import create
from broker.web.guard import as_local


class _Nothing:
    """Of a broker that does not run, no part is up (services.inspect.Health)."""

    def parts(self) -> Sequence[Part]:
        """List none."""
        return ()


async def ask(configuration: Configuration, method: str, path: str, **more: Any) -> httpx.Response:
    """Answer one call as the running broker would.

    Raise ConfigurationError: S004 when a broker has the database after all, S005 when it cannot be opened.
    """
    configure(level="WARNING")
    ids, metrics = Ulids(wiring.now), Metrics()
    outbox = Outbox(wiring.subscriptions(configuration), ids, metrics)
    store = await Store.open(configuration.database, fan_out=outbox.fan_out, on_death=_unheard)
    outbox.attach(store)
    try:
        dicom = configuration.dicom
        inspection = Inspection(
            orders=store.orders,
            messages=store.messages,
            deliveries=store.deliveries,
            alarms=store.events,
            worklist=Worklist(
                store.worklist, wiring.modalities(dicom), wiring.scanner_rules(dicom), wiring.now, metrics
            ),
            health=_Nothing(),
            studies=store.studies,
            reconciliation=Reconciliation(
                outbox, store.studies, wiring.rules(configuration), _left_for_the_start, wiring.now, ids, metrics
            ),
            writer=outbox,
            clock=wiring.now,
            ids=ids,
        )
        accounts = Accounts(reader=store.accounts, writer=store, clock=wiring.now)
        mappings = wiring.mappings(configuration, None, store, metrics)
        app = create(
            wiring.web_settings(configuration),
            inspection=inspection,
            accounts=accounts,
            mappings=mappings,
            messages=Messages(store.messages, None, mappings, {}),
            todos=Todos(mappings, store.messages, metrics),
            metrics=metrics.exposition,
        )
        transport = httpx.ASGITransport(as_local(app))
        async with httpx.AsyncClient(transport=transport, base_url="http://broker") as client:
            return await client.request(method, path, **more)
    finally:
        await store.close()


async def _left_for_the_start(study_uid: str) -> None:
    """Leave the files of a rejected study where they are: the broker sets them aside when it starts."""


def _unheard(_: BaseException) -> None:
    """A writer that dies answers its waiters with an error: there is nobody else to tell."""
