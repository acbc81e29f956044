"""Builds providers from plain arguments, as settings hold them. Touches nothing until they send."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, Required, TypedDict, Unpack

from otp_service.services.interfaces import Clock, EventLogger
from otp_service.sms.aliyun.api import AliyunApi
from otp_service.sms.aliyun.pnvs import VERSION as PNVS_VERSION
from otp_service.sms.aliyun.pnvs import AliyunPnvs
from otp_service.sms.aliyun.protocol import endpoints
from otp_service.sms.aliyun.signed_request import AccessKey, Signature
from otp_service.sms.aliyun.sms import VERSION, AliyunSms
from otp_service.sms.http import CONNECT_SECONDS, READ_SECONDS, HttpClient
from otp_service.sms.provider import Provider
from otp_service.sms.router import MAX_IN_FLIGHT
from otp_service.sms.webhook import InboundSmsWebhook, Webhook, WebhookClient


class ProviderDeps(TypedDict, total=False):
    """What every provider works with."""

    clock: Required[Clock]
    max_in_flight: int
    connect_seconds: float
    read_seconds: float


class Described(Protocol):
    """What is read of a route's settings; of a webhook *url* and *secret*, of all others the account."""

    @property
    def provider(self) -> str:
        """Name the kind."""
        ...

    @property
    def sign_name(self) -> str:
        """Name who is sending."""
        ...

    @property
    def signature(self) -> str:
        """Name one of Aliyun's two."""
        ...

    @property
    def endpoint(self) -> str:
        """Tell where the API is."""
        ...

    @property
    def url(self) -> str:
        """Tell where a webhook is posted to."""
        ...

    def webhook_secret(self) -> str:
        """Return what signs a webhook."""
        ...

    def access_keys(self) -> Sequence[tuple[str, str, str]]:
        """Return id, secret and security token of every access key."""
        ...


def build(route: Described, *, code_seconds: int, **means: Unpack[ProviderDeps]) -> Provider:
    """Build the provider of a *route*, for codes that are good for *code_seconds*."""
    return PROVIDER_FACTORIES[route.provider](route, code_seconds, means)


def aliyun_sms(
    *,
    keys: Sequence[AccessKey],
    sign_name: str,
    endpoint: str = endpoints.SMS,
    signature: str = Signature.V1,
    **means: Unpack[ProviderDeps],
) -> AliyunSms:
    """Build a provider for Aliyun's SendSms.

    Raises:
        BadEndpoint: *endpoint* is not `https://host[:port]`, or `http://` to this machine.
        ValueError: *signature* is neither `v1` nor `v3`.
    """
    api = _api(keys, VERSION, endpoint, signature, means)
    return AliyunSms(api=api, sign_name=sign_name, clock=means["clock"])


def aliyun_pnvs(
    *,
    keys: Sequence[AccessKey],
    sign_name: str,
    minutes: int,
    endpoint: str = endpoints.PNVS,
    signature: str = Signature.V1,
    **means: Unpack[ProviderDeps],
) -> AliyunPnvs:
    """Build a provider for Aliyun's SendSmsVerifyCode and codes that are good for *minutes*.

    Raises:
        BadEndpoint: *endpoint* is not `https://host[:port]`, or `http://` to this machine.
        ValueError: *signature* is neither `v1` nor `v3`.
    """
    api = _api(keys, PNVS_VERSION, endpoint, signature, means)
    return AliyunPnvs(api=api, sign_name=sign_name, minutes=minutes, clock=means["clock"])


def webhook(*, url: str, secret: str, sign_name: str = "", **means: Unpack[ProviderDeps]) -> Webhook:
    """Build a provider that posts to *url*, signed with *secret* (`whsec_…`).

    Raises:
        BadEndpoint: *url* is not `https://host[:port][/path]`, or `http://` to this machine.
        ValueError: *secret* is no base64.
    """
    hook = WebhookClient(url=url, secret=secret, http=_http_client(means), clock=means["clock"])
    return Webhook(hook=hook, sign_name=sign_name, clock=means["clock"])


def webhook_uplinks(
    *, url: str, secret: str, events: EventLogger, **means: Unpack[ProviderDeps]
) -> InboundSmsWebhook:
    """Build the way on for replies of phones, which are posted to *url*, signed with *secret* (`whsec_…`).

    Raises:
        BadEndpoint: *url* is not `https://host[:port][/path]`, or `http://` to this machine.
        ValueError: *secret* is no base64.
    """
    hook = WebhookClient(url=url, secret=secret, http=_http_client(means), clock=means["clock"])
    return InboundSmsWebhook(hook=hook, events=events)


def _api(
    keys: Sequence[AccessKey], version: str, endpoint: str, signature: str, means: ProviderDeps
) -> AliyunApi:
    return AliyunApi(
        keys=keys,
        version=version,
        endpoint=endpoint,
        http=_http_client(means),
        clock=means["clock"],
        signature=Signature(signature),
    )


def _http_client(means: ProviderDeps) -> HttpClient:
    return HttpClient(
        max_connections=means.get("max_in_flight", MAX_IN_FLIGHT),
        connect_seconds=means.get("connect_seconds", CONNECT_SECONDS),
        read_seconds=means.get("read_seconds", READ_SECONDS),
    )


# ── from settings ──


def _aliyun_sms(route: Described, _: int, means: ProviderDeps) -> Provider:
    return aliyun_sms(
        keys=_keys(route),
        sign_name=route.sign_name,
        endpoint=route.endpoint,
        signature=route.signature,
        **means,
    )


def _aliyun_pnvs(route: Described, code_seconds: int, means: ProviderDeps) -> Provider:
    return aliyun_pnvs(
        keys=_keys(route),
        sign_name=route.sign_name,
        minutes=code_seconds // 60,  # whole ones: a promise that is a little too short is kept
        endpoint=route.endpoint,
        signature=route.signature,
        **means,
    )


def _webhook(route: Described, _: int, means: ProviderDeps) -> Provider:
    return webhook(url=route.url, secret=route.webhook_secret(), sign_name=route.sign_name, **means)


def _keys(route: Described) -> list[AccessKey]:
    return [AccessKey(*key) for key in route.access_keys()]


PROVIDER_FACTORIES: Mapping[str, Callable[[Described, int, ProviderDeps], Provider]] = {
    "aliyun-sms": _aliyun_sms,
    "aliyun-pnvs": _aliyun_pnvs,
    "webhook": _webhook,
    "sandbox": _aliyun_sms,  # spoken to as Aliyun is, at another endpoint
}
"""Every kind by its name in settings."""
