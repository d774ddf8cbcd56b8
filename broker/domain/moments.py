"""Dates and times as a query asks for them: single values and ranges, alone and combined (PS3.4 C.2.2.2.5, K.6.1.2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from broker.errors import BrokerError

_FIRST, _LAST = "", "~"
"""Texts before and after every row of digits: the ends of open ranges."""


@dataclass(frozen=True, slots=True)
class Span:
    """From *low* to *high*, both included, as digits of one length; *is_range* says that a hyphen was written."""

    low: str
    high: str
    is_range: bool = True

    def holds(self, digits: str) -> bool:
        """Say whether *digits* lies in it; a range of times may run over midnight."""
        if self.low <= self.high:
            return self.low <= digits <= self.high
        return digits >= self.low or digits <= self.high


@dataclass(frozen=True, slots=True)
class Dates:
    """A date key: any of the spans of YYYYMMDD."""

    spans: tuple[Span, ...]

    def accepts(self, value: str) -> bool:
        digits = value.replace(".", "")[:8]
        return any(span.holds(digits) for span in self.spans)

    def starts(self, start: str) -> bool:
        """Say whether a start (YYYYMMDDHHMMSS) is on one of the dates."""
        return self.accepts(start)

    def bounds(self) -> tuple[str, str]:
        """Give the first and last start that can be meant, each empty when open."""
        low = min(span.low for span in self.spans)
        high = max(span.high for span in self.spans)
        return low and low + "000000", "" if high == _LAST else high + "235959"


@dataclass(frozen=True, slots=True)
class Times:
    """A time key: any of the spans of HHMMSS."""

    spans: tuple[Span, ...]

    def accepts(self, value: str) -> bool:
        digits = _clock(value, "0")
        return any(span.holds(digits) for span in self.spans)

    def starts(self, start: str) -> bool:
        """Say whether a start (YYYYMMDDHHMMSS) is at one of the times of day."""
        return self.accepts(start[8:])


@dataclass(frozen=True, slots=True)
class Moments:
    """A date key and a time key together: one interval of YYYYMMDDHHMMSS."""

    span: Span

    def starts(self, start: str) -> bool:
        """Say whether a start (YYYYMMDDHHMMSS) lies in the interval."""
        return self.span.low <= start <= self.span.high

    def bounds(self) -> tuple[str, str]:
        """Give the first and last start that can be meant, each empty when open."""
        return self.span.low, "" if self.span.high == _LAST else self.span.high


def read_dates(values: Sequence[str]) -> Dates:
    """Read a date key (``20260401``, ``20260401-``, ``-20260430``, ``20260401-20260430``, old dots allowed)."""
    return Dates(tuple(_read_date(value) for value in values))


def read_times(values: Sequence[str]) -> Times:
    """Read a time key (``08``, ``0800-1230``, ``220000-060000`` over midnight, colons and fractions allowed)."""
    return Times(tuple(_read_time(value) for value in values))


def combine(dates: Dates, times: Times | None) -> Moments | None:
    """Combine a date with a time, or a range with a range, into one interval; None when each is compared by itself.

    A date range alone is one interval too.
    """
    if len(dates.spans) != 1 or (times and len(times.spans) != 1):
        return None
    date, time = dates.spans[0], times.spans[0] if times else Span(_FIRST, _LAST)
    if date.is_range and not time.is_range:
        return None
    low = date.low and date.low + (time.low or "000000")
    high = date.high if date.high == _LAST else date.high + ("235959" if time.high == _LAST else time.high)
    if low > high:
        high = max(low, _next_day(date.high) + time.high)
    return Moments(Span(low, high))


def _read_date(text: str) -> Span:
    low, hyphen, high = (part.strip().replace(".", "") for part in text.partition("-"))
    if any(part and not (part.isascii() and part.isdigit() and len(part) == 8) for part in (low, high)):
        raise _unreadable(text, "a date or a range of dates", "YYYYMMDD or YYYYMMDD-YYYYMMDD")
    if not hyphen:
        return Span(low, low, is_range=False)
    span = Span(low or _FIRST, high or _LAST)
    if span.low > span.high:
        raise _unreadable(text, "a range of dates", "the earlier date goes first")
    return span


def _read_time(text: str) -> Span:
    low, hyphen, high = (part.strip() for part in text.partition("-"))
    if any(part and not _is_time(part) for part in (low, high)):
        raise _unreadable(text, "a time or a range of times", "HHMMSS or HHMMSS-HHMMSS")
    if not hyphen:
        return Span(_clock(low, "0"), _clock(low, "9"), is_range=False)
    return Span(_clock(low, "0") if low else _FIRST, _clock(high, "9") if high else _LAST)


def _is_time(text: str) -> bool:
    digits = text.split(".", 1)[0].replace(":", "")
    return digits.isascii() and digits.isdigit() and len(digits) in (2, 4, 6) and digits[:2] <= "24"


def _clock(text: str, filler: str) -> str:
    """Write a time as HHMMSS: parts that are not given are the first (filler 0) or last (filler 9) possible."""
    digits = text.split(".", 1)[0].replace(":", "")[:6]
    if digits >= "24":
        return "235959"
    return digits + ("000000" if filler == "0" else "995959")[len(digits) :]


def _next_day(date: str) -> str:
    """Give the day after; *date* itself when the calendar has no such day."""
    try:
        return f"{datetime.strptime(date, '%Y%m%d') + timedelta(days=1):%Y%m%d}"
    except (ValueError, OverflowError):
        return date


def _unreadable(text: str, what: str, hint: str) -> BrokerError:
    return BrokerError(f"{text[:40]!r} is not {what}", code="Q002", hint=hint)
