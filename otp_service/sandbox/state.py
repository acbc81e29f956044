"""What every action of the API works with: the account, its state and the clock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from otp_service.sandbox.answers import Answer, RawAnswer, Refused
from otp_service.sandbox.clock import Clock
from otp_service.sandbox.config import SandboxConfig
from otp_service.sandbox.flow_control import FlowControl
from otp_service.sandbox.inbox import Inbox
from otp_service.sandbox.issued_codes import IssuedCodes
from otp_service.sandbox.queue_keys import QueueKeys
from otp_service.sandbox.reports import Reports


@dataclass(frozen=True)
class SandboxState:
    """The parts of one sandbox that actions share."""

    config: SandboxConfig
    clock: Clock
    pause: Callable[[float], None]
    inbox: Inbox
    flow_control: FlowControl
    reports: Reports
    queue_keys: QueueKeys
    issued_codes: IssuedCodes


#: One action of the API: reads the parameters of a call and answers it.
Action = Callable[[SandboxState, Mapping[str, str]], Answer | RawAnswer]


def demand(params: Mapping[str, str], *names: str) -> tuple[str, ...]:
    """Read required parameters, the first missing one decides; empty means missing.

    Raises:
        Refused: `Missing…` with the name of the parameter.
    """
    for name in names:
        if not params.get(name):
            raise Refused(f"Missing{name}")
    return tuple(params[name] for name in names)
