"""Hosted pages: made for a client, opened by one browser, led from form to form.

The steps are those of any other caller of the service; what is of its own here is that each form counts once
and that nothing but the page knows what was opened on it.
"""

from __future__ import annotations

import base64
import hmac
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from otp_service.domain import hosted_page
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
from otp_service.domain.network import normalize_client_ip
from otp_service.services.interfaces import Clock, PageStore
from otp_service.services.verification import Approved, SendOutcome, VerificationService

CREATED_PER_OPENED = 10
"""How many pages a client may create for each that it may have opened: many are only loaded, never used."""

MAX_VERIFICATIONS_PER_PAGE = 5
"""Verifications that may be opened on one page."""

SUBMISSION_GRACE = 4.0
"""Seconds beyond the deadline of a request after which a form that led to nothing is given up."""


class PageUnavailableReason(StrEnum):
    """Why a page cannot be shown."""

    GONE = "gone"
    """Never was, is over, or was used."""
    TAKEN = "taken"
    """Another browser has opened it."""


class PageUnavailable(Exception):
    """There is no such page for this browser."""

    def __init__(self, reason: PageUnavailableReason) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class FormSubmission:
    """One form that was sent: the *key* it bears, and what it asks for."""

    key: str
    wish: str
    phone: str = ""
    code: str = field(default="", repr=False)
    solution: str = ""


@dataclass(frozen=True, slots=True)
class PageView:
    """What a browser is shown: the *page*, and the *form_key* of the forms on it.

    *name* is what its browser bears from now on; *now* in unix seconds; *is_busy*: a form is at work.
    """

    page: HostedPage
    name: str
    form_key: str
    now: float
    is_busy: bool


@dataclass(frozen=True, slots=True)
class CreatedPage:
    """A page that was made: the id that its address ends with, and until when it is good (unix seconds)."""

    page_id: str
    ends_at: float


@dataclass(frozen=True, slots=True)
class _Held:
    page_id: str
    tag: str
    version: int
    page: HostedPage


_Result = tuple[HostedPage, OtpError | None]


class HostedPages:
    """All hosted pages. *deadline* is that of a request in seconds; *draw* returns random bytes."""

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
        self._patience = deadline + SUBMISSION_GRACE
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
        """Make a page that leads back to *return_url*, with *state*, for a visitor at *client_ip*.

        Raises:
            InvalidRequest: the purpose or the return URL is not one of the client's, or the address is none.
            LimitReached: the client has made too many, or too many for this address.
        """
        chosen = self._service.choose_purpose(client, purpose)
        if return_url not in client.return_urls:
            detail = "is not one of this client's"
            raise InvalidRequest([FieldError(pointer="/return_url", detail=detail)])
        self._count(PageEvent.CREATED, client, client_ip)
        page_id = self._drawn(hosted_page.ID_BYTES)
        ends_at = self._clock.now() + hosted_page.PAGE_TTL
        page = HostedPage(client.id, chosen, return_url, state, locale, ends_at)
        self._store.create(
            self._keyring.page_hash(page_id), self._sealed(page_id, page), hosted_page.PAGE_TTL
        )
        return CreatedPage(page_id, ends_at)

    # ── for browsers ──

    def view(self, page_id: str, name: str) -> PageView:
        """Return how a page stands, for the browser that bears *name*.

        This changes nothing: previews and prefetches load pages, too. Until the first form is sent, every
        browser is shown the page under a new name. A name that the browser already has is not used: somebody
        else could have set its cookie.

        Raises:
            PageClosed: it is not there for this browser.
        """
        held = self._held(page_id)
        if held.page.browser:
            self._admit(held, name)
        else:
            name = self._drawn(hosted_page.NAME_BYTES)
        now = self._clock.now()
        if held.page.step is Step.DONE and now >= held.page.proof_ends_at:
            raise PageUnavailable(PageUnavailableReason.GONE)
        key = hosted_page.form_key(self._keyring, page_id, name, held.page.turn)
        return PageView(held.page, name, key, now, is_busy=now < held.page.busy_until)

    def submit(
        self, page_id: str, name: str, form: FormSubmission, client_ip: str
    ) -> tuple[str, OtpError | None]:
        """Do what a *form* asks for, once. Return the client and what went wrong, which the page then tells.

        The first form binds the page to the browser that sent it. A form that was sent before does nothing:
        the page shows what came of it.

        Raises:
            PageClosed: it is not there for this browser.
            Forbidden: the form is none of this page's for this browser.
        """
        held = self._held(page_id)
        if held.page.browser:
            self._admit(held, name)
        page = held.page
        turn = hosted_page.turn_of(self._keyring, page_id, name, form.key, page)
        if turn is None:
            raise Forbidden
        if turn < page.turn or page.step is Step.DONE:
            return page.client, None
        if page.turn >= hosted_page.MAX_SUBMISSIONS:
            raise PageUnavailable(PageUnavailableReason.GONE)
        busy_until = self._clock.now() + self._patience
        tag = hosted_page.browser_tag(self._keyring, page_id, name)
        begun = replace(page, browser=tag, turn=turn + 1, busy_until=busy_until, trouble=None)
        claimed = self._swapped(held, begun)
        if claimed is None:
            return page.client, None  # another click was faster
        done, error = self._done(claimed.page, form, client_ip)
        self._swapped(claimed, replace(done, busy_until=0))
        return page.client, error

    # ── what a form asks for ──

    def _done(self, page: HostedPage, form: FormSubmission, client_ip: str) -> _Result:
        client = self._clients.get(page.client)
        if client is None:
            raise PageUnavailable(PageUnavailableReason.GONE)
        task = _Task(self._service, client, client_ip, self._clock.now())
        if not page.is_counted:
            try:
                self._count(PageEvent.OPENED, client, client_ip)
            except OtpError as error:
                return task.troubled(replace(page, phone=form.phone), error), error
            page = replace(page, is_counted=True)
        if form.wish == "phone":
            return task.phone(page, form.phone)
        if form.wish == "solve":
            return task.send(page, page.wish, form.solution)
        if page.opened and form.wish == "resend":
            return task.send(page, "resend")
        if page.opened and form.wish == "code":
            return task.code(page, page.opened, form.code)
        # "change", or a form of a step that is over
        return replace(page, step=Step.PHONE, wish="", riddle={}), None

    # ── quotas ──

    def _count(self, event: PageEvent, client: Client, client_ip: str | None) -> None:
        """Count one more page that was created or opened.

        Raises:
            InvalidRequest: *client_ip* is no address.
            LimitReached: the client has too many already, or too many from this address.
        """
        factor = CREATED_PER_OPENED if event is PageEvent.CREATED else 1
        quota = PageQuota(factor * client.pages_per_10_minutes, client.pages_per_address_per_10_minutes)
        tag = self._keyring.ip_hash(normalize_client_ip(client_ip)) if client_ip else b""
        self._store.check_rate(event, client.id, quota, base64.urlsafe_b64encode(tag).decode())

    # ── the page itself ──

    def _held(self, page_id: str) -> _Held:
        tag = self._keyring.page_hash(page_id)
        kept = self._store.load(tag)
        page = kept and hosted_page.unsealed(kept.sealed, self._keyring, page_id)
        if not kept or not page:
            raise PageUnavailable(PageUnavailableReason.GONE)
        return _Held(page_id, tag, kept.version, page)

    def _admit(self, held: _Held, name: str) -> None:
        shown = hosted_page.browser_tag(self._keyring, held.page_id, name)
        if not hmac.compare_digest(shown, held.page.browser):
            raise PageUnavailable(PageUnavailableReason.TAKEN)

    def _swapped(self, held: _Held, page: HostedPage) -> _Held | None:
        """Write *page* if nobody has written it since it was read, and return it as it now lies there."""
        if not self._store.compare_and_set(held.tag, held.version, self._sealed(held.page_id, page)):
            return None
        return replace(held, version=held.version + 1, page=page)

    def _sealed(self, page_id: str, page: HostedPage) -> bytes:
        return hosted_page.sealed(page, self._keyring, page_id, self._draw(NONCE_BYTES))

    def _drawn(self, size: int) -> str:
        return base64.urlsafe_b64encode(self._draw(size)).decode()


@dataclass(frozen=True, slots=True)
class _Task:
    """The work of one form, for the end user at *client_ip*."""

    service: VerificationService
    client: Client
    client_ip: str
    now: float

    def phone(self, page: HostedPage, phone: str) -> _Result:
        """Open a verification of *phone*, or go back to the one that was just opened."""
        is_open = page.opened and self.now < page.opened.expires_at
        if is_open and self.service.is_same_phone(phone, _phone_of(page)):
            return replace(page, step=Step.CODE, phone=phone, wish="", riddle={}), None
        return self.send(replace(page, phone=phone), "phone")

    def send(self, page: HostedPage, wish: str, solution: str = "") -> _Result:
        """Send the SMS of a new verification, or of the page's once more."""
        page = replace(page, wish="", riddle={})
        try:
            if wish == "resend" and page.opened:
                sent, phones = self._resent(page, page.opened, solution), page.phones
            else:
                sent, phones = self._requested(page, solution), page.phones + 1
        except ChallengeRequired as error:
            return replace(page, wish=wish, riddle=error.challenge), error
        except OtpError as error:
            return self.troubled(page, error), error
        return replace(page, step=Step.CODE, phones=phones, opened=_opened(sent)), None

    def code(self, page: HostedPage, opened: ActiveVerification, code: str) -> _Result:
        """Submit *code*; the right one makes the page's proof."""
        try:
            approved = self.service.verify(
                self.client,
                _phone_of(page),
                opened.verification_id,
                code,
                client_ip=self.client_ip,
                is_public=True,
            )
        except WrongCode as error:
            return self.troubled(page, error if error.attempts_left else AttemptsExhausted()), error
        except OtpError as error:
            return self.troubled(page, error), error
        return self._finished(page, approved), None

    def troubled(self, page: HostedPage, error: OtpError) -> HostedPage:
        """Tell of *error*; where the verification is over, another number or the same one begins anew."""
        until = self.now + error.retry_after if isinstance(error, RetryableError) else 0
        left = error.attempts_left if isinstance(error, WrongCode) else 0
        told = replace(page, trouble=FormError(error.code, until, left))
        is_over = isinstance(error, (VerificationError, DestinationRejected)) and not left
        return replace(told, step=Step.PHONE, opened=None) if is_over else told

    def _requested(self, page: HostedPage, solution: str) -> SendOutcome:
        if page.phones >= MAX_VERIFICATIONS_PER_PAGE:
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

    def _resent(self, page: HostedPage, opened: ActiveVerification, solution: str) -> SendOutcome:
        return self.service.resend(
            self.client,
            _phone_of(page),
            opened.verification_id,
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
            opened=None,
            proof=approved.proof,
            proof_ends_at=self.now + approved.proof_expires_in,
        )


def _phone_of(page: HostedPage) -> str:
    """Return the phone of the page's verification; another number may have been typed since."""
    return (page.opened and page.opened.phone) or page.phone


def _opened(sent: SendOutcome) -> ActiveVerification:
    verification = sent.verification
    return ActiveVerification(
        verification_id=sent.verification_id,
        phone_masked=sent.phone.masked(),
        code_type=verification.code_type,
        resend_at=verification.resend_at or 0,
        expires_at=verification.expires_at,
        phone=sent.phone.e164,
    )
