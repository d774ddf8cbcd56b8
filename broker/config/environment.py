"""Environment overrides: ``BROKER__HL7__LISTENERS__HIS__PORT=2600`` sets ``hl7.listeners.his.port``."""

from __future__ import annotations

from dataclasses import replace

from broker.config.problems import Place, Problem
from broker.config.source import Node, Reader

PREFIX = "BROKER__"


def override(root: Node, reader: Reader) -> Node:
    """Lay every ``BROKER__...`` variable over the tree; keys match without case, a new name is added.

    A value that starts with ``[`` or ``{`` is read as YAML, any other is text.
    """
    for variable in sorted(name for name in reader.environment if name.upper().startswith(PREFIX)):
        place = Place(variable=variable)
        parts = tuple(variable[len(PREFIX) :].split("__"))
        if not all(parts):
            reader.problems.append(Problem(place=place, message="an empty key", hint="write BROKER__SECTION__KEY"))
            continue
        value = _value(reader, reader.environment[variable], place)
        if value is not None:
            root = _set(root, parts, value, place)
    return root


def _value(reader: Reader, text: str, place: Place) -> Node | None:
    if text[:1] not in ("[", "{"):
        return Node(value=reader.scalar(text, place), place=place, key_place=place)
    inner = Reader(folder=reader.folder, environment=reader.environment)
    node = inner.read(f"value: {text}")
    reader.problems.extend(replace(problem, place=place) for problem in inner.problems)
    return _placed(node.nearest(("value",)), place) if node and not inner.problems else None


def _placed(node: Node, place: Place) -> Node:
    value = node.value
    if isinstance(value, dict):
        value = {key: _placed(child, place) for key, child in value.items()}
    elif isinstance(value, list):
        value = [_placed(child, place) for child in value]
    return Node(value=value, place=place, key_place=place)


def _set(node: Node, parts: tuple[str, ...], value: Node, place: Place, above: str = "") -> Node:
    if not parts:
        return value
    children = dict(node.value) if isinstance(node.value, dict) else {}
    key = _key(parts[0], children, above)
    child = children.get(key) or Node(value={}, place=place, key_place=place)
    children[key] = _set(child, parts[1:], value, place, key)
    if isinstance(node.value, dict):
        return replace(node, value=children)
    return Node(value=children, place=place, key_place=place)


def _key(part: str, children: dict[str, Node], above: str) -> str:
    """Find the key meant by *part*; names of nodes are AE titles and keep their case, others are lower case."""
    existing = next((key for key in children if key.casefold() == part.casefold()), None)
    return existing or (part if above == "nodes" else part.lower())
