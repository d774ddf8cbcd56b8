"""Loading a configuration from text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from broker.config.load import Loaded, load
from broker.config.problems import InvalidConfiguration

Load = Callable[..., Loaded]
Refused = Callable[..., str]


@pytest.fixture
def loaded(tmp_path: Path) -> Load:
    """Load a configuration with that text, in a folder beside one with mappings."""

    def load_text(text: str, environment: Mapping[str, str] | None = None, name: str = "broker.yaml") -> Loaded:
        (tmp_path / "mappings").mkdir(exist_ok=True)
        folder = tmp_path / "config"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
        return load(folder / name, environment or {})

    return load_text


@pytest.fixture
def refused(loaded: Load, tmp_path: Path) -> Refused:
    """Load a configuration that is wrong; what is told, with paths cut to ``broker.yaml``."""

    def refuse_text(text: str, environment: Mapping[str, str] | None = None) -> str:
        with pytest.raises(InvalidConfiguration) as invalid:
            loaded(text, environment)
        return invalid.value.message.replace(f"{tmp_path}/config/", "")

    return refuse_text
