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
    """Its certificate with the chain, PEM."""
    key: ExistingFile
    """The certificate's key, PEM."""
    client_ca: ExistingFile | None = None
    """Who signs client certificates; with it every client needs one."""


class DicomTLS(ListenerTLS):
    """DICOM over TLS, on a port of its own beside the plain one."""

    port: ListeningPort = 2762
    """The port for TLS; the plain one stays."""


class Listener(Settings):
    """An MLLP port for one sender or several."""

    host: Host = "127.0.0.1"
    """Where it listens; 0.0.0.0 is every address of the machine."""
    port: ListeningPort = 2575
    """The port; 0 takes a free one."""
    charset: Filled[HL7Charset] = ("UTF-8", "windows-1252")
    """Tried in this order when MSH-18 is empty."""
    on_refused: Literal["nak", "park"] = "nak"
    """nak answers AE or AR; park stores the message, answers AA, and a person mends it."""
    unhandled: Literal["ignore", "reject"] = "ignore"
    """Events that the site does not use are answered AA, or refused."""
    processing_ids: Listed[Annotated[str, Field(pattern=r"^[A-Z]$")]] = ("P",)
    """MSH-11 that is taken; anything else is answered AR."""
    transient: Literal["AR", "AE", "close"] = "AR"
    """The answer when the broker cannot write for a while; close hangs up."""
    allow: Listed[Network] = ()
    """Addresses and networks that may connect; empty: everybody who reaches the port."""
    max_message: Size = Field(default=10 * MEGABYTE, ge=1024, le=1024 * MEGABYTE)
    """Larger messages are refused."""
    max_connections: int = Field(default=200, ge=1, le=100_000)
    """Connections at one time."""
    frame_timeout: Duration = Field(default=timedelta(seconds=30), gt=timedelta())
    """For a frame that has begun; an idle connection stays open."""
    tls: ListenerTLS | None = None
    """TLS instead of plain text on this port."""


class HL7(Settings):
    """HL7 in."""

    listeners: Named[Name, Listener] = {"his": Listener()}
    """MLLP ports by a name of yours, one for each sender or group of senders; without any, `his` with what is below."""


class Node(Settings):
    """A DICOM application entity that the broker knows; its AE title is its key."""

    host: Host | None = None
    """Its address; needed for archives and for match: host."""
    port: Port | None = None
    """Its port; needed for archives."""
    role: Literal["modality", "archive"] = "modality"
    """What it is to the broker."""
    modality: Code = ""
    """Which steps it is shown, as in CT; empty: every modality."""
    charset: DICOMCharset = ""
    """Of its worklist; empty: what the query and the answer need."""
    match: Literal["ae", "host"] = "ae"
    """With callers: known, who counts as this node: by AE title, or by address too."""
    hide_started: bool = False
    """Whether a step that is started leaves its worklist."""
    completed_visible: Duration = timedelta()
    """How long a completed step stays on its worklist."""
    strict: bool = False
    """MPPS by the book (PS3.4 F.7.2): faults are refused, not mended."""
    sop_classes: Listed[Uid] = ()
    """Private storage SOP classes that it may send, by UID."""
    on_mismatch: Literal["forward", "hold"] | None = None
    """What becomes of its images of another patient; without it what studies.on_mismatch says."""


class Dicom(Settings):
    """The DICOM port and who may use it."""

    ae_title: AETitle = "BROKER"
    """The broker's AE title."""
    host: Host = "127.0.0.1"
    """Where it listens; 0.0.0.0 is every address of the machine."""
    port: ListeningPort = 11112
    """The port; 0 takes a free one."""
    callers: Literal["any", "known"] = "any"
    """Who may call: everybody, or the nodes only. To be written out when host is not loopback."""
    max_associations: int = Field(default=500, ge=1, le=100_000)
    """Associations at one time."""
    max_pdu: Size = Field(default=128 * 1024, ge=4096, le=16 * MEGABYTE)
    """The largest PDU that the broker takes."""
    artim_timeout: Duration = Field(default=timedelta(seconds=30), gt=timedelta())
    """For a connection that asks for no association."""
    tls: DicomTLS | None = None
    """A second port, for DICOM over TLS."""
    nodes: Named[AETitle, Node] = {}
    """Scanners, archives and viewers by AE title."""


class Studies(Settings):
    """What becomes of images. Without *quiet_period* the time goes by modality; a node's *on_mismatch* goes first."""

    quiet_period: Duration | None = None
    """Without an image for so long a study is complete, where no MPPS says so; without it MR 20m, US 15m, others 10m."""
    on_mismatch: Literal["forward", "hold"] = "forward"
    """Images of another patient than the order: forwarded, and told; or held until a person decides."""
    hold_max: Duration = Field(default=timedelta(minutes=30), gt=timedelta())
    """What is held is released so long after its first object, and flagged."""
    on_unscheduled: Literal["forward"] = "forward"
    """Images without an order."""
    forward_to: Listed[AETitle] = ()
    """Nodes that get every object; without one they wait in the spool."""


class HL7Destination(Settings):
    """A receiver of HL7 messages over MLLP. Sender and receiver are what its MSH-3 to MSH-6 say."""

    type: Literal["hl7"]
    """An HL7 receiver."""
    host: Host = "127.0.0.1"
    """Its address."""
    port: Port
    """Its port."""
    mapping: str = "ihe/study-to-oru"
    """The mapping that writes its messages."""
    events: Listed[EventPattern] = ("study.available",)
    """What it is told: names, or patterns as in study.*."""
    sending_application: str = "RADBROKER"
    """MSH-3."""
    sending_facility: str = ""
    """MSH-4."""
    receiving_application: str = ""
    """MSH-5."""
    receiving_facility: str = ""
    """MSH-6."""
    processing_id: str = Field(default="P", pattern=r"^[A-Z]$")
    """MSH-11."""
    answer_timeout: Duration = Field(default=timedelta(seconds=30), gt=timedelta())
    """How long an answer is waited for before the message is sent again."""


class MqttDestination(Settings):
    """An MQTT broker that gets CloudEvents; *phi* says how much of the patient is in them. *mapping*: JSON by a mapping instead."""

    type: Literal["mqtt"]
    """An MQTT broker."""
    url: MqttUrl = "mqtt://127.0.0.1:1883"
    """Its address; mqtts is TLS, user:password@host gives a password."""
    events: Listed[EventPattern] = ("*",)
    """What it is told: names, or patterns as in study.*."""
    mapping: str = ""
    """The mapping to mqtt/event that writes what it gets; without one, CloudEvents."""
    phi: Literal["full", "ids", "none"] = "ids"
    """How much of the patient an event holds."""
    answer_timeout: Duration = Field(default=timedelta(seconds=30), gt=timedelta())
    """How long its confirmation is waited for before the event is sent again."""


Destination = Annotated[HL7Destination | MqttDestination, Field(discriminator="type")]


class Web(Settings):
    """The console and the API."""

    host: Host = "127.0.0.1"
    """Where it listens; 0.0.0.0 is every address of the machine."""
    port: ListeningPort = 8080
    """The port; 0 takes a free one."""
    auth: Literal["password", "none"] = "password"
    """Who may see it: users with a password, or everybody; none is for loopback hosts only."""


class Retention(Settings):
    """How long things are kept after they are finished."""

    messages: Duration = Field(default=timedelta(days=90), gt=timedelta())
    """Received HL7 messages."""
    events: Duration = Field(default=timedelta(days=400), gt=timedelta())
    """The lives of orders, and what is on the lists to look at."""
    delivered: Duration = Field(default=timedelta(days=30), gt=timedelta())
    """Notices that have arrived."""


class Configuration(Settings):
    """A whole configuration; paths are absolute, names and numbers checked, see checks.py for what goes together."""

    site: Name = "demo"
    """In MQTT topics and in generated identifiers."""
    timezone: TimeZone = "Europe/Madrid"
    """Local time of the department."""
    database: Database = "sqlite:///../var/broker.db"
    """An SQLite file, or a PostgreSQL server (docs/postgresql.md)."""
    spool: Location = Path("../var/spool")
    """The folder of DICOM objects on their way; each broker has its own."""
    mappings: ExistingFolder = Path("../mappings")
    """The folder of mappings, tables and samples."""
    hl7: HL7 = Field(default_factory=HL7)
    """HL7 in."""
    dicom: Dicom = Field(default_factory=Dicom)
    """Worklist, MPPS and images."""
    studies: Studies = Field(default_factory=Studies)
    """What becomes of images."""
    destinations: Named[Name, Destination] = {}
    """Who is told, by a name of yours."""
    web: Web = Field(default_factory=Web)
    """The console and the API."""
    retention: Retention = Field(default_factory=Retention)
    """How long things are kept."""

    @property
    def database_file(self) -> Path | None:
        """The file of an SQLite database; its lock is beside it."""
        return Path(self.database.removeprefix("sqlite:///")) if self.database.startswith("sqlite:") else None

    @property
    def socket(self) -> Path:
        """The Unix socket through which the command line talks to the running broker (mode 0600)."""
        file = self.database_file
        return file.with_suffix(".sock") if file else self.spool / "broker.sock"
