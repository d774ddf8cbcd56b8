"""The JSON Schema that editors use says what the loader says, judged by an independent validator."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from broker.cli.schema import written
from broker.config.load import load
from broker.config.problems import InvalidConfiguration
from broker.config.schema import configuration_schema

ROOT = Path(__file__).parents[3]
SHIPPED = ROOT / "config/broker.yaml"


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    schema = configuration_schema()
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


def faults(validator: Draft7Validator, text: str) -> list[str]:
    content: Any = json.loads(json.dumps(yaml.safe_load(text), default=str))
    return ["/".join(map(str, fault.absolute_path)) for fault in validator.iter_errors(content)]


def uncommented(text: str) -> str:
    """Switch on all that the shipped file shows in comments."""
    lines = text[text.index("site:") :].splitlines()
    return "\n".join(re.sub(r"^(\s*)# ", r"\1", line) for line in lines)


def test_the_shipped_configuration_is_valid_with_and_without_what_it_shows_in_comments(
    validator: Draft7Validator,
) -> None:
    assert faults(validator, SHIPPED.read_text()) == []
    assert faults(validator, uncommented(SHIPPED.read_text())) == []


@pytest.mark.parametrize(
    "text",
    [
        "site: 007\nretention: {messages: 1.5h}\ndestinations:\nweb: {port: '8080'}\n",
        "web: {port: '${PORT}', auth: '${AUTH:-none}'}\ndicom: {max_pdu: '${SIZE:-128KB}'}\n",
        "database: file:/run/secrets/database\n",
        "dicom: {nodes: {CT1: {strict: yes, modality: CT, sop_classes: 1.2.3}, 'MR 1': {}}}\n",
        "hl7: {listeners: {his: {charset: UTF-8, processing_ids: [P, T], allow: [10.0.0.0/8]}}}\n",
        "dicom: {max_pdu: 131072}\nstudies: {forward_to: PACS}\n",
        "destinations: {bus: {type: mqtt, events: 'study.*', phi: none}, ris: {type: hl7, port: 2576}}\n",
    ],
)
def test_every_way_to_write_a_value_is_valid(text: str, validator: Draft7Validator) -> None:
    assert faults(validator, text) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("sites: demo\n", ""),
        ("site: -demo\n", "site"),
        ("web: {port: 70000}\n", "web/port"),
        ("web: {port: many}\n", "web/port"),
        ("web: {auth: nobody}\n", "web/auth"),
        ("retention: {messages: 90 days}\n", "retention/messages"),
        ("retention: {messages: 90}\n", "retention/messages"),
        ("dicom: {max_pdu: big}\n", "dicom/max_pdu"),
        ("dicom: {nodes: {CT1: {modalty: CT}}}\n", "dicom/nodes/CT1"),
        ("dicom: {nodes: {CT1: {strict: perhaps}}}\n", "dicom/nodes/CT1/strict"),
        ("hl7: {listeners: {his: {max_connections: 0}}}\n", "hl7/listeners/his/max_connections"),
        ("destinations: {ris: {type: hl7}}\n", "destinations/ris"),
        ("destinations: {ris: {type: hl8, port: 1}}\n", "destinations/ris/type"),
        ("destinations: {ris: {type: hl7, port: 1, phi: ids}}\n", "destinations/ris"),
        ("destinations: {ris: {type: hl7, port: 1, events: [study.avail]}}\n", "destinations/ris/events"),
    ],
)
def test_a_mistake_is_underlined_and_the_loader_agrees(
    text: str, place: str, validator: Draft7Validator, tmp_path: Path
) -> None:
    assert faults(validator, text) == [place]

    (tmp_path / "mappings").mkdir()
    (tmp_path / "config").mkdir()
    file = tmp_path / "config/broker.yaml"
    file.write_text(text)
    with pytest.raises(InvalidConfiguration):
        load(file, {})


def test_every_key_is_told_in_words() -> None:
    def untold(schema: Any, path: str) -> list[str]:
        found: list[str] = []
        for name, key in schema.get("properties", {}).items():
            if not (key.get("description") or name == "type"):
                found.append(f"{path}{name}")
            found += untold(key, f"{path}{name}.")
        more = schema.get("additionalProperties")
        if isinstance(more, dict):
            found += untold(more, f"{path}*.")
        for chosen in schema.get("allOf", ()):
            found += untold(chosen["then"], path)
        return found

    assert untold(configuration_schema(), "") == []


def test_the_schema_beside_the_configuration_is_the_one_that_the_broker_prints() -> None:
    file = ROOT / "config/schema/broker.json"

    printed = written(configuration_schema())
    assert file.read_text().rstrip("\n") == printed, f"run: broker schema configuration > {file.name}"


def test_the_line_for_the_editor_leads_to_the_schema() -> None:
    first = SHIPPED.read_text().splitlines()[0]

    assert first.startswith("# yaml-language-server: $schema=")
    assert (SHIPPED.parent / first.partition("=")[2]).resolve() == ROOT / "config/schema/broker.json"
