"""Whatever two conditions say: a message that fits both is never taken for one that cannot come."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from broker.hl7.message import Message
from broker.mapping.catalogue import Catalogue
from broker.mapping.overlap import demands, exclude

TEMPLATE = """\
mapping: m
from: hl7/ORM^O01
to: dicom/mwl
action: {{from: ORC-1, map: {{NW: create}}}}
when: {when}
set:
  PatientID: PID-3.1
  StudyInstanceUID: {{uid_from: [ORC-2.1]}}
  RequestedProcedureID: ORC-2.1
  ScheduledProcedureStepSequence: {{item: {{ScheduledProcedureStepID: ORC-2.1}}}}
"""
PLACES = st.sampled_from(["MSH-3", "MSH-4"])
VALUES = st.sampled_from(["A", "AB", "B"])
TESTS = st.one_of(
    st.builds('{} {} "{}"'.format, PLACES, st.sampled_from(["=", "!="]), VALUES),
    st.builds('{} {} "{}" or "{}"'.format, PLACES, st.sampled_from(["=", "!="]), VALUES, VALUES),
    st.builds("{} is {}".format, PLACES, st.sampled_from(["present", "missing", "null"])),
    st.builds('{} matches "{}"'.format, PLACES, st.sampled_from(["A*", "?", "*"])),
)
CONDITIONS = st.recursive(
    TESTS,
    lambda inner: st.one_of(
        st.builds("not ({})".format, inner),
        st.builds("({}) {} ({})".format, inner, st.sampled_from(["and", "or"]), inner),
    ),
    max_leaves=5,
)
FIELDS = ("", '""', "A", "AB", "B", "C")


@settings(max_examples=60, deadline=None)
@given(CONDITIONS, CONDITIONS)
def test_mappings_that_exclude_each_other_never_claim_one_message(first: str, second: str) -> None:
    mappings = []
    for when in (first, second):
        catalogue, problems = Catalogue.load({"m.yaml": TEMPLATE.format(when=when).encode()})
        assert catalogue is not None, (when, problems)
        mappings.append(catalogue.entries["m"].mapping)
    one, other = mappings

    claimed = [
        (three, four)
        for three in FIELDS
        for four in FIELDS
        if (message := Message.parse(f"MSH|^~\\&|{three}|{four}|||20260401||ORM^O01|1|P|2.3"))
        and one.claims(message, message.type)
        and other.claims(message, message.type)
    ]

    assert not (claimed and exclude(demands(one), demands(other))), claimed
