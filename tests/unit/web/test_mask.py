"""Patient data made unrecognisable."""

from __future__ import annotations

import pytest

from broker.web.mask import ending, initials


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Ibáñez^Núria^^Dra", "N. I."),
        ("MUSTER", "M."),
        ("^ANNA", "A."),
        ("Yamada^Tarou=山田^太郎", "T. Y."),
        ("=山田^太郎", "太. 山."),
        ("O'Neil^ Sean", "S. O."),
        ("<b>^1", "b."),
        ("", ""),
        ("^^^", ""),
        ("=", ""),
    ],
)
def test_a_name_is_shown_by_its_initials(name: str, shown: str) -> None:
    assert initials(name) == shown


@pytest.mark.parametrize(("number", "shown"), [("77041", "***041"), ("1234", "***"), ("1", "***"), ("", "")])
def test_a_number_is_shown_by_its_end(number: str, shown: str) -> None:
    assert ending(number) == shown
