import pytest

from broker.domain.identity import compare, same_name
from broker.domain.order import Identity, Patient


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [
        ("Müller^Jürgen", "MUELLER^JUERGEN", True),
        ("Müller^Jürgen", "Muller^Jurgen", True),
        ("Groß^Anna", "GROSS^ANNA", True),
        ("Ibáñez^Núria^^Dra", "Ibanez^Nuria", True),
        ("Sørensen^Åse", "SOERENSEN^AASE", True),
        ("O'Brien^Anne-Marie", "OBRIEN^ANNE MARIE", True),
        ("Doe^Anne Marie", "Doe^Anne^Marie", True),
        ("Doe^John^M", "DOE JOHN", True),
        ("Doe^John^Maria", "Doe^John^M.", True),
        ("Doe^John^Maria", "Doe^John^Karl", False),
        ("Doe^John^^Dr", "Doe^John^^Prof", False),
        ("Doe^John^^Dr", "Doe^John", True),
        ("Doe^John", "Doe^Jane", False),
        ("Doe^John", "John^Doe", False),
        ("Doe", "Doe^John", True),
        ("Doe^J", "^J", True),
        ("", "Doe", None),
        ("^John", "Doe", None),
        ("^^^Dr", "Doe^John", None),
        ("Yamada^Tarou=山田^太郎", "山田^太郎", True),
        ("Yamada^Tarou=山田^太郎", "Yamada^Hanako=山田^花子", False),
        ("山田^太郎", "Yamada^Tarou", None),
        ("Müller^Jürgen", "M?ller^J?rgen", None),
    ],
)
def test_names_are_compared_as_people_do(one: str, other: str, answer: bool | None) -> None:
    assert same_name(one, other) is answer
    assert same_name(other, one) is answer


PATIENT = Patient(
    ref="p",
    patient_id="77041",
    issuer="GENERAL",
    attributes={
        "PatientName": "Ibáñez^Núria",
        "PatientBirthDate": "19790312",
        "PatientSex": "F",
        "OtherPatientIDsSequence": [{"PatientID": "S-9", "IssuerOfPatientID": "SOUTH"}],
    },
    former=(Identity(patient_id="TMP1", name="Doe^Jane"),),
)


@pytest.mark.parametrize(
    ("found", "fits", "contradicts"),
    [
        (Identity(patient_id="77041"), True, False),
        (Identity(patient_id="77041", issuer="general"), True, False),
        (Identity(patient_id="TMP1"), True, False),
        (Identity(patient_id="S-9", issuer="SOUTH"), True, False),
        (Identity(patient_id="88052"), False, True),
        (Identity(patient_id="88052", issuer="NORTH"), False, False),
        (Identity(patient_id="77041", issuer="NORTH", name="Puig^Joan"), False, True),
        (Identity(patient_id="", name="IBANEZ^NURIA", birth_date="1979.03.12"), True, False),
        (Identity(patient_id="", name="IBANEZ^NURIA", birth_date="19800101"), False, True),
        (Identity(patient_id="", name="DOE^JANE"), True, False),
        (Identity(patient_id=""), False, False),
    ],
)
def test_a_patient_is_known_by_every_identity(found: Identity, fits: bool, contradicts: bool) -> None:
    likeness = compare(found, PATIENT)
    assert (likeness.fits, likeness.contradicts) == (fits, contradicts)
