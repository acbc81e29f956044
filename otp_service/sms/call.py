"""One call of a provider and what its end means. Touches what the call touches."""

from __future__ import annotations

from collections.abc import Callable

from otp_service.domain.messages import FailureCause
from otp_service.sms.http import ConnectFailed, HttpResponse, ResponseLost
from otp_service.sms.provider import ProviderResult, RouteHealth, not_attempted, refused, unknown


def send_once(
    call: Callable[[], HttpResponse], read: Callable[[HttpResponse], ProviderResult], seconds: float
) -> ProviderResult:
    """Make the *call*, for which *seconds* are left, and *read* its answer.

    That nothing left this machine is certain, so it is a refusal; that something did, and no answer came, is
    not known to have sent anything, nor to have sent nothing.
    """
    if seconds <= 0:
        return not_attempted(FailureCause.PROVIDER, "deadline")
    try:
        answer = call()
    except ConnectFailed as error:
        return ProviderResult(
            refused(FailureCause.PROVIDER, f"not_sent.{error.reason}"), RouteHealth.TRANSPORT
        )
    except ResponseLost as error:
        return ProviderResult(unknown(f"no_answer.{error.reason}"), RouteHealth.TRANSPORT)
    return read(answer)
