"""Devices of users, who of them is connected where, and who is online."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC

from kvraft.client.arguments import checked
from kvraft.client.failover import Failover
from kvraft.client.gateway import Gateway
from kvraft.client.lease import Leases
from kvraft.client.listing import PAGE_SIZE, Listing
from kvraft.client.method import Method
from kvraft.client.pipeline import Pipeline
from kvraft.client.reading import LINEARIZABLE, Consistency, consistency_fields
from kvraft.client.releases import Releases
from kvraft.client.results import Header
from kvraft.client.session_results import (
    CloseSessionResult,
    Device,
    DeviceList,
    GetSessionResult,
    OpenMode,
    OpenSessionResult,
    Presence,
    PresenceResult,
    RegisterDeviceResult,
    RemoveDeviceResult,
    RevokeSessionsResult,
    Session,
    SessionPage,
)
from kvraft.client.session_watch import SessionWatch
from kvraft.client.user_data import write
from kvraft.v1 import session_pb2

_SERVICE = "/kvraft.v1.SessionService/"
_LIST_DEVICES = Method(_SERVICE + "ListDevices", session_pb2.ListDevicesResponse.FromString)
_GET = Method(_SERVICE + "GetSession", session_pb2.GetSessionResponse.FromString)
_LIST = Method(_SERVICE + "ListSessions", session_pb2.ListSessionsResponse.FromString)
_PRESENCE = Method(_SERVICE + "GetPresence", session_pb2.GetPresenceResponse.FromString)


_MODES = {
    OpenMode.TAKE_OVER: session_pb2.OPEN_MODE_TAKE_OVER,
    OpenMode.FAIL_IF_OPEN: session_pb2.OPEN_MODE_FAIL_IF_OPEN,
}


@checked
class Sessions:
    """`client.sessions`. Every method raises KvraftError; NotFound where there is no such user
    (USER_NOT_FOUND), device (DEVICE_NOT_FOUND) or session (SESSION_NOT_FOUND)."""

    __slots__ = ("_failover", "_leases", "_pipeline", "_releases")

    def __init__(self, failover: Failover, pipeline: Pipeline, leases: Leases, releases: Releases) -> None:
        self._failover = failover
        self._pipeline = pipeline
        self._leases = leases
        self._releases = releases

    # --- devices ------------------------------------------------------------------------------

    async def register_device(self, user_id: str, device_id: str, *, label: str = "") -> RegisterDeviceResult:
        """Adds a device (1 to 32 bytes) to a user (1 to 64 bytes), and the user if it is the first one; a
        device that is there gets the label (at most 64 bytes). Raises ResourceExhausted (TOO_MANY_DEVICES)
        at the seventh."""
        request = session_pb2.RegisterDeviceRequest(user_id=user_id, device_id=device_id, label=label)
        header, response = await write(self._pipeline, "register_device", request)
        return RegisterDeviceResult(
            header, Device.of(response.device), response.created, response.device_set_revision
        )

    async def list_devices(self, user_id: str, *, consistency: Consistency = LINEARIZABLE) -> DeviceList:
        """Lists a user's devices."""
        level, min_revision = consistency_fields(consistency)
        request = session_pb2.ListDevicesRequest(
            user_id=user_id, consistency=level, min_revision=min_revision
        )
        response = await self._failover.call(_LIST_DEVICES, request)
        revoked = response.HasField("revoke_time")
        return DeviceList(
            Header.of(response.header),
            tuple(map(Device.of, response.devices)),
            response.device_set_revision,
            response.revoke_time.ToDatetime(UTC) if revoked else None,
        )

    async def remove_device(self, user_id: str, device_id: str) -> RemoveDeviceResult:
        """Removes a device with its session, its queue and its dead letters. Raises FailedPrecondition
        (LAST_DEVICE) if it is the user's last one."""
        request = session_pb2.RemoveDeviceRequest(user_id=user_id, device_id=device_id)
        header, response = await write(self._pipeline, "remove_device", request)
        return RemoveDeviceResult(header, response.purged_messages, response.device_set_revision)

    # --- sessions -----------------------------------------------------------------------------

    async def open(
        self,
        user_id: str,
        device_id: str,
        lease_id: int,
        *,
        gateway_address: str = "",
        mode: OpenMode = OpenMode.TAKE_OVER,
        info: bytes = b"",
    ) -> OpenSessionResult:
        """Opens the session of a device, which ends with the lease: see `gateway`. `gateway_address` (at most
        255 bytes) and `info` (at most 1,024 bytes) are the application's. Raises FailedPrecondition
        (LEASE_EXPIRED) and, with FAIL_IF_OPEN, AlreadyExists (SESSION_OPEN)."""
        request = session_pb2.OpenSessionRequest(
            user_id=user_id,
            device_id=device_id,
            lease_id=lease_id,
            gateway_address=gateway_address,
            mode=_MODES[mode],
            info=info,
        )
        header, response = await write(self._pipeline, "open_session", request)
        return OpenSessionResult(header, Session.of(response.session), response.replaced_epoch)

    async def close(self, user_id: str, device_id: str, epoch: int) -> CloseSessionResult:
        """Closes a session, unless another one has taken its place or it has ended."""
        request = session_pb2.CloseSessionRequest(user_id=user_id, device_id=device_id, epoch=epoch)
        header, response = await write(self._pipeline, "close_session", request)
        return CloseSessionResult(header, response.closed)

    async def revoke(self, user_id: str, device_id: str = "") -> RevokeSessionsResult:
        """Logs a user out everywhere, or one device: closes the sessions, and records the time up to which
        tokens are not accepted any more. Queues are kept."""
        request = session_pb2.RevokeSessionsRequest(user_id=user_id, device_id=device_id)
        header, response = await write(self._pipeline, "revoke_sessions", request)
        return RevokeSessionsResult(header, response.closed_sessions, response.revoke_time.ToDatetime(UTC))

    async def get(
        self, user_id: str, device_id: str, *, consistency: Consistency = LINEARIZABLE
    ) -> GetSessionResult:
        """Tells where a device is connected."""
        level, min_revision = consistency_fields(consistency)
        request = session_pb2.GetSessionRequest(
            user_id=user_id, device_id=device_id, consistency=level, min_revision=min_revision
        )
        response = await self._failover.call(_GET, request)
        return GetSessionResult(Header.of(response.header), Session.of(response.session))

    async def list(
        self,
        *,
        user_id: str = "",
        lease_id: int = 0,
        page_size: int = 50,
        page_token: str = "",
        consistency: Consistency = LINEARIZABLE,
    ) -> SessionPage:
        """Reads one page, at most `page_size` (1 to 1,000), of the sessions of a user or of a lease; one of
        the two is to be given. For the next page give its `next_page_token`."""
        level, min_revision = consistency_fields(consistency)
        request = session_pb2.ListSessionsRequest(
            page_size=page_size, page_token=page_token, consistency=level, min_revision=min_revision
        )
        if (user_id != "") == (lease_id != 0):
            raise ValueError("give a user_id or a lease_id")
        if user_id:
            request.user_id = user_id
        else:
            request.lease_id = lease_id
        response = await self._failover.call(_LIST, request)
        return SessionPage(
            Header.of(response.header),
            tuple(map(Session.of, response.sessions)),
            response.next_page_token,
        )

    def all(self, lease_id: int, *, consistency: Consistency = LINEARIZABLE) -> Listing[Session]:
        """Iterates over all sessions of a lease."""

        async def read_page(token: str) -> tuple[tuple[Session, ...], str]:
            page = await self.list(
                lease_id=lease_id, page_size=PAGE_SIZE, page_token=token, consistency=consistency
            )
            return page.sessions, page.next_page_token

        return Listing(read_page)

    def watch(
        self, *, user_ids: Sequence[str] = (), lease_id: int = 0, from_revision: int = 0
    ) -> SessionWatch:
        """Watches the sessions of 1 to 1,000 users, or of a lease, from a revision on; without one, from now
        on. Raises ValueError unless one of the two is given."""
        if bool(user_ids) == bool(lease_id):
            raise ValueError("give user_ids or a lease_id")
        return SessionWatch(
            failover=self._failover,
            user_ids=tuple(user_ids),
            lease_id=lease_id,
            from_revision=from_revision,
        )

    async def presence(
        self, viewer_id: str, user_ids: Sequence[str], *, consistency: Consistency = LINEARIZABLE
    ) -> PresenceResult:
        """Tells of 1 to 100 users who is online, as the viewer may know."""
        level, min_revision = consistency_fields(consistency)
        request = session_pb2.GetPresenceRequest(
            viewer_id=viewer_id, user_ids=user_ids, consistency=level, min_revision=min_revision
        )
        response = await self._failover.call(_PRESENCE, request)
        return PresenceResult(Header.of(response.header), tuple(map(Presence.of, response.presences)))

    def gateway(self, address: str, ttl_s: float = 10.0) -> Gateway:
        """A gateway, whose sessions live as long as its block runs and its process lives:

        async with client.sessions.gateway("10.0.0.7:443") as gateway:
            session = await gateway.open("alice", "phone")
            async for message in client.messages.receive("alice", "phone", epoch=session.epoch):
                ...

        Sessions cost no lease each, and receivers no stream: those of a client share one to the leader.
        """
        return Gateway(self, self._leases.hold(ttl_s), self._releases, address)
