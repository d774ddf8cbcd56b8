"""Made-up patients and orders, as HL7 messages of a HIS. Nobody of these lives."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

FAMILIES = ("Ibáñez", "Muster", "Okafor", "Lindqvist", "Moreau", "Novák", "Silva", "Tanaka", "Haddad", "Kowalska")
GIVEN = ("Núria", "Anna", "Chidi", "Björn", "Élise", "Jana", "João", "Yuki", "Leila", "Zofia")
PROCEDURES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "CT": (("CTABD", "CT abdomen"), ("CTHEAD", "CT head"), ("CTTHOR", "CT thorax"), ("CTPELV", "CT pelvis")),
    "MR": (("MRKNEE", "MR knee"), ("MRHEAD", "MR head"), ("MRLSPI", "MR lumbar spine")),
    "US": (("USABD", "US abdomen"), ("USTHY", "US thyroid"), ("USLEG", "US leg veins")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedOrder:
    """One order as the HIS knows it; *start* is local time."""

    accession: str
    patient_id: str
    name: str
    birth_date: str
    sex: str
    modality: str
    code: str
    procedure: str
    start: datetime

    def moved(self) -> SimulatedOrder:
        """Give the order with another time of the same day."""
        later, earlier = self.start + timedelta(minutes=30), self.start - timedelta(minutes=30)
        return replace(self, start=later if later.date() == self.start.date() else earlier)

    def message(self, control: str, control_id: str, at: datetime) -> str:
        """Write the ORM^O01 for *control* (NW, XO, CA)."""
        number, start = self.accession, self.start.strftime("%Y%m%d%H%M%S")
        lines = (
            f"MSH|^~\\&|HIS|GENERAL|BROKER|RAD|{at:%Y%m%d%H%M%S}||ORM^O01|{control_id}|P|2.3.1||||||UNICODE UTF-8",
            f"PID|1||{self.patient_id}^^^GENERAL||{self.name}||{self.birth_date}|{self.sex}",
            "PV1|1|O|RAD^R12",
            f"ORC|{control}|P{number}^HIS|F{number}^RIS||{'SC' if control == 'NW' else ''}||^^^{start}^^R",
            f"OBR|1|P{number}^HIS|F{number}^RIS|{self.code}^{self.procedure}^L||||||||||||||{number}"
            f"|RP{number}|SP{number}||||{self.modality}|||^^^{start}^^R",
        )
        return "".join(line + "\r" for line in lines)


def make_order(number: int, modality: str, chance: random.Random, now: datetime) -> SimulatedOrder:
    """Make up order *number*, for the next half hour of the same day."""
    code, procedure = chance.choice(PROCEDURES[modality])
    start = now.replace(second=0, microsecond=0) + timedelta(minutes=chance.randint(1, 30))
    return SimulatedOrder(
        accession=f"A{number}",
        patient_id=str(70000 + number),
        name=make_name(chance),
        birth_date=f"{chance.randint(1935, 2015)}{chance.randint(1, 12):02}{chance.randint(1, 28):02}",
        sex=chance.choice("FM"),
        modality=modality,
        code=code,
        procedure=procedure,
        start=start if start.date() == now.date() else now.replace(hour=23, minute=59, second=0, microsecond=0),
    )


def make_name(chance: random.Random, unlike: str = "") -> str:
    """Make up a name, of another family than *unlike*'s."""
    families = [family for family in FAMILIES if family != unlike.partition("^")[0]]
    return f"{chance.choice(families)}^{chance.choice(GIVEN)}"
