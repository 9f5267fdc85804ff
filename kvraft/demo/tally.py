"""What a device was given, compared with what the senders were told is accepted for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tally:
    """Numbers of messages."""

    accepted: int
    delivered: int
    lost: int
    """Accepted, and never delivered."""
    duplicated: int
    """Deliveries of what had been delivered before."""
    out_of_order: int
    """Messages that were accepted before the one they were delivered after."""
    unexpected: int
    """Deliveries of what was not for this device."""

    @property
    def is_exact(self) -> bool:
        """Whether everything came, in order, once, and nothing else."""
        return not (self.lost or self.duplicated or self.out_of_order or self.unexpected)


def tally(accepted: Sequence[str], delivered: Sequence[str]) -> Tally:
    """Compares message ids: those accepted, each once and in the order in which they were accepted, with
    those delivered, in the order in which they came."""
    place = {message_id: number for number, message_id in enumerate(accepted)}
    assert len(place) == len(accepted), "a message was counted twice"
    seen: set[str] = set()
    duplicated = out_of_order = unexpected = 0
    latest = -1
    for message_id in delivered:
        if message_id not in place:
            unexpected += 1
        elif message_id in seen:
            duplicated += 1
        else:
            seen.add(message_id)
            out_of_order += place[message_id] < latest
            latest = place[message_id]
    return Tally(
        accepted=len(accepted),
        delivered=len(delivered),
        lost=len(accepted) - len(seen),
        duplicated=duplicated,
        out_of_order=out_of_order,
        unexpected=unexpected,
    )
