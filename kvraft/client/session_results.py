"""What calls about devices and sessions answer, as frozen values of plain Python types."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum

from kvraft.client.results import Header
from kvraft.v1 import session_pb2


class OpenMode(StrEnum):
    """What happens when a device has a session already."""

    TAKE_OVER = "take-over"
    """The new session takes its place."""
    FAIL_IF_OPEN = "fail-if-open"
    """The new session is refused: AlreadyExists (SESSION_OPEN)."""


@dataclass(frozen=True, slots=True)
class Device:
    """A device of a user."""

    device_id: str
    label: str
    """What people call it."""
    create_revision: int
    """The revision that registered it."""
    create_time: datetime
    revoke_time: datetime | None
    """Tokens issued to it until then are not accepted any more; None: it was never logged out alone."""

    @classmethod
    def of(cls, message: session_pb2.Device) -> Device:
        revoked = message.HasField("revoke_time")
        return cls(
            message.device_id,
            message.label,
            message.create_revision,
            message.create_time.ToDatetime(UTC),
            message.revoke_time.ToDatetime(UTC) if revoked else None,
        )


@dataclass(frozen=True, slots=True)
class Session:
    """Where a device is connected."""

    user_id: str
    device_id: str
    epoch: int
    """Fencing token: the revision that opened it. Higher epochs win."""
    lease_id: int
    """The lease it ends with."""
    gateway_address: str
    """Where the gateway is that holds the connection."""
    info: bytes
    """Opaque, for the application."""
    open_time: datetime

    @classmethod
    def of(cls, message: session_pb2.Session) -> Session:
        return cls(
            message.user_id,
            message.device_id,
            message.epoch,
            message.lease_id,
            message.gateway_address,
            message.info,
            message.open_time.ToDatetime(UTC),
        )


@dataclass(frozen=True, slots=True)
class RegisterDeviceResult:
    header: Header
    device: Device
    created: bool
    """Whether it is new."""
    device_set_revision: int
    """The revision at which the user's set of devices changed last."""


@dataclass(frozen=True, slots=True)
class DeviceList:
    header: Header
    devices: tuple[Device, ...]
    """At most 6, by the order of their registration."""
    device_set_revision: int
    """The revision at which the user's set of devices changed last."""
    revoke_time: datetime | None
    """Tokens of the user issued until then are not accepted any more; None: never logged out everywhere."""


@dataclass(frozen=True, slots=True)
class RemoveDeviceResult:
    header: Header
    purged_messages: int
    """How many messages were queued for the device and are gone."""
    device_set_revision: int
    """The revision of the user's set of devices."""


@dataclass(frozen=True, slots=True)
class OpenSessionResult:
    header: Header
    session: Session
    replaced_epoch: int
    """The epoch of the session whose place it took; 0: there was none."""


@dataclass(frozen=True, slots=True)
class CloseSessionResult:
    header: Header
    closed: bool
    """Whether this call closed it."""


@dataclass(frozen=True, slots=True)
class RevokeSessionsResult:
    header: Header
    closed_sessions: int
    """How many sessions were open."""
    revoke_time: datetime
    """Tokens issued until then are not accepted any more."""


@dataclass(frozen=True, slots=True)
class GetSessionResult:
    header: Header
    session: Session


@dataclass(frozen=True, slots=True)
class SessionPage:
    header: Header
    sessions: tuple[Session, ...]
    """By user and device."""
    next_page_token: str
    """Token of the next page; empty on the last one."""


@dataclass(frozen=True, slots=True)
class Presence:
    """What a viewer sees of a user."""

    user_id: str
    online: bool
    """Whether any device has a session."""
    last_seen_day: date | None
    """If not: the day (UTC) on which a session of theirs last ended; None: never, or not for this viewer."""

    @classmethod
    def of(cls, message: session_pb2.GetPresenceResponse.Presence) -> Presence:
        seen = message.HasField("last_seen_day")
        return cls(
            message.user_id,
            message.online,
            message.last_seen_day.ToDatetime(UTC).date() if seen else None,
        )


@dataclass(frozen=True, slots=True)
class PresenceResult:
    header: Header
    presences: tuple[Presence, ...]
    """One for each user that was asked for, in order."""
