"""The state table against the standard's own (PS3.8 Table 9-10), written out here as it is printed."""

from __future__ import annotations

from broker.ul.states import AFTER, TABLE, Action, Happening, State

PRINTED = """
A-ASSOCIATE request               1:AE-1
transport connection confirmed    4:AE-2
A-ASSOCIATE-AC                    2:AA-1 3:AA-8 5:AE-3 6:AA-8 7:AA-8 8:AA-8 9:AA-8 10:AA-8 11:AA-8 12:AA-8 13:AA-6
A-ASSOCIATE-RJ                    2:AA-1 3:AA-8 5:AE-4 6:AA-8 7:AA-8 8:AA-8 9:AA-8 10:AA-8 11:AA-8 12:AA-8 13:AA-6
transport connection indication   1:AE-5
A-ASSOCIATE-RQ                    2:AE-6 3:AA-8 5:AA-8 6:AA-8 7:AA-8 8:AA-8 9:AA-8 10:AA-8 11:AA-8 12:AA-8 13:AA-7
A-ASSOCIATE response, accept      3:AE-7
A-ASSOCIATE response, reject      3:AE-8
P-DATA request                    6:DT-1 8:AR-7
P-DATA-TF                         2:AA-1 3:AA-8 5:AA-8 6:DT-2 7:AR-6 8:AA-8 9:AA-8 10:AA-8 11:AA-8 12:AA-8 13:AA-6
A-RELEASE request                 6:AR-1
A-RELEASE-RQ                      2:AA-1 3:AA-8 5:AA-8 6:AR-2 7:AR-8 8:AA-8 9:AA-8 10:AA-8 11:AA-8 12:AA-8 13:AA-6
A-RELEASE-RP                      2:AA-1 3:AA-8 5:AA-8 6:AA-8 7:AR-3 8:AA-8 9:AA-8 10:AR-10 11:AR-3 12:AA-8 13:AA-6
A-RELEASE response                8:AR-4 9:AR-9 12:AR-4
A-ABORT request                   3:AA-1 4:AA-2 5:AA-1 6:AA-1 7:AA-1 8:AA-1 9:AA-1 10:AA-1 11:AA-1 12:AA-1
A-ABORT                           2:AA-2 3:AA-3 5:AA-3 6:AA-3 7:AA-3 8:AA-3 9:AA-3 10:AA-3 11:AA-3 12:AA-3 13:AA-2
transport connection closed       2:AA-5 3:AA-4 4:AA-4 5:AA-4 6:AA-4 7:AA-4 8:AA-4 9:AA-4 10:AA-4 11:AA-4 12:AA-4 13:AR-5
ARTIM timer expired               2:AA-2 13:AA-2
unrecognized or invalid PDU       2:AA-1 3:AA-8 5:AA-8 6:AA-8 7:AA-8 8:AA-8 9:AA-8 10:AA-8 11:AA-8 12:AA-8 13:AA-7
"""

NEXT = {
    "AE-1": 4, "AE-2": 5, "AE-3": 6, "AE-4": 1, "AE-5": 2, "AE-6": 3, "AE-7": 6, "AE-8": 13, "DT-1": 6, "DT-2": 6,
    "AR-1": 7, "AR-2": 8, "AR-3": 1, "AR-4": 13, "AR-5": 1, "AR-6": 7, "AR-7": 8, "AR-8": 10, "AR-9": 11, "AR-10": 12,
    "AA-1": 13, "AA-2": 1, "AA-3": 1, "AA-4": 1, "AA-5": 1, "AA-6": 13, "AA-7": 13, "AA-8": 13,
}  # fmt: skip


def test_the_table_is_the_standards() -> None:
    printed = {}
    for line in PRINTED.strip().splitlines():
        cells = dict(cell.split(":") for cell in line[34:].split())
        printed[Happening(line[:34].strip())] = {State(int(state)): Action(name) for state, name in cells.items()}
    assert printed == TABLE


def test_every_action_leads_to_the_standards_state() -> None:
    assert {action.value: state.value for action, state in AFTER.items()} == NEXT
