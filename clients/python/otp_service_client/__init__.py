"""The Python client of otp_service: what a login backend imports to call the service over HTTP.

    from otp_service_client import OtpClient, WrongCode

    otp = OtpClient("https://otp.example.com", secret_key)
    sent = otp.request("13800138000", purpose="login", client_ip=request.remote_addr)
    approved = otp.verify("13800138000", sent.verification_id, code)
    redeemed = otp.redeem(approved.proof, purpose="login")

`AsyncOtpClient` has the same calls for asyncio; it needs the extra `async`.
"""

from __future__ import annotations

from otp_service_client._version import __version__
from otp_service_client.async_client import AsyncOtpClient
from otp_service_client.errors import (
    AlreadyVerified,
    ApiError,
    AttemptsExhausted,
    ChallengeRequired,
    CooldownActive,
    DestinationBlocked,
    DestinationRejected,
    Forbidden,
    IdempotencyInProgress,
    IdempotencyKeyReused,
    InternalError,
    InvalidCode,
    InvalidPhone,
    InvalidProof,
    InvalidRequest,
    LimitError,
    LimitReached,
    MethodNotAllowed,
    NotFound,
    OtpServiceError,
    OutcomeUnknown,
    PayloadTooLarge,
    ProofError,
    ProofExpired,
    ProofRedeemed,
    ProviderError,
    ProviderMisconfigured,
    ProviderRateLimited,
    ProviderUnavailable,
    RequestError,
    RetryableError,
    ServiceUnreachable,
    StoreUnavailable,
    Unauthorized,
    UnexpectedAnswer,
    UnsupportedMediaType,
    VerificationCanceled,
    VerificationError,
    VerificationExpired,
    VerificationNotFound,
    WrongCode,
)
from otp_service_client.otp_client import OtpClient
from otp_service_client.proof_reader import Proof, read_proof
from otp_service_client.responses import Approved, Reason, Redeemed, SendStatus, Sent, VerificationStatus

__all__ = [
    "AlreadyVerified",
    "ApiError",
    "Approved",
    "AsyncOtpClient",
    "AttemptsExhausted",
    "ChallengeRequired",
    "CooldownActive",
    "DestinationBlocked",
    "DestinationRejected",
    "Forbidden",
    "IdempotencyInProgress",
    "IdempotencyKeyReused",
    "InternalError",
    "InvalidCode",
    "InvalidPhone",
    "InvalidProof",
    "InvalidRequest",
    "LimitError",
    "LimitReached",
    "MethodNotAllowed",
    "NotFound",
    "OtpClient",
    "OtpServiceError",
    "OutcomeUnknown",
    "PayloadTooLarge",
    "Proof",
    "ProofError",
    "ProofExpired",
    "ProofRedeemed",
    "ProviderError",
    "ProviderMisconfigured",
    "ProviderRateLimited",
    "ProviderUnavailable",
    "Reason",
    "Redeemed",
    "RequestError",
    "RetryableError",
    "SendStatus",
    "Sent",
    "ServiceUnreachable",
    "StoreUnavailable",
    "Unauthorized",
    "UnexpectedAnswer",
    "UnsupportedMediaType",
    "VerificationCanceled",
    "VerificationError",
    "VerificationExpired",
    "VerificationNotFound",
    "VerificationStatus",
    "WrongCode",
    "__version__",
    "read_proof",
]
