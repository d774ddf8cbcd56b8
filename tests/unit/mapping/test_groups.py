"""Which segments belong to which order of a message."""

from __future__ import annotations

import pytest

from broker.hl7.message import Message
from broker.mapping.groups import split

MSH = "MSH|^~\\&|RIS|NORTH|||20260401||ORM^O01|1|P|2.3.1"


def shape(*lines: str, one_per: str = "ORC") -> tuple[list[dict[str, list[str]]], list[str]]:
    groups, orphans = split(Message.parse("\r".join([MSH, *lines])), one_per)
    shown = [
        {name: [segment.raw(1) for segment in found] for name, found in group.segments.items() if name != "MSH"}
        for group in groups
    ]
    return shown, [segment.raw(1) for segment in orphans]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["PID|p", "ORC|1", "OBR|a", "ZDS|z"], [{"PID": ["p"], "ORC": ["1"], "OBR": ["a"], "ZDS": ["z"]}]),
        (["ORC|1"], [{"ORC": ["1"]}]),
        (["OBR|a", "OBR|b"], [{"OBR": ["a"]}, {"OBR": ["b"]}]),
        (["PID|p"], [{"PID": ["p"]}]),
        (
            ["ORC|1", "OBR|a", "ORC|2", "OBR|b", "ZDS|z"],
            [{"ORC": ["1"], "OBR": ["a"], "ZDS": ["z"]}, {"ORC": ["2"], "OBR": ["b"], "ZDS": ["z"]}],
        ),
        (
            ["ORC|1", "TQ1|t", "OBR|a", "NTE|n", "OBR|b"],
            [{"ORC": ["1"], "TQ1": ["t"], "OBR": ["a"], "NTE": ["n"]}, {"ORC": ["1"], "TQ1": ["t"], "OBR": ["b"]}],
        ),
        (["IPC|i", "ORC|1", "OBR|a"], [{"IPC": ["i"], "ORC": ["1"], "OBR": ["a"]}]),
        (["NTE|n", "OBX|x", "ORC|1"], [{"ORC": ["1"]}]),
        (["ORC|1", "ORC|2", "OBR|b"], [{"ORC": ["1"]}, {"ORC": ["2"], "OBR": ["b"]}]),
        (["OBR|a", "ORC|1"], [{"OBR": ["a"], "ORC": ["1"]}]),
        (
            ["ORC|1", "OBR|a", "ZDS|y", "ORC|2", "OBR|b", "ORC|3", "OBR|c", "ZDS|z"],
            [
                {"ORC": ["1"], "OBR": ["a"], "ZDS": ["y"]},
                {"ORC": ["2"], "OBR": ["b"], "ZDS": ["z"]},
                {"ORC": ["3"], "OBR": ["c"], "ZDS": ["z"]},
            ],
        ),
    ],
)
def test_groups(lines: list[str], expected: list[dict[str, list[str]]]) -> None:
    assert shape(*lines) == (expected, [])


def test_an_obr_that_no_order_uses_is_an_orphan() -> None:
    assert shape("OBR|a", "ORC|1", "OBR|b")[1] == ["a"]


def test_another_segment_may_start_the_orders() -> None:
    groups, _ = shape("ZOR|1", "OBX|x", "ZOR|2", one_per="ZOR")
    assert groups == [{"ZOR": ["1"], "OBX": ["x"]}, {"ZOR": ["2"]}]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (
            ["ORC|1", "OBR|a", "IPC|x", "IPC|y", "ORC|2", "OBR|b", "IPC|z"],
            [
                {"ORC": ["1"], "OBR": ["a"], "IPC": ["x"]},
                {"ORC": ["1"], "OBR": ["a"], "IPC": ["y"]},
                {"ORC": ["2"], "OBR": ["b"], "IPC": ["z"]},
            ],
        ),
        (["ORC|1"], [{"ORC": ["1"]}]),
    ],
)
def test_each_ipc_of_an_order_may_be_a_group(lines: list[str], expected: list[dict[str, list[str]]]) -> None:
    assert shape(*lines, one_per="IPC") == (expected, [])


HEAD_IPC = "IPC|A2|RP2|1.2|S2"


@pytest.mark.parametrize(
    ("lines", "steps", "lost"),
    [
        (["IPC|x", "IPC|y", "ORC||P1", "OBR|a"], [["x", "y"]], []),
        ([HEAD_IPC, "ORC||P1", "OBR|a" + "|" * 17 + "A1", "ORC||P2", "OBR|b" + "|" * 17 + "A2"], [[], ["A2"]], []),
        ([HEAD_IPC, "ORC||P1|A1", "OBR|a", "ORC||P2|A2", "OBR|b"], [[], ["A2"]], []),
        (
            ["IPC|A9|RP2", "ORC||P1", "OBR|a" + "|" * 18 + "RP1", "ORC||P2", "OBR|b" + "|" * 18 + "RP2"],
            [[], ["A9"]],
            [],
        ),
        (
            ["IPC|A1|RP2", "ORC||P1", "OBR|a" + "|" * 17 + "A1|RP1", "ORC||P2", "OBR|b" + "|" * 17 + "A1|RP2"],
            [[], ["A1"]],
            [],
        ),
        (["IPC|A1", "ORC||P1|A1", "OBR|a", "ORC||P2|A2", "OBR|b", "IPC|A2"], [["A1"], ["A2"]], []),
        (["IPC|A7", "ORC||P1|A1", "OBR|a", "ORC||P2|A2", "OBR|b"], [[], []], ["A7"]),
        (["IPC|A1", "ORC||P1|A1", "OBR|a", "ORC||P2|A1", "OBR|b"], [[], []], ["A1"]),
        (
            ["IPC|A2|RP1", "ORC||P1", "OBR|a" + "|" * 17 + "A1|RP1", "ORC||P2", "OBR|b" + "|" * 17 + "A3"],
            [[], []],
            ["A2"],
        ),
        (["IPC|||||CT", "ORC||P1", "OBR|a", "ORC||P2", "OBR|b"], [[""], [""]], []),
        (["IPC|||||CT", "IPC|||||MR", "ORC||P1", "OBR|a", "ORC||P2", "OBR|b"], [[], []], ["", ""]),
    ],
)
def test_an_ipc_before_the_orders_belongs_to_the_one_whose_numbers_it_names(
    lines: list[str], steps: list[list[str]], lost: list[str]
) -> None:
    groups, orphans = shape(*lines)

    assert [group.get("IPC", []) for group in groups] == steps
    assert orphans == lost


def test_orders_never_multiply_the_ipc_before_them() -> None:
    lines = ("IPC|A1", "IPC|A2", "ORC||P1|A1", "OBR|a", "ORC||P2|A2", "OBR|b")

    groups, _ = shape(*lines, one_per="IPC")

    assert [(group["OBR"], group["IPC"]) for group in groups] == [(["a"], ["A1"]), (["b"], ["A2"])]
