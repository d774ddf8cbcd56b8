"""Items inside A-ASSOCIATE PDUs: the walk over them, and the user information (PS3.8 9.3.2, Annex D; PS3.7 D.3.3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from broker.ul.fault import ProtocolError

_ITEM: Final = struct.Struct(">BxH")
_SHORT: Final = struct.Struct(">H")
_LONG: Final = struct.Struct(">I")
_PAIR: Final = struct.Struct(">HH")


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSelection:
    """Which roles the requestor of the association takes for a SOP class: asked for, or granted (PS3.7 D.3.3.4)."""

    sop_class: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtendedNegotiation:
    """Service-class application information for a SOP class (PS3.7 D.3.3.5)."""

    sop_class: str
    information: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class UserIdentity:
    """Who the requestor says it is (PS3.7 D.3.3.7). Never shown: it may be a password."""

    kind: int
    is_answer_wanted: bool
    primary: bytes = field(repr=False)
    secondary: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UserInformation:
    """The user information item. *max_length* limits the P-DATA-TF PDUs that its sender takes, 0 is no limit.

    *asynchronous* is (operations invoked, performed); without it one operation at a time.
    """

    max_length: int = 0
    implementation_uid: str = ""
    implementation_version: str = ""
    asynchronous: tuple[int, int] | None = None
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    identity: UserIdentity | None = None


def item(kind: int, content: bytes) -> bytes:
    """Write one item; *content* is at most 65,535 bytes."""
    return _ITEM.pack(kind, len(content)) + content


@lru_cache(maxsize=4096)
def uid_item(kind: int, uid: str) -> bytes:
    """Write an item that holds a UID alone."""
    return item(kind, uid.encode("ascii", "replace"))


def items(content: bytes, offset: int) -> list[tuple[int, bytes]]:
    """List the items of *content* from *offset*: (type, content of the item). Raises ProtocolError."""
    found = []
    end = len(content)
    while offset < end:
        if end - offset < 4:
            raise ProtocolError("an A-ASSOCIATE PDU ends inside the header of an item")
        start = offset + 4
        offset = start + (content[offset + 2] << 8 | content[offset + 3])
        if offset > end:
            raise ProtocolError("an item is longer than the PDU that holds it")
        found.append((content[start - 4], content[start:offset]))
    return found


@lru_cache(maxsize=4096)
def decode_uid(content: bytes) -> str:
    """Read a UID, tolerant of padding."""
    return content.decode("ascii", "replace").strip("\0 ")


def encode_ae(title: str) -> bytes:
    """Write an AE title in 16 bytes, padded with spaces."""
    return title.encode("ascii", "replace")[:16].ljust(16)


def decode_ae(content: bytes) -> str:
    """Read an AE title without the spaces around it, which do not count (PS3.8 Table 9-11)."""
    return content.decode("ascii", "replace").strip("\0 ")


def encode_user_information(user: UserInformation) -> bytes:
    """Write the user information item with its sub-items in ascending order."""
    parts = [item(0x51, _LONG.pack(user.max_length)), item(0x52, user.implementation_uid.encode("ascii"))]
    if user.asynchronous is not None:
        parts.append(item(0x53, _PAIR.pack(*user.asynchronous)))
    parts += [
        item(0x54, _prefixed(role.sop_class.encode("ascii")) + bytes((role.scu, role.scp))) for role in user.roles
    ]
    if user.implementation_version:
        parts.append(item(0x55, user.implementation_version.encode("ascii", "replace")[:16]))
    parts += [item(0x56, _prefixed(each.sop_class.encode("ascii")) + each.information) for each in user.extended]
    if user.identity is not None:
        head = bytes((user.identity.kind, user.identity.is_answer_wanted))
        parts.append(item(0x58, head + _prefixed(user.identity.primary) + _prefixed(user.identity.secondary)))
    return item(0x50, b"".join(parts))


def decode_user_information(content: bytes) -> UserInformation:
    """Read the content of the user information item; sub-items that are not known are skipped. Raises ProtocolError."""
    length, uid, version = 0, "", ""
    asynchronous: tuple[int, int] | None = None
    roles: list[RoleSelection] = []
    extended: list[ExtendedNegotiation] = []
    identity: UserIdentity | None = None
    for kind, value in items(content, 0):
        match kind:
            case 0x51:
                length = _exactly(_LONG, value)[0]
            case 0x52:
                uid = decode_uid(value)
            case 0x53:
                invoked, performed = _exactly(_PAIR, value)
                asynchronous = invoked, performed
            case 0x54:
                roles.append(_decode_role(value))
            case 0x55:
                version = decode_ae(value)
            case 0x56:
                sop_class, rest = _split(value)
                extended.append(ExtendedNegotiation(sop_class=decode_uid(sop_class), information=rest))
            case 0x58:
                identity = _decode_identity(value)
    return UserInformation(
        max_length=length,
        implementation_uid=uid,
        implementation_version=version,
        asynchronous=asynchronous,
        roles=tuple(roles),
        extended=tuple(extended),
        identity=identity,
    )


def _prefixed(content: bytes) -> bytes:
    return _SHORT.pack(len(content)) + content


def _split(content: bytes) -> tuple[bytes, bytes]:
    if len(content) < 2 or len(content) < 2 + _SHORT.unpack_from(content)[0]:
        raise ProtocolError("a sub-item of the user information is shorter than it says")
    end = 2 + _SHORT.unpack_from(content)[0]
    return content[2:end], content[end:]


def _exactly(form: struct.Struct, content: bytes) -> tuple[int, ...]:
    if len(content) != form.size:
        raise ProtocolError(f"a sub-item of the user information has {len(content)} bytes instead of {form.size}")
    return form.unpack(content)


def _decode_role(content: bytes) -> RoleSelection:
    sop_class, rest = _split(content)
    if len(rest) != 2:
        raise ProtocolError("a role selection sub-item does not end in two roles")
    return RoleSelection(sop_class=decode_uid(sop_class), scu=bool(rest[0]), scp=bool(rest[1]))


def _decode_identity(content: bytes) -> UserIdentity:
    if len(content) < 2:
        raise ProtocolError("a user identity sub-item has no type")
    primary, rest = _split(content[2:])
    secondary, _ = _split(rest)
    return UserIdentity(kind=content[0], is_answer_wanted=bool(content[1]), primary=primary, secondary=secondary)
