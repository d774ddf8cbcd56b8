"""Kinds of values that a configuration holds: durations, sizes, AE titles, character sets, paths, event names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from broker.config.problems import did_you_mean
from broker.domain.events import PUBLIC
from broker.hl7.charset import find_codec

T = TypeVar("T")
K = TypeVar("K")

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BYTES = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}

SPECIFIC_CHARACTER_SETS = (
    *(f"ISO_IR {number}" for number in (6, 13, 100, 101, 109, 110, 126, 127, 138, 144, 148, 166, 192, 203)),
    *(f"ISO 2022 IR {number}" for number in (6, 13, 58, 87, 100, 101, 109, 110, 126, 127, 138, 144, 148, 149, 159)),
    "ISO 2022 IR 166",
    "ISO 2022 IR 203",
    "GB18030",
    "GBK",
)
"""Defined terms of Specific Character Set (PS3.3 C.12.1.1.2)."""


def fault(message: str, hint: str = "") -> PydanticCustomError:
    """Make the error that a validator raises: what is wrong and what to write instead."""
    return PydanticCustomError("broker", "{message}", {"message": message, "hint": hint})


def _duration(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,6})?)\s*(ms|s|m|h|d)", value.strip())
    if not found:
        raise fault("not a duration", "write a number with ms, s, m, h or d, as in 30s")
    return timedelta(seconds=float(found[1]) * _SECONDS[found[2]])


def _size(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = re.fullmatch(r"(\d{1,12})\s*(B|KB|MB|GB)?", value.strip().upper())
    if not found:
        raise fault("not a size", "write a number with KB, MB or GB, as in 10MB")
    return int(found[1]) * _BYTES[found[2] or "B"]


def _ae_title(value: str) -> str:
    title = value.strip(" ")
    if not 1 <= len(title) <= 16 or not title.isascii() or not title.isprintable() or "\\" in title:
        raise fault("not an AE title", "1 to 16 ASCII characters, no backslash (PS3.5 6.2)")
    return title


def _name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}", value):
        raise fault("not a name", "up to 40 letters, digits, '-', '_' and '.'")
    return value


def _code(value: str) -> str:
    if not re.fullmatch(r"[A-Z0-9_ ]{0,16}", value):
        raise fault("not a DICOM code string", "up to 16 capitals, digits, spaces and '_', as in CT")
    return value


def _hl7_charset(value: str) -> str:
    if find_codec(value) is None:
        raise fault("no such character set", "for example UTF-8, windows-1252 or 8859/1")
    return value


def _dicom_charset(value: str) -> str:
    for term in filter(None, value.split("\\")):
        if term not in SPECIFIC_CHARACTER_SETS:
            hint = did_you_mean(term, SPECIFIC_CHARACTER_SETS)
            raise fault("no such Specific Character Set", hint or "for example ISO_IR 100 or ISO_IR 192")
    return value


def _event(value: str) -> str:
    if not any(fnmatchcase(event, value) for event in PUBLIC):
        raise fault("no such event", did_you_mean(value, PUBLIC) or 'for example study.available, "study.*" or "*"')
    return value


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (LookupError, ValueError, OSError):
        hint = did_you_mean(value, available_timezones()) or "a name of the IANA database, as in Europe/Madrid"
        raise fault("no such time zone", hint) from None
    return value


def _network(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return ip_network(value.strip())
    except ValueError:
        raise fault("not a network", "write an address or a network, as in 10.0.0.0/8") from None


def _beside(value: Path, info: ValidationInfo) -> Path:
    folder: Path = (info.context or {}).get("folder", Path())
    return Path(folder, value).resolve()


def _file(path: Path, info: ValidationInfo) -> Path:
    if _looks(info) and not path.is_file():
        raise fault("no such file", f"looked for {path}")
    return path


def _folder(path: Path, info: ValidationInfo) -> Path:
    if _looks(info) and not path.is_dir():
        raise fault("no such folder", f"looked for {path}")
    return path


def _looks(info: ValidationInfo) -> bool:
    """Say whether files that are named must be there."""
    return bool((info.context or {}).get("looks", True))


def _database(value: str, info: ValidationInfo) -> str:
    if re.fullmatch(r"postgresql://[^/\s]*/[^/\s]+", value):
        return value
    found = re.fullmatch(r"sqlite:///([^?]*[^?/:])", value)
    if not found:
        raise fault("not a database", "write sqlite:///path/to/file.db or postgresql://user:password@host/name")
    return f"sqlite:///{_beside(Path(found[1]), info)}"


def _mqtt_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise fault("not an MQTT address", "write mqtt://host:1883") from None
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path.strip("/") or port == 0:
        raise fault("not an MQTT address", "write mqtt://host:1883, or mqtts:// for TLS")
    return url


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _filled(value: Any) -> Any:
    if value in ("", []):
        raise fault("must not be empty")
    return value


def _frozen(value: Mapping[K, T]) -> Mapping[K, T]:
    return MappingProxyType(dict(value))


Duration = Annotated[timedelta, BeforeValidator(_duration)]
Size = Annotated[int, BeforeValidator(_size)]
AETitle = Annotated[str, AfterValidator(_ae_title)]
Name = Annotated[str, AfterValidator(_name)]
Code = Annotated[str, AfterValidator(_code)]
HL7Charset = Annotated[str, AfterValidator(_hl7_charset)]
DICOMCharset = Annotated[str, AfterValidator(_dicom_charset)]
EventPattern = Annotated[str, AfterValidator(_event)]
TimeZone = Annotated[str, AfterValidator(_timezone)]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
Host = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^\S+$")]
Port = Annotated[int, Field(ge=1, le=65535)]
ListeningPort = Annotated[int, Field(ge=0, le=65535)]
Location = Annotated[Path, AfterValidator(_beside)]
ExistingFile = Annotated[Path, AfterValidator(_beside), AfterValidator(_file)]
ExistingFolder = Annotated[Path, AfterValidator(_beside), AfterValidator(_folder)]
Database = Annotated[str, AfterValidator(_database)]
MqttUrl = Annotated[str, AfterValidator(_mqtt_url)]
Uid = Annotated[str, Field(max_length=64, pattern=r"^[0-2](\.(0|[1-9][0-9]*))+$")]
Listed = Annotated[tuple[T, ...], BeforeValidator(_listed)]
Filled = Annotated[tuple[T, ...], BeforeValidator(_listed), BeforeValidator(_filled)]
Named = Annotated[Mapping[K, T], AfterValidator(_frozen)]
