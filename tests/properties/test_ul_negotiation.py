"""Negotiation gives what pynetdicom gives, contexts and roles."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom.presentation import PresentationContext, build_context, negotiate_as_acceptor, negotiate_as_requestor

from broker.ul.items import RoleSelection, UserInformation
from broker.ul.negotiation import Choice, accepted, answer, first_of
from broker.ul.pdu import AssociateRequest, ContextResult, ProposedContext

SYNTAXES = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.50"]
CLASSES = ["1.2.840.10008.1.1", "1.2.840.10008.5.1.4.31", "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.20.1"]
ACCEPTED = 0
USER = UserInformation(max_length=16384, implementation_uid="1.2.3")

OFFERS = st.lists(st.sampled_from(SYNTAXES), min_size=1, max_size=4, unique=True).map(tuple)
PROPOSED = st.lists(st.tuples(st.sampled_from(CLASSES), OFFERS), min_size=1, max_size=6).map(
    lambda pairs: tuple(
        ProposedContext(id=2 * n + 1, abstract_syntax=uid, transfer_syntaxes=offered)
        for n, (uid, offered) in enumerate(pairs)
    )
)
SERVED = st.dictionaries(st.sampled_from(CLASSES), st.frozensets(st.sampled_from(SYNTAXES), min_size=1), max_size=4)
ROLES = st.dictionaries(st.sampled_from(CLASSES), st.sampled_from([(True, False), (False, True), (True, True)]))
SCP_CLASSES = st.frozensets(st.sampled_from(CLASSES))


def theirs(uid: str, syntaxes: list[str], may_be_scp: bool) -> PresentationContext:
    """What pynetdicom is to support: the default roles alone, or also those that the requestor asks for."""
    context = build_context(uid, syntaxes)
    if may_be_scp:
        context.scu_role = context.scp_role = True
    return context


@settings(max_examples=200, deadline=None)
@given(PROPOSED, SERVED, ROLES, SCP_CLASSES)
def test_contexts_and_roles_are_those_of_pynetdicom(
    proposed: tuple[ProposedContext, ...],
    served: dict[str, frozenset[str]],
    roles: dict[str, tuple[bool, bool]],
    scp_classes: frozenset[str],
) -> None:
    def choose(context: ProposedContext) -> Choice:
        supported = served.get(context.abstract_syntax)
        if supported is None:
            return ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
        return first_of(context.transfer_syntaxes, supported)

    asked = tuple(RoleSelection(sop_class=uid, scu=scu, scp=scp) for uid, (scu, scp) in roles.items())
    user = UserInformation(max_length=16384, implementation_uid="1.2.3", roles=asked)
    request = AssociateRequest(called_ae="BROKER", calling_ae="CT1", contexts=proposed, user=user)

    reply = answer(request, choose, USER, scp_classes)

    told = {context.id: context for context in reply.contexts}
    for context in proposed:
        mine = build_context(context.abstract_syntax, list(context.transfer_syntaxes))
        mine.context_id = context.id
        # pynetdicom goes by the acceptor's order of transfer syntaxes, the broker by the proposer's.
        ordered = [one for one in context.transfer_syntaxes if one in served.get(context.abstract_syntax, ())]
        supported = [theirs(uid, ordered or sorted(syntaxes), uid in scp_classes) for uid, syntaxes in served.items()]
        (expected,), expected_roles = negotiate_as_acceptor([mine], supported, dict(roles))

        assert told[context.id].result == expected.result
        if expected.result == ACCEPTED:
            assert told[context.id].transfer_syntax == expected.transfer_syntax[0]
            given = {role.sop_class: (role.scu, role.scp) for role in reply.user.roles}
            wanted = {str(role.sop_class_uid): (role.scu_role, role.scp_role) for role in expected_roles}
            uid = context.abstract_syntax
            assert given.get(uid) == wanted.get(uid)
            used = accepted(request, reply)[context.id]
            assert (used.scp, used.scu) == (expected.as_scu, expected.as_scp)


@settings(max_examples=100, deadline=None)
@given(PROPOSED, st.data())
def test_a_reply_is_read_as_pynetdicom_reads_it(proposed: tuple[ProposedContext, ...], data: st.DataObject) -> None:
    request = AssociateRequest(called_ae="PACS", calling_ae="BROKER", contexts=proposed, user=USER)

    def choose(context: ProposedContext) -> Choice:
        return data.draw(st.sampled_from([*context.transfer_syntaxes, None, ContextResult.USER_REJECTION]))

    reply = answer(request, choose, USER)
    mine, back = [], []
    for offer, told in zip(proposed, reply.contexts, strict=True):
        context = build_context(offer.abstract_syntax, list(offer.transfer_syntaxes))
        context.context_id = offer.id
        mine.append(context)
        answered = PresentationContext()
        answered.context_id, answered.result = told.id, told.result
        answered.transfer_syntax = [told.transfer_syntax]
        back.append(answered)

    expected = {one.context_id: one for one in negotiate_as_requestor(mine, back) if one.result == ACCEPTED}

    found = accepted(request, reply)
    assert found.keys() == expected.keys()
    for id, one in found.items():
        assert (one.abstract_syntax, one.transfer_syntax) == (
            expected[id].abstract_syntax,
            expected[id].transfer_syntax[0],
        )
        assert (one.scu, one.scp) == (expected[id].as_scu, expected[id].as_scp)
