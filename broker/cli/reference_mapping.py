"""The page of the mapping language: settings, facts, attributes and problems, from the tables that the parser reads by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from broker.cli.reference import code, table
from broker.mapping import facts, types
from broker.mapping.explanations import EXPLANATIONS
from broker.mapping.expr import LENGTH_LIMIT, NESTING_LIMIT
from broker.mapping.items import TURNS_LIMIT
from broker.mapping.link import PARENTS_LIMIT
from broker.mapping.problems import PROBLEM_LIMIT
from broker.mapping.profiles import MODALITY_WORKLIST
from broker.mapping.spec import ACTIONS, CLEAN, CONVERSIONS, FILE, RULE, SEGMENT, TEST, Setting, Settings
from broker.mapping.terms import INHERITED_DEPTH, LET_DEPTH, WORK_LIMIT
from broker.mapping.yamlfile import DEPTH_LIMIT, NODE_LIMIT, SIZE_LIMIT

_HEAD = """\
# Mapping language: reference

What a line means is told in [mapping-language.md](../mapping-language.md); how to begin, in the
[tutorial](../tutorial-first-mapping.md). This page lists everything there is. `broker check` knows the same lists, and so does
an editor with the YAML language server (`broker schema mapping`).

## Sources and conditions

```ebnf
source    = term { "or" term } ;                          (* the first one with a value *)
term      = path | "$" name [ "." n [ "." n ] ] | fact | '"' text '"' ;
path      = SEG [ "[" pick "]" ] "-" n [ "[" pick "]" ] [ "." n [ "." n ] ] ;
pick      = n | n [ "." n ] "=" text | "*" ;              (* PID-3[2]   OBX[3.2=BODY WEIGHT]-5   AL1[*]-3.2 *)
fact      = name "." name { "." name } ;                  (* order.accession, message.received_at *)
condition = all { "or" all } ;   all = unit { "and" unit } ;   unit = [ "not" ] ( test | "(" condition ")" ) ;
test      = term ( "=" | "!=" ) '"'text'"' { "or" '"'text'"' }        (* OBR-24 = "CT" or "MR" *)
          | term "is" ( "present" | "missing" | "null" )
          | term "matches" '"'pattern'"'                  (* "CT*" *)
          | term "in" "table" name ;
```

Inside `{...}` a source with `[` or `,` needs quotes, as YAML wants it."""

_CLEANING: Mapping[str, str] = {
    "trim": "takes away spaces at both ends",
    "upper": "makes capitals",
    "digits": "keeps the digits alone",
    "remove": "takes away this text wherever it stands",
    "remove_prefix": "takes away this text at the beginning",
    "pad_left": "fills with zeros on the left, up to this length",
    "first": "keeps so many characters of the beginning",
    "last": "keeps so many characters of the end",
}
_CONVERTING: Mapping[str, str] = {
    "name": "a name in one text, as in `{name: 'Last, First'}`",
    "date": "a date in a form of its own, as in `{date: DD.MM.YYYY}`",
    "time": "a time in a form of its own, as in `{time: 'HH:mm'}`",
    "datetime": "both, as in `{datetime: 'DD.MM.YYYY HH:mm'}`",
    "code": "a coded entry: value, scheme, meaning",
    "text": "a text as it is",
    "number": "a number; a decimal comma becomes a point",
    "uid": "a UID, checked",
    "ae": "an AE title, checked",
}


def mapping_page() -> str:
    """Write the page."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield _HEAD
    yield from _settings("A file", FILE)
    yield from _settings("A rule", RULE)
    yield from _settings("A segment (`segments`, writing HL7)", SEGMENT)
    yield from _settings("A test (`tests`)", TEST)
    yield "\n## Actions\n"
    yield f"What `action` may make of an order control code: {', '.join(code(action) for action in ACTIONS)}."
    yield "\n## Cleaning steps (`clean`)\n"
    rows = [(code(f"{{{name}: ...}}" if CLEAN[name] else name), _CLEANING[name]) for name in CLEAN]
    yield from table(("step", "what it does"), rows)
    yield "\n## Conversions (`as`)\n"
    yield from table(("conversion", "reads"), [(code(name), _CONVERTING[name]) for name in CONVERSIONS])
    yield from _facts("Facts for mappings that read messages", facts.INBOUND)
    yield from _facts("Facts for mappings that write messages", facts.OUTBOUND)
    yield from _attributes()
    yield from _limits()
    yield from _problems()


def _settings(title: str, settings: Settings) -> Iterator[str]:
    yield f"\n## {title}\n"
    rows = [(code(name), setting.says + _choices(setting), code(setting.example)) for name, setting in settings.items()]
    yield from table(("setting", "what it is", "example"), rows)


def _choices(setting: Setting) -> str:
    return f": {', '.join(map(code, setting.choices))}" if setting.choices else ""


def _facts(title: str, known: Mapping[str, facts.FactKind]) -> Iterator[str]:
    yield f"\n## {title}\n"
    yield from table(("fact", "is a"), [(code(name), kind) for name, kind in known.items()])


def _attributes() -> Iterator[str]:
    profile = MODALITY_WORKLIST
    yield f"\n## Attributes of {profile.title}\n"
    yield "Any attribute of PS3.6 can be set. These are due in every entry (PS3.4 Table K.6-1: type 1 and 2, and 1C as 2) or may"
    yield "refuse an order, because they identify something.\n"
    rows = []
    for path in sorted({*profile.types, *profile.identifiers}, key=lambda path: (path.count("."), path)):
        attribute = types.find_attribute(path.rpartition(".")[2])
        assert attribute is not None
        missing = "refuses the order" if path in profile.indispensable else "sent empty"
        bad = "refuses the order" if path in profile.identifiers else "mended, or sent empty"
        kind = profile.types.get(path, "3")
        rows.append((code(path), attribute.tag, attribute.vr, kind, missing if kind != "3" else "left out", bad))
    yield from table(("attribute", "tag", "VR", "type", "without a value", "with a bad value"), rows)


def _limits() -> Iterator[str]:
    yield "\n## Limits\n"
    yield "No mapping needs more; a file that is larger by accident or on purpose is a problem, and delays nobody.\n"
    rows = (
        ("bytes of a mapping or a table", SIZE_LIMIT),
        ("values in a file", NODE_LIMIT),
        ("blocks and lists inside one another", DEPTH_LIMIT),
        ("characters of a source or condition", LENGTH_LIMIT),
        ("parentheses inside one another", NESTING_LIMIT),
        ("names of `let` inside one another", LET_DEPTH),
        ("mappings that stand one on another by `extends`", PARENTS_LIMIT),
        ("rules that inherit one from another by `$inherited`", INHERITED_DEPTH),
        ("sources of a mapping with its names written out", WORK_LIMIT),
        ("items that `each` makes of one order; the rest is left out, with a warning", TURNS_LIMIT),
        ("problems that are told of one file", PROBLEM_LIMIT),
    )
    yield from table(("what", "at most"), [(what, f"{limit:,}") for what, limit in rows])


def _problems() -> Iterator[str]:
    yield "\n## Problems\n"
    yield "What `broker check` reports. `broker explain M043` prints the same."
    for name, told in EXPLANATIONS.items():
        yield f"\n### {name}\n"
        yield f"**{told.title[:1].upper()}{told.title[1:]}.** {told.cause}\n"
        yield f"Instead of\n\n```text\n{told.wrong}\n```\n\nwrite\n\n```text\n{told.right}\n```"
