"""What all actions of the API share: the account, the clock, and what the sandbox keeps in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from otp_service.sandbox.api.flow_control import FlowControl
from otp_service.sandbox.api.issued_codes import IssuedCodes
from otp_service.sandbox.api.responses import ApiError, ApiResponse, RawResponse
from otp_service.sandbox.config import Clock, SandboxConfig
from otp_service.sandbox.inbox.messages import Inbox
from otp_service.sandbox.reports.mns_credentials import QueueKeys
from otp_service.sandbox.reports.reports import Reports


@dataclass(frozen=True)
class SandboxState:
    """The state of one sandbox."""

    config: SandboxConfig
    clock: Clock
    pause: Callable[[float], None]
    inbox: Inbox
    flow_control: FlowControl
    reports: Reports
    queue_keys: QueueKeys
    issued_codes: IssuedCodes


#: An action of the API: takes the parameters of a request and returns the response.
Action = Callable[[SandboxState, Mapping[str, str]], ApiResponse | RawResponse]


def require_params(params: Mapping[str, str], *names: str) -> tuple[str, ...]:
    """Return the values of required parameters. An empty value counts as missing.

    Raises:
        ApiError: `Missing…` with the name of the first missing parameter.
    """
    for name in names:
        if not params.get(name):
            raise ApiError(f"Missing{name}")
    return tuple(params[name] for name in names)
