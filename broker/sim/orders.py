"""Made-up patients and orders, as HL7 messages of a HIS. Nobody of these lives."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime

FAMILIES = ("Ibáñez", "Muster", "Okafor", "Lindqvist", "Moreau", "Novák", "Silva", "Tanaka", "Haddad", "Kowalska")
GIVEN = ("Núria", "Anna", "Chidi", "Björn", "Élise", "Jana", "João", "Yuki", "Leila", "Zofia")
PROCEDURES = (
    ("CTABD", "CT abdomen"),
    ("CTHEAD", "CT head"),
    ("CTTHOR", "CT thorax with contrast"),
    ("CTPELV", "CT pelvis"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedOrder:
    """One order as the HIS knows it."""

    accession: str
    patient_id: str
    name: str
    birth_date: str
    sex: str
    code: str
    procedure: str
    start: datetime

    def message(self, control: str, control_id: str, at: datetime) -> str:
        """Write the ORM^O01 for *control* (NW, XO, CA)."""
        number, start = self.accession, self.start.strftime("%Y%m%d%H%M%S")
        lines = (
            f"MSH|^~\\&|HIS|GENERAL|BROKER|RAD|{at:%Y%m%d%H%M%S}||ORM^O01|{control_id}|P|2.3.1||||||UNICODE UTF-8",
            f"PID|1||{self.patient_id}^^^GENERAL||{self.name}||{self.birth_date}|{self.sex}",
            "PV1|1|O|RAD^R12",
            f"ORC|{control}|P{number}^HIS|F{number}^RIS||{'SC' if control == 'NW' else ''}||^^^{start}^^R",
            f"OBR|1|P{number}^HIS|F{number}^RIS|{self.code}^{self.procedure}^L||||||||||||||{number}"
            f"|RP{number}|SP{number}||||CT|||^^^{start}^^R",
        )
        return "".join(line + "\r" for line in lines)


def make_order(number: int, chance: random.Random, start: datetime) -> SimulatedOrder:
    """Make up order *number*."""
    code, procedure = chance.choice(PROCEDURES)
    return SimulatedOrder(
        accession=f"A{number}",
        patient_id=str(70000 + number),
        name=f"{chance.choice(FAMILIES)}^{chance.choice(GIVEN)}",
        birth_date=f"{chance.randint(1935, 2015)}{chance.randint(1, 12):02}{chance.randint(1, 28):02}",
        sex=chance.choice("FM"),
        code=code,
        procedure=procedure,
        start=start,
    )
