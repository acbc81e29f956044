from __future__ import annotations

import base64
import copy
import json
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from otp_service.domain.clients import key_digest
from otp_service.domain.codes import CodeType
from otp_service.domain.errors import InvalidProof
from otp_service.domain.phone import Phone
from otp_service.domain.proofs import ProofSigner
from otp_service.settings import Settings, SettingsError, examine, from_mapping, load, validate_for_production
from otp_service.settings.clients import ORIGIN_FORM
from otp_service.settings.settings import REDIS_SCHEMES
from otp_service.settings.validation import EXAMPLE_SECRET_KEY

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "config.example.toml"
SENTINEL = "SENTINEL-value-that-must-never-be-shown"

Raw = dict[str, Any]


def secret(seed: int) -> str:
    return base64.b64encode(bytes((seed * 31 + i * 7) % 256 for i in range(32))).decode()


@pytest.fixture
def raw() -> Raw:
    """Valid settings for production."""
    return {
        "service": {"sms_per_day": 1000},
        "redis": {"url": "redis://127.0.0.1:6379/0"},
        "keys": {"active_kid": "a", "pseudonym_key": secret(1), "roots": {"a": secret(2)}},
        "purposes": {"login": {}, "signup": {"code_type": "alnum6"}},
        "clients": {
            "web": {
                "secret_key_digests": [key_digest("sk_one")],
                "proof_keys": [secret(3)],
                "sms_per_day": 100,
            }
        },
        "routes": [
            {
                "name": "main",
                "access_key_id": "id",
                "access_key_secret": "secret",
                "sign_name": "sign",
                "templates": [{"template_code": "SMS_1"}],
            }
        ],
    }


def put(raw: Raw, path: str, value: object) -> Raw:
    """Set one setting, with a path such as `routes.0.name` for list items."""
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    table: Any = raw
    for step in way:
        table = table[step] if isinstance(step, int) else table.setdefault(step, {})
    table[last] = value
    return raw


def issues_of(raw: Raw) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        from_mapping(raw)
    return str(caught.value).splitlines()


def test_valid_settings_have_no_issues(raw: Raw) -> None:
    assert validate_for_production(from_mapping(raw)) == []


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        pytest.param(
            "service.isuer",
            SENTINEL,
            "service.isuer: is not a setting; did you mean issuer?",
            id="unknown-setting",
        ),
        pytest.param("servis", {}, "servis: is not a setting; did you mean service?", id="unknown-table"),
        pytest.param("service", 5, "service: must be a table", id="table-is-a-number"),
        pytest.param("clients", [], "clients: must be a table", id="clients-are-a-list"),
        pytest.param("routes", {}, "routes: must be a list", id="routes-are-a-table"),
        pytest.param("service.proof_ttl", SENTINEL, "service.proof_ttl: must be a whole number", id="text"),
        pytest.param("service.proof_ttl", 301, "service.proof_ttl: must be at most 300", id="long-proof"),
        pytest.param(
            "service.countries",
            ["China"],
            "service.countries[0]: must be a country code of two capital letters (ISO 3166): write CN",
            id="country",
        ),
        pytest.param("service.countries", [], "service.countries: needs at least 1", id="no-country"),
        pytest.param(
            "service.phone_types",
            [SENTINEL],
            "service.phone_types[0]: must be 'mobile' or 'fixed_line'",
            id="type",
        ),
        pytest.param(
            "service.request_deadline", float("nan"), "service.request_deadline: must be a number", id="nan"
        ),
        pytest.param(
            "service.request_deadline",
            4.9,
            "service.request_deadline: must be at least the sum of the timeouts of [sms]",
            id="deadline",
        ),
        pytest.param("codes.ttl", 59, "codes.ttl: must be at least 60", id="short-code"),
        pytest.param("codes.ttl", 601, "codes.ttl: must be at most 600", id="long-code"),
        pytest.param("codes.max_attempts", 11, "codes.max_attempts: must be at most 10", id="attempts"),
        pytest.param("codes.max_sends", 0, "codes.max_sends: must be at least 1", id="sends"),
        pytest.param("limits.cooldown", [60, 59], "limits.cooldown[1]: must be at least 60", id="cooldown"),
        pytest.param("limits.cooldown", [], "limits.cooldown: needs at least 1", id="no-cooldown"),
        pytest.param("limits.sends_per_hour", 6, "limits.sends_per_hour: must be at most 5", id="hour"),
        pytest.param("limits.sends_per_day", 11, "limits.sends_per_day: must be at most 10", id="day"),
        pytest.param(
            "limits.sends_per_day",
            4,
            "limits.sends_per_hour: must be at most limits.sends_per_day",
            id="hour-over-day",
        ),
        pytest.param(
            "limits.lock_after_failures", 101, "limits.lock_after_failures: must be at most 100", id="lock"
        ),
        pytest.param(
            "limits.lock_after_failures",
            50,
            "limits.restrict_after_failures: must be less than limits.lock_after_failures",
            id="restricted-mode",
        ),
        pytest.param(
            "limits.failures_per_hour",
            21,
            "limits.failures_per_hour: must be at most limits.failures_per_day",
            id="failures",
        ),
        pytest.param(
            "limits.reserved_for_known_ratio",
            0.6,
            "limits.reserved_for_known_ratio: must be at most 0.5",
            id="known-share",
        ),
        pytest.param(
            "sms.max_in_flight",
            64,
            "sms.max_in_flight: must be less than server.worker_connections, "
            "so that sends cannot block verifications",
            id="in-flight",
        ),
        pytest.param(
            "redis.pool_size",
            63,
            "redis.pool_size: must be at least server.worker_connections, one for each request",
            id="pool",
        ),
        pytest.param(
            "redis.url",
            f"http://{SENTINEL}",
            "redis.url: must begin with redis://, rediss://, unix://, redis+sentinel://, rediss+sentinel://, "
            "redis+cluster://, rediss+cluster://, or be embedded://",
            id="redis-url",
        ),
        pytest.param("keys", {}, "keys.roots: needs at least one root secret", id="no-roots"),
        pytest.param("keys", {}, "keys.active_kid: is required", id="no-active-kid"),
        pytest.param("keys", {}, "keys.pseudonym_key: is required", id="no-pseudonym-key"),
        pytest.param(
            "keys.active_kid", "b", "keys.active_kid: names a root that is not in keys.roots", id="active-kid"
        ),
        pytest.param(
            "keys.roots.BAD",
            secret(9),
            "keys.roots: has a key id that is not 1 to 16 of a-z 0-9 _ -",
            id="kid",
        ),
        pytest.param(
            "keys.roots.b",
            base64.b64encode(SENTINEL[:31].encode()).decode(),
            "keys.roots.b: is too short: at least 32 random bytes are needed",
            id="short-root",
        ),
        pytest.param(
            "keys.roots.b", f"*{SENTINEL}", "keys.roots.b: must be base64 or hex", id="root-spelling"
        ),
        pytest.param(
            "keys.pseudonym_key",
            "00" * 32,
            "keys.pseudonym_key: is not random: generate a new one",
            id="zero-pseudonym-key",
        ),
        pytest.param(
            "keys.pseudonym_key",
            secret(2),
            "keys.roots.a: is the same secret as keys.pseudonym_key",
            id="pseudonym-key-is-root",
        ),
        pytest.param(
            "keys.pseudonym_key",
            secret(3),
            "clients.web.proof_keys[0]: is the same secret as keys.pseudonym_key",
            id="pseudonym-key-is-proof-key",
        ),
        pytest.param(
            "keys.roots.b",
            base64.b64decode(secret(2)).hex(),
            "keys.roots.b: is the same secret as keys.roots.a",
            id="same-root-other-spelling",
        ),
        pytest.param(
            "purposes.Login",
            {},
            "purposes: has a name that is not 1 to 32 of a-z 0-9 _, beginning with a letter",
            id="purpose-name",
        ),
        pytest.param("purposes", {}, "purposes: needs at least one purpose", id="no-purpose"),
        pytest.param(
            "purposes.login.code_type",
            SENTINEL,
            "purposes.login.code_type: must be 'digits' or 'alnum6'",
            id="code-type",
        ),
        pytest.param("clients", {}, "clients: needs at least one client", id="no-client"),
        pytest.param(
            "clients.1st",
            {},
            "clients: has an id that is not 1 to 32 of a-z 0-9 _ -, beginning with a letter",
            id="client-id",
        ),
        pytest.param(
            "clients.app", {}, "clients.app.secret_key_digests: needs at least one digest", id="no-digest"
        ),
        pytest.param("clients.app", {}, "clients.app.proof_keys: needs at least one key", id="no-proof-key"),
        pytest.param(
            "clients.web.secret_key_digests",
            [f"sk_{SENTINEL}"],
            "clients.web.secret_key_digests[0]: must be the SHA-256 of a secret key: 64 of 0-9 a-f, "
            "not the key itself",
            id="key-instead-of-digest",
        ),
        pytest.param(
            "clients.app",
            {"secret_key_digests": [key_digest("sk_one")], "proof_keys": [secret(8)]},
            "clients: share a secret key digest",
            id="shared-digest",
        ),
        pytest.param(
            "clients.web.proof_keys",
            [SENTINEL[:31]],
            "clients.web.proof_keys[0]: is too short: at least 32 random bytes are needed",
            id="short-proof-key",
        ),
        pytest.param(
            "clients.web.purposes",
            ["login", SENTINEL.lower()],
            "clients.web.purposes: names a purpose that is not in [purposes]",
            id="unknown-purpose",
        ),
        pytest.param(
            "clients.web.publishable_key",
            f"sk_{SENTINEL}",
            "clients.web.publishable_key: must be pk_ and 16 to 128 of A-Z a-z 0-9 _ -",
            id="publishable-key",
        ),
        pytest.param(
            "clients.web.origins",
            ["*"],
            f"clients.web.origins[0]: {ORIGIN_FORM}",
            id="origin",
        ),
        pytest.param(
            "clients.web.return_urls",
            ["https://www.example.com/x", "http://www.example.com/x"],
            "clients.web.return_urls[1]: must be https: plain http is accepted for this machine only",
            id="return-url-in-clear",
        ),
        pytest.param(
            "clients.web.return_urls",
            [f"https://www.example.com/{SENTINEL}?a=b"],
            "clients.web.return_urls[0]: must be https://host/path, without a query",
            id="return-url-with-a-query",
        ),
        pytest.param(
            "clients.web.return_urls",
            ["https://www.example.com@evil.example/x"],
            "clients.web.return_urls[0]: must be https://host/path, without a query",
            id="foreign-return-url",
        ),
        pytest.param(
            "clients.web.return_urls",
            ["https://例子.example/x"],
            "clients.web.return_urls[0]: must be ASCII, as in HTTP headers: "
            "write the host as xn--…, and percent-encode other letters",
            id="return-url-that-no-header-can-contain",
        ),
        pytest.param(
            "clients.web.return_urls",
            ["https://\u212a.example/x"],
            "clients.web.return_urls[0]: must be ASCII, as in HTTP headers: "
            "write the host as xn--…, and percent-encode other letters",
            id="return-url-that-is-ascii-in-lower-case",
        ),
        pytest.param(
            "clients.web.pages_per_10_minutes",
            0,
            "clients.web.pages_per_10_minutes: must be at least 1",
            id="no-pages",
        ),
        pytest.param(
            "clients.web.pages_per_ip_per_10_minutes",
            0,
            "clients.web.pages_per_ip_per_10_minutes: must be at least 1",
            id="no-pages-of-an-address",
        ),
        pytest.param(
            "service.public_url",
            "otp.example.com",
            "service.public_url: must be https://host/path, without a query",
            id="public-url",
        ),
        pytest.param(
            "clients.web.sms_per_day", 0, "clients.web.sms_per_day: must be at least 1", id="budget"
        ),
        pytest.param(
            "clients.web.require_client_ip",
            SENTINEL,
            "clients.web.require_client_ip: must be true or false",
            id="bool",
        ),
        pytest.param(
            "routes",
            [],
            "routes: needs at least one route",
            id="no-route",
        ),
        pytest.param(
            "routes.0.templates.0.purpose",
            "login",
            "clients.web.purposes: has signup, but no route sends to CN for every locale",
            id="purpose-without-template",
        ),
        pytest.param(
            "routes.0.templates.0.locale",
            "zh-CN",
            "clients.web.purposes: has login, signup, but no route sends to CN for every locale",
            id="only-one-locale",
        ),
        pytest.param(
            "service.countries",
            ["CN", "HK"],
            None,
            id="any-country-is-served",
        ),
        pytest.param(
            "routes.0.templates.0.country",
            "HK",
            "clients.web.purposes: has login, signup, but no route sends to CN for every locale",
            id="only-another-country",
        ),
        pytest.param(
            "routes.0.name",
            "",
            "routes[0].name: must be 1 to 32 of a-z 0-9 _ -, beginning with a letter",
            id="route-name",
        ),
        pytest.param(
            "routes.0.name", "test", "routes[0].name: is reserved for test phones", id="reserved-route-name"
        ),
        pytest.param(
            "routes.0.provider",
            SENTINEL,
            "routes[0].provider: must be 'aliyun-sms', 'aliyun-pnvs', 'webhook' or 'sandbox'",
            id="provider",
        ),
        pytest.param("routes.0.sign_name", "", "routes[0].sign_name: is required", id="sign-name"),
        pytest.param(
            "routes.0.access_key_id", "", "routes[0].access_key_id: is required", id="access-key-id"
        ),
        pytest.param(
            "routes.0.access_key_secret", "", "routes[0].access_key_secret: is required", id="access-key"
        ),
        pytest.param("routes.0.signature", "v2", "routes[0].signature: must be 'v1' or 'v3'", id="signature"),
        pytest.param(
            "routes.0.clients",
            ["web", SENTINEL],
            "routes[0].clients: names a client that is not in [clients]",
            id="route-client",
        ),
        pytest.param(
            "routes.0.templates", [], "routes[0].templates: needs at least one template", id="no-template"
        ),
        pytest.param(
            "routes.0.templates.0.template_code",
            "",
            "routes[0].templates[0].template_code: is required",
            id="code",
        ),
        pytest.param(
            "routes.0.templates.0.purpose",
            SENTINEL,
            "routes[0].templates: name a purpose that is not in [purposes]",
            id="template-purpose",
        ),
        pytest.param(
            "routes.0.templates.0.extra_variables",
            {"code": "1"},
            "routes[0].templates[0].extra_variables: contains code_variable: remove it here",
            id="code-is-fixed",
        ),
        pytest.param(
            "routes.0.templates.0.extra_variables",
            {"minutes": f"https://{SENTINEL}"},
            "routes[0].templates[0].extra_variables: contains a link, which Aliyun refuses",
            id="link",
        ),
        pytest.param(
            "routes.0.templates.0.extra_variables",
            {"minutes": f"5 {SENTINEL}"},
            "routes[0].templates[0].extra_variables: may contain only letters and digits: "
            "Aliyun refuses anything else",
            id="param-symbols",
        ),
        pytest.param(
            "routes.0.templates.0.extra_variables",
            {"n": 5},
            "routes[0].templates[0].extra_variables.n: must be text",
            id="param-type",
        ),
        pytest.param(
            "routes.0.templates.0.code_variable",
            "${code}",
            "routes[0].templates[0].code_variable: must begin with a letter and contain only letters, digits "
            "and _, as must extra_variables",
            id="variable",
        ),
    ],
)
def test_invalid_value_is_reported(raw: Raw, path: str, value: object, sentence: str | None) -> None:
    put(raw, path, value)
    if sentence is None:
        from_mapping(raw)
        return

    sentences = issues_of(raw)

    assert sentence in sentences
    assert SENTINEL not in "".join(sentences)


@pytest.mark.parametrize(
    ("endpoint", "provider", "what"),
    [
        ("https://dysmsapi.aliyuncs.com", "aliyun-sms", None),
        ("http://127.0.0.1:8081", "aliyun-sms", None),
        ("http://127.0.0.1:8081", "sandbox", None),
        ("http://[::1]:8081", "sandbox", None),
        ("http://localhost:8081/", "sandbox", None),
        ("http://10.0.0.1", "aliyun-sms", "must be https: plain http is accepted for this machine only"),
        (
            "https://sms.example.com",
            "sandbox",
            "must be on this machine: the sandbox is not a public service",
        ),
        (
            "http://127.0.0.1.example.com",
            "aliyun-sms",
            "must be https: plain http is accepted for this machine only",
        ),
        (f"https://{SENTINEL}@host", "aliyun-sms", "must be https://host, without a path"),
        (f"https://host/{SENTINEL}", "aliyun-sms", "must be https://host, without a path"),
        (f"https://host?{SENTINEL}", "aliyun-sms", "must be https://host, without a path"),
        ("https://host:99999999", "aliyun-sms", "must be https://host, without a path"),
        ("https://[host", "aliyun-sms", "must be https://host, without a path"),
        ("ftp://host", "aliyun-sms", "must be https://host, without a path"),
        ("", "aliyun-sms", "must be https://host, without a path"),
    ],
)
def test_plain_http_is_allowed_for_local_endpoints_only(
    raw: Raw, endpoint: str, provider: str, what: str | None
) -> None:
    raw["routes"][0] |= {"endpoint": endpoint, "provider": provider}
    if what is None:
        from_mapping(raw)
    else:
        assert issues_of(raw) == [f"routes[0].endpoint: {what}"]


def test_issues_of_all_kinds_are_reported_together(raw: Raw) -> None:
    put(raw, "service.nonsense", SENTINEL)
    put(raw, "codes.ttl", SENTINEL)
    put(raw, "keys.roots.a", "c2hvcnQ=")
    put(raw, "clients.web.proof_keys", [])
    put(raw, "routes.0.clients", ["unknown"])

    assert sorted(issues_of(raw)) == [
        "clients.web.proof_keys: needs at least one key",
        "codes.ttl: must be a whole number",
        "keys.roots.a: is too short: at least 32 random bytes are needed",
        "routes[0].clients: names a client that is not in [clients]",
        "service.nonsense: is not a setting",
    ]


@pytest.mark.parametrize(
    "path",
    [
        "limits.slow_lane_at",
        "limits.lock_at",
        "limits.known_share",
        "codes.attempts",
        "codes.sends",
        "address_limits",
        "guard",
        "pumping_guard.prefix.least",
        "pumping_guard.prefix.share",
        "wrong_codes",
        "global_failures.hard_least",
        "redis.wait_replicas",
        "redis.wait_timeout",
        "keys.tag_key",
        "reports.uplink_url",
        "reports.queue.sms_up",
        "server.threads",
        "deny.phone_tags",
    ],
)
def test_old_name_of_a_setting_is_rejected_and_named(raw: Raw, path: str) -> None:
    (issue,) = issues_of(put(raw, path, 1))

    assert issue.startswith(f"{path}: is not a setting")


def test_malformed_value_is_reported_once(raw: Raw) -> None:
    put(raw, "keys.pseudonym_key", 5)
    put(raw, "routes.0.templates", SENTINEL)
    put(raw, "routes.0.clients", [1, "web", 2])

    assert sorted(issues_of(raw)) == [
        "keys.pseudonym_key: must be text",
        "routes[0].clients[0]: must be text",
        "routes[0].clients[2]: must be text",
        "routes[0].templates: must be a list",
    ]


def test_every_invalid_item_is_reported_with_its_index(raw: Raw) -> None:
    put(raw, "service.trusted_proxies", [5, "10.0.0.0/8", "proxy"])

    assert issues_of(raw) == [
        "service.trusted_proxies[0]: must be text",
        "service.trusted_proxies[2]: must be an IP address, or a CIDR range without host bits",
    ]


def test_option_of_the_settings_library_is_not_a_setting(raw: Raw) -> None:
    put(raw, "_env_file", SENTINEL)

    assert issues_of(raw) == ["_env_file: is not a setting"]


def leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for number, inner in enumerate(value):
            yield from leaves(inner, (*path, str(number)))
    else:
        yield path


EXAMPLE_PATHS = [".".join(path) for path in leaves(tomllib.loads(EXAMPLE.read_text(encoding="utf-8")))]
"""Every setting of the example."""


@pytest.mark.parametrize("wrong", [SENTINEL, [SENTINEL], {"x": SENTINEL}], ids=["text", "list", "table"])
def test_no_invalid_value_is_ever_shown(wrong: object) -> None:
    raw = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    for path in EXAMPLE_PATHS:
        put(raw, path, copy.deepcopy(wrong))

    sentences = issues_of(raw)

    assert len(sentences) > 30
    assert SENTINEL not in "".join(sentences)


def test_secret_in_place_of_a_key_is_not_shown(raw: Raw) -> None:
    put(raw, "keys.roots", {f"{SENTINEL}/+{secret(7)}==": secret(7), f"{SENTINEL} ": 5})

    assert SENTINEL not in "".join(issues_of(raw))


def test_repr_of_settings_shows_no_secrets(raw: Raw) -> None:
    text = repr(from_mapping(raw)) + str(from_mapping(raw))

    for hidden in (secret(1), secret(2), secret(3), key_digest("sk_one"), "redis://"):
        assert hidden not in text


# ── the file ──


def written(folder: Path, text: str) -> Path:
    path = folder / "config.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"[service]\nissuer = {SENTINEL}", "config.toml: is not TOML: see line 2, column 10"),
        (f"[service]\n[service]\nx = '{SENTINEL}'", "config.toml: is not TOML: see line 2, column 9"),
    ],
)
def test_invalid_toml_is_reported_with_its_position(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(written(tmp_path, text), {})

    assert str(caught.value) == sentence
    assert caught.value.__cause__ is None


def test_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^nowhere\.toml: cannot be read$"):
        load(tmp_path / "nowhere.toml", {})


def test_binary_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe")

    with pytest.raises(SettingsError, match="is not UTF-8 text"):
        load(tmp_path / "config.toml", {})


# ── the environment ──


def test_environment_overrides_the_file() -> None:
    environ = {
        "OTP_SERVICE__SERVICE__PROOF_TTL": "60",
        "OTP_SERVICE__SERVICE__COUNTRIES": '["CN", "HK"]',
        "OTP_SERVICE__CLIENTS__WEB__SMS_PER_DAY": "7",
        "OTP_SERVICE__LIMITS__COOLDOWN": "[90]",
    }

    settings = load(EXAMPLE, environ)

    assert settings.service.proof_ttl == 60
    assert settings.service.countries == ("CN", "HK")
    assert settings.clients["web"].sms_per_day == 7
    assert settings.clients["web"].proof_keys  # the rest of the table stays
    assert settings.policy().phone_limits.cooldown == (90,)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "OTP_SERVICE__REDISS__URL",
            SENTINEL,
            "environment OTP_SERVICE__REDISS__URL: is not a setting: write OTP_SERVICE__REDIS__URL",
        ),
        ("OTP_SERVICE__REDIS__URLL", SENTINEL, "redis.urll: is not a setting; did you mean url?"),
        ("OTP_SERVICE__LIMITS__COOLDOWN", f"[{SENTINEL}", "limits.cooldown: must be a list"),
        ("OTP_SERVICE__SERVER__PORT", SENTINEL, "server.port: must be a whole number"),
        ("OTP_SERVICE__ROUTES", SENTINEL, "routes: must be a list"),
    ],
)
def test_invalid_environment_variable_is_reported(name: str, value: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(EXAMPLE, {name: value})

    assert sentence in str(caught.value).splitlines()
    assert SENTINEL not in str(caught.value)


def test_other_variables_are_ignored() -> None:
    load(EXAMPLE, {"OTP_SERVICE_CONFIG": "x", "OTP_SERVICES_HOME": "y", "REDIS__URL": "z"})


ACCOUNT = {
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "ambient-id",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "ambient-secret",
    "ALIBABA_CLOUD_SECURITY_TOKEN": "ambient-token",
}


def test_route_without_account_uses_the_one_from_the_environment(tmp_path: Path) -> None:
    text = re.sub(r"^access_key.*$", "", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)

    route = load(written(tmp_path, text), ACCOUNT).routes[0]

    assert route.access_key_id.get_secret_value() == "ambient-id"
    assert route.access_key_secret.get_secret_value() == "ambient-secret"
    assert route.security_token
    assert route.security_token.get_secret_value() == "ambient-token"


def test_route_never_mixes_its_account_with_the_one_from_the_environment() -> None:
    route = load(EXAMPLE, ACCOUNT).routes[0]

    assert route.access_key_id.get_secret_value() == "example-access-key-id"
    assert route.security_token is None


# ── secret files ──


def test_secrets_may_be_in_files(tmp_path: Path, raw: Raw) -> None:
    contents = {
        "redis": "redis://:pw@127.0.0.1/1\n",
        "pseudonym-key": f"{secret(11)}\n",
        "root": f"{secret(12)}\n",
        "proof": f"{secret(13)}\n{secret(14)}\n",
        "account": "from-a-file\n",
    }
    for name, content in contents.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    environ = {
        "OTP_SERVICE__REDIS__URL_FILE": str(tmp_path / "redis"),
        "OTP_SERVICE__KEYS__ROOTS__B_FILE": str(tmp_path / "root"),
        "OTP_SERVICE__KEYS__PSEUDONYM_KEY_FILE": str(tmp_path / "pseudonym-key"),
        "OTP_SERVICE__KEYS__ACTIVE_KID": "b",
        "OTP_SERVICE__CLIENTS": json.dumps(
            {"web": {"secret_key_digests": [key_digest("sk")], "proof_keys_file": str(tmp_path / "proof")}}
        ),
        "OTP_SERVICE__PURPOSES": '{"login": {}}',
        "OTP_SERVICE__ROUTES": json.dumps(
            [
                {
                    "name": "main",
                    "access_key_id": "id",
                    "access_key_secret_file": str(tmp_path / "account"),
                    "sign_name": "s",
                    "templates": [{"template_code": "SMS_1"}],
                }
            ]
        ),
    }

    settings = load(None, environ)

    assert settings.redis.url.get_secret_value() == "redis://:pw@127.0.0.1/1"
    assert settings.keys.pseudonym_key.get_secret_value() == secret(11)
    assert settings.keys.roots["b"].get_secret_value() == secret(12)
    assert [key.get_secret_value() for key in settings.clients["web"].proof_keys] == [secret(13), secret(14)]
    assert settings.routes[0].access_key_secret.get_secret_value() == "from-a-file"
    assert settings.keyring().active_kid == "b"


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("access_key_secret_file", f"/nowhere/{SENTINEL}", "names a file that cannot be read"),
        ("access_key_secret_file", f"\0{SENTINEL}", "names a file that cannot be read"),
        ("access_key_secret_file", 5, "must be the path of a file"),
        ("access_key_id_file", "/dev/null", "is set in addition to the secret itself"),
    ],
)
def test_invalid_secret_file_is_reported(raw: Raw, setting: str, value: object, sentence: str) -> None:
    if setting.startswith("access_key_secret"):
        del raw["routes"][0]["access_key_secret"]
    raw["routes"][0][setting] = value
    environ = {f"OTP_SERVICE__{name.upper()}": json.dumps(table) for name, table in raw.items()}

    with pytest.raises(SettingsError) as caught:
        load(None, environ)

    assert f"routes[0].{setting}: {sentence}" in str(caught.value).splitlines()
    assert SENTINEL not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["password_file", "sentinel_password_file", "ca_file", "cert_file", "key_file"]
)
@pytest.mark.parametrize("path", [f"/nowhere/{SENTINEL}", f"\0{SENTINEL}"], ids=["nowhere", "no path"])
def test_unreadable_file_of_redis_is_reported(raw: Raw, name: str, path: str) -> None:
    raw["redis"][name] = path
    environ = {f"OTP_SERVICE__{table.upper()}": json.dumps(values) for table, values in raw.items()}

    with pytest.raises(SettingsError) as caught:
        load(None, environ)

    assert f"redis.{name}: names a file that cannot be read" in str(caught.value).splitlines()
    assert SENTINEL not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (
            {"min_replica_acks": 1, "replica_ack_timeout": 0.5},
            "redis.replica_ack_timeout: must be less than redis.read_timeout",
        ),
        ({"min_replica_acks": 6}, "redis.min_replica_acks: must be at most 5"),
        (
            {"url": "rediss://r", "cert_file": "/dev/null"},
            "redis.cert_file: and redis.key_file must be set together",
        ),
        ({"ca_file": "/dev/null"}, "redis.ca_file: is for TLS: redis.url must begin with rediss"),
        (
            {"cert_file": "/dev/null", "key_file": "/dev/null"},
            "redis.cert_file: is for TLS: redis.url must begin with rediss",
        ),
    ],
)
def test_settings_of_redis_must_be_consistent(raw: Raw, settings: Raw, sentence: str) -> None:
    raw["redis"] |= settings

    with pytest.raises(SettingsError) as caught:
        from_mapping(raw)

    assert str(caught.value).splitlines()[-1] == sentence


@pytest.mark.parametrize("url", [f"{scheme}somewhere" for scheme in REDIS_SCHEMES])
def test_every_form_of_a_redis_url_is_accepted(raw: Raw, url: str) -> None:
    raw["redis"]["url"] = url

    assert from_mapping(raw).redis.is_tls == url.startswith("rediss")


# ── production ──


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(
            lambda raw: raw.pop("redis"),
            "redis.url: is required in production: the embedded store loses its data when it stops",
            id="embedded-store",
        ),
        pytest.param(
            lambda raw: raw["routes"][0].update(provider="sandbox", endpoint="http://127.0.0.1:1"),
            "routes[0].provider: is the sandbox, which sends no SMS and shows every code",
            id="sandbox",
        ),
        pytest.param(
            lambda raw: raw.pop("service"),
            "service.sms_per_day: is required in production: how many SMS the service may send in a day",
            id="service-budget",
        ),
        pytest.param(
            lambda raw: raw["clients"]["web"].pop("sms_per_day"),
            "clients.web.sms_per_day: is required in production: how many SMS it may cause in a day",
            id="client-budget",
        ),
        pytest.param(
            lambda raw: raw["clients"]["web"].update(return_urls=["https://www.example.com/x"]),
            "service.public_url: is required in production with return_urls: the URL of hosted pages",
            id="hosted-pages-of-no-address",
        ),
    ],
)
def test_production_rejects(raw: Raw, change: Callable[[Raw], object], sentence: str) -> None:
    change(raw)

    assert [str(issue) for issue in validate_for_production(from_mapping(raw))] == [sentence]


def test_production_rejects_every_secret_of_the_example() -> None:
    settings = load(EXAMPLE, {})

    places = [issue.where for issue in validate_for_production(settings)]

    assert places == [
        "keys.pseudonym_key",
        "keys.roots.a",
        "clients.web.proof_keys[0]",
        "routes[0].access_key_id",
        "routes[0].access_key_secret",
        "clients.web.secret_key_digests",
    ]


def test_production_issues_are_found_in_addition_to_malformed_values(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8").replace("sms_per_day = 5000", 'sms_per_day = "many"')

    settings, issues = examine(written(tmp_path, text), {})

    assert [str(issue) for issue in issues] == ["service.sms_per_day: must be a whole number"]
    assert "keys.pseudonym_key" in [issue.where for issue in validate_for_production(settings)]


# ── values of the spine ──


def test_settings_become_domain_values(raw: Raw) -> None:
    settings = from_mapping(raw)
    policy = settings.policy()
    client = settings.all_clients().authenticate("sk_one").client
    signer = settings.signers(lambda: 1_700_000_000.0)["web"]

    assert policy.sms_per_day == 1000
    assert policy.code_limits.max_attempts == 5
    assert policy.phones.countries == {"CN"}
    assert policy.purposes == {"login": CodeType.DIGITS, "signup": CodeType.ALNUM}
    assert client.purposes == ("login", "signup")
    assert signer


def test_no_client_can_forge_the_proofs_of_another(raw: Raw) -> None:
    raw["clients"]["app"] = {
        **raw["clients"]["web"],
        "secret_key_digests": [key_digest("sk_two")],
        "proof_keys": [secret(4)],
    }
    settings = from_mapping(raw)
    forger = ProofSigner(
        "otp_service", "app", settings.clients["web"].signing_keys(), lambda: 1_700_000_000.0
    )
    phone = Phone("+8613800138000", "CN", "mobile", 86)
    forged = forger.mint(phone=phone, purpose="login", verification_id="v" * 22, ttl=60)

    with pytest.raises(InvalidProof):
        settings.signers(lambda: 1_700_000_000.0)["app"].read(forged, purpose="login")


# ── the example and the documentation ──


def paths(model: type[BaseModel] = Settings, prefix: str = "") -> Iterator[str]:
    """Name every setting as the documentation does: `clients.<id>.purposes`, `routes.templates.locale`."""
    names = {"purposes": "purposes.<name>", "clients": "clients.<id>"}
    for name, field in model.model_fields.items():
        place = prefix + (names.get(name, name) if not prefix else name)
        inner = [c for c in _classes(field.annotation) if issubclass(c, BaseModel)]
        if inner:
            yield from paths(inner[0], f"{place}.")
        else:
            yield place


def _classes(annotation: object) -> Iterator[type]:
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _classes(argument)


def test_example_loads() -> None:
    assert load(EXAMPLE, {}).purposes.keys() == {"login", "signup", "reset_password"}


def test_example_shows_the_defaults() -> None:
    shown = load(EXAMPLE, {})
    for name in ("service", "server", "redis", "codes", "limits", "sms", "log"):
        table = getattr(shown, name)
        required = {"sms_per_day", "url"}

        assert table.model_dump(exclude=required) == type(table)().model_dump(exclude=required)


@pytest.mark.parametrize("path", [*paths()])
def test_every_setting_is_in_the_example(path: str) -> None:
    assert re.search(
        rf"^(# )?{path.rpartition('.')[2]} = ", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE
    ) or (path == "keys.roots")


@pytest.mark.parametrize("path", [*paths()])
def test_every_setting_has_a_heading_in_the_documentation(path: str) -> None:
    headings = re.findall(
        r"^#+ `(.+)`$", (ROOT / "docs/settings.md").read_text(encoding="utf-8"), re.MULTILINE
    )

    assert path in headings


def test_documentation_has_no_unknown_setting() -> None:
    headings = re.findall(
        r"^### `(.+)`$", (ROOT / "docs/settings.md").read_text(encoding="utf-8"), re.MULTILINE
    )

    assert set(headings) == set(paths())


def test_digest_in_the_example_belongs_to_the_published_key() -> None:
    assert load(EXAMPLE, {}).all_clients().authenticate(EXAMPLE_SECRET_KEY).client.id == "web"


# ── browsers and proxies ──

BROWSER = {"publishable_key": "pk_0123456789abcdefghij", "origins": ["https://www.example.com"]}


@pytest.mark.parametrize(
    "origin",
    [
        "https://www.example.com",
        "https://www.example.com:8443",
        "http://localhost:3000",
        "http://[::1]:3000",
        "https://xn--fiq228c.example",
    ],
)
def test_origins_are_accepted_as_browsers_write_them(raw: Raw, origin: str) -> None:
    raw["clients"]["web"].update({**BROWSER, "origins": [origin]})

    client = from_mapping(raw).all_clients()["web"]
    assert client.origins == {origin}
    assert client.publishable_key == "pk_0123456789abcdefghij"


@pytest.mark.parametrize(
    "origin",
    [
        "https://www.example.com/",
        "https://www.example.com:443",
        "http://localhost:80",
        "https://WWW.example.com",
        "https://*.example.com",
        "www.example.com",
        "null",
        "",
    ],
)
def test_other_forms_of_origins_are_rejected(raw: Raw, origin: str) -> None:
    raw["clients"]["web"].update({**BROWSER, "origins": [origin]})

    assert issues_of(raw) == [f"clients.web.origins[0]: {ORIGIN_FORM}"]


def test_publishable_key_without_an_origin_is_rejected(raw: Raw) -> None:
    raw["clients"]["web"]["publishable_key"] = BROWSER["publishable_key"]

    assert issues_of(raw) == ["clients.web.origins: needs the pages that may use the publishable key"]


def test_publishable_key_among_secret_keys_is_rejected(raw: Raw) -> None:
    raw["clients"]["app"] = copy.deepcopy(raw["clients"]["web"]) | {"proof_keys": [secret(4)], **BROWSER}
    raw["clients"]["app"]["secret_key_digests"] = [key_digest("sk_two")]
    assert from_mapping(raw)
    raw["clients"]["web"]["secret_key_digests"].append(key_digest(BROWSER["publishable_key"]))

    assert issues_of(raw) == ["clients: have a publishable key among the digests of secret keys"]


def test_clients_cannot_share_a_publishable_key(raw: Raw) -> None:
    raw["clients"]["web"].update(BROWSER)
    raw["clients"]["app"] = raw["clients"]["web"] | {
        "proof_keys": [secret(4)],
        "secret_key_digests": [key_digest("sk_two")],
    }

    assert issues_of(raw) == ["clients: share a publishable key"]


# ── routes and limits of a client ──


def two_routes(raw: Raw) -> Raw:
    """Add a client, and a route with its own account."""
    second = {"name": "second", "access_key_id": "id2", "access_key_secret": "secret2"}
    raw["routes"].append({**raw["routes"][0], **second})
    raw["clients"]["app"] = {
        "secret_key_digests": [key_digest("sk_two")],
        "proof_keys": [secret(4)],
        "sms_per_day": 10,
    }
    return raw


@pytest.mark.parametrize(
    ("of_routes", "of_clients", "agreed"),
    [
        ([[], []], {}, [set(), set()]),
        ([["web"], []], {}, [{"web"}, set()]),
        ([[], []], {"app": ["second"]}, [{"web"}, set()]),
        ([["web"], []], {"app": ["second"]}, [{"web"}, set()]),
        ([["web", "app"], []], {"app": ["second"]}, [{"web"}, set()]),
        ([[], []], {"app": ["second"], "web": ["main"]}, [{"web"}, {"app"}]),
        ([[], []], {"app": ["second", "main"]}, [set(), set()]),
    ],
    ids=["all", "by route", "by client", "by both", "the narrower counts", "apart", "all by name"],
)
def test_route_serves_the_clients_that_both_sides_allow(
    raw: Raw, of_routes: list[list[str]], of_clients: dict[str, list[str]], agreed: list[set[str]]
) -> None:
    two_routes(raw)
    for route, clients in zip(raw["routes"], of_routes, strict=True):
        route["clients"] = clients
    for client, routes in of_clients.items():
        raw["clients"][client]["routes"] = routes
    settings = from_mapping(raw)

    assert [settings.clients_of(route) for route in settings.routes] == agreed


@pytest.mark.parametrize(
    ("path", "value", "sentences"),
    [
        (
            "clients.app.routes",
            ["main", "third"],
            ["clients.app.routes: names a route that is not in [[routes]]"],
        ),
        (
            "routes.0.clients",
            ["app"],
            [
                "routes[0].clients: has no client left: these clients are limited to other routes",
            ],
        ),
    ],
    ids=["unknown route", "no common client"],
)
def test_clients_and_routes_must_be_consistent(
    raw: Raw, path: str, value: object, sentences: list[str]
) -> None:
    two_routes(raw)["clients"]["app"]["routes"] = ["second"]
    raw["routes"][1]["clients"] = ["web"] if path.startswith("routes") else []

    assert sorted(issues_of(put(raw, path, value))) == sentences


def test_limits_of_a_client_override_those_of_the_service(raw: Raw) -> None:
    raw["limits"] = {"sends_per_day": 8}
    usual = from_mapping(raw)
    raw["clients"]["web"]["limits"] = {"cooldown": [90, 120, 300], "sends_per_hour": 2, "failures_per_day": 5}
    own = from_mapping(raw).all_clients()["web"].limits

    assert usual.all_clients()["web"].limits is None
    assert own == replace(
        usual.policy().phone_limits, cooldown=(90, 120, 300), sends_per_hour=2, failures_per_day=5
    )
    assert own.sends_per_day == 8


@pytest.mark.parametrize(
    "limits",
    [
        {"cooldown": [60, 60, 120, 300]},
        {"cooldown": [300]},
        {"cooldown": [60, 60, 120, 300, 600]},
        {"sends_per_hour": 5, "sends_per_day": 10, "sends_per_requester_per_hour": 4},
        {"failures_per_hour": 10, "failures_per_day": 20},
    ],
    ids=str,
)
def test_limits_of_a_client_may_be_as_strict_as_the_services(raw: Raw, limits: dict[str, object]) -> None:
    raw["clients"]["web"]["limits"] = limits

    assert from_mapping(raw).all_clients()["web"].limits


@pytest.mark.parametrize(
    ("setting", "value", "what"),
    [
        ("sends_per_hour", 6, "must be at most limits.sends_per_hour"),
        ("sends_per_day", 11, "must be at most limits.sends_per_day"),
        ("sends_per_requester_per_hour", 5, "must be at most limits.sends_per_requester_per_hour"),
        ("failures_per_hour", 11, "must be at most limits.failures_per_hour"),
        ("failures_per_day", 21, "must be at most limits.failures_per_day"),
        ("sends_per_hour", 0, "must be at least 1"),
        ("cooldown", [60], "must be at least limits.cooldown at every step"),
        ("cooldown", [60, 60, 120, 299], "must be at least limits.cooldown at every step"),
        ("cooldown", [60, 60, 120, 300, 299], "must be at least limits.cooldown at every step"),
        ("cooldown", [], "needs at least 1"),
        ("lock_after_failures", 10, "is not a setting"),
        ("restrict_after_failures", 10, "is not a setting"),
        ("reserved_for_known_ratio", 0.1, "is not a setting"),
    ],
)
def test_looser_limits_of_a_client_are_rejected(raw: Raw, setting: str, value: object, what: str) -> None:
    raw["clients"]["web"]["limits"] = {setting: value}

    assert issues_of(raw) == [f"clients.web.limits.{setting}: {what}"]


def test_secret_keys_of_a_client_can_be_rotated_one_by_one(raw: Raw) -> None:
    raw["clients"]["web"]["secret_key_digests"] = [key_digest("sk_old"), key_digest("sk_new")]
    clients = from_mapping(raw).all_clients()

    assert clients.authenticate("sk_old") == clients.authenticate("sk_new")


# ── proxies ──


def test_proxies_are_trusted_by_number_or_by_network(raw: Raw) -> None:
    raw["service"]["trusted_proxies"] = ["10.0.0.0/8", "fd00::/8"]
    networks = from_mapping(raw).proxies()
    raw["service"]["proxy_hops"] = 1
    both = issues_of(raw)
    raw["service"] = {"sms_per_day": 1000, "trusted_proxies": ["10.0.0.1/8", "proxy"]}

    assert [str(network) for network in networks] == ["10.0.0.0/8", "fd00::/8"]
    assert both == ["service.proxy_hops: cannot be combined with service.trusted_proxies"]
    assert [issue.partition(":")[0] for issue in issues_of(raw)] == [
        "service.trusted_proxies[0]",
        "service.trusted_proxies[1]",
    ]


# ── risk ──


def test_abuse_tables_become_the_risk_policy(raw: Raw) -> None:
    raw["ip_limits"] = {"sends_per_hour": 7, "verified_allowance_ratio": 0.25}
    raw["pumping_guard"] = {
        "mode": "enforce",
        "prefix": {"min_unverified": 3},
        "client": {"max_unverified_ratio": 2.0, "block_multiplier": 5},
    }
    raw["global_failures"] = {"min_failures": 9, "severe_min_failures": 10}
    risk = from_mapping(raw).policy().risk

    assert (risk.ip_limits.sends_per_hour, risk.ip_limits.verified_allowance_ratio) == (7, 0.25)
    assert risk.pumping_guard_mode == "enforce"
    assert (
        risk.conversion_limits["prefix"].min_unverified,
        risk.conversion_limits["country"].min_unverified,
    ) == (3, 20)
    assert (
        risk.conversion_limits["client"].max_unverified_ratio,
        risk.conversion_limits["client"].block_multiplier,
    ) == (2.0, 5)
    assert (risk.global_failures.min_failures, risk.global_failures.severe_min_failures) == (9, 10)


def test_lists_become_entries(raw: Raw) -> None:
    raw["deny"] = {"addresses": ["203.0.113.0/24"], "prefixes": ["+86170"], "countries": ["CN"]}
    raw["allow"] = {"phone_hashes": ["abcdefghijklmnop"], "addresses": ["2001:db8::1"]}
    lists = from_mapping(raw).policy().access_lists

    assert lists.deny.matches_ip("203.0.113.9")
    assert lists.deny.countries == {"CN"}
    assert lists.allow.phones == {"abcdefghijklmnop"}
    assert lists.allow.matches_ip("2001:db8::1")


@pytest.mark.parametrize(
    ("table", "content", "sentence"),
    [
        (
            "deny",
            {"addresses": ["203.0.113.7/24"]},
            "deny.addresses[0]: must be an IP address, or a CIDR range",
        ),
        ("deny", {"countries": ["US"]}, "deny.countries: names a country that is not in service.countries"),
        (
            "deny",
            {"prefixes": ["86170"]},
            "deny.prefixes[0]: must be a prefix of numbers in E.164, like +86170",
        ),
        (
            "allow",
            {"phone_hashes": ["short"]},
            "allow.phone_hashes[0]: must be the 16 characters of a phone's keyed hash",
        ),
        ("allow", {"countries": ["CN"]}, "allow.countries: is not a setting"),
        ("pumping_guard", {"mode": "on"}, "pumping_guard.mode: must be"),
        (
            "global_failures",
            {"severe_min_failures": 3},
            "global_failures.severe_min_failures: must be at least global_failures.min_failures",
        ),
        ("risk", {"challenge": "captcha"}, "risk.challenge: must be 'altcha' or 'off'"),
        ("risk", {"ttl": 59}, "risk.ttl: must be at least 60"),
        ("risk", {"ttl": 1801}, "risk.ttl: must be at most 1800"),
        ("ip_limits", {"sends_per_hour": 101}, "ip_limits.sends_per_hour: must be at most"),
    ],
)
def test_invalid_risk_setting_is_reported(raw: Raw, table: str, content: Raw, sentence: str) -> None:
    raw[table] = content

    (issue,) = issues_of(raw)
    assert issue.startswith(sentence)


def with_test_phone(raw: Raw, **changes: object) -> Raw:
    soon = datetime.now(UTC).date() + timedelta(days=30)
    raw["purposes"] = {"login": {}}
    raw["test_phones"] = [
        {"phone": "+8613800138000", "code": "135790", "expires": soon, "name": "app review", **changes}
    ]
    return raw


def test_test_phone_becomes_a_code_until_the_end_of_its_day(raw: Raw) -> None:
    until = datetime.now(UTC).date() + timedelta(days=3)
    phones = from_mapping(with_test_phone(raw, expires=until)).policy().test_phones

    (phone,) = phones.values()
    ends = datetime.fromtimestamp(phone.expires_at, timezone(timedelta(hours=8)))
    assert list(phones) == ["+8613800138000"]
    assert phone.code.get_secret_value() == "135790"
    assert (ends.date(), ends.hour, ends.minute) == (until, 23, 59)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"phone": "13800138000"}, "test_phones[0].phone: must be written in E.164"),
        ({"phone": "+86138"}, "test_phones[0].phone: must be a valid number in E.164"),
        ({"phone": "+14155552671"}, "test_phones[0].phone: has a country or type"),
        ({"code": "12345"}, "test_phones[0].code: must be a possible code"),
        ({"expires": "2026-01-01"}, "test_phones[0].expires: is in the past"),
        ({"expires": "2099-01-01"}, "test_phones[0].expires: is more than 90 days ahead"),
        ({"expires": None}, "test_phones[0].expires: is required"),
        ({"name": ""}, "test_phones[0].name: is required"),
    ],
)
def test_invalid_test_phone_is_reported_without_its_code(
    raw: Raw, changes: dict[str, object], sentence: str
) -> None:
    issues = issues_of(with_test_phone(raw, **changes))

    assert any(issue.startswith(sentence) for issue in issues)
    assert "135790" not in str(issues)


def test_code_of_a_test_phone_must_fit_every_purpose(raw: Raw) -> None:
    with_test_phone(raw)["purposes"] = {"login": {}, "transfer": {"code_type": "alnum6"}}

    assert issues_of(raw) == ["test_phones[0].code: cannot be a code of transfer"]


def test_duplicate_test_phone_is_rejected(raw: Raw) -> None:
    with_test_phone(raw)["test_phones"] *= 2

    assert issues_of(raw) == ["test_phones: share a phone"]
