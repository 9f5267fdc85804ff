"""MessageService but for receiving: what it accepts, and what it answers."""

from __future__ import annotations

import base64
import struct
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from kvraft.errors import Reason
from kvraft.v1 import client_pb2, common_pb2, contact_pb2, message_pb2, pipeline_pb2, session_pb2
from tests.unit.rpc.conftest import Failed, Service

NOW_MS = 1_700_000_000_000
SERVICE = message_pb2.SEND_VIEW_SERVICE
TEXT = message_pb2.CONTENT_TYPE_TEXT


@pytest.fixture(autouse=True)
def bob(service: Service) -> None:
    """Has a phone."""
    service.node.wall_ms = NOW_MS
    register(service, "bob", "phone")


def register(service: Service, user_id: str, device_id: str) -> None:
    request = session_pb2.RegisterDeviceRequest(user_id=user_id, device_id=device_id)
    service.call(service.session.RegisterDevice, request)


def message(message_id: str = "m1", **fields: Any) -> message_pb2.Message:
    if "group_id" not in fields:
        fields = {"user_id": "bob"} | fields
    return message_pb2.Message(
        **{"message_id": message_id, "sender_id": "ada", "content_type": TEXT} | fields  # type: ignore[arg-type]
    )


def request(message_id: str = "m1", **fields: Any) -> message_pb2.SendMessageRequest:
    """`fields` of the request."""
    return message_pb2.SendMessageRequest(**{"message": message(message_id)} | fields)


def send(service: Service, message_id: str = "m1", **fields: Any) -> Any:
    return service.call(service.message.SendMessage, request(message_id, **fields))


def refusal(service: Service, method: str, asked: Message) -> Failed:
    with pytest.raises(Failed) as failed:
        service.call(getattr(service.message, method), asked)
    return failed.value


def queue(service: Service, user_id: str = "bob", device_id: str = "phone") -> message_pb2.Queue:
    asked = message_pb2.GetQueueRequest(user_id=user_id, device_id=device_id)
    found = service.call(service.message.GetQueue, asked).queue
    assert isinstance(found, message_pb2.Queue)
    return found


class TestSend:
    def test_a_sender_learns_that_it_was_accepted(self, service: Service) -> None:
        answer = send(service)
        assert answer.accept_time.ToMilliseconds() == NOW_MS
        assert (answer.header.revision, answer.header.member_id) == (2, 1)
        assert (answer.outcome, answer.queued_devices, list(answer.device_results)) == (0, 0, [])

    def test_a_service_learns_everything(self, service: Service) -> None:
        answer = send(service, view=SERVICE)
        assert (answer.outcome, answer.queued_devices) == (message_pb2.SEND_OUTCOME_QUEUED, 1)
        (result,) = answer.device_results
        assert (result.user_id, result.device_id, result.seq) == ("bob", "phone", 1)

    def test_the_answer_to_a_duplicate_is_the_first_one_at_its_revision(self, service: Service) -> None:
        first = send(service, view=SERVICE)
        send(service, "m2")
        again = send(service, view=SERVICE)
        assert again.duplicate
        again.duplicate = False
        assert again == first

    def test_a_blocked_sender_sees_no_difference_and_a_service_does(self, service: Service) -> None:
        register(service, "cyd", "phone")
        block = contact_pb2.BlockUserRequest(user_id="bob", blocked_id="ada")
        service.call(service.contact.BlockUser, block)
        blocked, other = send(service), send(service, message=message(user_id="cyd"))
        blocked.header.revision += 1
        assert blocked == other
        outcome = send(service, "m2", view=SERVICE).outcome
        assert outcome == message_pb2.SEND_OUTCOME_BLOCKED

    def test_what_the_state_does_not_allow_is_told(self, service: Service) -> None:
        failed = refusal(service, "SendMessage", request(message=message(user_id="eve")))
        assert (failed.code, failed.reason) == (grpc.StatusCode.NOT_FOUND, Reason.USER_NOT_FOUND.value)
        send(service)
        other = request(message=message(payload=b"other"))
        failed = refusal(service, "SendMessage", other)
        assert (failed.code, failed.reason, failed.applied) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            Reason.MESSAGE_ID_REUSED.value,
            "no",
        )

    @pytest.mark.parametrize(
        ("field", "fields"),
        [
            ("message.message_id", {"message_id": ""}),
            ("message.message_id", {"message_id": "x" * 37}),
            ("message.message_id", {"message_id": "a\nb"}),
            ("message.sender_id", {"sender_id": ""}),
            ("message.sender_device_id", {"sender_device_id": "x" * 33}),
            ("message.user_id", {"user_id": ""}),
            ("message.user_id", {"user_id": "x" * 65}),
            ("message.group_id", {"group_id": "x" * 65}),
            ("message.content_type", {"content_type": 0}),
            ("message.content_type", {"content_type": message_pb2.CONTENT_TYPE_RECEIPT}),
            ("message.content_type", {"content_type": 99}),
            ("message.payload", {"payload": b"x" * ((64 << 10) + 1)}),
            ("message.conversation_id", {"conversation_id": "x" * 65}),
            ("message.client_time", {"client_time": {"nanos": -1}}),
            ("message.media.uri", {"media": {}}),
            ("message.media.uri", {"media": {"uri": "x" * 2049}}),
            ("message.media.mime_type", {"media": {"uri": "x", "mime_type": "x" * 129}}),
            ("message.media.sha256", {"media": {"uri": "x", "sha256": b"x"}}),
        ],
    )
    def test_a_message_keeps_the_rules(self, service: Service, field: str, fields: dict[str, Any]) -> None:
        asked = request(message=message(**fields))
        for method, sent in (("SendMessage", asked), ("SendMessage", _ephemeral(asked))):
            failed = refusal(service, method, sent)
            assert (failed.code, failed.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)

    def test_the_largest_message_is_accepted(self, service: Service) -> None:
        media = {"uri": "x" * 2048, "mime_type": "x" * 128, "sha256": b"x" * 32}
        largest = message("x" * 36, payload=b"x" * (64 << 10), conversation_id="x" * 64, media=media)
        send(service, message=largest, collapse_key="x" * 64, ttl={"seconds": 366 * 86_400})
        assert queue(service).live_bytes == 256 + (64 << 10) + 2048 + 128

    @pytest.mark.parametrize(
        ("field", "fields"),
        [
            ("message.destination", {"message": message_pb2.Message(message_id="m", sender_id="ada")}),
            ("ttl", {"ttl": {"nanos": 999_999_999}}),
            ("ttl", {"ttl": {"seconds": 366 * 86_400, "nanos": 1}}),
            ("ttl", {"ttl": {"seconds": 2, "nanos": -1}}),
            ("expire_time", {"expire_time": {"seconds": 253_402_300_800}}),
            ("deliver_time", {"deliver_time": {"nanos": 1_000_000_000}}),
            ("collapse_key", {"collapse_key": "x" * 65}),
            ("view", {"view": 9}),
            ("deliver_time", {"ephemeral": True, "deliver_time": {"seconds": 1}}),
            ("collapse_key", {"ephemeral": True, "collapse_key": "x"}),
        ],
    )
    def test_a_request_keeps_the_rules(self, service: Service, field: str, fields: dict[str, Any]) -> None:
        failed = refusal(service, "SendMessage", request(**fields))
        assert (failed.code, failed.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)

    def test_a_message_is_needed(self, service: Service) -> None:
        assert refusal(service, "SendMessage", message_pb2.SendMessageRequest()).field == "message"

    def test_no_receipt_of_an_ephemeral_message(self, service: Service) -> None:
        asked = request(message=message(request_receipt=True), ephemeral=True)
        assert refusal(service, "SendMessage", asked).field == "message.request_receipt"

    def test_a_full_disk_refuses_messages_but_not_acknowledgements(self, service: Service) -> None:
        send(service)
        device = {"user_id": "bob", "device_id": "phone"}
        service.call(service.message.AcknowledgeMessages, message_pb2.AcknowledgeMessagesRequest(**device))
        service.call(service.message.PurgeQueue, message_pb2.PurgeQueueRequest(**device))
        service.call(service.message.DeleteDeadLetters, message_pb2.DeleteDeadLettersRequest(**device))
        service.call(service.message.RedriveDeadLetters, message_pb2.RedriveDeadLettersRequest(**device))
        grows = [grows for _, grows in service.node.log]
        assert grows == [True, True, False, False, False, True]


def _ephemeral(asked: message_pb2.SendMessageRequest) -> message_pb2.SendMessageRequest:
    ephemeral = message_pb2.SendMessageRequest()
    ephemeral.CopyFrom(asked)
    ephemeral.ephemeral = True
    return ephemeral


class TestBatch:
    def test_each_message_is_answered_by_itself_and_in_order(self, service: Service) -> None:
        batch = message_pb2.BatchSendMessagesRequest(
            requests=[
                request("m1", view=SERVICE),
                request("m2", message=message(user_id="eve")),
                request("", view=SERVICE),
                _ephemeral(request("m3")),
                request("m1"),
            ]
        )
        answer = service.call(service.message.BatchSendMessages, batch)
        kinds = [result.WhichOneof("result") for result in answer.results]
        assert kinds == ["response", "error", "error", "error", "response"]
        first, unknown, invalid, ephemeral, again = answer.results
        assert (first.response.outcome, again.response.outcome) == (message_pb2.SEND_OUTCOME_QUEUED, 0)
        assert again.response.duplicate
        assert again.response.header == common_pb2.ResponseHeader(revision=2) == first.response.header
        assert (unknown.error.code, unknown.error.reason) == (5, "USER_NOT_FOUND")
        assert (invalid.error.code, invalid.error.reason) == (3, "INVALID_ARGUMENT")
        assert "message.message_id" in invalid.error.message
        assert "ephemeral" in ephemeral.error.message
        assert (answer.header.revision, answer.header.member_id) == (2, 1)
        assert queue(service).next_seq == 2

    def test_a_batch_of_nothing_but_errors_is_no_command(self, service: Service) -> None:
        writes = len(service.node.log)
        batch = message_pb2.BatchSendMessagesRequest(requests=[request("")])
        assert service.call(service.message.BatchSendMessages, batch).header.revision == 1
        assert len(service.node.log) == writes

    def test_a_numbered_batch_is_sent_once(self, service: Service) -> None:
        registered = service.call(service.client.RegisterClient, client_pb2.RegisterClientRequest())
        number = {"client_id": registered.client_id, "sequence": 1}
        batch = message_pb2.BatchSendMessagesRequest(requests=[request()], request_id=number)
        first = service.call(service.message.BatchSendMessages, batch)
        assert service.call(service.message.BatchSendMessages, batch) == first
        assert not first.results[0].response.duplicate

    def test_a_number_inside_is_refused(self, service: Service) -> None:
        batch = message_pb2.BatchSendMessagesRequest(requests=[request(request_id={"client_id": 1})])
        (result,) = service.call(service.message.BatchSendMessages, batch).results
        assert "request_id" in result.error.message

    @pytest.mark.parametrize("count", [0, 101])
    def test_the_size_of_a_batch_is_limited(self, service: Service, count: int) -> None:
        batch = message_pb2.BatchSendMessagesRequest(requests=[request()] * count)
        assert refusal(service, "BatchSendMessages", batch).field == "requests"

    def test_the_bytes_of_a_batch_are_limited(self, service: Service) -> None:
        large = request(message=message(payload=b"x" * (64 << 10)))
        batch = message_pb2.BatchSendMessagesRequest(requests=[large] * 64)
        assert refusal(service, "BatchSendMessages", batch).field == "requests"


class TestPipeline:
    def test_the_view_of_a_sender_is_that_of_a_unary_call(self, service: Service) -> None:
        commands = [
            pipeline_pb2.WriteCommand(user_data={"send_message": each})
            for each in (request("m1"), request("m1", view=SERVICE), _ephemeral(request("m2")))
        ]
        seen = [self._write(service, [command]) for command in commands]
        first, again, ephemeral = (response.results for response in seen)
        sent = first[0].user_data.send_message
        assert (sent.outcome, sent.header.revision, sent.duplicate) == (0, 2, False)
        assert [first[0].revision, again[0].revision] == [2, 2]
        sent = again[0].user_data.send_message
        assert (sent.outcome, sent.header.revision, sent.duplicate) == (
            message_pb2.SEND_OUTCOME_QUEUED,
            2,
            True,
        )
        assert sent.device_results[0].user_id == "bob"
        assert not ephemeral
        assert seen[2].error.field == "writes.commands[0].user_data.send_message.ephemeral"

    @staticmethod
    def _write(service: Service, commands: list[pipeline_pb2.WriteCommand]) -> Any:
        asked = pipeline_pb2.PipelineRequest(writes={"commands": commands})
        (answer,) = service.call(service.pipeline.Pipeline, iter([asked]))
        return answer


class TestAcknowledge:
    def test_messages_are_acknowledged(self, service: Service) -> None:
        for number in range(3):
            send(service, f"m{number}")
        asked = message_pb2.AcknowledgeMessagesRequest(
            user_id="bob", device_id="phone", through_seq=1, seqs=[3], nacks=[{"seq": 2}]
        )
        answer = service.call(service.message.AcknowledgeMessages, asked)
        assert (answer.acknowledged, answer.ack_floor, answer.header.revision) == (2, 1, 5)
        found = queue(service)
        assert (found.live, found.acked, found.attempts, found.next_seq) == (1, 2, 1, 4)

    @pytest.mark.parametrize(
        ("field", "fields"),
        [
            ("user_id", {"user_id": ""}),
            ("device_id", {"device_id": ""}),
            ("seqs", {"seqs": range(1, 1_002)}),
            ("seqs[1]", {"seqs": [1, 0]}),
            ("nacks", {"nacks": [{"seq": 1}] * 1_001}),
            ("nacks[0]", {"nacks": [{"seq": 0}]}),
            ("nacks[0].reason", {"nacks": [{"seq": 1, "reason": "x" * 257}]}),
            ("nacks[0].delay", {"nacks": [{"seq": 1, "delay": {"seconds": 3_601}}]}),
        ],
    )
    def test_an_acknowledgement_keeps_the_rules(
        self, service: Service, field: str, fields: dict[str, Any]
    ) -> None:
        asked = message_pb2.AcknowledgeMessagesRequest(**{"user_id": "bob", "device_id": "phone"} | fields)
        failed = refusal(service, "AcknowledgeMessages", asked)
        assert (failed.code, failed.field) == (grpc.StatusCode.INVALID_ARGUMENT, field)

    def test_a_number_that_was_not_given_is_refused(self, service: Service) -> None:
        asked = message_pb2.AcknowledgeMessagesRequest(user_id="bob", device_id="phone", through_seq=1)
        assert refusal(service, "AcknowledgeMessages", asked).reason == Reason.SEQ_NOT_GIVEN.value


class TestQueues:
    def test_a_queue_of_an_unknown_device_is_not_found(self, service: Service) -> None:
        for asked in (
            message_pb2.GetQueueRequest(user_id="bob", device_id="tv"),
            message_pb2.GetQueueRequest(user_id="eve", device_id="phone"),
        ):
            failed = refusal(service, "GetQueue", asked)
            assert (failed.code, failed.reason) == (
                grpc.StatusCode.NOT_FOUND,
                Reason.DEVICE_NOT_FOUND.value,
            )

    def test_a_queue_without_messages_begins_with_one(self, service: Service) -> None:
        assert queue(service) == message_pb2.Queue(user_id="bob", device_id="phone", next_seq=1)

    def test_reads_wait_as_they_are_asked_to(self, service: Service) -> None:
        asked = message_pb2.GetQueueRequest(
            user_id="bob",
            device_id="phone",
            consistency=common_pb2.CONSISTENCY_AT_LEAST,
            min_revision=1,
        )
        service.call(service.message.GetQueue, asked)
        assert service.node.waits == ["at least 1"]

    @pytest.mark.parametrize("page_size", [1, 2, 3, 1_000])
    def test_all_queues_are_listed_page_by_page(self, service: Service, page_size: int) -> None:
        expected = {("bob", "phone")}
        for number in range(5):
            register(service, f"user{number}", "phone")
            register(service, f"user{number}", "laptop")
            expected |= {(f"user{number}", "phone"), (f"user{number}", "laptop")}
        send(service, message=message(user_id="user3"))
        found = self._list(service, page_size=page_size)
        assert len(found) == len(expected)
        assert {(each.user_id, each.device_id) for each in found} == expected
        nonempty = self._list(service, page_size=page_size, only_nonempty=True)
        assert [(each.user_id, each.device_id, each.live) for each in nonempty] == [
            ("user3", "laptop", 1),
            ("user3", "phone", 1),
        ]
        mine = self._list(service, page_size=page_size, user_id="user3")
        assert [each.device_id for each in mine] == ["laptop", "phone"]

    @staticmethod
    def _list(service: Service, **fields: Any) -> list[message_pb2.Queue]:
        found: list[message_pb2.Queue] = []
        asked = message_pb2.ListQueuesRequest(**fields)
        while True:
            answer = service.call(service.message.ListQueues, asked)
            assert len(answer.queues) <= fields["page_size"]
            found += answer.queues
            if not answer.next_page_token:
                return found
            asked.page_token = answer.next_page_token

    def test_a_page_looks_at_no_more_than_a_page_may_hold(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("kvraft.rpc.users.queue_pages.PAGE_SIZE_MAX", 2)
        for number in range(4):
            register(service, f"user{number}", "phone")
        asked = message_pb2.ListQueuesRequest(only_nonempty=True)
        answer = service.call(service.message.ListQueues, asked)
        assert not answer.queues
        assert answer.next_page_token

    def test_the_queues_of_an_unknown_user_are_not_found(self, service: Service) -> None:
        failed = refusal(service, "ListQueues", message_pb2.ListQueuesRequest(user_id="eve"))
        assert failed.reason == Reason.USER_NOT_FOUND.value

    @pytest.mark.parametrize("token", ["?", "eve", base64.urlsafe_b64encode(struct.pack(">BQQ", 1, 1, 1))])
    def test_tokens_of_others_are_refused(self, service: Service, token: str | bytes) -> None:
        text = token if isinstance(token, str) else token.decode()
        for method, asked in (
            ("ListQueues", message_pb2.ListQueuesRequest(page_token=text)),
            (
                "ListDeadLetters",
                message_pb2.ListDeadLettersRequest(user_id="bob", device_id="phone", page_token=text),
            ),
        ):
            assert refusal(service, method, asked).field == "page_token"

    def test_a_queue_is_purged(self, service: Service) -> None:
        send(service)
        send(service, "m2", deliver_time={"seconds": NOW_MS // 1_000 + 60})
        asked = message_pb2.PurgeQueueRequest(user_id="bob", device_id="phone")
        answer = service.call(service.message.PurgeQueue, asked)
        assert (answer.purged, answer.unscheduled, answer.header.revision) == (1, 1, 4)


class TestDeadLetters:
    @pytest.fixture(autouse=True)
    def dead(self, service: Service) -> None:
        """Three messages."""
        for number in range(1, 4):
            send(service, f"m{number}")
        nacks = [{"seq": seq, "reason": "broken"} for seq in (1, 2, 3) for _ in range(20)]
        asked = message_pb2.AcknowledgeMessagesRequest(user_id="bob", device_id="phone", nacks=nacks)
        assert service.call(service.message.AcknowledgeMessages, asked).dead == 3

    def test_dead_letters_are_listed_page_by_page(self, service: Service) -> None:
        asked = message_pb2.ListDeadLettersRequest(user_id="bob", device_id="phone", page_size=2)
        first = service.call(service.message.ListDeadLetters, asked)
        asked.page_token = first.next_page_token
        second = service.call(service.message.ListDeadLetters, asked)
        letters = [*first.dead_letters, *second.dead_letters]
        assert (len(first.dead_letters), second.next_page_token) == (2, "")
        assert [(each.seq, each.message.message_id, each.attempts, each.reason) for each in letters] == [
            (1, "m1", 20, "broken"),
            (2, "m2", 20, "broken"),
            (3, "m3", 20, "broken"),
        ]
        assert letters[0].dead_time.ToMilliseconds() == NOW_MS

    def test_dead_letters_of_an_unknown_device_are_not_found(self, service: Service) -> None:
        asked = message_pb2.ListDeadLettersRequest(user_id="bob", device_id="tv")
        assert refusal(service, "ListDeadLetters", asked).reason == Reason.DEVICE_NOT_FOUND.value

    def test_dead_letters_are_redriven_and_deleted(self, service: Service) -> None:
        device = {"user_id": "bob", "device_id": "phone"}
        redrive = message_pb2.RedriveDeadLettersRequest(**device, seqs=[2])
        answer = service.call(service.message.RedriveDeadLetters, redrive)
        assert (answer.redriven, answer.left) == (1, 0)
        delete = message_pb2.DeleteDeadLettersRequest(**device)
        assert service.call(service.message.DeleteDeadLetters, delete).deleted == 2
        found = queue(service)
        assert (found.live, found.dead, found.dead_letters, found.next_seq) == (1, 3, 0, 5)

    @pytest.mark.parametrize("method", ["RedriveDeadLetters", "DeleteDeadLetters"])
    def test_numbers_are_checked(self, service: Service, method: str) -> None:
        kind = getattr(message_pb2, f"{method}Request")
        device = {"user_id": "bob", "device_id": "phone"}
        assert refusal(service, method, kind(**device, seqs=[0])).field == "seqs[0]"
        assert refusal(service, method, kind(**device, seqs=range(1, 1_002))).field == "seqs"
