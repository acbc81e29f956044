"""Interprets the response to a probe: a send to a number that no phone can have."""

from __future__ import annotations

from collections.abc import Iterator

from otp_service.cli.doctor.api_probe import ApiResponse
from otp_service.cli.doctor.check_result import CheckResult, fail, ok, warn
from otp_service.sms.aliyun.protocol.codes import ResponsibleParty

IMPOSSIBLE_NUMBER = "10000000000"
"""No mobile number of mainland China begins with 10, so Aliyun rejects an SMS to it before sending."""

_ABROAD = "isv.DENY_IP_RANGE"
_OURS = (ResponsibleParty.OPERATOR, ResponsibleParty.DEVELOPER)


def interpret_probe(response: ApiResponse | None, right: str, route: str) -> Iterator[CheckResult]:
    """Check by the response whether sending works, which needs the *right*, and this machine's address."""
    if response is None or not response.is_authenticated:
        why = f": {response}" if response else ""
        yield warn("sending", f"could not be probed{why}", "Try again in a minute.", route)
        return
    if response.is_denied:
        yield fail("ram", "the key is not allowed to send", f"Grant {right} to it in the RAM console.", route)
        return
    if response.info.code == _ABROAD:
        fix = "Send from mainland China: Aliyun accepts its SMS only from addresses there."
        yield fail("egress", "this machine's address is outside mainland China", fix, route)
        return
    yield _sending(response, route)
    message = "Aliyun did not reject this machine's address"
    yield ok("egress", message, route)


def _sending(response: ApiResponse, route: str) -> CheckResult:
    if response.info.responsible in _OURS:
        return fail("sending", str(response), "See docs/aliyun-errors.md for this code.", route)
    if response.info.responsible in (ResponsibleParty.RECIPIENT, ResponsibleParty.RECIPIENT_LIMIT):
        return ok("sending", "an SMS to an impossible number is rejected only for its number", route)
    fix = "Send a real SMS: otp-service send-test."
    return warn(
        "sending", f"an SMS to an impossible number is not rejected for its number: {response}", fix, route
    )
