"""The probe: a send to a number that no phone can have, and what its refusal tells."""

from __future__ import annotations

from collections.abc import Iterator

from otp_service.cli.doctor.api_probe import ApiAnswer
from otp_service.cli.doctor.check_result import CheckResult, fail, ok, warn
from otp_service.sms.aliyun.protocol.codes import ResponsibleParty

IMPOSSIBLE_NUMBER = "10000000000"
"""No mainland mobile number begins with 10, so that an SMS to it is refused before it is sent."""

_ABROAD = "isv.DENY_IP_RANGE"
_OURS = (ResponsibleParty.OPERATOR, ResponsibleParty.DEVELOPER)


def read_probe(told: ApiAnswer | None, right: str, route: str) -> Iterator[CheckResult]:
    """Tell what the answer says of sending, which needs the *right*, and of this machine's address."""
    if told is None or not told.is_authenticated:
        why = f": {told}" if told else ""
        yield warn("sending", f"could not be probed{why}", "Ask again in a minute.", route)
        return
    if told.is_denied:
        yield fail("ram", "the key may not send", f"Grant {right} to it in the RAM console.", route)
        return
    if told.row.code == _ABROAD:
        fix = "Send from the mainland: Aliyun takes mainland SMS from mainland addresses only."
        yield fail("egress", "this machine's address is outside the mainland", fix, route)
        return
    yield _sending(told, route)
    seen = "the address was not refused; whether it is in the mainland cannot be seen"
    yield ok("egress", seen, route)


def _sending(told: ApiAnswer, route: str) -> CheckResult:
    if told.row.responsible in _OURS:
        return fail("sending", str(told), "See docs/aliyun-errors.md for this code.", route)
    if told.row.responsible in (ResponsibleParty.RECIPIENT, ResponsibleParty.RECIPIENT_LIMIT):
        return ok("sending", "an SMS to an impossible number is refused for its number alone", route)
    fix = "Try a real SMS: otp-service send-test."
    return warn(
        "sending", f"an SMS to an impossible number is not refused for its number: {told}", fix, route
    )
