"""The tables of PS3.6, and a start that loads no more than it needs."""

from __future__ import annotations

import subprocess
import sys

from pydicom.datadict import DicomDictionary, keyword_dict
from pydicom.uid import UID_dictionary
from pynetdicom import AllStoragePresentationContexts

from broker.dicom.storage_classes import STORAGE_CLASSES
from broker.standard import ATTRIBUTES, TAGS, UIDS


def test_the_tables_are_those_of_pydicom() -> None:
    assert dict(ATTRIBUTES) == DicomDictionary
    assert UIDS.items() <= UID_dictionary.items()  # pynetdicom adds some of its own
    assert {keyword: tag for keyword, tag in keyword_dict.items() if keyword} == TAGS


def test_every_storage_class_that_pynetdicom_knows_is_taken() -> None:
    assert {str(context.abstract_syntax) for context in AllStoragePresentationContexts} <= STORAGE_CLASSES


def test_a_start_loads_only_the_libraries_that_it_needs() -> None:
    seldom = {"alembic", "aiomqtt", "hl7apy", "httpx", "psycopg", "pydicom", "pynetdicom"}
    code = f"import sys, broker.app; print(sorted({seldom!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert found.stdout == "[]\n"
