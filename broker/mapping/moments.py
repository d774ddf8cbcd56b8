"""Dates and times: HL7's YYYYMMDDHHMMSS with its offset, the formats of ``as``, DICOM's DA, TM and DT."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from broker.mapping.convert import Unfit, shown

UTC = ZoneInfo("UTC")

NEVER_SHIFTED = frozenset({"PatientBirthDate", "LastMenstrualDate"})
"""Dates of a calendar, not of a moment: an offset never moves them to another day."""

KEPT_LENGTH = 32
"""Longer texts are not kept: nobody fills the memory with them."""

_HL7 = re.compile(
    r"(?P<date>[0-9]{8})(?P<time>[0-9]{2}(?:[0-9]{2}(?:[0-9]{2})?)?)?(?:\.(?P<fraction>[0-9]{1,6}))?[0-9]*"
    r"(?P<offset>[+-][0-9]{4})?"
)
_FORMAT = re.compile(r"YYYY|YY|MM|DD|HH|mm|ss|M|D|H|.", re.DOTALL)
_DIGITS = {
    "YYYY": ("year", r"[0-9]{4}"),
    "YY": ("year", r"[0-9]{2}"),
    "MM": ("month", r"[0-9]{2}"),
    "DD": ("day", r"[0-9]{2}"),
    "HH": ("hour", r"[0-9]{2}"),
    "mm": ("minute", r"[0-9]{2}"),
    "ss": ("second", r"[0-9]{2}"),
    "M": ("month", r"[0-9]{1,2}"),
    "D": ("day", r"[0-9]{1,2}"),
    "H": ("hour", r"[0-9]{1,2}"),
}


class Moment(NamedTuple):
    """A date with its time of day, as DICOM writes them. *bad_time* is one that cannot be, as it came."""

    date: str
    time: str = ""
    bad_time: str = ""


Reader = Callable[[str, ZoneInfo, ZoneInfo], Moment]
"""Reads a text of the zone of its sender (second) as local time of the department (third); raises Unfit."""


def read_moment(text: str, theirs: ZoneInfo, ours: ZoneInfo) -> Moment:
    """Read an HL7 time stamp (HL7 2.5.1 2.A.22); with an offset or another zone it is moved to *ours*."""
    read = _read_moment if len(text) <= KEPT_LENGTH else _read_moment.__wrapped__
    return read(text, theirs, ours)


def read_time(text: str, theirs: ZoneInfo, ours: ZoneInfo) -> Moment:
    """Read a time of day, HHMM or HHMMSS, which is of nobody's zone; anything else as a time stamp."""
    is_time = len(text) in (4, 6) and text.isascii() and text.isdigit()
    if is_time and text[:2] <= "23" and text[2:4] <= "59" and text[4:] <= "59":
        return Moment(date="", time=text.ljust(6, "0"))
    return read_moment(text, theirs, ours)


@lru_cache(maxsize=1024)
def _read_moment(text: str, theirs: ZoneInfo, ours: ZoneInfo) -> Moment:
    """A date and a time are mostly asked of the same text."""
    if len(text) in (8, 12, 14) and text.isascii() and text.isdigit():
        day, digits, fraction, offset = text[:8], text[8:], "", None
    else:
        found = _HL7.fullmatch(text.strip())
        if found is None:
            raise Unfit(f"{shown(text)} is not a date")
        day, digits, offset = found["date"], found["time"] or "", found["offset"]
        fraction = f".{found['fraction']}" if found["fraction"] else ""
    if not _is_date(day):
        raise Unfit(f"{shown(text)} is not a date")
    if not digits:
        return Moment(date=day)
    time = digits.ljust(6, "0")
    if time[:2] > "23" or time[2:4] > "59" or time[4:] > "59":
        return Moment(date=day, bad_time=digits)
    if offset is None and theirs is ours:
        return Moment(date=day, time=time + fraction)
    return _shifted(day, time, fraction, offset, theirs, ours)


def _shifted(day: str, time: str, fraction: str, offset: str | None, theirs: ZoneInfo, ours: ZoneInfo) -> Moment:
    if offset is not None and (int(offset[1:3]) > 14 or int(offset[3:]) > 59):
        raise Unfit(f"{shown(day + time + offset)} has an offset that cannot be")
    zone = theirs if offset is None else timezone(_delta(offset))
    numbers = (int(day[:4]), int(day[4:6]), int(day[6:]), int(time[:2]), int(time[2:4]), int(time[4:]))
    moment = datetime(*numbers, tzinfo=zone)
    try:
        local = moment.astimezone(ours)
    except OverflowError:
        return Moment(date=day, time=time + fraction)
    return Moment(date=f"{local:%Y%m%d}".zfill(8), time=f"{local:%H%M%S}{fraction}")


def _delta(offset: str) -> timedelta:
    delta = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:]))
    return -delta if offset[0] == "-" else delta


def read_calendar_date(text: str, theirs: ZoneInfo, ours: ZoneInfo) -> Moment:
    """Read the first 8 digits as a date; what follows is not looked at."""
    day = text.strip()[:8]
    if not _is_date(day):
        raise Unfit(f"{shown(text)} is not a date")
    return Moment(date=day)


@lru_cache(maxsize=1024)
def _is_date(day: str) -> bool:
    if len(day) != 8 or not day.isdecimal() or not day.isascii():
        return False
    try:
        date(int(day[:4]), int(day[4:6]), int(day[6:]))
    except ValueError:
        return False
    return True


def format_reader(pattern: str) -> Reader | None:
    """Make the reader of a format like ``DD.MM.YYYY HH:mm``; None when *pattern* is none."""
    seen: list[str] = []
    expression = ""
    for token in _FORMAT.findall(pattern):
        if token in _DIGITS:
            name, digits = _DIGITS[token]
            if name in seen:
                return None
            seen.append(name)
            expression += f"(?P<{name}>{digits})"
        else:
            expression += re.escape(token)
    if not seen:
        return None
    compiled = re.compile(expression)

    def reader(text: str, theirs: ZoneInfo, ours: ZoneInfo) -> Moment:
        found = compiled.fullmatch(text.strip())
        moment = _from_parts(found.groupdict(), theirs, ours) if found else None
        if moment is None:
            raise Unfit(f"{shown(text)} does not look like {pattern}")
        return moment

    return reader


def _from_parts(parts: dict[str, str], theirs: ZoneInfo, ours: ZoneInfo) -> Moment | None:
    time = parts.get("hour", "").zfill(2) + parts.get("minute", "00") + parts.get("second", "00")
    if "hour" in parts and (time[:2] > "23" or time[2:4] > "59" or time[4:] > "59"):
        return None
    if "year" not in parts:
        return Moment(date="", time=time) if "hour" in parts else None
    year = parts["year"]
    if len(year) == 2:
        year = ("19" if year > "49" else "20") + year
    day = year + parts.get("month", "").zfill(2) + parts.get("day", "").zfill(2)
    if not _is_date(day):
        return None
    if "hour" not in parts:
        return Moment(date=day)
    return Moment(date=day, time=time) if theirs is ours else _shifted(day, time, "", None, theirs, ours)


def as_date(moment: Moment) -> str:
    """Write DA."""
    if not moment.date:
        raise Unfit(f"there is no date in {shown(moment.time)}")
    return moment.date


def as_time(moment: Moment) -> str:
    """Write TM; a date alone begins at midnight."""
    if moment.bad_time:
        raise Unfit(f"there is no time {shown(moment.bad_time)}", mended="000000")
    return moment.time or "000000"


def as_datetime(moment: Moment) -> str:
    """Write DT, local time without an offset."""
    return as_date(moment) + moment.time
