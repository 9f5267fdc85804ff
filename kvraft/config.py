"""What a node is told: a TOML file, then KVRAFT_* variables, then flags, the later one winning.

Every value is checked where it enters, so that an error can say where it was found; what concerns
several values is checked at the end. docs/operations.md lists every key.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, NoReturn

from kvraft.members import MemberAddresses
from kvraft.node.settings import NodeSettings
from kvraft.raft.settings import Settings

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]

_NODE_ID_MAX = (1 << 63) - 1


class ConfigError(Exception):
    """The configuration is wrong. The message says where, what was found and what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Everything `kvraft serve` can be told."""

    node_id: int
    cluster_name: str
    data_dir: Path
    """Absolute."""
    client_address: str
    """host:port to listen at for clients."""
    peer_address: str
    """host:port to listen at for the other members."""
    members: Mapping[int, MemberAddresses]
    """By node id, ascending, this node included: those the cluster is created with."""
    election_timeout_ms: int = Settings().election_timeout_ms
    heartbeat_interval_ms: int = Settings().heartbeat_interval_ms
    flush_interval_ms: int = NodeSettings().flush_interval_ms
    segment_bytes: int = 64 << 20
    erasure_delay_ms: int = NodeSettings().erasure_delay_ms
    log_retained_bytes: int = NodeSettings().log_retained_bytes
    client_connections_max: int = 10_000
    """Fewer if the limit of open files leaves fewer."""
    disk_reserve_bytes: int = 256 << 20
    """With less free on the disk, writes that grow the state are refused."""
    memory_bytes_max: int = NodeSettings().memory_bytes_max
    history_revisions_max: int = NodeSettings().history_revisions_max
    history_bytes_max: int = NodeSettings().history_bytes_max
    history_age_ms_max: int = NodeSettings().history_age_ms_max
    log_level: LogLevel = "info"
    log_format: LogFormat = "text"
    insecure: bool = False
    """Plaintext also beyond this machine."""

    @property
    def cluster_id(self) -> int:
        """Unsigned 64 bits, equal on all members: a digest of the cluster's name and voters."""
        digest = hashlib.blake2b(self.cluster_name.encode(), digest_size=8)
        for node_id in sorted(self.members):
            digest.update(b"\0" + node_id.to_bytes(8, "big"))
        return int.from_bytes(digest.digest(), "big")


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of "host:port" or "[IPv6]:port". Raises ValueError."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", text)
    if match is None or not 1 <= int(match[3]) <= 65_535:
        raise ValueError(f"{text!r} is not host:port")
    host = match[1] or match[2]
    try:
        if match[1] is not None:
            ipaddress.IPv6Address(host)
        elif re.fullmatch(r"[0-9.]+", host):
            ipaddress.IPv4Address(host)
    except ValueError as error:
        raise ValueError(f"{text!r} is not host:port: {error}") from None
    return host, int(match[3])


def is_loopback(address: str) -> bool:
    """Whether only this machine can reach a (valid) address."""
    host, _ = parse_address(address)
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def load_config(
    *, file: Path | None, environment: Mapping[str, str], flags: Mapping[str, str]
) -> ServerConfig:
    """Reads and checks everything. `flags` are texts by key, with members as in KVRAFT_MEMBERS.

    Raises ConfigError.
    """
    found = _Found()
    if file is not None:
        found.read_file(file)
    # Other names that begin with KVRAFT_ are not ours to judge: Kubernetes makes up KVRAFT_PORT for a
    # service called kvraft, and kvctl has its own.
    for key in KEYS:
        variable = environment_variable(key)
        if variable in environment:
            found.read_text(f"environment variable {variable}", key, environment[variable])
    for key, text in flags.items():
        found.read_text(flag(key), key, text)
    return found.config()


def environment_variable(key: str) -> str:
    """The variable that sets a key."""
    return f"KVRAFT_{key.upper()}"


def flag(key: str) -> str:
    """The flag of `kvraft serve` that sets a key."""
    return "--member" if key == "members" else f"--{key.replace('_', '-')}"


@dataclass(frozen=True, slots=True)
class _Kind:
    """How the value of a key is read. Both readers raise ValueError."""

    allowed: str
    metavar: str
    """What stands for the value in the usage of a command."""
    from_toml: Callable[[Any], Any]
    from_text: Callable[[str], Any]


def _whole_number(minimum: int, maximum: int, unit: str, multiple_of: int = 1) -> _Kind:
    def from_toml(value: object) -> int:
        if type(value) is not int or not minimum <= value <= maximum or value % multiple_of:
            raise ValueError(value)
        return value

    allowed = f"a whole number from {minimum:,} to {maximum:,}{unit}"
    return _Kind(allowed, "N", from_toml, lambda text: from_toml(int(text)))


def _text(pattern: str, metavar: str, allowed: str) -> _Kind:
    def from_toml(value: object) -> str:
        if not isinstance(value, str) or re.fullmatch(pattern, value) is None:
            raise ValueError(value)
        return value

    return _Kind(allowed, metavar, from_toml, from_toml)


def _read_address(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(value)
    parse_address(value)
    return value


def read_directory(value: object) -> Path:
    """An absolute path. Raises ValueError."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(value)
    try:
        return Path(value).expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"{value}: there is no such user") from None


def _read_boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(value)
    return value


def _read_boolean_text(text: str) -> bool:
    return {"true": True, "false": False}[text]


def _read_members(value: object) -> dict[int, MemberAddresses]:
    if not isinstance(value, list) or not all(isinstance(table, dict) for table in value):
        raise ValueError(value)
    members: dict[int, MemberAddresses] = {}
    for table in value:
        for key in table:
            if key not in _MEMBER_KEYS:
                raise ConfigError(f"a member has the unknown key {key!r}{_did_you_mean(key, _MEMBER_KEYS)}")
        fields: dict[str, Any] = {}
        for key, kind in _MEMBER_KEYS.items():
            if key not in table:
                raise ConfigError(f"a member has no {key}; each needs {', '.join(_MEMBER_KEYS)}")
            try:
                fields[key] = kind.from_toml(table[key])
            except ValueError:
                raise ConfigError(f"{key} of a member is {table[key]!r}; it must be {kind.allowed}") from None
        node_id = fields.pop("id")
        if node_id in members:
            raise ConfigError(f"node {node_id} is listed twice; an id belongs to one node for ever")
        members[node_id] = MemberAddresses(**fields)
    return members


def _read_members_text(text: str) -> dict[int, MemberAddresses]:
    tables: list[dict[str, object]] = []
    for word in text.split():
        match = re.fullmatch(r"([0-9]+)=([^,=]+),([^,=]+)", word)
        if match is None:
            raise ValueError(text)
        tables.append({"id": int(match[1]), "client_address": match[2], "peer_address": match[3]})
    return _read_members(tables)


_NODE_ID = _whole_number(1, _NODE_ID_MAX, "")
_ADDRESS = _Kind(
    "host:port, or [IPv6]:port, with a port from 1 to 65,535", "HOST:PORT", _read_address, _read_address
)
_MILLISECONDS = " (milliseconds)"
_BYTES = " (bytes)"

_MEMBER_KEYS = {"id": _NODE_ID, "client_address": _ADDRESS, "peer_address": _ADDRESS}

KEYS: Mapping[str, _Kind] = {
    "node_id": _NODE_ID,
    "cluster_name": _text(
        r"[A-Za-z0-9._-]{1,64}", "NAME", "1 to 64 letters, digits, dots, underscores and hyphens"
    ),
    "data_dir": _Kind(
        "the path of a directory, with ~user only for users there are",
        "DIRECTORY",
        read_directory,
        read_directory,
    ),
    "client_address": _ADDRESS,
    "peer_address": _ADDRESS,
    "members": _Kind(
        "tables [[members]] with id, client_address and peer_address (as a flag or variable: "
        "ID=CLIENT_ADDRESS,PEER_ADDRESS)",
        "ID=CLIENT,PEER",
        _read_members,
        _read_members_text,
    ),
    "election_timeout_ms": _whole_number(50, 60_000, _MILLISECONDS),
    "heartbeat_interval_ms": _whole_number(10, 30_000, _MILLISECONDS),
    "flush_interval_ms": _whole_number(100, 600_000, _MILLISECONDS),
    "segment_bytes": _whole_number(64 << 10, 1 << 30, _BYTES + ", a multiple of 4096", multiple_of=4_096),
    "erasure_delay_ms": _whole_number(0, 1 << 40, _MILLISECONDS),
    "log_retained_bytes": _whole_number(0, 1 << 50, _BYTES),
    "client_connections_max": _whole_number(1, 1_000_000, ""),
    "disk_reserve_bytes": _whole_number(0, 1 << 50, _BYTES),
    "memory_bytes_max": _whole_number(32 << 20, 1 << 40, _BYTES),
    "history_revisions_max": _whole_number(1, 1 << 40, ""),
    "history_bytes_max": _whole_number(0, 1 << 50, _BYTES),
    "history_age_ms_max": _whole_number(0, 1 << 50, _MILLISECONDS),
    "log_level": _text("debug|info|warning|error", "LEVEL", "debug, info, warning or error"),
    "log_format": _text("text|json", "FORMAT", "text or json"),
    "insecure": _Kind("true or false", "BOOLEAN", _read_boolean, _read_boolean_text),
}
"""Every key, and how its value is read."""


class _Found:
    """The values found so far, and where each came from."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._sources: dict[str, str] = {}

    def read_file(self, path: Path) -> None:
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise ConfigError(f"{path}: is not TOML: {error}") from None
        for key, value in table.items():
            if key not in KEYS:
                raise ConfigError(
                    f"{path}: unknown key {key!r}{_did_you_mean(key, KEYS)}; the keys are {', '.join(KEYS)}"
                )
            self._read(f"{path}: {key}", key, value, KEYS[key].from_toml)

    def read_text(self, source: str, key: str, text: str) -> None:
        self._read(source, key, text, KEYS[key].from_text)

    def _read(self, source: str, key: str, value: object, read: Callable[[Any], Any]) -> None:
        try:
            self._values[key] = read(value)
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from None
        except (ValueError, LookupError):
            raise ConfigError(f"{source} is {value!r}; it must be {KEYS[key].allowed}") from None
        self._sources[key] = source

    def config(self) -> ServerConfig:
        """The whole, checked across its parts."""
        values = self._values
        for key in ("node_id", "cluster_name", "data_dir", "members"):
            if key not in values:
                raise ConfigError(
                    f"{key} is not set; set it in the configuration file, by {environment_variable(key)} "
                    f"or by {flag(key)}: {KEYS[key].allowed}"
                )
        node_id = values["node_id"]
        members: dict[int, MemberAddresses] = dict(sorted(values["members"].items()))
        values["members"] = members
        self._check_members(members)
        if node_id not in members:
            ids = ", ".join(map(str, members))
            self._refuse("node_id", f"is {node_id}, which is not a member; the members are {ids}")
        for key in ("client_address", "peer_address"):
            if key not in values:
                values[key] = getattr(members[node_id], key)
                self._sources[key] = self._sources["members"]
        config = ServerConfig(**values)
        self._check_timing(config)
        self._check_plaintext(config)
        return config

    def _check_members(self, members: Mapping[int, MemberAddresses]) -> None:
        if not members:
            self._refuse("members", "is empty; list every member, this node included")
        seen: set[str] = set()
        for member in members.values():
            for address in (member.client_address, member.peer_address):
                if address in seen:
                    self._refuse("members", f"has {address} twice; each service needs an address of its own")
                seen.add(address)

    def _check_timing(self, config: ServerConfig) -> None:
        if 2 * config.heartbeat_interval_ms > config.election_timeout_ms:
            key = "election_timeout_ms" if "election_timeout_ms" in self._sources else "heartbeat_interval_ms"
            self._refuse(
                key,
                f"does not fit: the election timeout ({config.election_timeout_ms} ms) must be at least "
                f"twice the heartbeat interval ({config.heartbeat_interval_ms} ms)",
            )

    def _check_plaintext(self, config: ServerConfig) -> None:
        if config.client_address == config.peer_address:
            self._refuse(
                "peer_address", f"is {config.peer_address}, which is also client_address; use two ports"
            )
        if config.insecure:
            return
        named = [("client_address", config.client_address), ("peer_address", config.peer_address)]
        for member in config.members.values():
            named += [("members", member.client_address), ("members", member.peer_address)]
        for key, address in named:
            if not is_loopback(address):
                self._refuse(
                    key,
                    f"has {address}, which other machines can reach, and this version speaks plaintext only; "
                    "use a loopback address such as 127.0.0.1, or, on a network you trust, set "
                    "insecure = true (--insecure)",
                )

    def _refuse(self, key: str, problem: str) -> NoReturn:
        raise ConfigError(f"{self._sources[key]} {problem}")


def _did_you_mean(key: str, known: Mapping[str, object]) -> str:
    close = get_close_matches(key, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
