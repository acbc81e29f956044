"""The client for asyncio."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from otp_service_client import calls
from otp_service_client.calls import TIMEOUT
from otp_service_client.responses import Approved, Redeemed, Sent, VerificationStatus


class AsyncOtpClient:
    """`OtpClient` for asyncio: the same calls, results, errors and retries. It needs the extra `async`.

    *timeout* limits each attempt of a call from its start to the last byte of the response, in seconds.
    *proxies* and *ca_bundle* are those of `OtpClient`.

    Use a client in one event loop at a time; in a new loop it opens new connections. Do not use it on both
    sides of a fork while a call is in progress.

    A canceled call may have taken effect: an SMS may have been sent.
    """

    def __init__(
        self,
        base_url: str,
        secret_key: str,
        *,
        timeout: float = TIMEOUT,
        proxies: Mapping[str, str] | None = None,
        ca_bundle: str | None = None,
    ) -> None:
        try:
            from otp_service_client.async_transport import AsyncTransport  # noqa: PLC0415 - needs the extra
        except ModuleNotFoundError as error:
            if error.name != "httpx":
                raise
            raise ImportError("AsyncOtpClient needs httpx: install otp-service-client[async]") from None
        self._transport = AsyncTransport(
            base_url, secret_key, timeout=timeout, proxies=proxies, ca_bundle=ca_bundle
        )

    def __repr__(self) -> str:
        return f"AsyncOtpClient({self._transport.base_url})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections. Calls in progress are not affected."""
        await self._transport.aclose()

    async def request(
        self,
        phone: str,
        *,
        purpose: str | None = None,
        locale: str | None = None,
        client_ip: str | None = None,
        risk_solution: str | None = None,
        known_phone: bool | None = None,
        known_device: bool | None = None,
        accepts_challenge: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Start a verification of *phone* and send its code, as `OtpClient.request` does."""
        return await self._transport.run(
            calls.request(
                phone,
                purpose=purpose,
                locale=locale,
                client_ip=client_ip,
                risk_solution=risk_solution,
                known_phone=known_phone,
                known_device=known_device,
                accepts_challenge=accepts_challenge,
                idempotency_key=idempotency_key,
            )
        )

    async def resend(
        self,
        phone: str,
        verification_id: str,
        *,
        locale: str | None = None,
        client_ip: str | None = None,
        risk_solution: str | None = None,
        known_phone: bool | None = None,
        known_device: bool | None = None,
        accepts_challenge: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Sent:
        """Send the code of a verification again, as `OtpClient.resend` does."""
        return await self._transport.run(
            calls.resend(
                phone,
                verification_id,
                locale=locale,
                client_ip=client_ip,
                risk_solution=risk_solution,
                known_phone=known_phone,
                known_device=known_device,
                accepts_challenge=accepts_challenge,
                idempotency_key=idempotency_key,
            )
        )

    async def verify(
        self,
        phone: str,
        verification_id: str,
        code: str,
        *,
        client_ip: str | None = None,
        idempotency_key: str | None = None,
    ) -> Approved:
        """Submit the code that the user entered, and return the proof, as `OtpClient.verify` does."""
        return await self._transport.run(
            calls.verify(phone, verification_id, code, client_ip=client_ip, idempotency_key=idempotency_key)
        )

    async def redeem(
        self,
        proof: str,
        *,
        purpose: str,
        allow_test: bool | None = None,
        idempotency_key: str | None = None,
    ) -> Redeemed:
        """Redeem *proof*, which is possible only once, and return its claims, as `OtpClient.redeem` does."""
        return await self._transport.run(
            calls.redeem(proof, purpose=purpose, allow_test=allow_test, idempotency_key=idempotency_key)
        )

    async def status(self, phone: str, verification_id: str) -> VerificationStatus:
        """Return the state of a verification, as `OtpClient.status` does."""
        return await self._transport.run(calls.status(phone, verification_id))

    async def cancel(self, phone: str, verification_id: str) -> None:
        """End a pending verification, as `OtpClient.cancel` does."""
        await self._transport.run(calls.cancel(phone, verification_id))

    async def unlock(self, phone: str) -> None:
        """Reset the failed attempts of *phone*, as `OtpClient.unlock` does."""
        await self._transport.run(calls.unlock(phone))
