"""How far Aliyun's review of a sign name or a template is; touches nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Self


class ReviewState(IntEnum):
    """What `SignStatus` and `TemplateStatus` say."""

    IN_REVIEW = 0
    APPROVED = 1
    REJECTED = 2
    CANCELED = 10


@dataclass(frozen=True)
class Review:
    """A state, and the reviewer's *reason* when it is a rejection."""

    state: ReviewState
    reason: str = ""

    @classmethod
    def in_review(cls) -> Self:
        """Nobody has decided yet."""
        return cls(ReviewState.IN_REVIEW)

    @classmethod
    def rejected(cls, reason: str) -> Self:
        """The reviewer said no, and why."""
        return cls(ReviewState.REJECTED, reason)

    @property
    def passed(self) -> bool:
        """Whether SMS may be sent with it."""
        return self.state is ReviewState.APPROVED


APPROVED = Review(ReviewState.APPROVED)
