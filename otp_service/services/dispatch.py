"""Sending one SMS: reserve it in the store, send it, record the result in the store.

The verification is created before its SMS is sent, because this process may die after the provider has
accepted the SMS.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from otp_service.domain import codes
from otp_service.domain.clients import Client
from otp_service.domain.codes import Code, CodeContext
from otp_service.domain.crypto import Keyring
from otp_service.domain.errors import (
    DestinationRejected,
    InternalError,
    OtpError,
    ProviderMisconfigured,
    ProviderRateLimited,
    ProviderUnavailable,
    StoreUnavailable,
)
from otp_service.domain.idempotency import IdempotencyRecord
from otp_service.domain.limits import Budget, budgets
from otp_service.domain.messages import FailureCause, MessageReference, SendResult, SendStatus, SmsMessage
from otp_service.domain.phone import Phone
from otp_service.domain.policy import TEST_ROUTE, Policy
from otp_service.domain.verification import NewVerification, SendDisposition, SendResultRecord, Verification
from otp_service.services.context import RequestContext
from otp_service.services.interfaces import Clock, EventLogger, SmsSender, Store
from otp_service.services.operator_warnings import OperatorWarnings

MAX_RETRY_AFTER_HINT = 5
"""In seconds. The `Retry-After` of a 503 is a hint and never longer than this, even if the provider's is."""

RECORDING_MARGIN = 0.1
"""Seconds between the deadline of a send and that of its request, reserved for recording the result."""


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """A verification whose SMS was sent, or may have been sent: `verification.delivery` says which.

    *dispatched* is False if this call sent nothing, because the last SMS was sent or may have been sent.
    *replayed*: this call repeats an earlier one. *outcome_unknown*: the earlier one may have sent an SMS.
    """

    verification_id: str = field(repr=False)
    verification: Verification
    phone: Phone
    dispatched: bool = True
    replayed: bool = False
    outcome_unknown: bool = False


@dataclass(frozen=True, slots=True)
class SendJob:
    """One SMS to send.

    *known*: the call may use the budgets in full. *record* is the idempotency record to finish with the send.
    """

    context: RequestContext
    verification_id: str = field(repr=False)
    verification_hash: str
    known: bool
    record: IdempotencyRecord | None = None


class SmsDispatcher:
    """Sends the first and further SMS of verifications. Thread-safe."""

    def __init__(
        self,
        *,
        policy: Policy,
        keyring: Keyring,
        store: Store,
        sender: SmsSender,
        clock: Clock,
        events: EventLogger,
    ) -> None:
        self._policy = policy
        self._keyring = keyring
        self._store = store
        self._sender = sender
        self._events = events
        self._warnings = OperatorWarnings(store, clock, events)

    def permit(self, context: RequestContext) -> AbstractContextManager[None]:
        """Permit one send while the block runs. A test phone needs no permit.

        Raises:
            ProviderUnavailable: too many sends are in flight, or the process is stopping.
        """
        return nullcontext() if context.test_code else self._sender.permit()

    def send_new(self, job: SendJob, purpose: str, salt: bytes) -> SendOutcome:
        """Create the verification and send its code, which is derived with *salt*.

        Raises:
            LimitError: a limit or budget is used up.
            ProviderError: nothing was sent.
            StoreUnavailable: nothing was sent, because the store is called first.
        """
        context = job.context
        keys = self._keyring.active
        code_type = self._policy.purposes[purpose]
        code_context = CodeContext(job.verification_id, context.client.id, context.phone.e164)
        code = context.test_code or codes.derive(keys.code, salt, code_context, code_type)
        limits = self._policy.code_limits
        new = NewVerification(
            verification_hash=job.verification_hash,
            client=context.client.id,
            purpose=purpose,
            code_type=code_type,
            kid=self._keyring.active_kid,
            salt=salt,
            digest=codes.digest(keys.digest, code_context, code),
            ttl=limits.ttl,
            attempts=limits.max_attempts,
            sends=limits.max_sends,
        )
        verification = self._store.create(context.phone_key, new, self._available_budgets(job))
        return self._send(job, verification, code)

    def resend(self, job: SendJob) -> SendOutcome:
        """Send the code of the verification again.

        Raises:
            VerificationError: it is unknown, has ended or is too old.
            Otherwise as `send_new`.
        """
        context = job.context
        reservation = self._store.reserve_resend(
            context.phone_key,
            context.client.id,
            job.verification_hash,
            self._policy.code_limits.ttl,
            self._available_budgets(job),
        )
        keys = self._keyring.by_kid.get(reservation.kid)
        if keys is None:
            raise InternalError  # the root secret was removed before the verification ended
        code_context = CodeContext(job.verification_id, context.client.id, context.phone.e164)
        code = codes.derive(keys.code, reservation.salt, code_context, reservation.verification.code_type)
        return self._send(job, reservation.verification, code)

    def _send(self, job: SendJob, verification: Verification, code: Code) -> SendOutcome:
        """Send the newest SMS of *verification* and record the result.

        If recording fails, the call still ends with the result of the send: the caller needs the id of a
        verification whose SMS was sent, or the reason for a refusal. The reservation then stays until the
        window of its limit ends, so the limits may count too much, but never too little.
        """
        context, number = job.context, len(verification.sends)
        reference = MessageReference(context.phone_key.phone_hash, verification.verification_hash, number)
        sms = SmsMessage(
            phone=context.phone,
            client=context.client.id,
            purpose=verification.purpose,
            locale=context.locale,
            code=code,
            code_type=verification.code_type,
            reference=reference.encode(self._keyring.active.message_reference),
        )
        if context.test_code:
            result = SendResult(SendStatus.ACCEPTED, route=TEST_ROUTE)
        else:
            result = self._sender.send(sms, context.deadline - RECORDING_MARGIN)
        disposition = _disposition(result)
        self._log(context, verification, number, result, disposition)
        recorded = None
        try:
            recorded = self._record(job, verification, number, result, disposition)
        except StoreUnavailable:
            self._events.emit("send_result_not_recorded", outcome=result.status.value)
        current = recorded or verification
        if not context.client_ip_hash:
            self._warnings.missing_client_ip(context.client.id)
        self._warnings.clock_skew(current.now)
        if error := _error_of(result):
            raise error
        return SendOutcome(
            job.verification_id, current.with_max_sends(verification.sends_left), context.phone
        )

    def _record(
        self,
        job: SendJob,
        verification: Verification,
        number: int,
        result: SendResult,
        disposition: SendDisposition,
    ) -> Verification | None:
        context = job.context
        record = SendResultRecord(
            verification_hash=verification.verification_hash,
            number=number,
            disposition=disposition,
            route=result.route,
            wait=result.retry_after,
            ttl=self._policy.code_limits.ttl,
            taken_at=verification.now,
            provider_code=result.provider_code,
        )
        may_be_sent = disposition in (SendDisposition.ACCEPTED, SendDisposition.UNKNOWN)
        refund = () if may_be_sent or context.test_code else self._budgets(context.client)
        finished = job.record if may_be_sent else None
        return self._store.record_send_result(context.phone_key, context.client.id, record, refund, finished)

    def _log(
        self,
        context: RequestContext,
        verification: Verification,
        number: int,
        result: SendResult,
        disposition: SendDisposition,
    ) -> None:
        self._events.emit(
            "sms_send",
            phone_hash=context.phone_key.phone_hash,
            phone_masked=str(context.phone),
            country=context.phone.country,
            client=context.client.id,
            verification_hash=verification.verification_hash,
            number=number,
            outcome=disposition.value,
            route=result.route,
            provider_code=result.provider_code,
            provider_request_id=result.request_id,
            biz_id=result.biz_id,
        )

    def _budgets(self, client: Client) -> tuple[Budget, ...]:
        return budgets(
            client.id, client.sms_per_day, self._policy.sms_per_day, self._policy.reserved_for_known_ratio
        )

    def _available_budgets(self, job: SendJob) -> dict[Budget, int]:
        """Return each budget and how much of it this call may use; none for a test phone."""
        if job.context.test_code:
            return {}
        return {budget: budget.available_to(known=job.known) for budget in self._budgets(job.context.client)}


def _disposition(result: SendResult) -> SendDisposition:
    if result.status is not SendStatus.REFUSED:
        return SendDisposition(result.status.value)
    if result.cause is FailureCause.RECIPIENT:
        return SendDisposition.RECIPIENT_REJECTED
    if result.cause is FailureCause.RECIPIENT_RATE_LIMIT:
        return SendDisposition.RATE_LIMITED
    return SendDisposition.NOT_SENT


def _error_of(result: SendResult) -> OtpError | None:
    if result.status is not SendStatus.REFUSED:
        return None
    if result.cause is FailureCause.RECIPIENT:
        return DestinationRejected()
    if result.cause is FailureCause.RECIPIENT_RATE_LIMIT:
        return ProviderRateLimited(max(1, result.retry_after))
    if result.cause is FailureCause.ACCOUNT:
        return ProviderMisconfigured()
    return ProviderUnavailable(min(MAX_RETRY_AFTER_HINT, result.retry_after or 2))
