"""An EventLogger for tests, which keeps every event in memory."""

from __future__ import annotations

from otp_service.observability.logging import LINE_FIELDS


class RecordingEvents:
    """Appends each event to *emitted*, with its facts."""

    def __init__(self) -> None:
        self.emitted: list[tuple[str, dict[str, object]]] = []

    def emit(self, event: str, **facts: object) -> None:
        assert not LINE_FIELDS & facts.keys()
        self.emitted.append((event, facts))

    @property
    def names(self) -> list[str]:
        """The names of all events, in order."""
        return [event for event, _ in self.emitted]

    def of(self, event: str) -> list[dict[str, object]]:
        """Return the facts of each event named *event*."""
        return [facts for name, facts in self.emitted if name == event]
