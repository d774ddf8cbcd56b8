"""An order's way to the scanner's worklist, seen by DCMTK's findscu."""

from __future__ import annotations

import subprocess
from typing import Any


def test_the_broker_answers_an_echo(hospital: Any, peer: Any) -> None:
    hospital.start()

    command = [peer("echoscu"), "-v", "-aet", "CT1", "-aec", "BROKER", "127.0.0.1", str(hospital.dicom_port)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30)

    assert done.returncode == 0, done.stderr
    assert "Received Echo Response (Success)" in done.stdout + done.stderr


def test_an_order_is_answered_aa_and_on_the_worklist(hospital: Any, story: Any) -> None:
    hospital.start()

    answer = hospital.send(story.orm("A1", step="SP1", procedure="RP1"))

    assert story.msa(answer)[1] == "AA"
    (entry,) = hospital.findscu("0008,0050=A1")
    assert entry["0010,0010"] == "IBANEZ^NURIA"
    assert entry["0010,0020"] == "77041"
    assert entry["0040,1001"] == "RP1"
    assert entry["0040,0009"] == "SP1"
    assert entry["0040,0002"] == "20260401"
    assert entry["0040,0003"].startswith("1015")
    assert entry["0040,0001"] == "CT1"
    assert entry["0020,000d"].startswith("2.25.")


def test_the_answer_names_the_message_and_swaps_sender_and_receiver(hospital: Any, story: Any) -> None:
    hospital.start()
    message = story.orm("A1").replace("|HIS|HOSPITAL|", "|HIS^1.2.3^ISO|HOSPITAL^9^L|")

    answer = hospital.send(message)

    header = answer.split("\r")[0].split("|")
    assert header[4:6] == ["HIS^1.2.3^ISO", "HOSPITAL^9^L"]
    assert header[2:4] == ["BROKER", "RAD"]
    assert story.msa(answer)[2] == message.split("|")[9]
    assert header[9] not in ("", message.split("|")[9])


def test_a_change_of_time_shows_at_the_next_query(hospital: Any, story: Any) -> None:
    hospital.start()
    hospital.send(story.orm("A1"))

    answer = hospital.send(story.orm("A1", "XO", start="20260402143000"))

    assert story.msa(answer)[1] == "AA"
    (entry,) = hospital.findscu("0008,0050=A1")
    assert (entry["0040,0002"], entry["0040,0003"]) == ("20260402", "143000")


def test_two_groups_of_one_procedure_are_two_steps(hospital: Any, story: Any) -> None:
    hospital.start()
    groups = "\n".join(
        story.order_group("A2", number="2", procedure="RP2", step=step, code=f"CTX^CT x^L^{code}^{code}^L")
        for step, code in (("SP2A", "HEAD"), ("SP2B", "NECK"))
    )

    answer = hospital.send(story.orm("A2", group=groups, study="1.2.3.4.5"))

    assert story.msa(answer)[1] == "AA"
    entries = hospital.findscu("0008,0050=A2")
    assert sorted(entry["0040,0009"] for entry in entries) == ["SP2A", "SP2B"]
    assert {entry["0020,000d"] for entry in entries} == {"1.2.3.4.5"}
    order = hospital.order("A2")
    assert len(order["procedures"]) == 1
    assert len(order["steps"]) == 2


def test_a_change_that_says_less_than_the_order_leaves_one_step(hospital: Any, story: Any) -> None:
    hospital.start()
    hospital.send(story.orm("A1"))
    less = "ORC|XO|PA1^HIS|FA1^RIS\nOBR|1|PA1^HIS|FA1^RIS|CTABD^CT abdomen^L" + "|" * 23 + "^^^20260402143000^^R"

    answer = hospital.send(story.orm("A1", "XO", group=less))

    assert story.msa(answer)[1] == "AA"
    (entry,) = hospital.findscu("0010,0020=77041")
    assert (entry["0008,0050"], entry["0040,0009"], entry["0040,0003"]) == ("A1", "SPA1", "143000")


def test_three_pairs_under_one_zds_are_three_steps(hospital: Any, story: Any) -> None:
    hospital.start()
    groups = "\n".join(
        story.order_group("A7", number="7", procedure="RP7", step=f"SP7.{n}", code=f"P7^Chest^ERL^X7{n}^View {n}^DSS")
        for n in (1, 2, 3)
    )

    hospital.send(story.orm("A7", group=groups, study="1.2.3.7"))

    entries = hospital.findscu("0008,0050=A7", "(0040,0100)[0].0040,0007")
    assert sorted(entry["0040,0007"] for entry in entries) == ["View 1", "View 2", "View 3"]
    assert {(entry["0020,000d"], entry["0040,1001"]) for entry in entries} == {("1.2.3.7", "RP7")}


def test_a_wild_message_is_understood(hospital: Any, story: Any) -> None:
    hospital.start()
    his = hospital.his()
    wild = (
        "MSH|^~\\&|||||||ORM^O01||P|2.3.1||||||\nIPC|||||||Room 1||\nPID|||4111222^^^REG||PEREZ^JUAN||19700101|M\n"
        "ORC|NW||44||||^^^20260401101500^^T\nOBR|||44|^^^RXTX^Thorax^L||||||||||||||20260401101512||||||DX\n"
        "PV1||O\nZDS|1.2.858.7^^Application^DICOM\n"
    )

    his.send_raw(b"\x0b" + wild.encode() + b"\x1c\r")

    assert story.msa(his.receive())[:2] == ["MSA", "AA"]
    (entry,) = hospital.findscu("0008,0050=20260401101512", "(0040,0100)[0].0040,0010")
    assert (entry["0020,000d"], entry["0008,0060"]) == ("1.2.858.7", "DX")


def test_steps_are_started_and_completed_by_status_messages(hospital: Any, story: Any) -> None:
    hospital.start()
    hospital.send(story.orm("A1"))

    hospital.send(story.orm("A1", "SC", group="ORC|SC|PA1^HIS|FA1^RIS||IP"))
    started = hospital.findscu("0008,0050=A1")
    hospital.send(story.orm("A1", "SC", group="ORC|SC||FA1^RIS||CM"))
    hospital.send(story.orm("A1", "XO", start="20270101090000"))

    assert [entry["0040,0020"] for entry in started] == ["STARTED"]
    assert hospital.findscu("0008,0050=A1") == []
    order = hospital.order("A1")
    assert order["status"] == "completed"
    assert order["steps"][0]["start"].startswith("2026-04-01")


def test_an_order_on_hold_is_hidden_until_it_is_released(hospital: Any, story: Any) -> None:
    hospital.start()
    hospital.send(story.orm("A1"))

    hospital.send(story.orm("A1", "HD", group="ORC|HD|PA1^HIS"))
    held = hospital.findscu("0008,0050=A1")
    hospital.send(story.orm("A1", "RL", group="ORC|RL|PA1^HIS"))

    assert (len(held), len(hospital.findscu("0008,0050=A1"))) == (0, 1)


def test_one_accession_number_of_two_patients_is_two_orders(hospital: Any, story: Any) -> None:
    hospital.start()
    hospital.send(story.orm("A1"))

    hospital.send(story.orm("A1", number="B1", issuer="OTHER").replace("|HOSPITAL|", "|ELSEWHERE|"))

    assert hospital.get_status("/api/v1/orders/A1") == 409
    assert len(hospital.findscu("0008,0050=A1")) == 2


def test_groups_with_different_accession_numbers_are_orders_of_their_own(hospital: Any, story: Any) -> None:
    hospital.start()
    groups = story.order_group("A3", number="3") + "\n" + story.order_group("A4", number="4")

    hospital.send(story.orm("A3", group=groups))

    assert hospital.order("A3")["placer_number"] == "P3"
    assert hospital.order("A4")["placer_number"] == "P4"


def test_a_cancel_by_number_alone_takes_the_order_off_the_list(hospital: Any, story: Any) -> None:
    hospital.start()
    hospital.send(story.orm("A1"))

    answer = hospital.send(story.orm("A1", "CA", group="ORC|CA|PA1^HIS|FA1^RIS"))

    assert story.msa(answer)[1] == "AA"
    assert hospital.findscu("0008,0050=A1") == []
    assert hospital.order("A1")["status"] == "cancelled"


def test_a_cancel_that_comes_before_its_order_keeps_it_off_the_list(hospital: Any, story: Any) -> None:
    hospital.start()

    cancel = hospital.send(story.orm("A1", "CA", group="ORC|CA|PA1^HIS|FA1^RIS"))
    late = hospital.send(story.orm("A1"))

    assert [story.msa(cancel)[1], story.msa(late)[1]] == ["AA", "AA"]
    assert hospital.findscu("0008,0050=A1") == []
    assert hospital.order("A1")["status"] == "cancelled"


def test_a_new_order_after_its_cancel_is_reinstated(hospital: Any, story: Any) -> None:
    hospital.start()
    hospital.send(story.orm("A1"))
    hospital.send(story.orm("A1", "CA"))

    hospital.send(story.orm("A1", "XO"))

    assert len(hospital.findscu("0008,0050=A1")) == 1


def test_a_repeated_message_gets_the_first_answer_and_has_no_second_effect(hospital: Any, story: Any) -> None:
    hospital.start()
    message = story.orm("A1")
    first = hospital.send(message)
    hospital.send(story.orm("A1", "XO", start="20260405090000"))

    again = hospital.send(message)

    assert again == first
    (entry,) = hospital.findscu("0008,0050=A1")
    assert entry["0040,0002"] == "20260405"


def test_another_patient_under_a_known_order_number_is_refused(hospital: Any, story: Any) -> None:
    hospital.start()
    hospital.send(story.orm("A1"))

    answer = hospital.send(story.orm("A1", "XO", patient="99999", name="OTHER^PATIENT"))

    assert story.msa(answer)[1] == "AE"
    assert "205" in answer
    (entry,) = hospital.findscu("0008,0050=A1")
    assert entry["0010,0020"] == "77041"


def test_a_refused_order_says_segment_field_code_and_what_to_do(hospital: Any, story: Any) -> None:
    hospital.start()

    answer = hospital.send(story.orm("A2345678901234567", step="S1", procedure="R1", version="2.5.1"))

    assert story.msa(answer)[1] == "AE"
    err = next(line for line in answer.split("\r") if line.startswith("ERR"))
    assert "OBR^1^18" in err
    assert "17 characters" in err


def test_a_parked_message_is_answered_aa_and_becomes_a_problem(hospital: Any, story: Any) -> None:
    hospital.configuration["hl7"]["listeners"]["his"]["on_refused"] = "park"
    hospital.start()

    answer = hospital.send(story.orm("A2345678901234567", step="S1", procedure="R1"))

    assert story.msa(answer)[1] == "AA"
    (message,) = hospital.get("/api/v1/messages?state=parked")["items"]
    assert "17 characters" in message["error"]


def test_the_same_refusal_again_is_one_problem(hospital: Any, story: Any) -> None:
    hospital.configuration["hl7"]["listeners"]["his"]["on_refused"] = "park"
    hospital.start()

    for _ in range(3):
        hospital.send(story.orm("A2345678901234567"))

    (message,) = hospital.get("/api/v1/messages?state=parked")["items"]
    assert message["count"] == 3


def test_a_latin_1_name_under_utf_8_is_marked_and_the_order_is_taken(hospital: Any, story: Any) -> None:
    hospital.start()
    his = hospital.his()

    his.send_raw(b"\x0b" + story.orm("A1", name="Ibáñez^Núria").replace("\n", "\r").encode("cp1252") + b"\x1c\r")

    assert story.msa(his.receive())[1] == "AA"
    (message,) = hospital.get("/api/v1/messages")["items"]
    assert any("could not be read" in warning for warning in message["warnings"])


def test_adt_is_answered_aa_and_ignored(hospital: Any, story: Any) -> None:
    hospital.start()

    answer = hospital.send("MSH|^~\\&|HIS|H|B|R|20260401||ADT^A08|X1|P|2.3\nEVN|A08\nPID|1||1^^^X||A^B\n")

    assert story.msa(answer)[1] == "AA"


def test_other_traffic_is_answered_ar_200(hospital: Any, story: Any) -> None:
    hospital.start()

    answer = hospital.send("MSH|^~\\&|HIS|H|B|R|20260401||DFT^P03|X1|P|2.3\nEVN|P03\nPID|1||1^^^X||A^B\n")

    assert story.msa(answer)[1] == "AR"
    assert "200" in answer


def test_a_test_message_is_refused_with_ar_202(hospital: Any, story: Any) -> None:
    hospital.start()

    answer = hospital.send(story.orm("A1").replace("|P|2.3.1", "|T|2.3.1"))

    assert story.msa(answer)[1] == "AR"
    assert "202" in answer


def test_accents_reach_a_latin_1_scanner_and_a_unicode_one(hospital: Any, story: Any) -> None:
    hospital.configuration["dicom"]["nodes"] = {
        "OLDCT": {"role": "modality", "modality": "CT", "charset": "ISO_IR 100"}
    }
    hospital.start()
    hospital.send(story.orm("A1", name="Ibáñez^Núria"))

    (entry,) = hospital.findscu("0008,0050=A1", "0008,0005", ae="OLDCT")

    assert entry["0008,0005"] == "ISO_IR 100"


def test_names_are_found_without_case_and_accents(hospital: Any, story: Any) -> None:
    hospital.start()
    hospital.send(story.orm("A1", name="Ibáñez^Núria"))
    hospital.send(story.orm("A2", name="Smith^John", patient="2"))

    entries = hospital.findscu("0010,0010=ibanez*")

    assert [entry["0008,0050"] for entry in entries] == ["A1"]


def test_date_and_time_ranges_combine_over_midnight(hospital: Any, story: Any) -> None:
    hospital.start()
    for number, start in (
        ("1", "20260401220000"),
        ("2", "20260401233000"),
        ("3", "20260402003000"),
        ("4", "20260402010000"),
    ):
        hospital.send(story.orm(f"A{number}", start=start))

    entries = hospital.findscu("(0040,0100)[0].0040,0002=20260401-20260402", "(0040,0100)[0].0040,0003=230000-004500")

    assert sorted(entry["0008,0050"] for entry in entries) == ["A2", "A3"]


def test_an_order_with_only_identifiers_and_a_patient_is_booked(hospital: Any, story: Any) -> None:
    hospital.start()

    answer = hospital.send("MSH|^~\\&|HIS|H|B|R|20260401||ORM^O01|X1|P|2.3\nPID|1||55\nORC|NW|P9\nOBR|1|P9\n")

    assert story.msa(answer)[1] == "AA"
    (order,) = hospital.get("/api/v1/orders?patient_id=55")["items"]
    assert order["placer_number"] == "P9"


def test_why_says_why_a_scanner_does_not_see_an_order(hospital: Any, story: Any) -> None:
    hospital.configuration["dicom"]["nodes"] = {"MR1": {"role": "modality", "modality": "MR"}}
    hospital.start()
    hospital.send(story.orm("A1"))

    reason = hospital.get("/api/v1/worklist/why?ae=MR1&accession=A1")

    assert reason["visible"] is False
    assert any("CT" in text for text in reason["reasons"])
