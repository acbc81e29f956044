"""Validation of settings beyond their form: one invalid value gives one issue that says what is valid."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from otp_service.domain.clients import key_digest
from otp_service.domain.phone import COUNTRIES
from otp_service.settings import Settings, SettingsError, advice, examine_for_production, from_mapping
from otp_service.settings.fields import hint
from otp_service.settings.issues import ANY_NAME, paths
from otp_service.settings.sandbox_account import SandboxAccountConfig, load_account

SENTINEL = "SENTINEL-value-that-must-never-be-shown"
ISO = "must be a country code of two capital letters (ISO 3166)"
WHSEC = "whsec_" + base64.b64encode(bytes(range(32))).decode()

Raw = dict[str, Any]


def secret(seed: int) -> str:
    return base64.b64encode(bytes((seed * 31 + i * 7) % 256 for i in range(32))).decode()


def sound(folder: Path) -> Raw:
    """Return settings that are fit for production and set nearly everything."""
    soon = datetime.now(UTC).date() + timedelta(days=30)
    (folder / "password").write_text("password", encoding="utf-8")
    scope = {"min_unverified": 20, "max_unverified_ratio": 0.5, "block_multiplier": 3}
    return {
        "service": {
            "issuer": "otp",
            "default_region": "CN",
            "countries": ["CN", "HK"],
            "phone_types": ["mobile"],
            "proof_ttl": 180,
            "request_deadline": 6.0,
            "sms_per_day": 1000,
            "proxy_hops": 1,
            "trusted_proxies": [],
            "public_url": "https://otp.example.com",
        },
        "server": {
            "host": "0.0.0.0",
            "port": 8080,
            "workers": 2,
            "worker_connections": 64,
            "backlog": 1024,
            "stop_timeout": 10,
        },
        "redis": {
            "url": "redis+sentinel://one,two/main",
            "password_file": str(folder / "password"),
            "sentinel_username": "us",
            "sentinel_password_file": str(folder / "password"),
            "pool_size": 120,
            "connect_timeout": 0.5,
            "read_timeout": 0.5,
            "min_replica_acks": 1,
            "replica_ack_timeout": 0.2,
        },
        "codes": {"ttl": 300, "max_attempts": 5, "max_sends": 4},
        "limits": {
            "cooldown": [60, 60],
            "sends_per_hour": 5,
            "sends_per_day": 10,
            "sends_per_requester_per_hour": 4,
            "failures_per_hour": 10,
            "failures_per_day": 20,
            "restrict_after_failures": 50,
            "lock_after_failures": 100,
            "reserved_for_known_ratio": 0.2,
        },
        "keys": {"active_kid": "a", "pseudonym_key": secret(1), "roots": {"a": secret(2)}},
        "purposes": {"login": {"code_type": "digits"}},
        "clients": {
            "web": {
                "secret_key_digests": [key_digest("sk_one")],
                "proof_keys": [secret(3)],
                "publishable_key": "pk_0123456789abcdefghij",
                "origins": ["https://www.example.com"],
                "return_urls": ["https://www.example.com/verified"],
                "pages_per_10_minutes": 100,
                "pages_per_ip_per_10_minutes": 10,
                "purposes": ["login"],
                "routes": ["main"],
                "sms_per_day": 100,
                "require_client_ip": False,
                "may_unlock": True,
                "limits": {"cooldown": [60, 60], "sends_per_hour": 4, "failures_per_day": 10},
            }
        },
        "sms": {"max_in_flight": 50, "connect_timeout": 1.0, "read_timeout": 4.0},
        "routes": [
            {
                "name": "main",
                "provider": "aliyun-sms",
                "access_key_id": "LTAI5tExampleOfAnId",
                "access_key_secret": "an-access-key-secret",
                "second_access_key_id": "LTAI5tAnotherId",
                "second_access_key_secret": "another-secret",
                "endpoint": "https://dysmsapi.aliyuncs.com",
                "signature": "v1",
                "sign_name": "云通信",
                "clients": ["web"],
                "templates": [
                    {
                        "purpose": "login",
                        "locale": "*",
                        "country": ["CN", "HK"],
                        "template_code": "SMS_154950909",
                        "code_variable": "code",
                        "extra_variables": {"product": "shop"},
                    }
                ],
            }
        ],
        "reports": {
            "secret": "0123456789abcdef0123456789abcdef",
            "inbound_sms_webhook_url": "https://www.example.com/replies",
            "inbound_sms_webhook_secret": WHSEC,
            "queue": {
                "route": "main",
                "report_queue": "Alicom-Queue-1-SmsReport",
                "inbound_queue": "Alicom-Queue-1-SmsUp",
                "endpoint": "https://dybaseapi.aliyuncs.com",
                "queue_endpoint": "https://1943695596114318.mns.cn-hangzhou.aliyuncs.com",
            },
        },
        "risk": {"challenge": "altcha", "ttl": 600},
        "ip_limits": {"sends_per_hour": 20, "sends_per_day": 100, "phones_per_day": 20},
        "pumping_guard": {
            "mode": "enforce",
            **{name: dict(scope) for name in ("country", "prefix", "client", "address")},
        },
        "global_failures": {
            "min_failures": 500,
            "max_failure_ratio": 0.01,
            "severe_min_failures": 2000,
            "severe_max_failure_ratio": 0.04,
        },
        "deny": {"addresses": ["203.0.113.0/24"], "prefixes": ["+86170"], "countries": ["HK"]},
        "allow": {"addresses": ["2001:db8::1"], "phone_hashes": ["abcdefghijklmnop"]},
        "test_phones": [
            {"phone": "+8613800138000", "code": "135790", "expires": soon.isoformat(), "name": "review"}
        ],
        "log": {"level": "info"},
        "metrics": {"host": "127.0.0.1", "port": 9464, "reports_port": 9465},
    }


@pytest.fixture
def raw(tmp_path: Path) -> Raw:
    return sound(tmp_path)


def issues_of(raw: Raw) -> list[str]:
    """Return the issues that production mode finds in these settings."""
    environ = {f"OTP_SERVICE__{name.upper()}": json.dumps(table) for name, table in raw.items()}
    _, issues = examine_for_production(None, environ)
    assert SENTINEL not in str(issues)
    return list(map(str, issues))


def put(raw: Raw, path: str, value: object) -> Raw:
    *way, last = [int(step) if step.isdigit() else step for step in path.split(".")]
    table: Any = raw
    for step in way:
        table = table[step] if isinstance(step, int) else table.setdefault(step, {})
    table[last] = value
    return raw


def leaves(value: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in [(*path, key), *leaves(inner, (*path, key))]]
    if isinstance(value, list):
        return [
            leaf
            for number, inner in enumerate(value)
            for leaf in [(*path, str(number)), *leaves(inner, (*path, str(number)))]
        ]
    return []


EVERYWHERE = sorted({".".join(path) for path in leaves(sound(Path("/tmp")))})  # noqa: S108 - not read
"""Every table, setting and item of the valid settings."""

TABLES = {path.rpartition(".")[0] for path in EVERYWHERE}
"""Those that are not empty."""

WRONG: dict[str, object] = {
    "text": f"{SENTINEL} \x07 <x>",
    "number": -1,
    "list": [[SENTINEL]],
    "table": {SENTINEL.lower(): {"x": 1}},
    "nothing": None,
}


def test_valid_settings_have_no_issue(raw: Raw) -> None:
    assert issues_of(raw) == []


@pytest.mark.parametrize("kind", WRONG)
def test_invalid_value_is_one_issue_that_says_what_is_valid(raw: Raw, kind: str) -> None:
    many: dict[str, list[str]] = {}
    for path in EVERYWHERE:
        if path in TABLES and (kind == "table" or (kind == "nothing" and path in raw)):
            continue  # another or an empty table has as many issues as settings
        changed = put(copy.deepcopy(raw), path, WRONG[kind])
        sentences = issues_of(changed)
        vague = [s for s in sentences if s.endswith(("is not valid", "does not have the right form"))]
        if len(sentences) > 1 or vague:
            many[path] = sentences

    assert many == {}


@pytest.mark.parametrize("model", [Settings, SandboxAccountConfig])
def test_every_setting_with_a_pattern_describes_its_form(model: type[Settings]) -> None:
    def patterns(annotation: object) -> list[object]:
        found = [getattr(part, "pattern", None) for part in getattr(annotation, "__metadata__", ())]
        inner = [p for argument in getattr(annotation, "__args__", ()) for p in patterns(argument)]
        return [pattern for pattern in found if isinstance(pattern, str)] + inner

    def walk(table: Any) -> list[object]:
        found = []
        for field in table.model_fields.values():
            found += patterns(field.annotation)
            found += [m.pattern for m in field.metadata if isinstance(getattr(m, "pattern", None), str)]
            for argument in (field.annotation, *getattr(field.annotation, "__args__", ())):
                if isinstance(argument, type) and hasattr(argument, "model_fields"):
                    found += walk(argument)
        return found

    assert walk(model) == []


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("server.host", "http://0.0.0.0", "server.host: must be an address or a host name, like 0.0.0.0"),
        ("server.host", "[::1]", "server.host: must be an address or a host name"),
        ("server.host", "0.0.0.0:8080", "server.host: must be an address or a host name"),
        ("server.host", "10.0.0.256", "server.host: must be an address or a host name"),
        ("metrics.host", "*", "metrics.host: must be an address or a host name"),
        (
            "routes.0.sign_name",
            "【云通信】",
            "routes[0].sign_name: is written with 【】, which Aliyun adds itself",
        ),
        ("routes.0.sign_name", "【云通信", "routes[0].sign_name: is written with 【】"),
        ("routes.0.sign_name", "[云通信]", "routes[0].sign_name: is a placeholder"),
        ("routes.0.sign_name", "云通信\u200b", "routes[0].sign_name: contains an invisible character"),
        ("routes.0.sign_name", "\ufeff云通信", "routes[0].sign_name: contains an invisible character"),
        ("routes.0.sign_name", "云\u3000通信", "routes[0].sign_name: contains an invisible character"),
        ("routes.0.sign_name", " 云通信", "routes[0].sign_name: begins or ends with white space"),
        ("routes.0.sign_name", "“云通信”", "routes[0].sign_name: is enclosed in quotes"),
        ("routes.0.sign_name", "<your-sign-name>", "routes[0].sign_name: is a placeholder"),
        ("routes.0.sign_name", "您的短信签名", "routes[0].sign_name: is a placeholder"),
        (
            "routes.0.templates.0.template_code",
            "100001",
            "routes[0].templates[0].template_code: must be SMS_",
        ),
        ("routes.0.templates.0.template_code", "sms_1", "routes[0].templates[0].template_code: must be SMS_"),
        (
            "routes.0.templates.0.template_code",
            "SMS_1 ",
            "routes[0].templates[0].template_code: must be SMS_",
        ),
        (
            "routes.0.templates.0.template_code",
            "SMS_xxx",
            "routes[0].templates[0].template_code: must be SMS_",
        ),
        (
            "routes.0.endpoint",
            "https://dypnsapi.aliyuncs.com",
            "routes[0].endpoint: is the address of another API",
        ),
        (
            "routes.0.endpoint",
            "https://dybaseapi.aliyuncs.com",
            "routes[0].endpoint: is the address of another API",
        ),
        (
            "routes.0.endpoint",
            "https://<your-host>",
            "routes[0].endpoint: must be https://host, without a path",
        ),
        (
            "routes.0.endpoint",
            "dysmsapi.aliyuncs.com",
            "routes[0].endpoint: must be https://host, without a path",
        ),
        ("service.public_url", "https://otp example.com", "service.public_url: must be https://host/path"),
        ("service.public_url", "https://例子.example", "service.public_url: must be ASCII"),
        ("routes.0.endpoint", "https://例子.example", "routes[0].endpoint: must be ASCII"),
        ("redis.url", "redis+sentinel://<host>/main", "redis.url: contains a placeholder"),
        (
            "redis.url",
            "redis+sentinel://:pw@one/main",
            "redis.password_file: cannot be combined with a password in redis.url",
        ),
        ("redis.sentinel_password_file", None, "redis.sentinel_username: needs redis.sentinel_password_file"),
        (
            "reports.queue.inbound_queue",
            "Alicom-Queue-1-SmsReport",
            "reports.queue.inbound_queue: is the same queue as report_queue",
        ),
        (
            "reports.queue.inbound_queue",
            "Alicom-Queue-2-SmsReport",
            "reports.queue.inbound_queue: names a queue of delivery reports",
        ),
        (
            "reports.queue.report_queue",
            "Alicom-Queue-2-SmsUp",
            "reports.queue.report_queue: names a queue of inbound SMS",
        ),
        ("reports.queue.report_queue", "<queue>", "reports.queue.report_queue: must be the name of a queue"),
        ("reports.queue.endpoint", "http://dybaseapi.aliyuncs.com", "reports.queue.endpoint: must be https"),
        (
            "reports.queue.endpoint",
            "https://1.mns.cn-hangzhou.aliyuncs.com",
            "reports.queue.endpoint: is a value for queue_endpoint",
        ),
        (
            "reports.queue.queue_endpoint",
            "https://dybaseapi.aliyuncs.com",
            "reports.queue.queue_endpoint: is a value for endpoint",
        ),
        ("reports.queue.queue_endpoint", "https://h/p", "reports.queue.queue_endpoint: must be https://host"),
        ("reports.queue.route", "other", "reports.queue.route: names a route that is not in [[routes]]"),
        ("service.countries", ["CN", "HK", "UK"], f"service.countries[2]: {ISO}: write GB"),
        ("service.default_region", "UK", f"service.default_region: {ISO}: write GB"),
        ("service.default_region", "cn", f"service.default_region: {ISO}: write CN"),
        ("deny.countries", ["hk"], f"deny.countries[0]: {ISO}: write HK"),
        (
            "routes.0.templates.0.country",
            ["CN", "HKG"],
            f"routes[0].templates[0].country[1]: {ISO}: write HK",
        ),
    ],
)
def test_setting_without_effect_is_one_issue(raw: Raw, path: str, value: object, sentence: str) -> None:
    table, _, name = path.rpartition(".")
    if value is None:
        del raw[table][name]
    else:
        put(raw, path, value)

    (issue,) = issues_of(raw)

    assert issue.startswith(sentence)


def test_swapped_queues_are_one_issue(raw: Raw) -> None:
    queue = raw["reports"]["queue"]
    queue["report_queue"], queue["inbound_queue"] = queue["inbound_queue"], queue["report_queue"]

    assert issues_of(raw) == ["reports.queue: has report_queue and inbound_queue swapped"]


@pytest.mark.parametrize("name", ["url", "sentinel_password_file", "sentinel_username"])
def test_sentinel_settings_need_sentinels(raw: Raw, name: str) -> None:
    if name == "url":
        raw["redis"]["url"] = "redis://127.0.0.1"
        assert issues_of(raw) == [
            "redis.sentinel_username: is for Sentinels, but redis.url names none",
            "redis.sentinel_password_file: is for Sentinels, but redis.url names none",
        ]
        return
    for other in {"sentinel_username", "sentinel_password_file"} - {name}:
        del raw["redis"][other]

    assert len(issues_of(raw)) == (name == "sentinel_username")


@pytest.mark.parametrize("name", ["云通信", "Acme Shop", "CHADTEL", "速通互联验证码", "Ünï-Code 3"])
def test_real_sign_names_are_accepted(raw: Raw, name: str) -> None:
    raw["routes"][0]["sign_name"] = name

    assert issues_of(raw) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        *((text, "GB") for text in ("UK", "uk", "EN", "en", "GBR", "gb", " GB ", "+44", "England")),
        *((text, "US") for text in ("USA", "usa", "us", "+1", "1", "America")),
        *((text, "CN") for text in ("CHN", "China", "cn", "zh-CN", "+86", "86", "中国")),
        ("EL", "GR"),
        ("XX", ""),
        ("Atlantis", ""),
    ],
)
def test_issue_with_a_country_suggests_its_code(raw: Raw, text: str, code: str) -> None:
    raw["service"]["countries"] = ["CN", "HK", text]

    what = f": write {code}" if code else ', like "CN"'
    assert issues_of(raw) == [f"service.countries[2]: {ISO}{what}"]


def test_hints_name_every_country() -> None:
    assert {hint(code) for code in COUNTRIES} == COUNTRIES
    assert all(hint(code) == code for code in COUNTRIES)


def test_every_accepted_country_can_be_sent_to(raw: Raw) -> None:
    """Regression: no worker started if a country was well-formed but unknown."""
    raw["service"]["countries"] = sorted(COUNTRIES)
    raw["routes"][0]["templates"][0]["country"] = "*"
    raw["deny"]["countries"] = []
    settings, issues = examine_for_production(
        None, {f"OTP_SERVICE__{name.upper()}": json.dumps(table) for name, table in raw.items()}
    )

    assert issues == []
    assert len(settings.dialing()) == len(COUNTRIES)


# ── the environment ──


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("OTP_SERVICE_SERVER_PORT", "OTP_SERVICE__SERVER__PORT"),
        ("otp_service_server_port", "OTP_SERVICE__SERVER__PORT"),
        ("OTP_SERVICE__SERVER_PORT", "OTP_SERVICE__SERVER__PORT"),
        ("OTP_SERVICE_SERVER__PORT", "OTP_SERVICE__SERVER__PORT"),
        ("OTP_SERVICE_REDIS_URL", "OTP_SERVICE__REDIS__URL"),
        ("OTP_SERVICE_REDIS_URL_FILE", "OTP_SERVICE__REDIS__URL_FILE"),
        ("OTP_SERVICE_REDIS_PASSWORD_FILE", "OTP_SERVICE__REDIS__PASSWORD_FILE"),
        ("OTP_SERVICE_KEYS_PSEUDONYM_KEY_FILE", "OTP_SERVICE__KEYS__PSEUDONYM_KEY_FILE"),
        ("OTP_SERVICE_KEYS_ROOTS_2026A", "OTP_SERVICE__KEYS__ROOTS__2026A"),
        ("OTP_SERVICE_CLIENTS_WEB_SMS_PER_DAY", "OTP_SERVICE__CLIENTS__WEB__SMS_PER_DAY"),
        ("OTP_SERVICE_REDIS_URI", "OTP_SERVICE__REDIS__URL"),
        ("OTP_SERVICE_LOGLEVEL", "OTP_SERVICE__LOG__LEVEL"),
        ("OTP_SERVICE__HOME", "OTP_SERVICE__TABLE__SETTING"),
    ],
)
def test_issue_with_an_unknown_variable_suggests_the_right_name(raw: Raw, name: str, meant: str) -> None:
    environ = {f"OTP_SERVICE__{table.upper()}": json.dumps(content) for table, content in raw.items()}

    _, issues = examine_for_production(None, {**environ, name: SENTINEL})

    assert [str(issue) for issue in issues] == [f"environment {name}: is not a setting: write {meant}"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTP_SERVICE_CONFIG", "/etc/otp_service/config.toml"),
        ("OTP_SERVICE_SERVICE_HOST", "10.0.0.1"),
        ("OTP_SERVICE_SERVICE_PORT", "8080"),
        ("OTP_SERVICE_SERVICE_PORT_HTTP", "8080"),
        ("OTP_SERVICE_PORT", "tcp://10.0.0.1:8080"),
        ("OTP_SERVICE_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("OTP_SERVICE_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("OTP_SERVICE_REDIS_SERVICE_HOST", "10.0.0.1"),
        ("OTP_SERVICE_REDIS_PORT", "tcp://10.0.0.1:6379"),
    ],
)
def test_variables_set_by_kubernetes_are_ignored(raw: Raw, name: str, value: str) -> None:
    environ = {f"OTP_SERVICE__{table.upper()}": json.dumps(content) for table, content in raw.items()}

    assert examine_for_production(None, {**environ, name: value})[1] == []


def test_name_with_single_underscores_is_recognized_for_every_setting(raw: Raw) -> None:
    environ = {f"OTP_SERVICE__{table.upper()}": json.dumps(content) for table, content in raw.items()}
    for path in paths(Settings):
        name = "_".join(path).upper().replace(ANY_NAME.upper(), "WEB")
        right = "__".join(path).upper().replace(ANY_NAME.upper(), "WEB")

        _, issues = examine_for_production(None, {**environ, f"OTP_SERVICE_{name}": "x"})

        assert [m.what for m in issues] == [f"is not a setting: write OTP_SERVICE__{right}"], path


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda raw: raw["service"].update(isuer="x"),
            "service.isuer: is not a setting; did you mean issuer?",
        ),
        (
            lambda raw: raw["clients"]["web"].update(orgins=[]),
            "clients.web.orgins: is not a setting; did you mean origins?",
        ),
        (
            lambda raw: raw["routes"][0].update(signname="x"),
            "routes[0].signname: is not a setting; did you mean sign_name?",
        ),
        (
            lambda raw: raw["routes"][0]["templates"][0].update(code="x"),
            "routes[0].templates[0].code: is not a setting",
        ),
        (lambda raw: raw.update(redsi={}), "environment OTP_SERVICE__REDSI: is not a setting"),
        (lambda raw: raw["log"].update(zzz=1), "log.zzz: is not a setting"),
    ],
)
def test_issue_with_an_unknown_setting_suggests_the_nearest_one(
    raw: Raw, change: Callable[[Raw], object], sentence: str
) -> None:
    change(raw)

    (issue,) = issues_of(raw)
    assert issue.startswith(sentence)


def test_issue_with_a_sandbox_account_describes_the_form(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_account(None, templates={"x": "y"}, report_url="x", queue_prefix="_", inbox_size=0)

    assert sorted(str(caught.value).splitlines()) == [
        "inbox_size: must be at least 1",
        "queue_prefix: must be 1 to 200 of A-Z a-z 0-9 -",
        "report_url: must be http://… or https://…",
        "templates.x.…: must be SMS_ and digits, like SMS_154950909",
    ]


def test_default_settings_have_one_issue_for_each_missing_value() -> None:
    with pytest.raises(SettingsError) as caught:
        from_mapping({})

    assert sorted(str(caught.value).splitlines()) == [
        "clients: needs at least one client",
        "keys.active_kid: is required",
        "keys.pseudonym_key: is required",
        "keys.roots: needs at least one root secret",
        "purposes: needs at least one purpose",
        "routes: needs at least one route",
    ]


# ── numbers that SendSms cannot reach ──

WEBHOOK = {"name": "own", "provider": "webhook", "url": "https://sms.example.com/otp", "secret": WHSEC}


@pytest.mark.parametrize(
    ("countries", "templates", "more", "named"),
    [
        (["CN", "HK"], "*", [], None),
        (["CN", "US", "CA", "JM", "HK"], "*", [], "CA, JM, US"),
        (["CN", "US"], ["CN"], [{**WEBHOOK}], None),
        (["CN", "US"], "*", [{**WEBHOOK}], None),
        (["CN", "US", "CA"], "*", [{**WEBHOOK, "templates": [{"country": "US"}]}], "CA"),
        (["CN", "US"], "international", [], "US"),
    ],
    ids=["none", "of +1", "not served", "another provider", "another provider for one", "international"],
)
def test_countries_that_send_sms_cannot_reach_are_reported(
    raw: Raw, countries: list[str], templates: object, more: list[Raw], named: str | None
) -> None:
    raw["service"]["countries"] = countries
    raw["deny"]["countries"] = []
    raw["clients"]["web"]["routes"] = []
    raw["routes"][0]["templates"][0]["country"] = templates
    raw["routes"] += more
    environ = {f"OTP_SERVICE__{name.upper()}": json.dumps(table) for name, table in raw.items()}
    settings, _ = examine_for_production(None, environ)

    warnings = [warning for warning in advice(None, environ, settings) if warning.where == "routes[0]"]

    if named is None:
        assert warnings == []
    else:
        (warning,) = warnings
        assert warning.what.startswith(f"cannot send to most numbers of {named}: ")
