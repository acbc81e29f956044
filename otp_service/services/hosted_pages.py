"""Hosted pages: a client creates a page, one browser opens it, and its forms lead the visitor to a proof.

The verification itself works as for any other caller. This module ensures that each form is processed only
once, and that only the page knows the verification that was created on it.
"""

from __future__ import annotations

import base64
import hmac
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from otp_service.domain import hosted_page
from otp_service.domain.client_ip import normalize_client_ip
from otp_service.domain.clients import Client, Clients
from otp_service.domain.crypto import NONCE_BYTES, Keyring
from otp_service.domain.errors import (
    AttemptsExhausted,
    ChallengeRequired,
    DestinationRejected,
    FieldError,
    Forbidden,
    InvalidRequest,
    LimitReached,
    OtpError,
    RetryableError,
    VerificationError,
    WrongCode,
)
from otp_service.domain.hosted_page import (
    ActiveVerification,
    FormError,
    HostedPage,
    PageEvent,
    PageQuota,
    Step,
)
from otp_service.services.interfaces import Clock, PageStore
from otp_service.services.verification import Approved, SendOutcome, VerificationService

CREATED_PER_OPENED = 10
"""How many pages a client may create for each page that may be opened. Many are never used."""

MAX_VERIFICATIONS_PER_PAGE = 5

SUBMISSION_GRACE = 4.0
"""Seconds after the deadline of a request at which a form without a result is considered abandoned."""


class PageUnavailableReason(StrEnum):
    """Why a page cannot be shown."""

    GONE = "gone"
    """It never existed, has ended, or was used."""
    TAKEN = "taken"
    """Another browser has opened it."""


class PageUnavailable(Exception):
    """This page does not exist for this browser."""

    def __init__(self, reason: PageUnavailableReason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class FormSubmission:
    """A submitted form: its *key*, its *action*, and what was typed.

    The actions are `phone`, `code`, `resend`, `change` and `solve`.
    """

    key: str
    action: str
    phone: str = ""
    code: str = field(default="", repr=False)
    solution: str = ""


@dataclass(frozen=True, slots=True)
class PageView:
    """What a browser is shown.

    Attributes:
        page: the state of the page.
        browser_token: the value of the browser's cookie.
        form_key: the key of the forms on the page.
        now: the time, in unix seconds.
        is_busy: a submitted form is being processed.
    """

    page: HostedPage
    browser_token: str
    form_key: str
    now: float
    is_busy: bool


@dataclass(frozen=True, slots=True)
class CreatedPage:
    """A new page: the id at the end of its URL, and when it ends (unix seconds)."""

    page_id: str
    ends_at: float


@dataclass(frozen=True, slots=True)
class _LoadedPage:
    page_id: str
    id_hash: str
    version: int
    page: HostedPage


_FormResult = tuple[HostedPage, OtpError | None]


class HostedPages:
    """All hosted pages.

    Args:
        service: requests and verifies codes.
        clients: the configured clients.
        store: keeps the encrypted pages and counts them.
        keyring: encrypts the pages.
        clock: the time.
        deadline: seconds that a request may take.
        draw: returns the given number of random bytes.
    """

    def __init__(
        self,
        *,
        service: VerificationService,
        clients: Clients,
        store: PageStore,
        keyring: Keyring,
        clock: Clock,
        deadline: float,
        draw: Callable[[int], bytes],
    ) -> None:
        self._service = service
        self._clients = clients
        self._store = store
        self._keyring = keyring
        self._clock = clock
        self._max_processing_time = deadline + SUBMISSION_GRACE
        self._draw = draw

    # ── for servers ──

    def create(
        self,
        client: Client,
        *,
        purpose: str | None,
        return_url: str,
        state: str,
        locale: str,
        client_ip: str | None = None,
    ) -> CreatedPage:
        """Create a page that returns to *return_url* with *state*, for a visitor at *client_ip*.

        Raises:
            InvalidRequest: the client does not have this purpose or return URL, or *client_ip* is not an IP
                address.
            LimitReached: the client has created too many pages, in total or for this address.
        """
        chosen = self._service.choose_purpose(client, purpose)
        if return_url not in client.return_urls:
            detail = "is not one of this client's"
            raise InvalidRequest([FieldError(pointer="/return_url", detail=detail)])
        self._check_rate(PageEvent.CREATED, client, client_ip)
        page_id = self._random_text(hosted_page.ID_BYTES)
        ends_at = self._clock.now() + hosted_page.PAGE_TTL
        page = HostedPage(client.id, chosen, return_url, state, locale, ends_at)
        id_hash = self._keyring.page_hash(page_id)
        self._store.create(id_hash, self._encrypt(page_id, page), hosted_page.PAGE_TTL)
        return CreatedPage(page_id, ends_at)

    # ── for browsers ──

    def view(self, page_id: str, browser_token: str) -> PageView:
        """Return the current state of a page for the browser with *browser_token*.

        This changes nothing, because previews and prefetches also load pages. Until the first form is
        submitted, every browser gets the page with a new token. A token that the browser already has is
        ignored, because someone else may have set its cookie.

        Raises:
            PageUnavailable: the page does not exist for this browser.
        """
        loaded = self._load(page_id)
        page = loaded.page
        if page.browser_token_hash:
            self._check_browser(loaded, browser_token)
        else:
            browser_token = self._random_text(hosted_page.BROWSER_TOKEN_BYTES)
        now = self._clock.now()
        if page.step is Step.DONE and now >= page.proof_ends_at:
            raise PageUnavailable(PageUnavailableReason.GONE)
        key = hosted_page.form_key(self._keyring, page_id, browser_token, page.form_sequence)
        return PageView(page, browser_token, key, now, is_busy=now < page.busy_until)

    def submit(
        self, page_id: str, browser_token: str, form: FormSubmission, client_ip: str
    ) -> tuple[str, OtpError | None]:
        """Process *form* once. Return the id of the client, and the error that the page then shows, if any.

        The first form binds the page to the browser that submitted it. Submitting a form again does nothing:
        the page shows the result of the first submission.

        Raises:
            PageUnavailable: the page does not exist for this browser.
            Forbidden: the form does not belong to this page and browser.
        """
        loaded = self._load(page_id)
        page = loaded.page
        if page.browser_token_hash:
            self._check_browser(loaded, browser_token)
        sequence = hosted_page.sequence_of(self._keyring, page_id, browser_token, form.key, page)
        if sequence is None:
            raise Forbidden
        if sequence < page.form_sequence or page.step is Step.DONE:
            return page.client, None
        if page.form_sequence >= hosted_page.MAX_SUBMISSIONS:
            raise PageUnavailable(PageUnavailableReason.GONE)
        busy = replace(
            page,
            browser_token_hash=hosted_page.browser_token_hash(self._keyring, page_id, browser_token),
            form_sequence=sequence + 1,
            busy_until=self._clock.now() + self._max_processing_time,
            form_error=None,
        )
        claimed = self._compare_and_set(loaded, busy)
        if claimed is None:
            return page.client, None  # another submission of the same form was faster
        result, error = self._process(claimed.page, form, client_ip)
        self._compare_and_set(claimed, replace(result, busy_until=0))
        return page.client, error

    # ── forms ──

    def _process(self, page: HostedPage, form: FormSubmission, client_ip: str) -> _FormResult:
        client = self._clients.get(page.client)
        if client is None:
            raise PageUnavailable(PageUnavailableReason.GONE)
        handler = _FormHandler(self._service, client, client_ip, self._clock.now())
        if not page.is_counted:
            try:
                self._check_rate(PageEvent.OPENED, client, client_ip)
            except OtpError as error:
                return handler.with_error(replace(page, phone=form.phone), error), error
            page = replace(page, is_counted=True)
        if form.action == "phone":
            return handler.submit_phone(page, form.phone)
        if form.action == "solve":
            return handler.send(page, page.pending_action, form.solution)
        if page.active and form.action == "resend":
            return handler.send(page, "resend")
        if page.active and form.action == "code":
            return handler.submit_code(page, page.active, form.code)
        # "change", or a form of an earlier step
        return replace(page, step=Step.PHONE, pending_action="", challenge={}), None

    # ── quotas ──

    def _check_rate(self, event: PageEvent, client: Client, client_ip: str | None) -> None:
        """Count one more page that was created or opened.

        Raises:
            InvalidRequest: *client_ip* is not an IP address.
            LimitReached: the client has too many pages, in total or from this address.
        """
        factor = CREATED_PER_OPENED if event is PageEvent.CREATED else 1
        quota = PageQuota(factor * client.pages_per_10_minutes, client.pages_per_ip_per_10_minutes)
        ip_hash = self._keyring.ip_hash(normalize_client_ip(client_ip)) if client_ip else b""
        self._store.check_rate(event, client.id, quota, base64.urlsafe_b64encode(ip_hash).decode())

    # ── the page itself ──

    def _load(self, page_id: str) -> _LoadedPage:
        id_hash = self._keyring.page_hash(page_id)
        stored = self._store.load(id_hash)
        page = stored and hosted_page.decrypt_page(stored.encrypted, self._keyring, page_id)
        if not stored or not page:
            raise PageUnavailable(PageUnavailableReason.GONE)
        return _LoadedPage(page_id, id_hash, stored.version, page)

    def _check_browser(self, loaded: _LoadedPage, browser_token: str) -> None:
        given = hosted_page.browser_token_hash(self._keyring, loaded.page_id, browser_token)
        if not hmac.compare_digest(given, loaded.page.browser_token_hash):
            raise PageUnavailable(PageUnavailableReason.TAKEN)

    def _compare_and_set(self, loaded: _LoadedPage, page: HostedPage) -> _LoadedPage | None:
        """Write *page* and return it as stored; None if another request has written it in the meantime."""
        encrypted = self._encrypt(loaded.page_id, page)
        if not self._store.compare_and_set(loaded.id_hash, loaded.version, encrypted):
            return None
        return replace(loaded, version=loaded.version + 1, page=page)

    def _encrypt(self, page_id: str, page: HostedPage) -> bytes:
        return hosted_page.encrypt_page(page, self._keyring, page_id, self._draw(NONCE_BYTES))

    def _random_text(self, size: int) -> str:
        return base64.urlsafe_b64encode(self._draw(size)).decode()


@dataclass(frozen=True, slots=True)
class _FormHandler:
    """Processes one form of the end user at *client_ip*."""

    service: VerificationService
    client: Client
    client_ip: str
    now: float

    def submit_phone(self, page: HostedPage, phone: str) -> _FormResult:
        """Create a verification for *phone*, or return to the current one if it is for the same phone."""
        active = page.active
        if active and self.now < active.expires_at and self.service.is_same_phone(phone, active.phone):
            return replace(page, step=Step.CODE, phone=phone, pending_action="", challenge={}), None
        return self.send(replace(page, phone=phone), "phone")

    def send(self, page: HostedPage, action: str, solution: str = "") -> _FormResult:
        """Send an SMS: of a new verification if *action* is `phone`, of the current one if it is `resend`."""
        page = replace(page, pending_action="", challenge={})
        try:
            if action == "resend" and page.active:
                outcome, verifications = self._resend(page, page.active, solution), page.verifications
            else:
                outcome, verifications = self._request(page, solution), page.verifications + 1
        except ChallengeRequired as error:
            return replace(page, pending_action=action, challenge=error.challenge), error
        except OtpError as error:
            return self.with_error(page, error), error
        active = _active_verification(outcome)
        return replace(page, step=Step.CODE, verifications=verifications, active=active), None

    def submit_code(self, page: HostedPage, active: ActiveVerification, code: str) -> _FormResult:
        """Verify *code*; a correct one yields the proof."""
        try:
            approved = self.service.verify(
                self.client,
                active.phone,
                active.verification_id,
                code,
                client_ip=self.client_ip,
                is_public=True,
            )
        except WrongCode as error:
            return self.with_error(page, error if error.attempts_left else AttemptsExhausted()), error
        except OtpError as error:
            return self.with_error(page, error), error
        return self._finished(page, approved), None

    def with_error(self, page: HostedPage, error: OtpError) -> HostedPage:
        """Return *page* with *error*. If that ends the verification, the page asks for a phone again."""
        until = self.now + error.retry_after if isinstance(error, RetryableError) else 0
        left = error.attempts_left if isinstance(error, WrongCode) else 0
        page = replace(page, form_error=FormError(error.code, until, left))
        has_ended = isinstance(error, (VerificationError, DestinationRejected)) and not left
        return replace(page, step=Step.PHONE, active=None) if has_ended else page

    def _request(self, page: HostedPage, solution: str) -> SendOutcome:
        if page.verifications >= MAX_VERIFICATIONS_PER_PAGE:
            raise LimitReached(max(1, math.ceil(page.ends_at - self.now)), "page_verifications")
        return self.service.request(
            self.client,
            page.phone,
            purpose=page.purpose,
            locale=page.locale,
            client_ip=self.client_ip,
            is_public=True,
            risk_solution=solution,
        )

    def _resend(self, page: HostedPage, active: ActiveVerification, solution: str) -> SendOutcome:
        return self.service.resend(
            self.client,
            active.phone,
            active.verification_id,
            locale=page.locale,
            client_ip=self.client_ip,
            is_public=True,
            risk_solution=solution,
        )

    def _finished(self, page: HostedPage, approved: Approved) -> HostedPage:
        return replace(
            page,
            step=Step.DONE,
            phone="",
            active=None,
            proof=approved.proof,
            proof_ends_at=self.now + approved.proof_expires_in,
        )


def _active_verification(outcome: SendOutcome) -> ActiveVerification:
    verification = outcome.verification
    return ActiveVerification(
        verification_id=outcome.verification_id,
        phone_masked=outcome.phone.masked(),
        code_type=verification.code_type,
        resend_at=verification.resend_at or 0,
        expires_at=verification.expires_at,
        phone=outcome.phone.e164,
    )
