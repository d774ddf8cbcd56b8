"""What the web adapter must know of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import Literal

Auth = Literal["password", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """Where the console listens and who may use it; *zone* is the department's.

    *socket* is the Unix socket of the command line, made with mode 0600; None makes none. Port 0 takes a free one.
    *told_by* names the mapping of each destination that has one.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    auth: Auth = "password"
    zone: tzinfo
    site: str = ""
    version: str = ""
    socket: Path | None = None
    told_by: Mapping[str, str] = field(default_factory=dict)
