"""Patient data made unrecognisable for lists and the console."""

from __future__ import annotations


def initials(name: str) -> str:
    """Give the initials of a DICOM PN, given name first (``Ibáñez^Núria`` as ``N. I.``)."""
    group = next((group for group in name.split("=") if group.strip("^ ")), "")
    family, given = (*(part.strip() for part in group.split("^")), "", "")[:2]
    letters = (next(filter(str.isalpha, part), "") for part in (given, family))
    return " ".join(f"{letter}." for letter in letters if letter)


def ending(number: str) -> str:
    """Give the end of a patient's number (``77041`` as ``***041``), nothing of a short one."""
    return "***" + (number[-3:] if len(number) > 4 else "") if number else ""


def person(name: str, number: str) -> str:
    """Give what a list may show of a patient: initials and the end of the number."""
    return " ".join(filter(None, (initials(name), ending(number))))
