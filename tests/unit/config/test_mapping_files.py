"""The mappings folder on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.config.mapping_files import SIZE_LIMIT, read_mapping_files
from broker.errors import ConfigurationError


def test_files_are_named_by_their_path_below_the_folder(tmp_path: Path) -> None:
    (tmp_path / "sites").mkdir()
    (tmp_path / "sites" / "north.yaml").write_bytes(b"mapping: sites/north")
    (tmp_path / "rooms.csv").write_bytes(b"room,ae")
    (tmp_path / "notes.txt").write_bytes(b"not ours")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "x.yaml").write_bytes(b"hidden")
    assert read_mapping_files(tmp_path) == {"sites/north.yaml": b"mapping: sites/north", "rooms.csv": b"room,ae"}


def test_a_folder_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as raised:
        read_mapping_files(tmp_path / "nowhere")
    assert raised.value.code == "C040"


def test_a_file_that_is_too_large_is_a_configuration_error(tmp_path: Path) -> None:
    (tmp_path / "large.hl7").write_bytes(b"x" * (SIZE_LIMIT + 1))
    with pytest.raises(ConfigurationError) as raised:
        read_mapping_files(tmp_path)
    assert raised.value.code == "C041"
