"""Keys and values as lines of a file: what `export` writes and `import` reads (docs/kvctl.md)."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from kvctl.encoding import printable_json
from kvctl.message_lines import BadLineError

if TYPE_CHECKING:
    from kvraft.client import KeyValue, Put

KEY_BYTES_MAX = 480
VALUE_BYTES_MAX = 1 << 20


def render(kv: KeyValue) -> bytes:
    """The line of a key."""
    fields: dict[str, Any] = {**_field("key", kv.key), **_field("value", kv.value)}
    if kv.lease_id:
        fields["lease_id"] = kv.lease_id
    return printable_json(json.dumps(fields, ensure_ascii=False, separators=(",", ":"))).encode() + b"\n"


def parse(line: bytes) -> tuple[Put, bool]:
    """What a line stores, and whether the key was attached to a lease. Raises BadLineError."""
    from kvraft.client import Put

    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLineError(f"it is no JSON: {error}") from None
    if not isinstance(fields, dict):
        raise BadLineError("it is no JSON object")
    key, value = _data(fields, "key"), _data(fields, "value")
    if not 1 <= len(key) <= KEY_BYTES_MAX:
        raise BadLineError(f"the key has {len(key):,} bytes; 1 to {KEY_BYTES_MAX} are allowed")
    if len(value) > VALUE_BYTES_MAX:
        raise BadLineError(f"the value has {len(value):,} bytes; at most {VALUE_BYTES_MAX:,} are allowed")
    return Put(key, value), bool(fields.get("lease_id"))


def _field(name: str, data: bytes) -> dict[str, str]:
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_b64": base64.b64encode(data).decode()}


def _data(fields: dict[str, Any], name: str) -> bytes:
    """`ls -o json` has both forms, the text `null` where it is none."""
    packed, text = fields.get(f"{name}_b64"), fields.get(name)
    given = packed if packed is not None else text
    if not isinstance(given, str):
        raise BadLineError(f"it has no text `{name}` or `{name}_b64`")
    try:
        return given.encode() if packed is None else base64.b64decode(given, validate=True)
    except binascii.Error:
        raise BadLineError(f"`{name}_b64` is no base64") from None
    except UnicodeError:
        raise BadLineError(f"`{name}` has half of a surrogate pair, which is no character") from None
