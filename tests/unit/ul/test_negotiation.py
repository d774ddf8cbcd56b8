"""Presentation contexts and roles, side by side with pynetdicom's negotiation."""

from __future__ import annotations

import pytest
from pynetdicom.presentation import build_context, negotiate_as_acceptor

from broker.ul.items import RoleSelection, UserInformation
from broker.ul.negotiation import AcceptedContext, Choice, accepted, answer, first_of
from broker.ul.pdu import (
    AnsweredContext,
    AssociateRequest,
    ContextResult,
    ProposedContext,
)

VERIFICATION = "1.2.840.10008.1.1"
WORKLIST = "1.2.840.10008.5.1.4.31"
COMMITMENT = "1.2.840.10008.1.20.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
PRIVATE = "1.2.999.1"
IMPLICIT, EXPLICIT, JPEG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.70"
US = UserInformation(max_length=131072, implementation_uid="1.2.3", implementation_version="US")

Proposal = tuple[int, str, tuple[str, ...]]


def ask(*proposals: Proposal, roles: tuple[RoleSelection, ...] = ()) -> AssociateRequest:
    contexts = tuple(ProposedContext(number, abstract, offered) for number, abstract, offered in proposals)
    return AssociateRequest(called_ae="A", calling_ae="B", contexts=contexts, user=UserInformation(roles=roles))


TABLE: list[tuple[dict[str, list[str]], list[Proposal]]] = [
    ({VERIFICATION: [IMPLICIT]}, [(1, VERIFICATION, (IMPLICIT,))]),
    ({VERIFICATION: [IMPLICIT]}, [(1, WORKLIST, (IMPLICIT,))]),
    ({WORKLIST: [IMPLICIT]}, [(1, WORKLIST, (JPEG,))]),
    ({WORKLIST: [EXPLICIT, IMPLICIT]}, [(1, WORKLIST, (IMPLICIT, EXPLICIT))]),
    ({CT: [JPEG]}, [(1, CT, (IMPLICIT,)), (3, CT, (JPEG,)), (5, CT, (JPEG, EXPLICIT))]),
    (
        {CT: [JPEG], PRIVATE: [IMPLICIT]},
        [(255, PRIVATE, (EXPLICIT, IMPLICIT)), (3, CT, (JPEG,)), (7, "1.2.7", (JPEG,))],
    ),
    ({}, [(1, VERIFICATION, (IMPLICIT,)), (3, CT, (JPEG, IMPLICIT))]),
]


@pytest.mark.parametrize(("supported", "proposals"), TABLE)
def test_contexts_are_answered_as_pynetdicom_answers_them(
    supported: dict[str, list[str]], proposals: list[Proposal]
) -> None:
    def choose(context: ProposedContext) -> Choice:
        if context.abstract_syntax not in supported:
            return ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
        return first_of(supported[context.abstract_syntax], context.transfer_syntaxes)

    theirs = []
    for number, abstract, offered in proposals:
        context = build_context(abstract, list(offered))
        context.context_id = number
        theirs.append(context)
    expected, _ = negotiate_as_acceptor(theirs, [build_context(uid, offers) for uid, offers in supported.items()])

    answered = answer(ask(*proposals), choose, US).contexts
    assert sorted(answered) == [
        (context.context_id, context.result, context.transfer_syntax[0]) for context in expected
    ]


def test_contexts_are_answered_in_the_order_proposed() -> None:
    reply = answer(ask((9, CT, (JPEG,)), (1, CT, (IMPLICIT,))), lambda context: context.transfer_syntaxes[0], US)
    assert reply.contexts == (AnsweredContext(9, 0, JPEG), AnsweredContext(1, 0, IMPLICIT))


def test_a_context_without_transfer_syntaxes_is_refused_not_an_error() -> None:
    reply = answer(ask((1, CT, ())), lambda context: None, US)
    assert reply.contexts == (AnsweredContext(1, ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED, IMPLICIT),)


def test_the_proposers_first_choice_wins() -> None:
    assert first_of((JPEG, EXPLICIT, IMPLICIT), {IMPLICIT, EXPLICIT}) == EXPLICIT
    assert first_of((JPEG,), {IMPLICIT}) is None


@pytest.mark.parametrize(("scu", "scp"), [(True, True), (False, True), (True, False)])
def test_roles_are_granted_as_pynetdicom_grants_them(scu: bool, scp: bool) -> None:
    context = build_context(COMMITMENT, IMPLICIT)
    context.context_id = 1
    ours = build_context(COMMITMENT, IMPLICIT)
    ours.scu_role = ours.scp_role = True
    _, expected = negotiate_as_acceptor([context], [ours], {COMMITMENT: (scu, scp)})

    role = RoleSelection(sop_class=COMMITMENT, scu=scu, scp=scp)
    reply = answer(ask((1, COMMITMENT, (IMPLICIT,)), roles=(role,)), lambda context: IMPLICIT, US, {COMMITMENT})
    assert [(each.sop_class, each.scu, each.scp) for each in reply.user.roles] == [
        (each.sop_class_uid, each.scu_role, each.scp_role) for each in expected
    ]


def test_roles_of_other_classes_are_not_answered() -> None:
    role = RoleSelection(sop_class=CT, scu=False, scp=True)
    request = ask((1, CT, (IMPLICIT,)), roles=(role,))
    reply = answer(request, lambda context: IMPLICIT, US, {COMMITMENT})
    assert reply.user.roles == ()
    assert accepted(request, reply)[1] == AcceptedContext(1, CT, IMPLICIT, True, False)


def test_granted_roles_reach_the_context() -> None:
    role = RoleSelection(sop_class=COMMITMENT, scu=False, scp=True)
    request = ask((1, COMMITMENT, (IMPLICIT,)), roles=(role,))
    reply = answer(request, lambda context: IMPLICIT, US, {COMMITMENT})
    assert accepted(request, reply)[1] == AcceptedContext(1, COMMITMENT, IMPLICIT, False, True)


def test_a_context_that_nobody_proposed_is_not_accepted() -> None:
    reply = answer(ask((3, CT, (IMPLICIT,))), lambda context: IMPLICIT, US)
    assert accepted(ask((1, CT, (IMPLICIT,))), reply) == {}


def test_user_identity_and_window_are_not_answered() -> None:
    reply = answer(ask((1, CT, (IMPLICIT,))), lambda context: IMPLICIT, US)
    assert reply.user == US
