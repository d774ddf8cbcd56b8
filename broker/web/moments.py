"""Dates and times as JSON has them: ISO 8601, with the offset of the department."""

from __future__ import annotations

from datetime import datetime, tzinfo

_LAYOUTS = {14: "%Y%m%d%H%M%S", 12: "%Y%m%d%H%M", 8: "%Y%m%d"}


def iso(at: datetime | None, zone: tzinfo) -> str | None:
    """Write a moment in the department's time, to the millisecond."""
    return at.astimezone(zone).isoformat(timespec="milliseconds") if at else None


def iso_local(digits: str, zone: tzinfo) -> str | None:
    """Write local time that DICOM has as YYYYMMDDHHMMSS; None when it is none."""
    at = read_local(digits, zone)
    return at.isoformat() if at else None


def iso_date(digits: str) -> str | None:
    """Write a date that DICOM has as YYYYMMDD; None when it is none."""
    try:
        return datetime.strptime(digits, "%Y%m%d").date().isoformat() if len(digits) == 8 else None
    except ValueError:
        return None


def read_local(digits: str, zone: tzinfo) -> datetime | None:
    """Read local time; None when it is none."""
    try:
        return datetime.strptime(digits, _LAYOUTS[len(digits)]).replace(tzinfo=zone)
    except (KeyError, ValueError):
        return None


def local_digits(at: datetime, zone: tzinfo) -> str:
    """Write a moment as orders keep their starts: local, YYYYMMDDHHMMSS."""
    return at.astimezone(zone).strftime("%Y%m%d%H%M%S")
