"""The calls of the service: request, resend, verify, redeem, status, cancel, unlock.

Each of these methods is one call, with its steps in the order in which they happen. It parses the caller's
input first, and raises an error from `domain/errors.py` for every outcome other than success.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace

from otp_service.domain import codes, phone
from otp_service.domain.clients import Client
from otp_service.domain.codes import SALT_BYTES, Code, CodeContext, CodeType
from otp_service.domain.crypto import ID_BYTES, Keyring
from otp_service.domain.errors import (
    FieldError,
    InvalidRequest,
    OtpError,
    VerificationNotFound,
    WrongCode,
)
from otp_service.domain.idempotency import IdempotencyCheck, IdempotencyRecord, IdempotencyState
from otp_service.domain.limits import MAX_VERIFICATION_LIFETIME, RateLimitPolicy, rate_limit_policies
from otp_service.domain.messages import MessageReference
from otp_service.domain.phone import Phone, mask
from otp_service.domain.policy import TEST_ROUTE, Policy
from otp_service.domain.proofs import SMS, TEST, Proof, ProofSigner
from otp_service.domain.risk import PrecheckResult
from otp_service.domain.verification import Approval, CodeAttempt, SmsSend
from otp_service.services.context import ContextBuilder, RequestContext
from otp_service.services.dispatch import SendJob, SendOutcome, SmsDispatcher
from otp_service.services.id_guessing import MissCounter, miss_counter
from otp_service.services.idempotency import (
    SERVER,
    IdempotencyKey,
    browser_at,
    finish,
    freed_if_refused,
    idempotent,
    raise_if_blocked,
    record_for,
)
from otp_service.services.interfaces import (
    ChallengeProvider,
    Clock,
    EventLogger,
    RequestLogContext,
    SmsSender,
    Store,
    UsageCounters,
)
from otp_service.services.reconciliation import UnknownDelivery, UnknownDeliveryReconciler
from otp_service.services.risk import RiskAssessor, release_unless_sent

__all__ = ["Approved", "IdempotencyKey", "Redeemed", "SendOutcome", "VerificationService"]


@dataclass(frozen=True, slots=True)
class Approved:
    """The result of a correct code: a proof that is valid for *proof_expires_in* seconds.

    *replayed*: this call repeats the call that approved the verification.
    """

    verification_id: str
    purpose: str
    phone: Phone
    proof: str
    proof_expires_in: int
    replayed: bool = False

    def __repr__(self) -> str:
        return f"Approved({self.purpose})"


@dataclass(frozen=True, slots=True)
class Redeemed:
    """A valid *proof*, which is now used. *replayed*: this call repeats the call that redeemed it."""

    proof: Proof
    replayed: bool = False


class VerificationService:
    """The calls of the API. One instance serves all threads of a process."""

    def __init__(
        self,
        *,
        policy: Policy,
        keyring: Keyring,
        signers: Mapping[str, ProofSigner],
        store: Store,
        sender: SmsSender,
        counters: UsageCounters,
        challenges: ChallengeProvider | None,
        clock: Clock,
        events: EventLogger,
        log_context: RequestLogContext,
    ) -> None:
        self._policy = policy
        self._keyring = keyring
        self._signers = signers
        self._store = store
        self._counters = counters
        self._clock = clock
        self._events = events
        self._log_context = log_context
        self._rate_limits: dict[str, Mapping[str, RateLimitPolicy]] = {}
        self._contexts = ContextBuilder(policy=policy, keyring=keyring, clock=clock, log_context=log_context)
        self._risk = RiskAssessor(
            policy=policy.risk, keyring=keyring, challenges=challenges, counters=counters, events=events
        )
        self._dispatcher = SmsDispatcher(
            policy=policy, keyring=keyring, store=store, sender=sender, clock=clock, events=events
        )
        self._reconciler = UnknownDeliveryReconciler(
            keyring=keyring, store=store, sender=sender, clock=clock, events=events
        )

    # ── the calls ──

    def request(
        self,
        client: Client,
        phone_text: str,
        *,
        purpose: str | None = None,
        locale: str = "",
        client_ip: str | None = None,
        is_public: bool = False,
        known_phone: bool = False,
        accepts_challenge: bool = False,
        known_device: bool = False,
        risk_solution: str = "",
        idempotency_key: IdempotencyKey | None = None,
    ) -> SendOutcome:
        """Create a verification and send its code.

        Args:
            client: The client that calls.
            phone_text: The phone number as it was typed.
            purpose: What the code is for. A client with one purpose may leave it out.
            locale: The language of the SMS, a BCP 47 tag.
            client_ip: The end user's IP address.
            is_public: Whether a browser calls, with a publishable key or through a hosted page.
            known_phone: Whether the client has an account with this phone, which may use the full budgets.
            accepts_challenge: Whether a server can pass a risk challenge on to its page.
            known_device: Whether the client recognizes the person's device or session and trusts it.
            risk_solution: The solution of a risk challenge.
            idempotency_key: The key and the payload of a call that may be repeated.

        Raises:
            InvalidPhone, InvalidRequest: the input is not valid.
            DestinationBlocked: the service does not send to this phone.
            ChallengeRequired: the caller must solve a risk challenge first.
            LimitError: it is too early, or a limit or budget is used up.
            ProviderError: nothing was sent.
            StoreUnavailable: nothing was sent, because the store is called first.
            IdempotencyInProgress, IdempotencyKeyReused: see `idempotency.raise_if_blocked`.
        """
        context = self._contexts.build_for_send(
            client, phone_text, client_ip, locale=locale, is_public=is_public, known_device=known_device
        )
        purpose = self.choose_purpose(client, purpose)
        seed, salt = _new_id_and_salt()
        record = self._idempotency_record(context, "request", idempotency_key, seed)
        precheck = self._risk.build_precheck(context, risk_solution, record)
        max_attempts = self._policy.code_limits.max_attempts
        result = self._store.precheck(context.phone_key, client.id, max_attempts, precheck)
        record = _with_first_result(record, result.idempotency)
        verification_id = self._keyring.verification_id(record.result_id if record else seed)

        with release_unless_sent(self._store, context, result) as pending:
            if earlier := self._replay(context, verification_id, record, result.idempotency):
                return earlier
            with freed_if_refused(self._store, record):
                known = _may_use_reserved_quota(context, result, known_phone=known_phone)
                self._risk.enforce(
                    context, precheck, result, known=known, accepts_challenge=accepts_challenge
                )
                with self._dispatcher.permit(context):
                    verification_hash = self._hash_id(verification_id)
                    job = SendJob(context, verification_id, verification_hash, known, record)
                    outcome = self._dispatcher.send_new(job, purpose, salt)
            pending.mark_sent()
        self._risk.record_send(context, result)
        return _visible_to(context, outcome)

    def resend(
        self,
        client: Client,
        phone_text: str,
        verification_id: str,
        *,
        locale: str = "",
        client_ip: str | None = None,
        is_public: bool = False,
        known_phone: bool = False,
        accepts_challenge: bool = False,
        known_device: bool = False,
        risk_solution: str = "",
        idempotency_key: IdempotencyKey | None = None,
    ) -> SendOutcome:
        """Send the code of a verification again.

        If the outcome of the last SMS is unknown, nothing is sent until it counts as not sent: see
        `reconciliation`.

        Takes the *verification_id* that `request` returned; the other arguments are as there.

        Raises:
            VerificationError: the verification is unknown, has ended or is too old.
            Otherwise as `request`.
        """
        context = self._contexts.build_for_send(
            client, phone_text, client_ip, locale=locale, is_public=is_public, known_device=known_device
        )
        misses = self._miss_counter(context)
        misses.check_form(verification_id)
        verification_hash = self._hash_id(verification_id)
        record = self._idempotency_record(context, "request", idempotency_key, verification_hash)
        precheck = self._risk.build_precheck(context, risk_solution, record)
        result = self._store.precheck_resend(
            context.phone_key, client.id, verification_hash, precheck, opener_only=misses.opener_only
        )
        record = _with_first_result(record, result.idempotency)

        with release_unless_sent(self._store, context, result) as pending:
            if earlier := self._replay(context, verification_id, record, result.idempotency):
                return earlier
            with freed_if_refused(self._store, record):
                known = _may_use_reserved_quota(context, result, known_phone=known_phone)
                with misses:
                    self._risk.enforce(
                        context, precheck, result, known=known, accepts_challenge=accepts_challenge
                    )
                last = result.last_send
                if last and last.has_unknown_outcome(result.now):
                    unknown = self._unknown_delivery(
                        context,
                        "resend",
                        verification_hash,
                        purpose=result.purpose,
                        send=last,
                        now=result.now,
                    )
                    if self._reconciler.must_assume_sent(unknown, context.deadline):
                        finish(self._store, record)
                        return self._load(context, verification_id, dispatched=False)
                with self._dispatcher.permit(context):
                    job = SendJob(context, verification_id, verification_hash, known, record)
                    outcome = self._dispatcher.resend(job)
            pending.mark_sent()
        self._risk.record_send(context, result)
        return _visible_to(context, outcome)

    def verify(
        self,
        client: Client,
        phone_text: str,
        verification_id: str,
        code_text: str,
        *,
        client_ip: str | None = None,
        is_public: bool = False,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Approved:
        """Count one attempt and return the proof if the code is correct.

        Takes the *verification_id* that `request` returned and the code as it was typed; the other arguments
        are as in `request`.

        Raises:
            InvalidPhone, DestinationBlocked, InvalidCode, LimitReached: no attempt was used.
            VerificationError: every outcome other than approval.
            StoreUnavailable: the attempt may or may not have been counted.
            IdempotencyInProgress, IdempotencyKeyReused: see `idempotency.raise_if_blocked`.
        """
        context = self._contexts.build(client, phone_text, client_ip, is_public=is_public)
        code, code_types = codes.parse(code_text)
        misses = self._miss_counter(context)
        misses.check_form(verification_id)
        verification_hash = self._hash_id(verification_id)
        record = self._idempotency_record(context, "verify", idempotency_key, verification_hash)

        with idempotent(self._store, record):
            attempt = self._code_attempt(context, verification_id, code, code_types, record)
            try:
                with misses:
                    approval = self._store.attempt(
                        context.phone_key,
                        client.id,
                        verification_hash,
                        attempt,
                        opener_only=misses.opener_only,
                    )
            except WrongCode:
                self._counters.record_failure()
                raise
            if not approval.replayed:
                self._record_approval(context, approval)
            return self._approved(context, verification_id, approval)

    def redeem(
        self,
        client: Client,
        proof_text: str,
        *,
        purpose: str,
        allow_test: bool = False,
        idempotency_key: IdempotencyKey | None = None,
    ) -> Redeemed:
        """Redeem a proof and return its claims.

        The proof must be for *purpose*; that of a test phone is valid only with *allow_test*.

        Raises:
            ProofError: the proof is not valid for this client and purpose, has expired, or was used before.
            StoreUnavailable: the proof may or may not have been redeemed.
            IdempotencyInProgress, IdempotencyKeyReused: see `idempotency.raise_if_blocked`.
        """
        proof = self._signers[client.id].read(proof_text, purpose=purpose, allow_test=allow_test)
        phone_hash = self._keyring.phone_hash(proof.phone)
        verification_hash = self._hash_id(proof.verification_id)
        self._log_context.bind(phone_hash=phone_hash, phone_masked=mask(proof.phone))
        record = None
        if idempotency_key:
            record = record_for(
                self._keyring,
                client.id,
                idempotency_key,
                caller=SERVER,
                call="redeem",
                deadline=self._policy.deadline,
                result_id=verification_hash,
            )

        with idempotent(self._store, record):
            fingerprint = record.fingerprint if record else b""
            ttl = self._policy.proof_ttl + MAX_VERIFICATION_LIFETIME
            replayed = self._store.redeem(phone_hash, verification_hash, ttl, fingerprint)
            return Redeemed(proof, replayed)

    def status(
        self,
        client: Client,
        phone_text: str,
        verification_id: str,
        *,
        client_ip: str | None = None,
        is_public: bool = False,
    ) -> SendOutcome:
        """Return the current state of a verification.

        Raises:
            VerificationNotFound: it is unknown, or belongs to another phone or client.
        """
        context = self._contexts.build(client, phone_text, client_ip, is_public=is_public)
        misses = self._miss_counter(context)
        misses.check_form(verification_id)
        verification_hash = self._hash_id(verification_id)
        with misses:
            verification = self._store.read(
                context.phone_key, client.id, verification_hash, opener_only=misses.opener_only
            )
        if verification.has_unknown_outcome:
            unknown = self._unknown_delivery(
                context,
                "status",
                verification_hash,
                purpose=verification.purpose,
                send=verification.sends[-1],
                now=verification.now,
            )
            self._reconciler.must_assume_sent(unknown, context.deadline)
            verification = self._store.read(context.phone_key, client.id, verification_hash)
        return _visible_to(context, SendOutcome(verification_id, verification, context.phone))

    def cancel(
        self,
        client: Client,
        phone_text: str,
        verification_id: str,
        *,
        client_ip: str | None = None,
        is_public: bool = False,
    ) -> None:
        """Cancel a pending verification.

        Raises:
            VerificationError: it is unknown, or has ended in another way.
        """
        context = self._contexts.build(client, phone_text, client_ip, is_public=is_public)
        misses = self._miss_counter(context)
        misses.check_form(verification_id)
        verification_hash = self._hash_id(verification_id)
        with misses:
            self._store.cancel(
                context.phone_key, client.id, verification_hash, opener_only=misses.opener_only
            )

    def unlock(self, client: Client, phone_text: str) -> None:
        """Reset the failures of a phone, so that it can be verified again."""
        context = self._contexts.build(client, phone_text, None)
        self._store.unlock(context.phone_key.phone_hash)
        self._events.emit(
            "phone_unlocked",
            phone_hash=context.phone_key.phone_hash,
            phone_masked=str(context.phone),
            client=client.id,
        )

    # ── helpers for callers ──

    def rate_limit_policies(self, client: Client) -> Mapping[str, RateLimitPolicy]:
        """Return how many calls each limit allows to *client*."""
        if client.id not in self._rate_limits:
            policy = self._policy
            limits = client.limits or policy.phone_limits
            self._rate_limits[client.id] = rate_limit_policies(
                limits, policy.code_limits, policy.risk.ip_limits, client.sms_per_day, policy.sms_per_day
            )
        return self._rate_limits[client.id]

    def is_same_phone(self, text: str, other_text: str) -> bool:
        """Return whether two texts spell the same phone number; False if either is not a phone number."""
        try:
            one, other = (phone.parse(each, self._policy.phones) for each in (text, other_text))
        except OtpError:
            return False
        return one.e164 == other.e164

    def choose_purpose(self, client: Client, purpose: str | None) -> str:
        """Return *purpose*, or the client's only one if it is None.

        Raises:
            InvalidRequest: it is not one of the client's purposes, or it is None and the client has several.
        """
        if purpose is None and len(client.purposes) == 1:
            return client.purposes[0]
        if purpose is None:
            raise InvalidRequest([FieldError(pointer="/purpose", detail="is required")])
        if purpose not in client.purposes:
            raise InvalidRequest([FieldError(pointer="/purpose", detail="is not one of this client's")])
        return purpose

    # ── steps shared by several calls ──

    def _hash_id(self, verification_id: str) -> str:
        """Return the keyed hash of *verification_id* and bind it to the log context."""
        verification_hash = self._keyring.verification_hash(verification_id)
        self._log_context.bind(verification_hash=verification_hash)
        return verification_hash

    def _miss_counter(self, context: RequestContext) -> MissCounter:
        return miss_counter(self._counters, context, context.ip_quota(self._policy.risk.ip_limits))

    def _idempotency_record(
        self, context: RequestContext, call: str, key: IdempotencyKey | None, result_id: str
    ) -> IdempotencyRecord | None:
        if key is None:
            return None
        caller = browser_at(context.client_ip_hash) if context.is_public else SERVER
        return record_for(
            self._keyring,
            context.client.id,
            key,
            caller=caller,
            call=call,
            deadline=self._policy.deadline,
            result_id=result_id,
        )

    def _replay(
        self,
        context: RequestContext,
        verification_id: str,
        record: IdempotencyRecord | None,
        check: IdempotencyCheck | None,
    ) -> SendOutcome | None:
        """Return the outcome of the first call with this idempotency key, or None if this is the first.

        Raises:
            IdempotencyInProgress, IdempotencyKeyReused: see `idempotency.raise_if_blocked`.
            VerificationNotFound: the verification of the first call no longer exists.
        """
        if record is None or check is None:
            return None
        raise_if_blocked(check)
        if check.state is IdempotencyState.NEW:
            return None
        is_abandoned = check.state is IdempotencyState.ABANDONED
        try:
            found = self._load(context, verification_id, replayed=True, outcome_unknown=is_abandoned)
        except VerificationNotFound:
            if is_abandoned:
                return None  # its process ended before it created a verification
            raise
        finish(self._store, record)
        return found

    def _load(self, context: RequestContext, verification_id: str, **flags: bool) -> SendOutcome:
        """Return the current state of a verification, with *flags* of `SendOutcome`."""
        verification_hash = self._hash_id(verification_id)
        verification = self._store.read(context.phone_key, context.client.id, verification_hash)
        return _visible_to(context, SendOutcome(verification_id, verification, context.phone, **flags))

    def _unknown_delivery(
        self,
        context: RequestContext,
        call: str,
        verification_hash: str,
        *,
        purpose: str,
        send: SmsSend,
        now: float,
    ) -> UnknownDelivery:
        reference = MessageReference(context.phone_key.phone_hash, verification_hash, send.number)
        return UnknownDelivery(call, context.phone, context.client.id, purpose, reference, send, now)

    # ── attempts ──

    def _code_attempt(
        self,
        context: RequestContext,
        verification_id: str,
        code: Code,
        code_types: frozenset[CodeType],
        record: IdempotencyRecord | None,
    ) -> CodeAttempt:
        code_context = CodeContext(verification_id, context.client.id, context.phone.e164)
        digests = {
            kid: codes.digest(keys.digest, code_context, code) for kid, keys in self._keyring.by_kid.items()
        }
        fingerprint = record.fingerprint if record else b""
        return CodeAttempt(
            digests, code_types, at=int(self._clock.now()), idempotency_fingerprint=fingerprint
        )

    def _record_approval(self, context: RequestContext, approval: Approval) -> None:
        self._counters.record_approval(
            context.phone_key.phone_hash,
            approval.failed_attempts,
            context.ip_quota(self._policy.risk.ip_limits),
            self._risk.conversion_scopes(context),
        )
        self._log_context.bind(
            purpose=approval.purpose,
            route=approval.route,
            country=context.phone.country,
            verified_after=round(approval.seconds_to_verify, 1),
        )

    def _approved(self, context: RequestContext, verification_id: str, approval: Approval) -> Approved:
        # The phone may no longer be a test phone, but the code was its fixed code.
        is_test = context.test_code is not None or approval.route == TEST_ROUTE
        proof = self._signers[context.client.id].mint(
            phone=context.phone,
            purpose=approval.purpose,
            verification_id=verification_id,
            ttl=self._policy.proof_ttl,
            amr=(TEST if is_test else SMS,),
            at=approval.approved_at,
        )
        left = max(0, approval.approved_at + self._policy.proof_ttl - int(self._clock.now()))
        return Approved(verification_id, approval.purpose, context.phone, proof, left, approval.replayed)


def _new_id_and_salt() -> tuple[str, bytes]:
    """Return the seed of a new verification's id and a salt, from one call for random bytes."""
    drawn = secrets.token_bytes(ID_BYTES + SALT_BYTES)
    return base64.urlsafe_b64encode(drawn[:ID_BYTES]).rstrip(b"=").decode(), drawn[ID_BYTES:]


def _with_first_result(
    record: IdempotencyRecord | None, check: IdempotencyCheck | None
) -> IdempotencyRecord | None:
    """Return *record* with the result id of the first call with its key."""
    return replace(record, result_id=check.result_id) if record and check else record


def _may_use_reserved_quota(context: RequestContext, result: PrecheckResult, *, known_phone: bool) -> bool:
    """Return whether this call may use the share of the budgets that is reserved for known phones.

    A call with a publishable key may use it only if it is trusted: anyone can name any phone, and the answer
    would reveal whether it is known.
    """
    return result.is_trusted or (not context.is_public and (result.known or known_phone))


def _visible_to(context: RequestContext, outcome: SendOutcome) -> SendOutcome:
    """Return what the caller may see: a browser sees only what follows from its own verification."""
    if not context.is_public:
        return outcome
    own = outcome.verification.without_shared_limits(context.phone_key.limits.cooldown)
    return replace(outcome, verification=own)
