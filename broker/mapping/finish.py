"""The last step of a rule: the value is made to fit its attribute, or the order is refused, or a warning is given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from broker.mapping import types
from broker.mapping.context import NULL, Context, Converted, Refusal
from broker.mapping.convert import Check, Unfit, check_of, shown
from broker.mapping.moments import (
    NEVER_SHIFTED,
    UTC,
    Moment,
    Reader,
    as_date,
    as_datetime,
    as_time,
    format_reader,
    read_calendar_date,
    read_moment,
    read_time,
)
from broker.mapping.names import name_reader
from broker.mapping.places import Places
from broker.mapping.problems import Report
from broker.mapping.syntax import Conversion, Rule
from broker.mapping.yamlfile import Text

UNDECODABLE = "\ufffd"

_WRITERS: Mapping[str, Callable[[Moment], str]] = {"DA": as_date, "TM": as_time, "DT": as_datetime}
_VR_OF_CONVERSION: Mapping[str, frozenset[str]] = {
    "name": frozenset({"PN"}),
    "date": frozenset({"DA", "DT"}),
    "time": frozenset({"TM"}),
    "datetime": frozenset({"DT", "DA", "TM"}),
    "code": frozenset({"SQ"}),
    "text": types.TEXT_VRS | {"PN"},
    "number": frozenset({"DS", "IS", "US", "UL", "SS", "SL", "LO", "SH", "ST"}),
    "uid": frozenset({"UI"}),
    "ae": frozenset({"AE"}),
}

_WRITTEN = {"DA": "YYYYMMDD", "TM": "HHMM or HHMMSS", "DT": "YYYYMMDDHHMMSS", "DS": "as a number", "IS": "as a number"}
"""How a constant of a VR is written, for hints."""

NO_ORDER = Context(places=Places(), segments={}, theirs=UTC, ours=UTC, facts={})
"""What constants are read in: no order is there, and nothing is moved from one zone to another."""

Fit = Callable[[Any, Context], Any]
"""Makes a value that was found fit its attribute: None when it is to be passed over, NULL when it is sent empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a rule sets: *name* is the path for people, *is_required*: without a value the order is refused."""

    name: str
    vr: str
    is_identifier: bool = False
    is_required: bool = False
    is_many: bool = False


def fitter(rule: Rule, target: Target, report: Report, *, is_inner: bool = False) -> Fit:
    """Make the function that fits a value; *is_inner*: of one alternative among several, which may be passed over."""
    conversion = rule.conversion
    if conversion is not None and target.vr not in _VR_OF_CONVERSION[conversion.name]:
        report.error("M043", conversion.place, f"{target.name} is {target.vr}, '{conversion.name}' does not make that")
    if target.vr == "SQ":
        return _as_items
    moment = _moment(rule, target, report)
    check = _check(conversion, target, report) if moment is None else str
    policy = rule.on_invalid or _default_policy(target)

    def fit(value: Any, context: Context) -> Any:
        if type(value) is not str:
            return fit_others(value, context)
        if value == NULL:
            return NULL
        try:
            made = check(value) if moment is None else moment(value, context)
        except Unfit as unfit:
            return misfit(unfit, context)
        return Converted(made) if is_inner else made or None

    def fit_others(value: Any, context: Context) -> Any:
        if type(value) is Converted:
            return value if is_inner else str(value)
        made = [one for text in value if (one := fit(text, context)) is not None and one != NULL]
        return made[0] if len(made) == 1 else made or None

    def misfit(unfit: Unfit, context: Context) -> Any:
        origin = context.origin
        if policy == "reject":
            hint = unfit.hint or f"send a value that fits {target.name}"
            raise Refusal(f"{unfit.message} (from {origin.text})", hint=hint, hl7_code=unfit.hl7_code, origin=origin)
        mended = unfit.mended if policy == "cut" or (policy == "skip" and target.vr == "TM") else ""
        what = f"sent as '{mended}'" if mended else "passed over" if policy == "skip" else "sent empty"
        context.remark(target.name, "invalid", f"{unfit.message} (from {origin.text}), {what}", rule.key)
        if mended:
            return Converted(mended) if is_inner else mended
        return None if policy == "skip" else NULL

    return fit


def is_fitted_alone(rule: Rule, target: Target) -> bool:
    """Say whether *rule*, one alternative among several, is made to fit before the next one is looked at."""
    return rule.conversion is not None or bool(rule.on_invalid) or (rule.value is not None and target.vr == "TM")


def check_constants(rule: Rule, target: Target, report: Report, whole: Rule | None = None) -> None:
    """Report the constants of *rule* that its attribute can never hold (M043); *whole*: the rule it is an alternative of."""
    fitted = rule if whole is None or is_fitted_alone(rule, target) else whole
    is_changed = bool(rule.clean) or rule.map is not None or rule.lookup is not None
    for text in (None if is_changed else rule.value, rule.default):
        if text is not None and text.value not in ("", NULL):
            _check_constant(text, fitted, target, report)
    for one in () if is_changed else rule.first_of:
        check_constants(one, target, report, fitted)


def _check_constant(text: Text, rule: Rule, target: Target, report: Report) -> None:
    moment, told = _moment(rule, target, Report()), f"{target.name} is {target.vr}"
    try:
        if moment is not None:
            moment(text.value, NO_ORDER)
        elif target.vr != "SQ":
            _check(rule.conversion, target, Report())(text.value)
    except Unfit as unfit:
        if unfit.mended and (rule.on_invalid or _default_policy(target)) == "cut":
            report.warning("M043", text.place, f"{told}: {unfit.message}", f"it is sent as '{unfit.mended}'")
        else:
            hint = f"write it {_WRITTEN.get(target.vr, f'as {target.vr} has it')}, or set another attribute"
            report.error("M043", text.place, f"{told}: {unfit.message}", hint)


def _default_policy(target: Target) -> str:
    if target.is_identifier:
        return "reject"
    return "empty" if target.name.endswith("CodeValue") else "cut"


def _as_items(value: Any, context: Context) -> Any:
    """Give a list of items; a code item may be one that is kept for the next message, therefore a copy."""
    if isinstance(value, dict):
        return [value.copy()]
    return [one.copy() for one in value] if isinstance(value, list) else value


def _moment(rule: Rule, target: Target, report: Report) -> Callable[[str, Context], str] | None:
    """Give the function that makes a date or time; None for what is no date."""
    if target.vr not in _WRITERS:
        return None
    write, conversion = _WRITERS[target.vr], rule.conversion
    is_calendar_date = target.vr == "DA" and target.name.rpartition(".")[2] in NEVER_SHIFTED
    read: Reader = read_calendar_date if is_calendar_date else read_moment
    if target.vr == "TM" and (rule.value is not None or conversion is not None):  # else 2026 may be a year
        read = read_time
    if conversion is not None and conversion.format:
        made = format_reader(conversion.format)
        if made is None:
            message = f"'{conversion.format}' is no format of a date or time"
            report.error("M013", conversion.place, message, "use YYYY, MM, DD, HH, mm, ss, each once")
        read = made or read

    return lambda text, context: write(read(text, context.theirs, context.ours))


def _check(conversion: Conversion | None, target: Target, report: Report) -> Check:
    """Give the function that fits a text; an identifier may not have lost characters."""
    check = check_of(target.vr)
    before: Check | None = None
    if conversion is not None and conversion.name == "number":
        before = check_of("DS")
    if conversion is not None and conversion.name == "name" and conversion.format:
        before = name_reader(conversion.format)
        if before is None:
            hint = "use the words Last, First, Middle, Prefix, Suffix"
            report.error("M013", conversion.place, f"'{conversion.format}' is no format of a name", hint)
    if before is None and not target.is_identifier:
        return check

    def checked(text: str) -> str:
        if not text.isascii() and target.is_identifier and UNDECODABLE in text:
            hint = "send the message in the character set that its MSH-18 names"
            raise Unfit(f"{shown(text)} holds characters that could not be read", hint=hint)
        return check(before(text) if before is not None else text)

    return checked
