"""Sending: the second flush, the SMS itself, and the third.

The record can be verified before the SMS is sent, because this process may die after the provider took it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from otp_service.domain import codes
from otp_service.domain.clients import Client
from otp_service.domain.codes import Code, CodeContext
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
from otp_service.domain.keyring import Keyring
from otp_service.domain.limits import Budget, budgets
from otp_service.domain.messages import FailureCause, SendResult, SendStatus, SmsMessage
from otp_service.domain.out_id import MessageReference
from otp_service.domain.phone import Phone
from otp_service.domain.policy import Policy
from otp_service.domain.verification import NewVerification, SendDisposition, SendResultRecord, Verification
from otp_service.services.context import RequestContext
from otp_service.services.interfaces import Clock, EventLogger, SendPermit, SmsSender, Store
from otp_service.services.operator_warnings import OperatorWarnings

MAX_RETRY_AFTER_HINT = 5
"""Seconds; the `Retry-After` of a 503 is a hint, whatever the provider says."""

RECORDING_MARGIN = 0.1
"""So long before the deadline of its request a send ends, for the third flush."""

TEST_ROUTE = "test"
"""The route of test phones, which get no SMS."""


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """An SMS is on its way, or may be: `verification.delivery` says which.

    *dispatched*: False when nothing was sent now, since the last SMS is, or must be taken for, on its way.
    *replayed*: this call repeats an earlier one; *outcome_unknown*: whether that one has sent is not known.
    """

    verification_id: str = field(repr=False)
    verification: Verification
    phone: Phone
    dispatched: bool = True
    replayed: bool = False
    outcome_unknown: bool = False


@dataclass(frozen=True, slots=True)
class SendJob:
    """One SMS that may go out: what it is for, and under which conditions.

    *permit* is None for a test phone, *claim* is the idempotency key to end with the send, *known* whether
    the whole of the budgets is open.
    """

    ask: RequestContext
    verification_id: str = field(repr=False)
    verification_hash: str
    permit: SendPermit | None
    known: bool
    claim: IdempotencyRecord | None = None


class SmsDispatcher:
    """Sends first and further SMS of verifications; threads share it."""

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
        self._hints = OperatorWarnings(store, clock, events)

    def permit(self) -> SendPermit:
        """Return the right to one send.

        Raises:
            ProviderUnavailable: too many sends are in flight.
        """
        return self._sender.permit()

    def send_new(self, order: SendJob, purpose: str, salt: bytes) -> SendOutcome:
        """Open a verification and send its code, derived with *salt*.

        Raises:
            LimitError: a limit or budget is full.
            ProviderError: nothing was sent.
            StoreUnavailable: nothing was sent, since the store is asked before.
        """
        ask = order.ask
        keys = self._keyring.active
        code_type = self._policy.purposes[purpose]
        binding = CodeContext(order.verification_id, ask.client.id, ask.phone.e164)
        code = ask.test_code or codes.derive(keys.code, salt, binding, code_type)
        new = NewVerification(
            verification_hash=order.verification_hash,
            client=ask.client.id,
            purpose=purpose,
            code_type=code_type,
            kid=self._keyring.active_kid,
            salt=salt,
            digest=codes.digest(keys.digest, binding, code),
            ttl=self._policy.code_limits.ttl,
            attempts=self._policy.code_limits.max_attempts,
            sends=self._policy.code_limits.max_sends,
        )
        opened = self._store.create(ask.phone_key, new, self._open_budgets(order))
        return self._send(order, opened, code)

    def resend(self, order: SendJob) -> SendOutcome:
        """Send the same code of the same verification once more.

        Raises:
            VerificationError: it is unknown, has ended or is too old.
            Otherwise as `first`.
        """
        ask = order.ask
        reopened = self._store.reserve_resend(
            ask.phone_key,
            ask.client.id,
            order.verification_hash,
            self._policy.code_limits.ttl,
            self._open_budgets(order),
        )
        keys = self._keyring.by_kid.get(reopened.kid)
        if keys is None:
            raise InternalError  # its root secret was removed while it lived
        binding = CodeContext(order.verification_id, ask.client.id, ask.phone.e164)
        code = codes.derive(keys.code, reopened.salt, binding, reopened.verification.code_type)
        return self._send(order, reopened.verification, code)

    # ── budgets ──

    def _budgets(self, client: Client) -> tuple[Budget, ...]:
        return budgets(
            client.id, client.sms_per_day, self._policy.sms_per_day, self._policy.reserved_for_known_ratio
        )

    def _open_budgets(self, order: SendJob) -> dict[Budget, int]:
        if order.permit is None:
            return {}
        return {budget: budget.available_to(known=order.known) for budget in self._budgets(order.ask.client)}

    # ── the send ──

    def _send(self, order: SendJob, opened: Verification, code: Code) -> SendOutcome:
        ask, number = order.ask, len(opened.sends)
        outcome = self._outcome(order, self._sms(ask, opened, number, code))
        settled = self._settle(order, opened, number, outcome) or opened
        if not ask.client_ip_hash:
            self._hints.missing_client_ip(ask.client.id)
        self._hints.clock_skew(settled.now)
        if error := _refusal(outcome):
            raise error
        return SendOutcome(order.verification_id, settled.with_max_sends(opened.sends_left), ask.phone)

    def _sms(self, ask: RequestContext, opened: Verification, number: int, code: Code) -> SmsMessage:
        out_id = MessageReference(ask.phone_key.tag, opened.verification_hash, number)
        return SmsMessage(
            phone=ask.phone,
            client=ask.client.id,
            purpose=opened.purpose,
            locale=ask.locale,
            code=code,
            code_type=opened.code_type,
            out_id=out_id.encode(self._keyring.active.out_id),
        )

    def _outcome(self, order: SendJob, sms: SmsMessage) -> SendResult:
        if order.permit is None:
            return SendResult(SendStatus.ACCEPTED, route=TEST_ROUTE)
        return order.permit.send(sms, order.ask.deadline - RECORDING_MARGIN)

    # ── the third flush ──

    def _settle(
        self, order: SendJob, opened: Verification, number: int, outcome: SendResult
    ) -> Verification | None:
        """Book how the send ended. If the store fails now, the provider has spoken all the same.

        An SMS that is on its way needs its id, and a refusal its reason; the slot stays taken until its
        limit ends, so nothing is under-counted.
        """
        settlement = _settlement(outcome)
        self._log(order.ask, opened, number, outcome, settlement)
        try:
            return self._record(order, opened, number, outcome, settlement)
        except StoreUnavailable:
            self._events.emit("send_result_not_recorded", outcome=outcome.status.value)
            return None

    def _record(
        self,
        order: SendJob,
        opened: Verification,
        number: int,
        outcome: SendResult,
        settlement: SendDisposition,
    ) -> Verification | None:
        ask = order.ask
        record = SendResultRecord(
            verification_hash=opened.verification_hash,
            number=number,
            disposition=settlement,
            route=outcome.route,
            wait=outcome.retry_after,
            ttl=self._policy.code_limits.ttl,
            taken_at=opened.now,
            provider_code=outcome.provider_code,
        )
        is_out = settlement in (SendDisposition.ACCEPTED, SendDisposition.UNKNOWN)
        refund = () if is_out or order.permit is None else self._budgets(ask.client)
        ended = order.claim if is_out else None
        return self._store.record_send_result(ask.phone_key, ask.client.id, record, refund, ended)

    def _log(
        self,
        ask: RequestContext,
        opened: Verification,
        number: int,
        outcome: SendResult,
        settlement: SendDisposition,
    ) -> None:
        self._events.emit(
            "sms_send",
            phone_hash=ask.phone_key.tag,
            phone_masked=str(ask.phone),
            country=ask.phone.country,
            client=ask.client.id,
            verification_hash=opened.verification_hash,
            number=number,
            outcome=settlement.value,
            route=outcome.route,
            provider_code=outcome.provider_code,
            provider_request_id=outcome.request_id,
            biz_id=outcome.biz_id,
        )


def _settlement(outcome: SendResult) -> SendDisposition:
    if outcome.status is not SendStatus.REFUSED:
        return SendDisposition(outcome.status.value)
    if outcome.cause is FailureCause.RECIPIENT:
        return SendDisposition.RECIPIENT_REJECTED
    if outcome.cause is FailureCause.RECIPIENT_RATE_LIMIT:
        return SendDisposition.RATE_LIMITED
    return SendDisposition.NOT_SENT


def _refusal(outcome: SendResult) -> OtpError | None:
    if outcome.status is not SendStatus.REFUSED:
        return None
    if outcome.cause is FailureCause.RECIPIENT:
        return DestinationRejected()
    if outcome.cause is FailureCause.RECIPIENT_RATE_LIMIT:
        return ProviderRateLimited(max(1, outcome.retry_after))
    if outcome.cause is FailureCause.ACCOUNT:
        return ProviderMisconfigured()
    return ProviderUnavailable(min(MAX_RETRY_AFTER_HINT, outcome.retry_after or 2))
