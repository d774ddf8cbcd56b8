"""Reading, overriding and checking a configuration."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from broker import wiring
from broker.config.load import load
from broker.config.problems import InvalidConfiguration

Load = Callable[..., Any]
Refused = Callable[..., str]


def test_an_empty_file_has_the_documented_defaults(loaded: Load, tmp_path: Path) -> None:
    found = loaded("").configuration
    assert found.database == f"sqlite:///{tmp_path}/var/broker.db"
    assert found.spool == tmp_path / "var/spool"
    assert found.socket == tmp_path / "var/broker.sock"
    assert (found.site, found.timezone) == ("demo", "Europe/Madrid")
    his = found.hl7.listeners["his"]
    assert (his.host, his.port, his.charset) == ("127.0.0.1", 2575, ("UTF-8", "windows-1252"))
    assert (his.on_refused, his.unhandled, his.transient, his.processing_ids) == ("nak", "ignore", "AR", ("P",))
    assert (his.max_message, his.max_connections) == (10 * 1024**2, 200)
    assert his.frame_timeout == timedelta(seconds=30)
    assert (found.dicom.ae_title, found.dicom.port, found.dicom.callers) == ("BROKER", 11112, "any")
    assert (found.dicom.max_associations, found.dicom.max_pdu) == (500, 128 * 1024)
    assert (dict(found.dicom.nodes), dict(found.destinations), found.studies.forward_to) == ({}, {}, ())
    assert (found.web.host, found.web.port, found.web.auth) == ("127.0.0.1", 8080, "password")
    assert found.retention.messages == timedelta(days=90)


def test_the_shipped_configuration_is_sound() -> None:
    shipped = Path(__file__).parents[3] / "config/broker.yaml"
    assert load(shipped, {}).configuration.web.auth == "none"


def test_the_shipped_configuration_is_sound_with_everything_that_it_shows_in_comments(loaded: Load) -> None:
    shipped = (Path(__file__).parents[3] / "config/broker.yaml").read_text(encoding="utf-8")
    lines = [line for line in shipped.splitlines()[7:] if "a.pem" not in line]
    text = "\n".join(line.replace("# ", "", 1) if line.lstrip().startswith("# ") else line for line in lines)
    found = loaded(text).configuration
    assert found.studies.forward_to == ("PACS",)
    assert found.studies.quiet_period == timedelta(minutes=10)
    assert found.dicom.nodes["CT1"].charset == "ISO_IR 100"
    assert (found.destinations["ris"].type, found.destinations["bus"].type) == ("hl7", "mqtt")


def test_studies_of_another_patient_are_held_where_the_site_or_the_node_wants_it(loaded: Load) -> None:
    found = loaded("studies: {on_mismatch: hold, hold_max: 5m}\ndicom: {nodes: {CT1: {on_mismatch: forward}, MR1: {}}}")
    rules = wiring.rules(found.configuration)
    assert (rules.holds("CT1"), rules.holds("MR1"), rules.holds("ANY")) == (False, True, True)
    assert rules.hold_max == timedelta(minutes=5)
    default = wiring.rules(loaded("dicom: {nodes: {CT1: {on_mismatch: hold}}}").configuration)
    assert (default.holds("CT1"), default.holds("ANY"), default.hold_max) == (True, False, timedelta(minutes=30))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("studies: {on_mismatch: coerce}", "1:24: error: 'coerce' is not one of forward, hold"),
        ("studies: {hold_max: 0s}", "1:21: error: must be more than nothing"),
        ("dicom: {nodes: {CT1: {on_mismatch: reject}}}", "1:36: error: 'reject' is not one of forward, hold"),
    ],
)
def test_what_may_become_of_a_mismatch_is_a_closed_set(refused: Refused, text: str, told: str) -> None:
    assert told in refused(text)


def test_scalars_are_text_until_a_kind_says_otherwise(loaded: Load) -> None:
    found = loaded("site: 007\ndicom: {nodes: {NO: {modality: 'CT', port: '104', strict: yes}}}").configuration
    assert found.site == "007"
    assert (found.dicom.nodes["NO"].port, found.dicom.nodes["NO"].strict) == (104, True)


def test_json_is_read_too(loaded: Load) -> None:
    text = json.dumps({"site": "north", "web": {"port": 9000}, "destinations": None}, indent="\t")
    found = loaded(text, name="broker.json").configuration
    assert (found.site, found.web.port) == ("north", 9000)


def test_variables_are_replaced_with_their_defaults_when_unset_or_empty(loaded: Load) -> None:
    text = "site: ${SITE}\ntimezone: ${ZONE:-Europe/Oslo}\ndatabase: sqlite:///$${X}/${EMPTY:-b}.db"
    found = loaded(text, {"SITE": "north", "EMPTY": ""}).configuration
    assert (found.site, found.timezone) == ("north", "Europe/Oslo")
    assert found.database.endswith("/${X}/b.db")


def test_a_secret_is_what_its_file_holds(loaded: Load, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql://joe:pw@db/broker\n")
    assert loaded(f"database: file:{tmp_path}/url").configuration.database == "postgresql://joe:pw@db/broker"


def test_a_secret_that_cannot_be_read_is_told(refused: Refused) -> None:
    told = refused("database: file:/nowhere/url")
    assert "broker.yaml:1:11: error: the secret cannot be read from /nowhere/url: No such file or directory" in told
    assert told.endswith("1 problem(s)")


@pytest.mark.parametrize(
    ("variable", "value", "read"),
    [
        ("BROKER__HL7__LISTENERS__HIS__PORT", "2600", lambda c: c.hl7.listeners["HIS"].port == 2600),
        ("BROKER__HL7__LISTENERS__RIS__PORT", "2601", lambda c: c.hl7.listeners["ris"].port == 2601),
        ("BROKER__DICOM__NODES__MR1__MODALITY", "MR", lambda c: c.dicom.nodes["MR1"].modality == "MR"),
        ("broker__web__host", "127.0.0.2", lambda c: c.web.host == "127.0.0.2"),
        ("BROKER__STUDIES__FORWARD_TO", "[CT1]", lambda c: c.studies.forward_to == ("CT1",)),
        ("BROKER__STUDIES__FORWARD_TO", "CT1", lambda c: c.studies.forward_to == ("CT1",)),
        ("BROKER__DESTINATIONS__BUS", "{type: mqtt}", lambda c: c.destinations["bus"].events == ("*",)),
        ("BROKER__STUDIES__QUIET_PERIOD", "2s", lambda c: c.studies.quiet_period == timedelta(seconds=2)),
    ],
)
def test_every_key_can_be_overridden_from_the_environment(
    loaded: Load, variable: str, value: str, read: Callable[[Any], bool]
) -> None:
    text = "hl7: {listeners: {HIS: {port: 2500}}}\ndicom: {nodes: {CT1: {host: h, port: 1}}}"
    assert read(loaded(text, {variable: value}).configuration)


def test_wrong_overrides_are_told_by_the_name_of_the_variable(refused: Refused) -> None:
    told = refused("", {"BROKER__WEB__HOTS": "x", "BROKER__SITE__X": "1", "BROKER__WEB__PORT": "[1"})
    assert "environment: BROKER__WEB__HOTS: error: unknown key 'hots'\n      did you mean 'host'?" in told
    assert "environment: BROKER__SITE__X: error: text is needed" in told
    assert "environment: BROKER__WEB__PORT: error: YAML syntax" in told


def test_everything_is_frozen(loaded: Load) -> None:
    found = loaded("").configuration
    with pytest.raises(ValidationError):
        found.site = "other"
    with pytest.raises(TypeError):
        found.hl7.listeners["x"] = None


def test_networks_sizes_and_durations_are_values(loaded: Load) -> None:
    text = "hl7: {listeners: {his: {allow: [10.0.0.0/8, '::1'], max_message: 64KB, frame_timeout: 1.5s}}}"
    his = loaded(text).configuration.hl7.listeners["his"]
    assert his.allow == (ip_network("10.0.0.0/8"), ip_network("::1"))
    assert (his.max_message, his.frame_timeout) == (65536, timedelta(seconds=1.5))


@pytest.mark.parametrize("text", ["site: " + "[" * 20_000, "{" * 3000, "site: " + "[" * 100 + "]" * 100])
def test_deep_nesting_is_told(refused: Refused, text: str) -> None:
    assert "nested too deeply" in refused(text)


def test_too_many_values_are_one_problem(refused: Refused) -> None:
    told = refused("".join(f"k{number}: 1\n" for number in range(21_000)))
    assert told.endswith("broker.yaml: 1 problem(s)")


def test_a_flood_of_problems_is_cut_and_counted(refused: Refused) -> None:
    told = refused("".join(f"k{number}: 1\n" for number in range(500)))
    assert told.endswith("broker.yaml: 500 problem(s), of which 200 are shown")


def test_a_file_that_cannot_be_a_secret_is_not_read_whole(refused: Refused) -> None:
    assert "site: file:/dev/zero" in refused("site: file:/dev/zero")


def test_a_default_that_does_not_fit_is_named(refused: Refused) -> None:
    told = refused("hl7: {listeners: {his: {port: 11112}}}\ndicom: {ae_title: X}")
    assert "broker.yaml:2:1: error: dicom.port (default): port 11112 is already that of hl7.listeners.his" in told


def test_a_mistyped_time_zone_gets_a_suggestion(refused: Refused) -> None:
    assert "did you mean 'Europe/Paris'?" in refused("timezone: Europe/Pariss")


def test_a_missing_file_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match=r"(?s)cannot be read: No such file.*--config"):
        load(tmp_path / "none.yaml", {})


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(content)
    with pytest.raises(InvalidConfiguration):
        load(file, {"BROKER__MAPPINGS": "/nowhere"})


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="{}[]:,&*!|>-#'\"$ \n\tab\\~?@%", max_size=60))
def test_any_yaml_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidConfiguration):
        load(file, {"BROKER__MAPPINGS": "/nowhere"})
