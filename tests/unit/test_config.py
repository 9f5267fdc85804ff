"""Where the configuration comes from, what is allowed, and what every error says."""

from __future__ import annotations

from pathlib import Path

import pytest

from kvraft.config import (
    KEYS,
    ConfigError,
    ServerConfig,
    environment_variable,
    flag,
    is_loopback,
    load_config,
    parse_address,
)
from kvraft.members import MemberAddresses
from kvraft.node.settings import NodeSettings
from kvraft.raft.settings import Settings

MEMBERS = "1=127.0.0.1:7001,127.0.0.1:7002 2=127.0.0.1:7003,127.0.0.1:7004 3=127.0.0.1:7005,127.0.0.1:7006"
FLAGS = {"node_id": "1", "cluster_name": "chat", "data_dir": "/var/lib/kvraft", "members": MEMBERS}
FILE = """
node_id = 2
cluster_name = "chat"
data_dir = "/var/lib/kvraft"
members = [
  { id = 1, client_address = "127.0.0.1:7001", peer_address = "127.0.0.1:7002" },
  { id = 2, client_address = "127.0.0.1:7003", peer_address = "127.0.0.1:7004" },
]
"""


def load(file: Path | None = None, environment: dict[str, str] | None = None, **flags: str) -> ServerConfig:
    return load_config(file=file, environment=environment or {}, flags=flags)


def load_with(**flags: str) -> ServerConfig:
    return load(**(FLAGS | flags))


def refused(**flags: str) -> str:
    with pytest.raises(ConfigError) as raised:
        load_with(**flags)
    return str(raised.value)


def refused_file(path: Path, text: str) -> str:
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        load(path)
    message = str(raised.value)
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kvraft.toml"


# --- sources ----------------------------------------------------------------------------------------


def test_everything_has_a_default_but_identity() -> None:
    config = load_with()
    assert config == ServerConfig(
        node_id=1,
        cluster_name="chat",
        data_dir=Path("/var/lib/kvraft"),
        client_address="127.0.0.1:7001",
        peer_address="127.0.0.1:7002",
        members={
            1: MemberAddresses("127.0.0.1:7001", "127.0.0.1:7002"),
            2: MemberAddresses("127.0.0.1:7003", "127.0.0.1:7004"),
            3: MemberAddresses("127.0.0.1:7005", "127.0.0.1:7006"),
        },
        election_timeout_ms=Settings().election_timeout_ms,
        heartbeat_interval_ms=Settings().heartbeat_interval_ms,
        flush_interval_ms=NodeSettings().flush_interval_ms,
        segment_bytes=64 << 20,
        log_retained_bytes=NodeSettings().log_retained_bytes,
        disk_reserve_bytes=256 << 20,
        memory_bytes_max=NodeSettings().memory_bytes_max,
        history_revisions_max=NodeSettings().history_revisions_max,
        history_bytes_max=NodeSettings().history_bytes_max,
        history_age_ms_max=NodeSettings().history_age_ms_max,
        log_level="info",
        log_format="text",
        insecure=False,
    )
    assert set(KEYS) == set(ServerConfig.__dataclass_fields__)


@pytest.mark.parametrize("key", FLAGS)
def test_identity_must_be_given(key: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load(**{other: text for other, text in FLAGS.items() if other != key})
    assert str(raised.value).startswith(f"{key} is not set")
    assert environment_variable(key) in str(raised.value)
    assert flag(key) in str(raised.value)


def test_the_file_then_the_environment_then_the_flags(path: Path) -> None:
    path.write_text(FILE + 'log_level = "debug"\nflush_interval_ms = 500\nsegment_bytes = 4_194_304\n')
    environment = {"KVRAFT_LOG_LEVEL": "warning", "KVRAFT_FLUSH_INTERVAL_MS": "600"}
    config = load(path, environment, log_level="error")
    assert (config.node_id, config.segment_bytes) == (2, 4 << 20)
    assert (config.flush_interval_ms, config.log_level) == (600, "error")


def test_everything_can_come_from_the_environment() -> None:
    texts = FLAGS | {"insecure": "true", "client_address": "0.0.0.0:7001", "log_format": "json"}
    config = load(environment={environment_variable(key): text for key, text in texts.items()})
    assert config == load(**texts)
    assert (config.insecure, config.client_address) == (True, "0.0.0.0:7001")


def test_variables_of_others_are_let_be() -> None:
    environment = {"KVRAFT_ENDPOINTS": "a:1", "KVRAFT_PORT": "tcp://10.0.0.1:7001"}
    assert load(environment=environment, **FLAGS) == load_with()


def test_members_are_sorted() -> None:
    words = MEMBERS.split()
    assert list(load_with(members=" ".join(reversed(words))).members) == [1, 2, 3]


def test_a_relative_directory_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_with(data_dir="data/1").data_dir == tmp_path / "data" / "1"


# --- the identity of a cluster ----------------------------------------------------------------------


def test_the_cluster_id_is_a_digest_of_name_and_voters() -> None:
    config = load_with()
    assert 0 <= config.cluster_id < 1 << 64
    assert config.cluster_id == load_with(node_id="2", data_dir="/elsewhere").cluster_id
    moved = MEMBERS.replace("127.0.0.1", "localhost")
    assert config.cluster_id == load_with(members=moved).cluster_id
    assert config.cluster_id != load_with(cluster_name="chat2").cluster_id
    assert config.cluster_id != load_with(members=MEMBERS.replace("3=", "4=")).cluster_id
    assert config.cluster_id != load_with(members=" ".join(MEMBERS.split()[:2])).cluster_id


def test_the_cluster_id_never_changes() -> None:
    assert load_with().cluster_id == 0x18D4DC02F72FBA97


# --- errors -----------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_read(path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(path)
    assert "is not TOML" in refused_file(path, "node_id = ")
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not TOML"):
        load(path)


def test_an_unknown_key_is_an_error_with_a_guess(path: Path) -> None:
    message = refused_file(path, FILE + "election_timeout = 5\n")
    assert message.startswith(": unknown key 'election_timeout' (did you mean election_timeout_ms?)")
    assert "did you mean" not in refused_file(path, FILE + "zzz = 5\n")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (
            'flush_interval_ms = "500"',
            "flush_interval_ms is '500'; it must be a whole number from 100 to 600,000",
        ),
        ("flush_interval_ms = true", "flush_interval_ms is True"),
        ("flush_interval_ms = 500.0", "flush_interval_ms is 500.0"),
        ('insecure = "true"', "insecure is 'true'; it must be true or false"),
        ("log_level = 3", "log_level is 3; it must be debug, info, warning or error"),
        ("client_address = 7001", "client_address is 7001; it must be host:port"),
    ],
)
def test_a_file_holds_values_of_their_type(path: Path, line: str, problem: str) -> None:
    assert problem in refused_file(path, FILE + line)


@pytest.mark.parametrize(
    ("members", "problem"),
    [
        ("members = 3", "members is 3; it must be tables [[members]]"),
        ("members = [1]", "members is [1]"),
        (
            "members = [{ id = 1 }]",
            "a member has no client_address; each needs id, client_address,",
        ),
        ("members = [{ id = 0, client_address = 'a:1', peer_address = 'a:2' }]", "id of a member is 0"),
        (
            "members = [{ id = 1, client_address = 'a', peer_address = 'a:2' }]",
            "client_address of a member is 'a'",
        ),
        (
            "members = [{ id = 1, client_adress = 'a:1', peer_address = 'a:2' }]",
            "a member has the unknown key 'client_adress' (did you mean client_address?)",
        ),
        ("members = []", "members is empty"),
    ],
)
def test_a_member_has_an_id_and_two_addresses(path: Path, members: str, problem: str) -> None:
    text = f"node_id = 1\ncluster_name = 'chat'\ndata_dir = '/d'\n{members}\n"
    assert f": {problem}" in refused_file(path, text)


@pytest.mark.parametrize("text", ["1", "1=a:1", "x=a:1,a:2", "1=a:1,a:2,a:3", "=a:1,a:2"])
def test_a_member_flag_has_its_form(text: str) -> None:
    assert refused(members=text).startswith(f"--member is {text!r}; it must be")


def test_an_error_names_its_source(path: Path) -> None:
    assert refused_file(path, FILE + "node_id = 0".replace("node_id", "segment_bytes")).startswith(
        ": segment_bytes"
    )
    with pytest.raises(ConfigError, match=r"^environment variable KVRAFT_NODE_ID is '0'; it must be a whole"):
        load(environment={"KVRAFT_NODE_ID": "0"}, **{k: v for k, v in FLAGS.items() if k != "node_id"})
    assert refused(node_id="zero").startswith("--node-id is 'zero'; it must be a whole number from 1 to")


@pytest.mark.parametrize(
    ("key", "minimum", "maximum"),
    [
        ("node_id", 1, (1 << 63) - 1),
        ("election_timeout_ms", 300, 60_000),
        ("heartbeat_interval_ms", 10, 300),
        ("flush_interval_ms", 100, 600_000),
        ("log_retained_bytes", 0, 1 << 50),
        ("disk_reserve_bytes", 0, 1 << 50),
        ("memory_bytes_max", 32 << 20, 1 << 40),
        ("history_revisions_max", 1, 1 << 40),
        ("history_bytes_max", 0, 1 << 50),
        ("history_age_ms_max", 0, 1 << 50),
    ],
)
def test_a_number_is_within_its_limits(key: str, minimum: int, maximum: int) -> None:
    for number in (minimum, maximum):
        members = {"members": MEMBERS.replace("1=", f"{number}=")} if key == "node_id" else {}
        assert getattr(load_with(**({key: str(number)} | members)), key) == number
    for number in (minimum - 1, maximum + 1):
        assert flag(key) in refused(**{key: str(number)})


def test_segments_are_whole_pages() -> None:
    for number in (64 << 10, 68 << 10, 1 << 30):
        assert load_with(segment_bytes=str(number)).segment_bytes == number
    for number in ((64 << 10) - 4_096, (64 << 10) + 1, (1 << 30) + 4_096):
        assert "--segment-bytes" in refused(segment_bytes=str(number))


def test_an_election_takes_at_least_two_heartbeats() -> None:
    assert load_with(election_timeout_ms="300", heartbeat_interval_ms="150").heartbeat_interval_ms == 150
    assert "at least twice" in refused(election_timeout_ms="299", heartbeat_interval_ms="150")
    assert refused(heartbeat_interval_ms="301").startswith("--heartbeat-interval-ms does not fit")


@pytest.mark.parametrize("name", ["a", "A.b_c-9", "x" * 64])
def test_a_cluster_name_is_plain(name: str) -> None:
    assert load_with(cluster_name=name).cluster_name == name


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "ä", "a\n"])
def test_a_cluster_name_is_nothing_else(name: str) -> None:
    assert "1 to 64 letters" in refused(cluster_name=name)


def test_this_node_is_a_member() -> None:
    assert refused(node_id="4") == "--node-id is 4, which is not a member; the members are 1, 2, 3"


def test_ids_and_addresses_are_unique() -> None:
    assert "node 1 is listed twice" in refused(members=f"{MEMBERS} 1=127.0.0.1:1,127.0.0.1:2")
    assert "127.0.0.1:7001 twice" in refused(members=f"{MEMBERS} 4=127.0.0.1:7001,127.0.0.1:2")
    assert "use two ports" in refused(client_address="127.0.0.1:9", peer_address="127.0.0.1:9")


# --- addresses --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:1", "127.0.0.1", 1),
        ("node-1.example.org:65535", "node-1.example.org", 65_535),
        ("[::1]:7001", "::1", 7_001),
        ("[2001:db8::1]:7001", "2001:db8::1", 7_001),
    ],
)
def test_an_address_is_host_and_port(text: str, host: str, port: int) -> None:
    assert parse_address(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        *("", "host", ":1", "host:", "host:0", "host:65536", "host:x", "host:-1", "host:\u0661", "host:1 "),
        *(
            "::1:7001",
            "[::1]",
            "[::g]:1",
            "[127.0.0.1]:1",
            "1.2.3:1",
            "256.1.1.1:1",
            "a b:1",
            "http://host:1",
        ),
    ],
)
def test_anything_else_is_not_an_address(text: str) -> None:
    with pytest.raises(ValueError, match="is not host:port"):
        parse_address(text)
    assert "it must be host:port" in refused(client_address=text)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1"])
def test_loopback_is_this_machine(address: str) -> None:
    assert is_loopback(address)
    assert load_with(client_address=address).client_address == address


@pytest.mark.parametrize("address", ["0.0.0.0:1", "10.0.0.1:1", "[::]:1", "example.org:1", "localhost.org:1"])
def test_plaintext_beyond_this_machine_must_be_asked_for(address: str) -> None:
    assert not is_loopback(address)
    for key in ("client_address", "peer_address"):
        message = refused(**{key: address})
        assert message.startswith(f"{flag(key)} has {address}, which other machines can reach")
        assert "insecure = true" in message
        assert getattr(load_with(**{key: address}, insecure="true"), key) == address
    members = f"{MEMBERS} 4=127.0.0.1:1,{address}"
    assert refused(members=members).startswith(f"--member has {address}")
    assert load_with(members=members, insecure="true").members[4].peer_address == address
