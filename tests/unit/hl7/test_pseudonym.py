"""A message without its patient, of the same structure."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.errors import BrokerError
from broker.hl7.message import Message
from broker.hl7.pseudonym import Pseudonyms

PSEUDONYMS = Pseudonyms(key=b"0123456789abcdef")
MESSAGE = (
    "MSH|^~\\&|HIS|CITY|B|R|20260401||ORM^O01|M1|P|2.5.1\r"
    "PID|1||123456^^^CITY^MR~99^^^NHS||Muster^Anna^Maria^^Dr||19800214|F|||Main Street 5^^Town^^1234^AUT||0043 1 555\r"
    "PV1|1|I|WARD^R1|||||77^JONES^MARY|||||||||||V123\r"
    "ORC|NW|P100^HIS|F200^RIS\r"
    "OBR|1|P100^HIS|F200^RIS|CTH^CT head^L|||||||||Anna fell \\T\\ bled||||||ACC1001|RP1|SP1|||CT|||^^^202604031030^^S\r"
    "OBX|1|NM|3141-9^BODY WEIGHT^LN||72.5|kg\rOBX|2|TX|1^NOTE||Ms Muster is afraid\r"
    "NTE|1||call Anna\rZDS|1.2.826.0.1.3680043^^Application^DICOM\rZPI|CT|20260403|123456|Muster\r"
)


def replaced(text: str, codec: str = "utf-8") -> str:
    return PSEUDONYMS.message(text.encode(codec)).decode(codec)


@pytest.mark.parametrize(
    "secret",
    ["123456", "Muster", "MUSTER", "Anna", "Maria", "0214", "Main Street", "Town", "555", "JONES", "MARY", "V123", "P100",
     "F200", "ACC1001", "fell", "afraid", "call", "3680043"],
)  # fmt: skip
def test_who_and_what_number_is_gone(secret: str) -> None:
    assert secret in MESSAGE.replace("Muster", "Muster MUSTER")
    assert secret not in replaced(MESSAGE)


@pytest.mark.parametrize(
    "kept",
    ["|HIS|CITY|", "ORM^O01|M1", "^^^CITY^MR~", "^^^NHS", "|1980", "|F|", "AUT", "WARD^R1", "^HIS|", "CTH^CT head^L",
     "\\T\\", "|CT|", "202604031030", "72.5|kg", "1.2.", "^^Application^DICOM", "ZPI|CT|20260403|"],
)  # fmt: skip
def test_what_a_mapping_lives_on_is_kept(kept: str) -> None:
    assert kept in replaced(MESSAGE)


def test_one_value_has_one_pseudonym_wherever_it_stands() -> None:
    message = Message.parse(replaced(MESSAGE))
    again = Message.parse(replaced(MESSAGE.replace("123456^^^CITY", "123456^^^NORTH").replace("|M1|", "|M2|")))
    pid, zpi = message.named("PID")[0], message.named("ZPI")[0]

    assert pid.value(3, 1, 1) == zpi.value(3) == again.named("PID")[0].value(3, 1, 1)
    assert pid.value(5, 1, 1).lower() == zpi.value(4).lower()
    assert message.named("ORC")[0].value(2, 1, 1) == message.named("OBR")[0].value(2, 1, 1)


def test_another_key_gives_other_pseudonyms() -> None:
    other = Pseudonyms(key=b"another key of 16").message(MESSAGE.encode()).decode()

    assert other != replaced(MESSAGE)


def test_a_birth_date_stays_a_date_of_its_year() -> None:
    assert re.fullmatch(
        r"1980(0[1-9]|1[0-2])([01][1-9]|2[0-8]|10|20)", Message.parse(replaced(MESSAGE)).named("PID")[0].value(7)
    )
    german = replaced(MESSAGE.replace("19800214", "14.02.1980"))
    assert re.search(r"\|(0[1-9]|1\d|2[0-8])\.(0[1-9]|1[0-2])\.1980\|", german)


@pytest.mark.parametrize(
    ("name", "codec"), [("Ibáñez^Núria", "cp1252"), ("山田^太郎", "utf-8"), ("Иванов^Иван", "utf-8")]
)
def test_other_scripts_are_replaced_in_kind(name: str, codec: str) -> None:
    text = MESSAGE.replace("Muster^Anna^Maria", name)

    found = replaced(text, codec)

    assert len(found.encode(codec)) == len(text.encode(codec))
    assert name not in found
    assert not name.isascii()
    assert not found.isascii()


@given(st.text(st.sampled_from("aZ09é山 .-|^~\\&\r\"'{}"), max_size=200))
def test_the_structure_stays_byte_for_byte(body: str) -> None:
    text = "MSH|^~\\&|HIS|CITY|||20260401||ORM^O01|M1|P|2.5.1\rPID|" + body + "\r"

    def shape(of: str) -> str:
        return re.sub(r"[A-Za-zÀ-ÿ\u4e00-\u9fff]", "a", re.sub(r"[0-9]", "0", of))

    assert shape(replaced(text)) == shape(text)


def test_what_is_no_message_is_refused() -> None:
    with pytest.raises(BrokerError):
        PSEUDONYMS.message(b"not HL7")
