"""Builds providers and webhooks from settings or plain arguments. Building one opens no connection."""

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
from otp_service.sms.webhook import InboundSmsWebhook, WebhookProvider
from otp_service.sms.webhook_client import WebhookClient


class ProviderDeps(TypedDict, total=False):
    """The dependencies of every provider."""

    clock: Required[Clock]
    max_in_flight: int
    connect_seconds: float
    read_seconds: float


class ProviderConfig(Protocol):
    """The settings of a provider: *url* and *secret* of a webhook, the account of all others."""

    @property
    def provider(self) -> str:
        """The kind of provider, a key of `PROVIDER_FACTORIES`."""
        ...

    @property
    def sign_name(self) -> str:
        """The sign name of the sender."""
        ...

    @property
    def signature(self) -> str:
        """The version of Aliyun's signature: `v1` or `v3`."""
        ...

    @property
    def endpoint(self) -> str:
        """The URL of the API."""
        ...

    @property
    def url(self) -> str:
        """The URL of the webhook."""
        ...

    def webhook_secret(self) -> str:
        """Return the secret that signs webhooks."""
        ...

    def access_keys(self) -> Sequence[tuple[str, str, str]]:
        """Return the id, secret and security token of every access key."""
        ...


def build_provider(route: ProviderConfig, *, code_seconds: int, **deps: Unpack[ProviderDeps]) -> Provider:
    """Build the provider of *route*, for codes that are valid for *code_seconds*."""
    return PROVIDER_FACTORIES[route.provider](route, code_seconds, deps)


def aliyun_sms(
    *,
    keys: Sequence[AccessKey],
    sign_name: str,
    endpoint: str = endpoints.SMS,
    signature: str = Signature.V1,
    **deps: Unpack[ProviderDeps],
) -> AliyunSms:
    """Build a provider for Aliyun's SendSms.

    Raises:
        BadEndpoint: *endpoint* is not `https://host[:port]`, or `http://` to this machine.
        ValueError: *signature* is neither `v1` nor `v3`.
    """
    api = _api(keys, VERSION, endpoint, signature, deps)
    return AliyunSms(api=api, sign_name=sign_name, clock=deps["clock"])


def aliyun_pnvs(
    *,
    keys: Sequence[AccessKey],
    sign_name: str,
    minutes: int,
    endpoint: str = endpoints.PNVS,
    signature: str = Signature.V1,
    **deps: Unpack[ProviderDeps],
) -> AliyunPnvs:
    """Build a provider for Aliyun's SendSmsVerifyCode, for codes that are valid for *minutes*.

    Raises:
        BadEndpoint: *endpoint* is not `https://host[:port]`, or `http://` to this machine.
        ValueError: *signature* is neither `v1` nor `v3`.
    """
    api = _api(keys, PNVS_VERSION, endpoint, signature, deps)
    return AliyunPnvs(api=api, sign_name=sign_name, minutes=minutes, clock=deps["clock"])


def webhook(*, url: str, secret: str, sign_name: str = "", **deps: Unpack[ProviderDeps]) -> WebhookProvider:
    """Build a provider that posts SMS to *url*, signed with *secret* (`whsec_…`).

    Raises:
        BadEndpoint: *url* is not `https://host[:port][/path]`, or `http://` to this machine.
        ValueError: *secret* is not Base64.
    """
    client = WebhookClient(url=url, secret=secret, http=_http_client(deps), clock=deps["clock"])
    return WebhookProvider(webhook=client, sign_name=sign_name, clock=deps["clock"])


def inbound_sms_webhook(
    *, url: str, secret: str, events: EventLogger, **deps: Unpack[ProviderDeps]
) -> InboundSmsWebhook:
    """Build a forwarder that posts inbound SMS to *url*, signed with *secret* (`whsec_…`).

    Raises:
        BadEndpoint: *url* is not `https://host[:port][/path]`, or `http://` to this machine.
        ValueError: *secret* is not Base64.
    """
    client = WebhookClient(url=url, secret=secret, http=_http_client(deps), clock=deps["clock"])
    return InboundSmsWebhook(webhook=client, events=events)


def _api(
    keys: Sequence[AccessKey], version: str, endpoint: str, signature: str, deps: ProviderDeps
) -> AliyunApi:
    return AliyunApi(
        keys=keys,
        version=version,
        endpoint=endpoint,
        http=_http_client(deps),
        clock=deps["clock"],
        signature=Signature(signature),
    )


def _http_client(deps: ProviderDeps) -> HttpClient:
    return HttpClient(
        max_connections=deps.get("max_in_flight", MAX_IN_FLIGHT),
        connect_seconds=deps.get("connect_seconds", CONNECT_SECONDS),
        read_seconds=deps.get("read_seconds", READ_SECONDS),
    )


# ── from settings ──


def _aliyun_sms(route: ProviderConfig, _: int, deps: ProviderDeps) -> Provider:
    return aliyun_sms(
        keys=_keys(route),
        sign_name=route.sign_name,
        endpoint=route.endpoint,
        signature=route.signature,
        **deps,
    )


def _aliyun_pnvs(route: ProviderConfig, code_seconds: int, deps: ProviderDeps) -> Provider:
    return aliyun_pnvs(
        keys=_keys(route),
        sign_name=route.sign_name,
        minutes=code_seconds // 60,  # rounded down: the SMS must not promise more time than there is
        endpoint=route.endpoint,
        signature=route.signature,
        **deps,
    )


def _webhook(route: ProviderConfig, _: int, deps: ProviderDeps) -> Provider:
    return webhook(url=route.url, secret=route.webhook_secret(), sign_name=route.sign_name, **deps)


def _keys(route: ProviderConfig) -> list[AccessKey]:
    return [AccessKey(*key) for key in route.access_keys()]


PROVIDER_FACTORIES: Mapping[str, Callable[[ProviderConfig, int, ProviderDeps], Provider]] = {
    "aliyun-sms": _aliyun_sms,
    "aliyun-pnvs": _aliyun_pnvs,
    "webhook": _webhook,
    "sandbox": _aliyun_sms,  # speaks Aliyun's protocol at another endpoint
}
"""The factory of each provider, by its name in settings."""
