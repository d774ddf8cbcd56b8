"""The tables of DICOM PS3.6: those of pydicom, read without pydicom, whose import costs a sixth of all imports."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any


def _table(module: str, name: str) -> Any:
    """Load *module* of pydicom alone: it holds a table and imports nothing."""
    library = find_spec("pydicom")
    assert library is not None
    assert library.origin is not None
    spec = spec_from_file_location(f"{__name__}.{module}", Path(library.origin).with_name(f"{module}.py"))
    assert spec is not None
    assert spec.loader is not None
    table = module_from_spec(spec)
    spec.loader.exec_module(table)
    return getattr(table, name)


ATTRIBUTES: Mapping[int, tuple[str, str, str, str, str]] = _table("_dicom_dict", "DicomDictionary")
"""Tag as group * 65536 + element -> VR, value multiplicity, name, ``Retired`` or nothing, keyword (PS3.6 section 6)."""

UIDS: Mapping[str, tuple[str, str, str, str, str]] = _table("_uid_dict", "UID_dictionary")
"""UID -> name, type, a remark, ``Retired`` or nothing, keyword (PS3.6 Annex A)."""

TAGS: Mapping[str, int] = {keyword: tag for tag, (_, _, _, _, keyword) in ATTRIBUTES.items() if keyword}
"""Keyword -> tag."""
