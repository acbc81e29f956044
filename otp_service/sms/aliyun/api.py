"""One API of Aliyun's, called with signed requests; touches the network through `HttpClient`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import uuid4

from otp_service.services.interfaces import Clock
from otp_service.sms.aliyun.endpoint import Endpoint
from otp_service.sms.aliyun.fields import read_fields
from otp_service.sms.aliyun.protocol.gateway_codes import ACCESS_KEY_REFUSALS
from otp_service.sms.aliyun.protocol.timestamps import format_timestamp
from otp_service.sms.aliyun.signed_request import SIGN, AccessKey, Operation, Signature, SignatureContext
from otp_service.sms.http import ConnectFailed, HttpClient, HttpResponse


class AliyunApi:
    """Calls the actions of one API.

    *keys*: usually one. While keys are rotated there are two: when one is refused, the other is used from
    then on, so that whichever is disabled first, no call is lost. *http* is this API's own, as its
    connections are kept for one host; *nonce* returns another text at each call.

    Raises:
        BadEndpoint: *endpoint* is not `https://host[:port]`, or `http://` to this machine.
    """

    def __init__(
        self,
        *,
        keys: Sequence[AccessKey],
        version: str,
        endpoint: str,
        http: HttpClient,
        clock: Clock,
        signature: Signature = Signature.V1,
        nonce: Callable[[], str] = lambda: uuid4().hex,
    ) -> None:
        self._keys = tuple(keys)
        self._current = 0
        self._version = version
        self._endpoint = Endpoint.read(endpoint)
        self._http = http
        self._clock = clock
        self._sign = SIGN[signature]
        self._nonce = nonce

    def call(self, action: str, params: Mapping[str, str], *, seconds: float) -> HttpResponse:
        """Call *action* within about *seconds* and return the answer, whatever it is.

        The call is made again only after a refusal of the access key, which comes before anything is done.

        Raises:
            ConnectFailed: nothing left this machine.
            ResponseLost: something did, and no complete answer came back.
        """
        ends_at = self._clock.monotonic() + seconds
        chosen = self._current
        answer = self._post(action, params, chosen, seconds)
        for _ in self._keys[1:]:
            left = ends_at - self._clock.monotonic()
            if left <= 0 or not _refuses_the_key(answer):
                break
            chosen = (chosen + 1) % len(self._keys)
            try:
                answer = self._post(action, params, chosen, left)
            except ConnectFailed:
                break
            if not _refuses_the_key(answer):
                self._current = chosen
        return answer

    def now(self) -> datetime:
        """Return the time as this machine knows it."""
        return datetime.fromtimestamp(self._clock.now(), UTC)

    def close(self) -> None:
        """Close the idle connections."""
        self._http.close()

    def _post(self, action: str, params: Mapping[str, str], chosen: int, seconds: float) -> HttpResponse:
        stamp = SignatureContext(self._nonce(), format_timestamp(self.now()))
        operation = Operation(action, self._version)
        request = self._sign(self._endpoint, self._keys[chosen], operation, params, stamp)
        return self._http.post(request.url, request.headers, request.body, seconds=seconds)


def _refuses_the_key(answer: HttpResponse) -> bool:
    is_refusal = 400 <= answer.status < 500  # noqa: PLR2004 - HTTP's own class
    return is_refusal and read_fields(answer.headers, answer.body).code in ACCESS_KEY_REFUSALS
