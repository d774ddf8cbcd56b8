"""What may be written in a configuration: every key, its kind and its default. Unknown keys are errors."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from broker.config.kinds import (
    AETitle,
    Code,
    Database,
    DICOMCharset,
    Duration,
    EventPattern,
    ExistingFile,
    ExistingFolder,
    Filled,
    HL7Charset,
    Host,
    Listed,
    ListeningPort,
    Location,
    MqttUrl,
    Name,
    Named,
    Network,
    Port,
    Size,
    TimeZone,
    Uid,
)

MEGABYTE = 1024 * 1024


class Settings(BaseModel):
    """A block of settings: frozen, no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class ListenerTLS(Settings):
    """Certificates of a listener; *client_ca* makes client certificates mandatory."""

    certificate: ExistingFile
    key: ExistingFile
    client_ca: ExistingFile | None = None


class DicomTLS(ListenerTLS):
    """DICOM over TLS, on a port of its own beside the plain one."""

    port: ListeningPort = 2762


class Listener(Settings):
    """An MLLP port for one sender or several."""

    host: Host = "127.0.0.1"
    port: ListeningPort = 2575
    charset: Filled[HL7Charset] = ("UTF-8", "windows-1252")
    on_refused: Literal["nak", "park"] = "nak"
    unhandled: Literal["ignore", "reject"] = "ignore"
    processing_ids: Listed[Annotated[str, Field(pattern=r"^[A-Z]$")]] = ("P",)
    transient: Literal["AR", "AE", "close"] = "AR"
    allow: Listed[Network] = ()
    max_message: Size = Field(default=10 * MEGABYTE, ge=1024, le=1024 * MEGABYTE)
    max_connections: int = Field(default=200, ge=1, le=100_000)
    frame_timeout: Duration = Field(default=timedelta(seconds=30), gt=timedelta())
    tls: ListenerTLS | None = None


class HL7(Settings):
    """HL7 in."""

    listeners: Named[Name, Listener] = {"his": Listener()}


class Node(Settings):
    """A DICOM application entity that the broker knows; its AE title is its key."""

    host: Host | None = None
    port: Port | None = None
    role: Literal["modality", "archive"] = "modality"
    modality: Code = ""
    charset: DICOMCharset = ""
    match: Literal["ae", "host"] = "ae"
    hide_started: bool = False
    completed_visible: Duration = timedelta()
    strict: bool = False
    sop_classes: Listed[Uid] = ()
    on_mismatch: Literal["forward", "hold"] | None = None


class Dicom(Settings):
    """The DICOM port and who may use it."""

    ae_title: AETitle = "BROKER"
    host: Host = "127.0.0.1"
    port: ListeningPort = 11112
    callers: Literal["any", "known"] = "any"
    max_associations: int = Field(default=500, ge=1, le=100_000)
    max_pdu: Size = Field(default=128 * 1024, ge=4096, le=16 * MEGABYTE)
    artim_timeout: Duration = Field(default=timedelta(seconds=30), gt=timedelta())
    tls: DicomTLS | None = None
    nodes: Named[AETitle, Node] = {}


class Studies(Settings):
    """What becomes of images. Without *quiet_period* the time goes by modality; a node's *on_mismatch* goes first."""

    quiet_period: Duration | None = None
    on_mismatch: Literal["forward", "hold"] = "forward"
    hold_max: Duration = Field(default=timedelta(minutes=30), gt=timedelta())
    on_unscheduled: Literal["forward"] = "forward"
    forward_to: Listed[AETitle] = ()


class HL7Destination(Settings):
    """A receiver of HL7 messages over MLLP. Sender and receiver are what its MSH-3 to MSH-6 say."""

    type: Literal["hl7"]
    host: Host = "127.0.0.1"
    port: Port
    mapping: str = "ihe/study-to-oru"
    events: Listed[EventPattern] = ("study.available",)
    sending_application: str = "RADBROKER"
    sending_facility: str = ""
    receiving_application: str = ""
    receiving_facility: str = ""
    processing_id: str = Field(default="P", pattern=r"^[A-Z]$")
    answer_timeout: Duration = Field(default=timedelta(seconds=30), gt=timedelta())


class MqttDestination(Settings):
    """An MQTT broker that gets CloudEvents; *phi* says how much of the patient is in them."""

    type: Literal["mqtt"]
    url: MqttUrl = "mqtt://127.0.0.1:1883"
    events: Listed[EventPattern] = ("*",)
    phi: Literal["full", "ids", "none"] = "ids"
    answer_timeout: Duration = Field(default=timedelta(seconds=30), gt=timedelta())


Destination = Annotated[HL7Destination | MqttDestination, Field(discriminator="type")]


class Web(Settings):
    """The console and the API."""

    host: Host = "127.0.0.1"
    port: ListeningPort = 8080
    auth: Literal["password", "none"] = "password"


class Retention(Settings):
    """How long things are kept after they are finished."""

    messages: Duration = Field(default=timedelta(days=90), gt=timedelta())
    events: Duration = Field(default=timedelta(days=400), gt=timedelta())
    delivered: Duration = Field(default=timedelta(days=30), gt=timedelta())


class Configuration(Settings):
    """A whole configuration; paths are absolute, names and numbers checked, see checks.py for what goes together."""

    site: Name = "demo"
    timezone: TimeZone = "Europe/Madrid"
    database: Database = "sqlite:///../var/broker.db"
    spool: Location = Path("../var/spool")
    mappings: ExistingFolder = Path("../mappings")
    hl7: HL7 = Field(default_factory=HL7)
    dicom: Dicom = Field(default_factory=Dicom)
    studies: Studies = Field(default_factory=Studies)
    destinations: Named[Name, Destination] = {}
    web: Web = Field(default_factory=Web)
    retention: Retention = Field(default_factory=Retention)

    @property
    def database_file(self) -> Path | None:
        """The file of an SQLite database; its lock is beside it."""
        return Path(self.database.removeprefix("sqlite:///")) if self.database.startswith("sqlite:") else None

    @property
    def socket(self) -> Path:
        """The Unix socket through which the command line talks to the running broker (mode 0600)."""
        file = self.database_file
        return file.with_suffix(".sock") if file else self.spool / "broker.sock"
