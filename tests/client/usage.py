"""A program that uses the types of the client, checked by mypy and never run."""

from __future__ import annotations

from datetime import datetime
from typing import assert_type

from otp_service_client import (
    Approved,
    AsyncOtpClient,
    LimitError,
    OtpClient,
    Proof,
    Redeemed,
    Sent,
    VerificationStatus,
    WrongCode,
    read_proof,
)


def blocking(otp: OtpClient) -> None:
    assert_type(otp.request("13800138000", purpose="login", known_phone=True), Sent)
    assert_type(otp.resend("13800138000", "v", idempotency_key="order-17"), Sent)
    assert_type(otp.verify("13800138000", "v", "012345"), Approved)
    assert_type(otp.redeem("x.y.z", purpose="login"), Redeemed)
    assert_type(otp.redeem("x.y.z", purpose="login").verified_at, datetime)
    assert_type(otp.status("13800138000", "v"), VerificationStatus)
    otp.cancel("13800138000", "v")
    otp.request("13800138000", "login")  # type: ignore[call-arg] # options have names
    otp.redeem("x.y.z")  # type: ignore[call-arg] # the purpose is required
    otp.request(13800138000)  # type: ignore[arg-type] # a phone is text
    otp.verify("13800138000", "v", "012345", purpose="login")  # type: ignore[call-arg]
    with otp as same:
        assert_type(same, OtpClient)


async def concurrent(otp: AsyncOtpClient) -> None:
    assert_type(await otp.request("13800138000", purpose="login", known_phone=True), Sent)
    assert_type(await otp.resend("13800138000", "v", idempotency_key="order-17"), Sent)
    assert_type(await otp.verify("13800138000", "v", "012345"), Approved)
    assert_type(await otp.redeem("x.y.z", purpose="login"), Redeemed)
    assert_type(await otp.status("13800138000", "v"), VerificationStatus)
    await otp.unlock("13800138000")
    print(otp.status("13800138000", "v").status)  # type: ignore[attr-defined] # noqa: T201 - not awaited
    await otp.redeem("x.y.z")  # type: ignore[call-arg] # the purpose is required
    async with otp as same:
        assert_type(same, AsyncOtpClient)


def errors(error: WrongCode | LimitError) -> int:
    if isinstance(error, WrongCode):
        return error.attempts_left
    assert_type(error.limit, str)
    return error.retry_after


def proofs() -> None:
    proof = read_proof(
        "x.y.z", keys=["k" * 32], client="shop", purpose="login", seen=lambda _jti, _ttl: False
    )
    assert_type(proof, Proof)
    assert_type(proof.amr, tuple[str, ...])
    read_proof("x.y.z", keys=["k" * 32], client="shop", purpose="login")  # type: ignore[call-arg] # no seen
