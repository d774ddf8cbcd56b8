"""What is told about a configuration that is wrong."""

from __future__ import annotations

from collections.abc import Callable

import pytest

Refused = Callable[..., str]

CASES = [
    ("lisener: {}", "1:1: error: unknown key 'lisener'"),
    ("hl7: {lisener: {}}", "1:7: error: unknown key 'lisener'"),
    ("site: a/b", "1:7: error: not a name"),
    ("timezone: Europe/Madird", "1:11: error: no such time zone"),
    ("database: mysql://x", "1:11: error: not a database"),
    ("database: 'sqlite:///:memory:'", "1:11: error: not a database"),
    ("mappings: elsewhere", "1:11: error: no such folder"),
    ("hl7: {listeners: {his: {port: 70000}}}", "1:31: error: must be at most 65535"),
    ("hl7: {listeners: {his: {port: abc}}}", "1:31: error: a whole number is needed"),
    ("hl7: {listeners: {his: {charset: UTF-9}}}", "1:34: error: no such character set"),
    ("hl7: {listeners: {his: {charset: []}}}", "1:34: error: must not be empty"),
    ("hl7: {listeners: {his: {on_refused: nack}}}", "1:37: error: 'nack' is not one of nak, park"),
    ("hl7: {listeners: {his: {frame_timeout: 30}}}", "1:40: error: not a duration"),
    ("hl7: {listeners: {his: {max_message: huge}}}", "1:38: error: not a size"),
    ("hl7: {listeners: {his: {allow: [10.0.0.0/99]}}}", "1:33: error: not a network"),
    ("hl7: {listeners: {his: {tls: {certificate: a.pem}}}}", "1:25: error: 'key' is missing"),
    ("hl7: {listeners: {his: {tls: {certificate: a.pem}}}}", "1:44: error: no such file"),
    ("hl7: {listeners: {a b: {}}}", "1:19: error: not a name"),
    (
        "hl7: {listeners: {a: {port: 8080}}}",
        "1:1: error: web.port (default): port 8080 is already that of hl7.listeners.a",
    ),
    ("hl7: {listeners: {a: {port: 1}, b: {port: 1}}}", "1:43: error: port 1 is already that of hl7.listeners.a"),
    ("dicom: {ae_title: WAYTOOLONGAETITLE}", "1:19: error: not an AE title"),
    ("dicom: {host: 0.0.0.0}", "1:15: error: any AE title may call on 0.0.0.0"),
    ("dicom: {nodes: {CT1: {role: modalty}}}", "1:29: error: 'modalty' is not one of modality, archive"),
    ("dicom: {nodes: {CT1: {charset: ISO_IR 1000}}}", "1:32: error: no such Specific Character Set"),
    ("dicom: {nodes: {CT1: {match: host}}}", "1:30: error: match: host needs a host"),
    ("dicom: {nodes: {CT1: {sop_classes: [CT]}}}", "1:37: error: does not look right"),
    ("dicom: {nodes: {CT1: {}, CT1: {}}}", "1:26: error: 'CT1' is already set on line 1"),
    ("dicom: {nodes: [CT1]}", "1:16: error: a mapping is needed"),
    ("studies: {forward_to: [PACS]}", "1:24: error: no node 'PACS'"),
    ("studies: {forward_to: [P]}\ndicom: {nodes: {P: {}}}", "1:24: error: node 'P' has no address"),
    ("studies: {on_mismatch: coerce}", "1:24: error: 'coerce' is not one of forward"),
    ("destinations: {ris: {type: hl7}}", "1:16: error: 'port' is missing"),
    ("destinations: {ris: {port: 1}}", "1:21: error: 'type' is missing"),
    ("destinations: {ris: {type: webhook}}", "1:28: error: 'webhook' is not one of hl7, mqtt"),
    ("destinations: {b: {type: mqtt, url: http://x}}", "1:37: error: not an MQTT address"),
    ("destinations: {b: {type: mqtt, events: [study.avaliable]}}", "1:41: error: no such event"),
    ("destinations: {b: {type: mqtt, phi: all}}", "1:37: error: 'all' is not one of full, ids, none"),
    ("web: {host: 0.0.0.0, auth: none}", "1:28: error: without a password only a loopback host is allowed"),
    ("retention: {messages: 0d}", "1:23: error: must be more than nothing"),
    ("web: {port: 0x}\nsite: ${NOWHERE}", "2:7: error: the environment has no NOWHERE"),
    ("site: '${1}'", "1:7: error: not a variable"),
    ("site: [a", "1:9: error: YAML syntax"),
    ("- a", "1:1: error: a mapping of settings is needed"),
    ("a: &x [*x]", "1:4: error: nested too deeply"),
    ("site: x\n---\nsite: y", "2:1: error: YAML syntax: found another document"),
]


@pytest.mark.parametrize(("text", "told"), CASES)
def test_a_mistake_is_told_with_its_place(refused: Refused, text: str, told: str) -> None:
    assert f"broker.yaml:{told}" in refused(text)


def test_a_problem_shows_its_line_a_caret_and_a_suggestion(refused: Refused) -> None:
    assert refused("site: x\nhl7:\n  lisener: {}\n") == (
        "broker.yaml:3:3: error: unknown key 'lisener'\n"
        "    3 |   lisener: {}\n"
        "      |   ^^^^^^^ did you mean 'listeners'?\n"
        "broker.yaml: 1 problem(s)"
    )


def test_all_problems_are_told_at_once_in_the_order_of_the_file(refused: Refused) -> None:
    told = refused(
        """
sit: x
web: {host: 0.0.0.0, auth: none}
studies: {forward_to: [PCAS]}
dicom: {port: x, nodes: {PACS: {host: h, port: 104}}}
"""
    )
    heads = [line for line in told.splitlines() if line.startswith("broker.yaml:")]
    assert [head.split(": error: ")[0] for head in heads[:-1]] == [
        "broker.yaml:2:1",
        "broker.yaml:3:28",
        "broker.yaml:4:24",
        "broker.yaml:5:15",
    ]
    assert "did you mean 'PACS'?" in told


def test_what_depends_on_a_mistake_is_not_told_as_well(refused: Refused) -> None:
    told = refused("dicom: {nodes: {PACS: {host: h, port: x}}}\nstudies: {forward_to: [PACS]}")
    assert told.endswith("broker.yaml: 1 problem(s)")


def test_passwords_in_addresses_are_not_shown(refused: Refused) -> None:
    told = refused("destinations: {b: {type: mqtt, url: 'mqt://joe:secret@host'}}")
    assert "secret" not in told
    assert "joe:******@host" in told


def test_callers_any_may_be_written_out_for_every_host(loaded: Callable[..., object]) -> None:
    assert loaded("dicom: {host: 0.0.0.0, callers: any}")
