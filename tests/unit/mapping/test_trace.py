"""What a person sees of a translation, with and without the patient."""

from __future__ import annotations

from collections.abc import Callable

from broker.mapping.engine import Translation
from broker.mapping.trace import render_trace

Translate = Callable[..., Translation]

RULES = "PatientName: PID-5\nPatientBirthDate: PID-7\nPatientSex: {from: PID-8, map: {F: F}}\nAccessionNumber: OBR-18"


def test_each_attribute_says_where_its_value_comes_from(translate: Translate) -> None:
    lines = render_trace(translate(RULES, trace=True), mask=False)
    assert lines[0] == "order 1 of 1 -> create ()"
    assert any("PN 'DOE^JANE^^DR^JR'" in line and "<- PID-5" in line and "test.yaml:8" in line for line in lines)
    assert any("CS 'F'" in line and "its map[F] from PID-8" in line for line in lines)
    assert lines[-1].startswith("not used: ")


def test_long_paths_keep_the_columns(translate: Translate) -> None:
    rules = "PatientName: PID-5\nOrderPlacerIdentifierSequence:\n  item: {LocalNamespaceEntityID: PID-3.1}"
    lines = [line for line in render_trace(translate(rules, trace=True)) if "<-" in line]
    assert "OrderPlacerIden…LocalNamespaceEntityID UT" in "\n".join(lines)
    assert len({(line.index("<-"), line.index("test.yaml")) for line in lines}) == 1


def test_masking_hides_the_patient_by_class(translate: Translate) -> None:
    text = "\n".join(render_trace(translate(RULES, "OBX|1", trace=True)))
    for hidden in ("DOE", "JANE", "19790312", "'F'", "map[F]"):
        assert hidden not in text
    assert "D***" in text
    assert "'1979'" in text


def test_warnings_and_refusals_are_masked_too(translate: Translate) -> None:
    translation = translate(
        "PatientBirthDate: {from: OBX-5, as: date}\nAccessionNumber: OBX-6.1", "OBX|1|ST|||SECRET|NOTALLOWEDSOLONG1234"
    )
    shown = "\n".join(render_trace(translation))
    assert "SECRET" not in shown
    assert "NOTALLOWED" not in shown
    assert "rule at mappings/test.yaml:9:3" in shown
