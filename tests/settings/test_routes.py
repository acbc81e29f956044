"""Settings of routes by provider: what each needs, what none may have, and where templates go."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from otp_service.domain.clients import key_digest
from otp_service.settings import Settings, SettingsError, from_mapping, load
from otp_service.settings.routes import RouteConfig

SENTINEL = "SENTINEL-value-that-must-never-be-shown"
WHSEC = "whsec_" + base64.b64encode(bytes(range(32))).decode()
ACCOUNT = {"access_key_id": "id", "access_key_secret": "secret"}

Raw = dict[str, Any]

SMS: Raw = {"name": "sms", **ACCOUNT, "sign_name": "sign", "templates": [{"template_code": "SMS_1"}]}
PNVS: Raw = {
    "name": "pnvs",
    "provider": "aliyun-pnvs",
    **ACCOUNT,
    "sign_name": "速通互联验证码",
    "templates": [{"template_code": "100001"}],
}
WEBHOOK: Raw = {
    "name": "own",
    "provider": "webhook",
    "url": "https://sms.example.com/otp",
    "secret": WHSEC,
}


def settings_of(*routes: Raw, **tables: Raw) -> Raw:
    return {
        "keys": {"active_kid": "a", "pseudonym_key": _random(1), "roots": {"a": _random(2)}},
        "purposes": {"login": {}},
        "clients": {"web": {"secret_key_digests": [key_digest("sk")], "proof_keys": [_random(3)]}},
        "routes": list(routes),
        **tables,
    }


def _random(seed: int) -> str:
    return base64.b64encode(bytes((seed * 31 + i * 7) % 256 for i in range(32))).decode()


def read(*routes: Raw, **tables: Raw) -> Settings:
    return from_mapping(settings_of(*routes, **tables))


def issues_of(*routes: Raw, **tables: Raw) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(*routes, **tables)
    assert SENTINEL not in str(caught.value)
    return str(caught.value).splitlines()


@pytest.mark.parametrize("route", [SMS, PNVS, WEBHOOK], ids=lambda route: route["name"])
def test_valid_routes_have_no_issues(route: Raw) -> None:
    assert read(route).routes[0].name == route["name"]


def test_each_provider_has_its_own_default_endpoint() -> None:
    routes = read(SMS, PNVS, WEBHOOK).routes

    assert [route.endpoint for route in routes] == [
        "https://dysmsapi.aliyuncs.com",
        "https://dypnsapi.aliyuncs.com",
        "",
    ]


def test_sandbox_has_no_endpoint_by_default() -> None:
    assert issues_of({**SMS, "provider": "sandbox"}) == [
        "routes[0].endpoint: must be on this machine: the sandbox is not a public service"
    ]


# ── what each needs ──

NEEDED = {
    "webhook": (
        {"name": "own", "provider": "webhook"},
        ["routes[0].url: is required", "routes[0].secret: is required"],
    ),
    "pnvs": (
        {"name": "pnvs", "provider": "aliyun-pnvs", "templates": [{}]},
        [
            "routes[0].sign_name: is required",
            "routes[0].access_key_id: is required",
            "routes[0].access_key_secret: is required",
            "routes[0].templates[0].template_code: is required",
        ],
    ),
    "sms": (
        {"name": "sms", "templates": [{}]},
        [
            "routes[0].sign_name: is required",
            "routes[0].access_key_id: is required",
            "routes[0].access_key_secret: is required",
            "routes[0].templates[0].template_code: is required",
        ],
    ),
    "webhook with an account": (
        {**WEBHOOK, **ACCOUNT, "endpoint": f"https://{SENTINEL}", "signature": "v3"},
        [
            "routes[0].access_key_id: is not a setting of webhook",
            "routes[0].access_key_secret: is not a setting of webhook",
            "routes[0].endpoint: is not a setting of webhook",
            "routes[0].signature: is not a setting of webhook",
        ],
    ),
    "account with a webhook": (
        {**SMS, "url": f"https://{SENTINEL}", "secret": SENTINEL},
        ["routes[0].url: is not a setting of aliyun-sms", "routes[0].secret: is not a setting of aliyun-sms"],
    ),
}


@pytest.mark.parametrize("name", NEEDED)
def test_all_missing_settings_of_a_provider_are_reported_together(name: str) -> None:
    route, sentences = NEEDED[name]

    assert issues_of(route) == sentences


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"url": f"http://{SENTINEL}/x"}, "url: must be https: plain http is accepted for this machine only"),
        ({"url": f"https://host/x?{SENTINEL}"}, "url: must be https://host/path, without a query"),
        ({"url": f"https://{SENTINEL}@host/x"}, "url: must be https://host/path, without a query"),
        ({"url": f"https://host/ {SENTINEL}"}, "url: must be https://host/path, without a query"),
        ({"url": f"ftp://{SENTINEL}"}, "url: must be https://host/path, without a query"),
        ({"secret": SENTINEL}, "secret: must be whsec_ and base64"),
        ({"secret": WHSEC.removeprefix("whsec_")}, "secret: must be whsec_ and base64"),
        ({"secret": f"whsec_{SENTINEL}"}, "secret: must be whsec_ and base64"),
        ({"secret": "whsec_"}, "secret: must be whsec_ and base64"),
        ({"secret": "whsec_" + WHSEC[6:36]}, "secret: must be whsec_ and base64"),
        (
            {"secret": "whsec_" + base64.b64encode(bytes(range(23))).decode()},
            "secret: must hold 24 to 64 random bytes",
        ),
        (
            {"secret": "whsec_" + base64.b64encode(bytes(range(65))).decode()},
            "secret: must hold 24 to 64 random bytes",
        ),
        (
            {"secret": "whsec_" + base64.b64encode(bytes(32)).decode()},
            "secret: is not random: generate a new one",
        ),
    ],
)
def test_webhook_needs_an_address_and_a_secret(change: Raw, sentence: str) -> None:
    assert issues_of({**WEBHOOK, **change}) == [f"routes[0].{sentence}"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/otp", "http://localhost", "https://[2001:db8::1]:8/x"])
def test_webhook_url_may_be_local_or_https(url: str) -> None:
    assert read({**WEBHOOK, "url": url}).routes[0].url == url


def test_webhook_without_templates_sends_every_sms() -> None:
    settings = read(WEBHOOK, service={"countries": ["CN", "HK"]})

    assert settings.routes[0].serves("web", "login", "HK")
    assert not read({**WEBHOOK, "templates": [{"country": "HK"}]}, SMS).routes[0].serves("web", "login", "CN")


def test_webhook_accepts_values_that_aliyun_would_reject() -> None:
    template = {"extra_variables": {"link": "https://example.com", "brand": "Köhler & Söhne"}}

    assert read({**WEBHOOK, "templates": [template]}).routes[0].templates[0].template_code == ""


def test_inbound_sms_go_to_a_webhook_of_the_same_kind() -> None:
    reports = {"inbound_sms_webhook_url": f"http://{SENTINEL}", "inbound_sms_webhook_secret": SENTINEL}

    assert issues_of(SMS, reports=reports) == [
        "reports.inbound_sms_webhook_url: must be https: plain http is accepted for this machine only",
        "reports.inbound_sms_webhook_secret: must be whsec_ and base64",
    ]
    read(
        SMS,
        reports={
            "inbound_sms_webhook_url": "https://example.com/replies",
            "inbound_sms_webhook_secret": WHSEC,
        },
    )


# ── secrets ──


def test_webhook_secret_may_be_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(f"{WHSEC}\n", encoding="utf-8")
    route = {name: value for name, value in WEBHOOK.items() if name != "secret"}
    raw = settings_of({**route, "secret_file": str(tmp_path / "secret")})
    environ = {f"OTP_SERVICE__{name.upper()}": json.dumps(table) for name, table in raw.items()}

    assert load(None, environ).routes[0].webhook_secret() == WHSEC


def test_account_from_the_environment_is_used_by_aliyun_routes_only() -> None:
    bare = [
        {name: value for name, value in route.items() if name not in ACCOUNT}
        for route in (SMS, PNVS, WEBHOOK)
    ]
    environ = {
        f"OTP_SERVICE__{name.upper()}": json.dumps(table) for name, table in settings_of(*bare).items()
    }
    account = {"ALIBABA_CLOUD_ACCESS_KEY_ID": "lent", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "lent-secret"}

    routes = load(None, {**environ, **account}).routes

    assert [route.access_key_id.get_secret_value() for route in routes] == ["lent", "lent", ""]


def test_repr_of_routes_shows_no_secret_and_no_webhook_url() -> None:
    settings = read(
        {**WEBHOOK, "url": f"https://host/{SENTINEL}"}, {**SMS, "access_key_secret": f"{SENTINEL}1"}
    )

    for text in (repr(settings), str(settings), repr(settings.routes)):
        assert SENTINEL not in text
        assert WHSEC not in text


# ── where templates go ──


def destinations(country: object, *, route: Raw = SMS) -> RouteConfig:
    templates = [{**route["templates"][0], "country": country}]
    return read({**route, "templates": templates}, WEBHOOK).routes[0]


@pytest.mark.parametrize(
    ("country", "served"),
    [
        ("*", ["CN", "HK", "DE"]),
        ("HK", ["HK"]),
        (["DE", "HK"], ["HK", "DE"]),
        ("international", ["HK", "DE"]),
        (["international"], ["HK", "DE"]),
    ],
    ids=str,
)
def test_template_serves_one_country_several_countries_or_a_group(country: object, served: list[str]) -> None:
    route = destinations(country)

    assert [name for name in ("CN", "HK", "DE") if route.serves("web", "login", name)] == served


@pytest.mark.parametrize(
    ("country", "sentence"),
    [
        ("China", "country[0]: must be a country code of two capital letters (ISO 3166): write CN"),
        (["HK", "cn"], "country[1]: must be a country code of two capital letters (ISO 3166): write CN"),
        ([], "country: needs at least 1"),
        (["HK", "*"], 'country: combines "*" or "international" with other values'),
        (["international", "CN"], 'country: combines "*" or "international" with other values'),
        (5, "country: must be a list"),
        ({SENTINEL: 1}, "country: must be a list"),
    ],
    ids=str,
)
def test_wrong_country_is_reported(country: object, sentence: str) -> None:
    templates = [{"template_code": "SMS_1", "country": country}]

    assert f"routes[0].templates[0].{sentence}" in issues_of({**SMS, "templates": templates}, WEBHOOK)


def test_pnvs_sends_to_the_mainland_only() -> None:
    route = destinations("*", route=PNVS)
    assert [route.serves("web", "login", name) for name in ("CN", "HK")] == [True, False]

    templates = [{"template_code": "100001", "country": country} for country in ("CN", "international")]
    assert issues_of({**PNVS, "templates": templates}) == [
        "routes[0].templates[1].country: must be CN: PNVS sends to the mainland only"
    ]
    assert issues_of(PNVS, service={"countries": ["CN", "HK"]}) == [
        "clients.web.purposes: has login, but no route sends to HK for every locale"
    ]


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ({"extra_variables": {"min": "6"}}, "extra_variables: has a min that is longer than codes.ttl"),
        ({"extra_variables": {"min": "0"}}, "extra_variables: has a min that is not a number of minutes"),
        ({"extra_variables": {"min": "five"}}, "extra_variables: has a min that is not a number of minutes"),
        ({"code_variable": "min"}, "code_variable: is the variable that PNVS fills with the minutes"),
        ({"template_code": "SMS_1"}, "template_code: must be a preset template of PNVS, such as 100001"),
        (
            {"extra_variables": {"x": "a b"}},
            "extra_variables: may contain only letters and digits: Aliyun refuses anything else",
        ),
    ],
    ids=["longer", "none", "no number", "as the code", "one's own", "symbols"],
)
def test_pnvs_template_must_be_a_preset_with_valid_variables(template: Raw, sentence: str) -> None:
    templates = [{"template_code": "100001", **template}]

    assert issues_of({**PNVS, "templates": templates}) == [f"routes[0].templates[0].{sentence}"]


@pytest.mark.parametrize(("minutes", "ttl"), [("5", 300), ("1", 60), ("5", 359), ("10", 600), ("2", 300)])
def test_minutes_within_the_lifetime_of_the_code_are_accepted(minutes: str, ttl: int) -> None:
    templates = [{"template_code": "100001", "extra_variables": {"min": minutes}}]

    assert read({**PNVS, "templates": templates}, codes={"ttl": ttl}).routes[0].provider == "aliyun-pnvs"


def test_other_providers_ignore_minutes() -> None:
    templates = [{"template_code": "SMS_1", "extra_variables": {"min": "90"}}]

    assert read({**SMS, "templates": templates}).routes[0].provider == "aliyun-sms"
