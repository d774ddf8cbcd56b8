"""Which of the proposed presentation contexts are accepted, and in which roles (PS3.8 9.3.3.2, PS3.7 D.3.3.4)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Final, NamedTuple

from broker.ul.items import UserInformation
from broker.ul.pdu import (
    AnsweredContext,
    AssociateAccept,
    AssociateRequest,
    ContextResult,
    ProposedContext,
)

IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"

_ACCEPTANCE: Final = ContextResult.ACCEPTANCE.value

Choice = str | ContextResult | None
"""The accepted transfer syntax, or why not; ``None``: none of those that were offered."""


class AcceptedContext(NamedTuple):
    """A presentation context in use. *scu* and *scp* are the requestor's roles."""

    id: int
    abstract_syntax: str
    transfer_syntax: str
    scu: bool = True
    scp: bool = False


def first_of(offered: Iterable[str], supported: Collection[str]) -> str | None:
    """Choose the first transfer syntax of *offered*, the proposer's order, that is in *supported*."""
    return next((syntax for syntax in offered if syntax in supported), None)


def answer(
    request: AssociateRequest,
    choose: Callable[[ProposedContext], Choice],
    user: UserInformation,
    scp_classes: Collection[str] = (),
) -> AssociateAccept:
    """Make the A-ASSOCIATE-AC: every context answered in the order proposed, also when none is accepted.

    *scp_classes* are the SOP classes for which the requestor may be the SCP when it asks to be. Its user identity,
    extended negotiation and asynchronous window are not answered, which says that they are not used.
    """
    return AssociateAccept(
        called_ae=request.called_ae,
        calling_ae=request.calling_ae,
        contexts=tuple(_answer_context(context, choose(context)) for context in request.contexts),
        user=UserInformation(
            max_length=user.max_length,
            implementation_uid=user.implementation_uid,
            implementation_version=user.implementation_version,
            roles=tuple(role for role in request.user.roles if role.sop_class in scp_classes),
        ),
    )


def accepted(request: AssociateRequest, reply: AssociateAccept) -> dict[int, AcceptedContext]:
    """List by ID the contexts that *reply* accepts of those that *request* proposes; others it names are ignored."""
    proposed = {context.id: context for context in request.contexts}
    granted = {role.sop_class: (role.scu, role.scp) for role in reply.user.roles}
    contexts = {}
    for context_id, result, transfer_syntax in reply.contexts:
        offer = proposed.get(context_id)
        if offer is None or result != _ACCEPTANCE:
            continue
        abstract_syntax = offer.abstract_syntax
        scu, scp = granted.get(abstract_syntax, (True, False))
        contexts[context_id] = AcceptedContext(context_id, abstract_syntax, transfer_syntax, scu, scp)
    return contexts


def _answer_context(context: ProposedContext, choice: Choice) -> AnsweredContext:
    if isinstance(choice, str):
        return AnsweredContext(context.id, _ACCEPTANCE, choice)
    result = ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED if choice is None else choice
    # A refused context names a transfer syntax too, which is not looked at (PS3.8 Table 9-18).
    unused = context.transfer_syntaxes[0] if context.transfer_syntaxes else IMPLICIT_LITTLE
    return AnsweredContext(context.id, result, unused)
