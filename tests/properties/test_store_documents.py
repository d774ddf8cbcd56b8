"""Whatever a row holds, it comes out of its document as it went in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from broker.domain.order import Procedure, Step
from broker.store.codec import moment, read_moment
from broker.store.recordkinds import KINDS

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=2)), timezone(-timedelta(hours=9, minutes=30))])
MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=ZONES)
ITEMS = st.dictionaries(
    TEXT,
    st.recursive(
        TEXT | st.none(), lambda inner: st.lists(inner | st.dictionaries(TEXT, inner, max_size=2), max_size=3)
    ),
    max_size=4,
)


def filled(kind: type[Any]) -> st.SearchStrategy[Any]:
    """Fill every attribute of *kind* by its type, but those that hold items."""
    names = kind.__dataclass_fields__
    mappings = {"attributes": ITEMS, "facts": ITEMS, "ref": st.dictionaries(TEXT, TEXT, max_size=2)}
    own = {name: made for name, made in mappings.items() if names.get(name) and names[name].type != "str"}
    return st.builds(kind, **(dict.fromkeys(names, ...) | own))


st.register_type_strategy(str, TEXT)
st.register_type_strategy(datetime, MOMENTS)
st.register_type_strategy(Procedure, filled(Procedure))
st.register_type_strategy(Step, filled(Step))


@pytest.mark.parametrize("kind", list(KINDS), ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_a_row_comes_back_as_it_was(kind, data):
    row = data.draw(filled(kind))
    of = KINDS[kind]

    stored = dict(zip((column.name for column in of.table.columns), of.row(row, 1), strict=True))

    assert of.value(*(stored[column.name] for column in of.content_columns)) == row


@given(one=MOMENTS, other=MOMENTS)
def test_moments_sort_as_their_texts(one, other):
    assert read_moment(moment(one)) == one
    assert (moment(one) < moment(other)) == (one < other)
