"""Names and types of fields."""

import pytest

from broker.hl7.dictionary import components, field, fields, segment_exists, segment_names


@pytest.mark.parametrize(
    ("segment", "n", "expected"),
    [
        ("PID", 5, ("PATIENT_NAME", "XPN", True)),
        ("PID", 7, ("DATE_TIME_OF_BIRTH", "TS", False)),
        ("OBR", 34, ("TECHNICIAN", "NDL", True)),
        ("IPC", 9, ("SCHEDULED_AE_TITLE", "ST", False)),
        ("OBX", 5, ("OBSERVATION_VALUE", "varies", True)),
        ("OBR", 53, ("ALTERNATE_PLACER_ORDER_NUMBER", "CX", True)),
        ("PRT", 4, ("PARTICIPATION", "CWE", False)),
    ],
)
def test_a_field_has_name_and_type_also_when_only_other_versions_have_it(
    segment: str, n: int, expected: tuple[str, str, bool]
) -> None:
    found = field(segment, n)
    assert found is not None
    assert (found.name, found.datatype, found.repeats) == expected


@pytest.mark.parametrize(("segment", "n"), [("OBX", 99), ("PID", 0), ("ZDS", 1), ("ABC", 1)])
def test_what_no_version_has_is_not_found(segment: str, n: int) -> None:
    assert field(segment, n) is None


def test_components_are_given_in_order() -> None:
    assert [one.datatype for one in components("XPN")[:2]] == ["FN", "ST"]
    assert components("CX")[3].datatype == "HD"
    assert components("XTN", "2.6")[1].name == "TELECOMMUNICATION_USE_CODE"
    assert components("ST") == ()


def test_segments_of_the_standard_are_known_and_z_segments_are_not() -> None:
    assert segment_exists("TQ1")
    assert not segment_exists("ZDS")
    assert fields("ZDS") == {}
    assert "OBR" in segment_names()
    assert fields("PID")[3].name == "PATIENT_IDENTIFIER_LIST"
