"""A child's segments and its parent's, in one order: which meet, where new ones go, which are dropped.

Of rules and of YAML blocks alike: a segment meets the parent's next one of its name and its ``each``.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")

_DROPPED = re.compile(r"([A-Z][A-Z0-9]{2})(?:\[([1-9][0-9]?)\])?(?:-([1-9][0-9]{0,2}(?:\.[1-9][0-9]?){0,2}))?")


def joined(
    children: Iterable[T], parents: Sequence[T], key: Callable[[T], Hashable], merge: Callable[[T, T], T]
) -> list[T]:
    """Put *children* among *parents*, whose order stays.

    Those with the same *key* meet, the first the first, and become one by *merge*; any other goes behind the one that
    stands before it in the child, or, with none before it, to the end.
    """
    slots: list[list[T]] = [[one] for one in parents]
    waiting: defaultdict[Hashable, deque[int]] = defaultdict(deque)
    for number, one in enumerate(parents):
        waiting[key(one)].append(number)
    end: list[T] = []
    behind = end
    for child in children:
        if places := waiting[key(child)]:
            behind = slots[places.popleft()]
            behind[0] = merge(child, behind[0])
        else:
            behind.append(child)
    return [*(one for slot in slots for one in slot), *end]


def without(
    segments: Sequence[T], dropped: Iterable[str], name: Callable[[T], str], less: Callable[[T, str], T]
) -> tuple[list[T], set[str]]:
    """Drop segments and fields: ``NTE``, ``OBX[2]``, ``OBR-25``, ``OBX[2]-11``; also tell which of *dropped* were there.

    *less* gives a segment without a field and what stands below it, the same one when it has none.
    """
    wanted = [(text, found) for text in dropped if (found := _DROPPED.fullmatch(text))]
    kept: list[T] = []
    gone: set[str] = set()
    counts = Counter[str]()
    for segment in segments:
        counts[name(segment)] += 1
        meant = [(t, f) for t, f in wanted if f[1] == name(segment) and f[2] in (None, str(counts[name(segment)]))]
        gone.update(text for text, found in meant if not found[3])
        if any(not found[3] for _, found in meant):
            continue
        for text, found in meant:
            before, segment = segment, less(segment, found[3])
            if segment is not before:
                gone.add(text)
        kept.append(segment)
    return kept, gone
