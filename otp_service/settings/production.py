"""Production: what `serve` refuses although the settings are sound. Touches nothing."""

from __future__ import annotations

from collections.abc import Iterator

from otp_service.clients import key_digest
from otp_service.settings.mistakes import Mistake
from otp_service.settings.routes import SANDBOX
from otp_service.settings.secret_text import is_example
from otp_service.settings.settings import Settings

EXAMPLE_SECRET_KEY = "sk_example-key-for-reading-only-never-for-use"  # noqa: S105 - everybody may know it
"""The secret key whose digest stands in `config.example.toml`."""

_EXAMPLE_DIGEST = key_digest(EXAMPLE_SECRET_KEY)


def production_mistakes(settings: Settings) -> list[Mistake]:
    """Return everything for which this configuration must not serve real people."""
    return [
        *_store(settings),
        *_routes(settings),
        *_budgets(settings),
        *_hosted_pages(settings),
        *_examples(settings),
    ]


def _store(settings: Settings) -> Iterator[Mistake]:
    if settings.redis.embedded:
        yield Mistake(
            "redis.url", "is required in production: the embedded store forgets everything when it stops"
        )


def _routes(settings: Settings) -> Iterator[Mistake]:
    for number, route in enumerate(settings.routes):
        if route.provider == SANDBOX:
            yield Mistake(
                f"routes[{number}].provider", "is the sandbox, which sends no SMS and shows every code"
            )


def _budgets(settings: Settings) -> Iterator[Mistake]:
    if settings.service.sms_per_day is None:
        yield Mistake(
            "service.sms_per_day", "is required in production: how many SMS the service may send in a day"
        )
    for name, client in settings.clients.items():
        if client.sms_per_day is None:
            yield Mistake(
                f"clients.{name}.sms_per_day", "is required in production: how many SMS it may cause in a day"
            )


def _hosted_pages(settings: Settings) -> Iterator[Mistake]:
    if not settings.service.public_url and any(client.return_urls for client in settings.clients.values()):
        yield Mistake(
            "service.public_url", "is required in production with return_urls: where hosted pages are"
        )


def _examples(settings: Settings) -> Iterator[Mistake]:
    for where, secret in settings.secrets():
        if is_example(secret):
            yield Mistake(where, "is the secret of the example configuration, which everybody knows")
    for number, route in enumerate(settings.routes):
        for where, secret in route.secrets(f"routes[{number}]"):
            if is_example(secret):
                yield Mistake(where, "is the one of the example configuration")
    for name, client in settings.clients.items():
        if _EXAMPLE_DIGEST in client.secret_key_digests:
            where = f"clients.{name}.secret_key_digests"
            yield Mistake(where, "has the digest of the example configuration, whose key everybody knows")
