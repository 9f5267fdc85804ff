"""Devices: what a user is reached on. The first one makes the user, and the last one stays until the user is
erased."""

from __future__ import annotations

from kvraft.machine.results import Failed, FailureReason
from kvraft.machine.users import keys, queues, sessions
from kvraft.machine.users.rows import find_device, find_user
from kvraft.machine.users.space import SessionEnd, UserSpace
from kvraft.v1 import session_pb2, user_data_pb2

DEVICES_MAX = 6


def register(
    space: UserSpace, request: session_pb2.RegisterDeviceRequest
) -> session_pb2.RegisterDeviceResponse | Failed:
    """A new device, or a new label for one that is there."""
    found = find_user(space.state, request.user_id)
    user, previous = (user_data_pb2.UserRow(), None) if found is None else found
    device = find_device(user, request.device_id)
    created = device is None
    if device is None:
        if len(user.devices) == DEVICES_MAX:
            return Failed(FailureReason.TOO_MANY_DEVICES)
        device = user.devices.add(device_id=request.device_id, create_revision=space.revision)
        device.create_time.FromMilliseconds(space.clock_ms)
        user.device_set_revision = space.revision
    if created or device.label != request.label:
        device.label = request.label
        space.put(keys.user_key(request.user_id), user.SerializeToString(deterministic=True), previous)
    return session_pb2.RegisterDeviceResponse(
        device=device, created=created, device_set_revision=user.device_set_revision
    )


def remove(
    space: UserSpace, request: session_pb2.RemoveDeviceRequest
) -> session_pb2.RemoveDeviceResponse | Failed:
    """Nothing that belongs to the device is left."""
    user_id, device_id = request.user_id, request.device_id
    found = find_user(space.state, user_id)
    device = None if found is None else find_device(found[0], device_id)
    if found is None or device is None:
        return Failed(FailureReason.DEVICE_NOT_FOUND, name=device_id)
    if len(found[0].devices) == 1:
        return Failed(FailureReason.LAST_DEVICE)
    sessions.end(space, user_id, device_id, SessionEnd.REMOVED)
    purged = queues.remove(space, user_id, device_id)
    _forget(space, user_id, device_id)
    return session_pb2.RemoveDeviceResponse(purged_messages=purged, device_set_revision=space.revision)


def _forget(space: UserSpace, user_id: str, device_id: str) -> None:
    found = find_user(space.state, user_id)
    assert found is not None, f"user {user_id!r} had the device just now"
    user, previous = found
    left = [device for device in user.devices if device.device_id != device_id]
    del user.devices[:]
    user.devices.extend(left)
    user.device_set_revision = space.revision
    space.put(keys.user_key(user_id), user.SerializeToString(deterministic=True), previous)
