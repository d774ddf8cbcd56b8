"""Do destinations and the mappings that they name go together: is there one, does it read what the destination hears?"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from broker.config.model import Configuration, HL7Destination, MqttDestination
from broker.config.problems import did_you_mean
from broker.config.source import Complaint
from broker.domain.events import PUBLIC
from broker.mapping.build import Mapping
from broker.mapping.catalogue import Catalogue

_EVENTS = "broker/"


def unfit(configuration: Configuration, catalogue: Catalogue) -> Iterator[Complaint]:
    """Find the destinations whose mapping is not there, makes something else, or does not read what they hear."""
    for name, destination in configuration.destinations.items():
        if not destination.mapping:
            continue
        location = ("destinations", name, "mapping")
        mapping = catalogue.get(destination.mapping)
        if mapping is None:
            hint = did_you_mean(destination.mapping, catalogue.entries) or f"known: {', '.join(catalogue.entries)}"
            yield location, f"there is no mapping {destination.mapping} in {configuration.mappings}", hint
        elif not mapping.source.startswith(_EVENTS):
            hint = "name one with `from: broker/...`, as ihe/study-to-oru"
            yield location, f"the mapping {destination.mapping} reads {mapping.source}, not events", hint
        elif not mapping.target.startswith(f"{destination.type}/"):
            hint = f"name one with `to: {destination.type}/...`"
            yield location, f"the mapping {destination.mapping} makes {mapping.target}", hint
        elif unread := _unread(destination, mapping):
            read = mapping.source.removeprefix(_EVENTS)
            message = f"it hears {', '.join(unread)}, which {mapping.name} does not read (from: {mapping.source})"
            hint = f"write events: [{_quoted(read)}], or name a mapping that is made for them"
            yield ("destinations", name, "events"), message, hint


def _unread(destination: HL7Destination | MqttDestination, mapping: Mapping) -> list[str]:
    """Give what of the destination's events its mapping has no message for, in the words of the configuration.

    A pattern with ``*`` is told by the events that it stands for. A study that was extended is corrected with the
    mapping of its availability where HL7 is written.
    """
    wanted = mapping.source.removeprefix(_EVENTS)
    heard = [event for event in sorted(PUBLIC) if any(fnmatchcase(event, one) for one in destination.events)]
    if destination.type == "hl7":
        heard = ["study.available" if event == "study.extended" else event for event in heard]
    return [event for event in dict.fromkeys(heard) if not fnmatchcase(event, wanted)]


def _quoted(pattern: str) -> str:
    return f'"{pattern}"' if pattern.startswith("*") else pattern
