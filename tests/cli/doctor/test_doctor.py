"""The doctor: each reason why codes do not arrive is reported with a fix."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from cli.doctor.conftest import DoctorRun
from sms.doubles import RealClock
from sms.wire import TlsWireServer, WireServer, answers, make_certificate, response
from support.deployment import TEMPLATES
from support.redis_servers import closed_port, redis_binary, running

from otp_service.cli.doctor.account import PnvsAccountChecks, SmsAccountChecks
from otp_service.cli.doctor.api_probe import ApiProbe
from otp_service.cli.doctor.check_result import (
    CheckResult,
    CheckStatus,
    as_json,
    as_text,
    fail,
    ok,
    warn,
    worst,
)
from otp_service.cli.doctor.connectivity import check_connectivity
from otp_service.cli.doctor.redis import check_alarm, check_redis
from otp_service.cli.doctor.template import check_template_text
from otp_service.domain.limits import GlobalFailureLimits
from otp_service.domain.messages import Template
from otp_service.sandbox.config import REJECTED_SIGN_NAME, SIGN_NAME_IN_REVIEW
from otp_service.sms.aliyun.api import AliyunApi
from otp_service.sms.aliyun.pnvs import lookup_pnvs
from otp_service.sms.aliyun.signed_request import AccessKey
from otp_service.sms.http import HttpClient
from otp_service.store.client import client_from_url
from otp_service.store.verifications import RedisStore

LOGIN = Template("login", "SMS_100000001")


def found(doctor_run: DoctorRun, *arguments: str) -> list[dict[str, Any]]:
    report = json.loads(doctor_run.run("doctor", "--json", *arguments).output)
    results: list[dict[str, Any]] = report["checks"]
    return results


def bad(results: list[dict[str, Any]], check: str) -> list[str]:
    return [f["message"] for f in results if f["check"] == check and f["status"] != "ok"]


# ── the complete report ──


def test_valid_service_has_no_failure(doctor_run: DoctorRun) -> None:
    result = doctor_run.run("doctor")

    assert result.exit_code == 1, result.output  # the Redis of the tests is not persistent
    assert "FAIL" not in result.output
    assert "is approved" in result.output
    assert doctor_run.run("doctor", "--route", "main").exit_code == 1


def test_report_is_a_table_or_json(doctor_run: DoctorRun) -> None:
    text, report = doctor_run.run("doctor").output, json.loads(doctor_run.run("doctor", "--json").output)

    assert report["status"] == "warn"
    assert set(report["checks"][0]) == {"check", "route", "status", "message", "fix"}
    assert all(result["message"] in text for result in report["checks"] if result["check"] != "dns")
    assert all(result["fix"] for result in report["checks"] if result["status"] != "ok")
    assert "\x1b" not in text


def test_invalid_settings_are_reported_and_the_rest_is_still_checked(doctor_run: DoctorRun) -> None:
    doctor_run.change("sms_per_day = 100000\n", "")
    doctor_run.change('purpose = "login"', 'purpose = "nothing"')

    results = found(doctor_run)

    assert any("service.sms_per_day" in seen for seen in bad(results, "settings"))
    assert [f["message"] for f in results if f["check"] == "sign name"] == ["云通信测试 is approved"]
    assert doctor_run.run("doctor").exit_code == 2


def test_configuration_that_is_not_toml_is_a_failure(doctor_run: DoctorRun) -> None:
    doctor_run.path.write_text("this is = no toml", encoding="utf-8")

    result = doctor_run.run("doctor")

    assert result.exit_code == 2
    assert "FAIL" in result.output
    assert "Traceback" not in result.output


def test_unknown_route_is_a_usage_error(doctor_run: DoctorRun) -> None:
    result = doctor_run.run("doctor", "--route", "unknown")

    assert result.exit_code == 2
    assert "is not a route of the configuration" in result.output


def test_check_that_raises_is_a_failure(doctor_run: DoctorRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Any:
        raise RuntimeError("+8613800138000")

    monkeypatch.setattr("otp_service.cli.doctor.runner.check_connectivity", fails)
    results = found(doctor_run)

    assert bad(results, "route") == ["could not be checked (RuntimeError)"]
    assert any(f["check"] == "redis" for f in results)


# ── keys, sign names, templates ──


def test_wrong_secret_and_unknown_key_show_only_the_first_letters(doctor_run: DoctorRun) -> None:
    doctor_run.change('access_key_secret = "testSecret"', 'access_key_secret = "mistyped"')
    assert bad(found(doctor_run), "access key")[0].startswith("test… is rejected: ")
    doctor_run.change('access_key_id = "testId"', 'access_key_id = "unknownId"')

    (seen,) = bad(found(doctor_run), "access key")
    assert seen.startswith("unkn… is rejected: The access key does not exist.")
    assert "unknownId" not in doctor_run.outputs[-1]


def test_each_of_two_access_keys_is_checked(doctor_run: DoctorRun) -> None:
    doctor_run.change(
        'access_key_secret = "testSecret"',
        'access_key_secret = "testSecret"\nsecond_access_key_id = "oldId"\nsecond_access_key_secret = "old"',
    )
    results = [f for f in found(doctor_run) if f["check"] == "access key"]

    assert [f["status"] for f in results] == ["ok", "fail"]


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("没有的签名", "does not belong to this account"),
        (SIGN_NAME_IN_REVIEW, "is still in review"),
        (REJECTED_SIGN_NAME, "was rejected: 签名来源证明材料不齐全"),
    ],
)
def test_unusable_sign_name_is_reported(doctor_run: DoctorRun, name: str, seen: str) -> None:
    doctor_run.change('sign_name = "云通信测试"', f'sign_name = "{name}"')

    assert any(seen in message for message in bad(found(doctor_run), "sign name"))


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("SMS_999999999", "does not belong to this account"),
        ("SMS_100000008", "is still in review"),
        ("SMS_100000009", "was rejected: 模板内容与所选类型不符"),
    ],
)
def test_unusable_template_is_reported(doctor_run: DoctorRun, code: str, seen: str) -> None:
    doctor_run.change(TEMPLATES["signup"], code)

    assert any(seen in message for message in bad(found(doctor_run), "template"))


def test_minutes_in_the_text_must_match_the_lifetime_of_codes(doctor_run: DoctorRun) -> None:
    doctor_run.change("[keys]", "[codes]\nttl = 120\n[keys]")

    assert "SMS_100000001: the text says 5 minutes, codes.ttl is 120 s" in bad(found(doctor_run), "template")


def text_results(
    text: str, template: Template = LOGIN, ttl: int = 300, **fields: object
) -> list[CheckResult]:
    template_facts = {"TemplateContent": text, "TemplateType": 0, **fields}
    results = check_template_text(template, template_facts, sign_name="云通信测试", ttl=ttl, route="main")
    return [f for f in results if f.status is not CheckStatus.OK]


@pytest.mark.parametrize(
    ("text", "ttl", "status"),
    [
        ("验证码${code}，5分钟内有效", 300, None),
        ("验证码${code}，五分钟内有效", 300, None),
        ("验证码${code}，十分钟内有效", 600, None),
        ("验证码: your code is ${code}, valid for 5 minutes", 300, None),
        ("验证码${code}", 300, None),
        ("验证码${code}，10分钟内有效", 300, CheckStatus.WARN),
        ("验证码${code}，二分钟内有效", 300, CheckStatus.WARN),
        ("验证码${code}，两分钟内有效", 120, None),
        ("验证码${code}，十五分钟内有效", 300, CheckStatus.WARN),
        ("验证码${code}，十五分钟内有效", 900, None),
        ("验证码${code}，三十分钟内有效", 1800, None),
    ],
)
def test_minutes_are_found_in_both_languages(text: str, ttl: int, status: CheckStatus | None) -> None:
    assert [f.status for f in text_results(text, ttl=ttl)] == ([status] if status else [])


def test_variables_of_text_and_settings_must_be_the_same() -> None:
    more = text_results("验证码${code}，来自${product}")
    fewer = text_results("验证码${code}", replace(LOGIN, extra_variables={"product": "shop"}))
    other = text_results("验证码${number}")

    assert [f.status for f in (*more, *fewer, *other)] == [CheckStatus.FAIL] * 3
    assert "${product}" in more[0].message
    assert "${number}" in other[0].message


def test_notice_template_cannot_be_used_for_codes() -> None:
    assert [f.status for f in text_results("验证码${code}", TemplateType=1)] == [CheckStatus.FAIL]
    assert text_results("验证码${code}", TemplateType="0") == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("您的密码是${code}", "lacks a word such as 验证码"),
        ("验证码${code}，见 https://example.com", "contains a link"),
        ("【商城】验证码${code}", "contains 【 or 】"),
        ("验证码${code}${product}", "has adjacent variables"),
    ],
)
def test_text_that_breaks_a_rule_is_reported(text: str, why: str) -> None:
    template = replace(LOGIN, extra_variables={"product": "shop"}) if "product" in text else LOGIN

    (result,) = text_results(text, template)
    assert (result.status, why in result.message) == (CheckStatus.WARN, True)
    assert text_results(text, replace(template, countries=("international",))) == []


def test_text_that_is_billed_as_two_sms_is_reported() -> None:
    """One SMS has 70 characters, including the sign name."""
    longest = "验证码${code}" + "。" * (70 - len("【云通信测试】验证码123456"))

    assert text_results(longest) == []
    (result,) = text_results(longest + "。")
    assert (result.status, result.message) == (
        CheckStatus.WARN,
        "SMS_100000001: each code is billed as 2 SMS",
    )


# ── scripted answers ──


def scripted(answers: dict[str, bytes], *headers: str) -> tuple[WireServer, Any]:
    """Run a provider that gives each action its scripted answer."""

    def behave(connection: Any) -> None:
        body = server.requests[-1].partition(b"\r\n\r\n")[2].decode()
        action = next(name for name in answers if f"Action={name}&" in body)
        connection.sendall(response(answers[action], 200, *headers))

    server = WireServer(behave)
    return server, answers


OK_SIGN = b'{"Code":"OK","SignStatus":1}'
OK_TEMPLATE = json.dumps(
    {"Code": "OK", "TemplateStatus": 1, "TemplateType": 0, "TemplateContent": "验证码${code}，5分钟内有效"}
).encode()
NUMBER_REFUSED = b'{"Code":"isv.MOBILE_NUMBER_ILLEGAL"}'
WELL = {
    "GetSmsSign": OK_SIGN,
    "GetSmsTemplate": OK_TEMPLATE,
    "QuerySendDetails": NUMBER_REFUSED,
    "SendSms": NUMBER_REFUSED,
}


def check_results(answers: dict[str, bytes], *headers: str) -> list[CheckResult]:
    server, _ = scripted({**WELL, **answers}, *headers)
    with server:
        api = AliyunApi(
            keys=[AccessKey("testId", "testSecret")],
            version="2017-05-25",
            endpoint=server.url,
            http=HttpClient(max_connections=1),
            clock=RealClock(),
        )
        account = SmsAccountChecks(ApiProbe(api, route="main", key_name="test…"))
        results = list(account.run("云通信测试", (LOGIN,), 300))
        api.close()
    return results


def failures(answers: dict[str, bytes], *headers: str) -> list[tuple[str, CheckStatus]]:
    return [(f.check, f.status) for f in check_results(answers, *headers) if f.status is not CheckStatus.OK]


def test_valid_account_has_no_failure() -> None:
    assert failures({}) == []


@pytest.mark.parametrize(
    ("off", "status"),
    [
        (10, None),
        (-10, None),
        (45, CheckStatus.WARN),
        (-45, CheckStatus.WARN),
        (1200, CheckStatus.FAIL),
        (-1200, CheckStatus.FAIL),
    ],
)
def test_clock_is_compared_with_the_date_of_the_answer(off: int, status: CheckStatus | None) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=off), usegmt=True)

    assert failures({}, f"Date: {date}") == ([("clock", status)] if status else [])


@pytest.mark.parametrize("date", ["yesterday", "Mon, 99 Foo 2026", ""])
def test_malformed_date_gives_no_result_about_the_clock(date: str) -> None:
    assert failures({}, f"Date: {date}") == []


RAM = b'{"Code":"isv.RAM_PERMISSION_DENY"}'
GONE = b'{"Code":"InvalidAction.NotFound"}'
REPLACED = {"SmsSign", "SmsTemplate"}
"""What is asked by a Get action, which has replaced a Query action."""


@pytest.mark.parametrize(
    ("action", "failure", "granted"),
    [
        ("SmsSign", ("sign name", CheckStatus.WARN), "dysms:GetSmsSign"),
        ("SmsTemplate", ("template", CheckStatus.WARN), "dysms:GetSmsTemplate"),
        ("QuerySendDetails", ("ram", CheckStatus.WARN), "dysms:QuerySendDetails"),
        ("SendSms", ("ram", CheckStatus.FAIL), "dysms:SendSms"),
    ],
)
def test_missing_permission_is_named(action: str, failure: tuple[str, CheckStatus], granted: str) -> None:
    refused = {f"Get{action}": RAM, f"Query{action}": RAM} if action in REPLACED else {action: RAM}
    results = [f for f in check_results(refused) if f.status is not CheckStatus.OK]

    assert [(f.check, f.status) for f in results] == [failure]
    assert granted in results[0].fix


def test_address_outside_the_mainland_is_reported() -> None:
    assert failures({"SendSms": b'{"Code":"isv.DENY_IP_RANGE"}'}) == [("egress", CheckStatus.FAIL)]


HTML = b"<html>502 Bad Gateway</html>"
BUSY = b'{"Code":"Throttling.User"}'


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (HTML, ("api", CheckStatus.FAIL)),
        (b"{}", ("api", CheckStatus.FAIL)),
        (b'{"Code":"InvalidTimeStamp.Expired"}', ("api", CheckStatus.FAIL)),
        (BUSY, ("api", CheckStatus.WARN)),
        (b'{"Code":"ServiceUnavailable"}', ("api", CheckStatus.WARN)),
        (b'{"Code":"SignatureDoesNotMatch"}', ("access key", CheckStatus.FAIL)),
        (b'{"Code":"InvalidSecurityToken.Expired"}', ("access key", CheckStatus.FAIL)),
    ],
    ids=str,
)
def test_key_is_reported_as_accepted_only_if_it_was(answer: bytes, failure: tuple[str, CheckStatus]) -> None:
    results = check_results({"GetSmsSign": answer})

    assert [(f.check, f.status) for f in results if f.check != "clock"] == [failure]


@pytest.mark.parametrize("answer", [HTML, BUSY], ids=["a page", "throttled"])
@pytest.mark.parametrize(
    ("action", "check"),
    [("GetSmsTemplate", "template"), ("QuerySendDetails", "ram"), ("SendSms", "sending")],
)
def test_unavailable_information_is_a_warning(action: str, check: str, answer: bytes) -> None:
    assert failures({action: answer}) == [(check, CheckStatus.WARN)]
    assert action != "SendSms" or "egress" not in {f.check for f in check_results({action: answer})}


def test_accepted_sms_to_an_impossible_number_is_a_warning() -> None:
    assert failures({"SendSms": b'{"Code":"OK","BizId":"1^0"}'}) == [("sending", CheckStatus.WARN)]


# ── PNVS ──

PNVS = (
    ('[[routes.templates]]\npurpose = "login"', "[[routes.templates]]"),
    ("SMS_100000001", "100001"),
    ("SMS_100000002", "100005"),
    ('provider = "aliyun-sms"', 'provider = "aliyun-pnvs"'),
    ('sign_name = "云通信测试"', 'sign_name = "速通互联验证码"'),
)


@pytest.fixture
def pnvs(doctor_run: DoctorRun) -> DoctorRun:
    for old, new in PNVS:
        doctor_run.change(old, new)
    return doctor_run


def test_valid_pnvs_account_is_ok_and_sends_nothing(pnvs: DoctorRun) -> None:
    statuses = {f["check"]: f["status"] for f in found(pnvs) if f["route"] == "main"}

    assert statuses["access key"] == statuses["sending"] == statuses["egress"] == "ok"
    assert set(statuses.values()) == {"ok"}
    with urlopen(f"{pnvs.sandbox.inbox_url}.json") as answer:  # noqa: S310
        assert json.load(answer) == []


def test_key_and_sign_name_of_pnvs_are_checked(pnvs: DoctorRun) -> None:
    pnvs.change('access_key_secret = "testSecret"', 'access_key_secret = "mistyped"')

    assert bad(found(pnvs), "access key")[0].startswith("test… is rejected: ")


def pnvs_failures(answer: bytes) -> list[tuple[str, CheckStatus, str]]:
    with WireServer(lambda connection: connection.sendall(response(answer, 400))) as server:
        api = AliyunApi(
            keys=[AccessKey("testId", "testSecret")],
            version="2017-05-25",
            endpoint=server.url,
            http=HttpClient(max_connections=1),
            clock=RealClock(),
        )
        probe = ApiProbe(api, route="main", key_name="test…", lookup=lookup_pnvs)
        results = list(PnvsAccountChecks(probe).run("速通互联验证码", Template("*", "100001")))
        api.close()
    return [(f.check, f.status, f.fix) for f in results if f.status is not CheckStatus.OK]


@pytest.mark.parametrize("code", ["NoPermission", "RAM_PERMISSION_DENY"])
def test_missing_permission_of_pnvs_is_named(code: str) -> None:
    ((check, status, fix),) = pnvs_failures(f'{{"Code":"{code}"}}'.encode())

    assert (check, status) == ("ram", CheckStatus.FAIL)
    assert "dypns:SendSmsVerifyCode" in fix


@pytest.mark.parametrize("code", ["FUNCTION_NOT_OPENED", "SMS_SIGNATURE_ILLEGAL", "AMOUNT_NOT_ENOUGH"])
def test_account_error_of_pnvs_is_reported(code: str) -> None:
    results = pnvs_failures(f'{{"Code":"{code}"}}'.encode())

    assert [(check, status) for check, status, _ in results] == [("sending", CheckStatus.FAIL)]


def test_unreachable_pnvs_is_a_failure(pnvs: DoctorRun) -> None:
    pnvs.sandbox.close()

    assert bad(found(pnvs), "api") == ["does not respond"]


@pytest.mark.parametrize("code", ["isv.AMOUNT_NOT_ENOUGH", "isv.OUT_OF_SERVICE", "isv.SMS_SIGNATURE_ILLEGAL"])
def test_account_error_is_reported(code: str) -> None:
    assert failures({"SendSms": f'{{"Code":"{code}"}}'.encode()}) == [("sending", CheckStatus.FAIL)]


@pytest.mark.parametrize("barred", [GONE, RAM], ids=["unknown", "not-permitted"])
def test_older_actions_are_used_if_the_newer_ones_are_denied(barred: bytes) -> None:
    answers = {
        "GetSmsSign": barred,
        "QuerySmsSign": b'{"Code":"OK","SignStatus":2,"Reason":"why"}',
        "GetSmsTemplate": barred,
        "QuerySmsTemplate": OK_TEMPLATE,
    }

    (result,) = [f for f in check_results(answers) if f.status is not CheckStatus.OK]
    assert (result.check, result.message) == ("sign name", "云通信测试 was rejected: why")


def test_only_newer_actions_are_used_if_they_are_permitted() -> None:
    """The script has no answer to the older ones."""
    rejected = b'{"Code":"OK","SignStatus":2,"AuditInfo":{"RejectInfo":"why"}}'

    (result,) = [f for f in check_results({"GetSmsSign": rejected}) if f.status is not CheckStatus.OK]
    assert (result.check, result.message) == ("sign name", "云通信测试 was rejected: why")


def test_policy_in_the_docs_permits_all_actions_of_the_doctor() -> None:
    text = (Path(__file__).parents[3] / "docs" / "aliyun-setup.md").read_text()
    permitted = set(re.findall(r"dysms:(\w+)", text))

    assert permitted == set(WELL)


def test_newer_action_is_named_if_both_are_denied() -> None:
    results = [
        f for f in check_results({"GetSmsSign": RAM, "QuerySmsSign": GONE}) if f.status is not CheckStatus.OK
    ]

    assert [(f.check, f.status) for f in results] == [("sign name", CheckStatus.WARN)]
    assert "dysms:GetSmsSign" in results[0].fix


def test_endpoint_without_both_actions_gives_no_result_about_the_sign_name() -> None:
    results = [
        f for f in check_results({"GetSmsSign": GONE, "QuerySmsSign": GONE}) if f.status is not CheckStatus.OK
    ]

    assert [(f.check, f.status) for f in results] == [("sign name", CheckStatus.WARN)]
    assert "supports none of the actions" in results[0].message


@pytest.mark.parametrize(
    ("facts", "is_for_codes"),
    [
        ({"TemplateType": "0"}, True),
        ({"TemplateType": 1}, False),
        ({"TemplateType": "3", "IntlType": 2}, True),
        ({"TemplateType": 3, "IntlType": "0"}, False),
        ({"TemplateType": 3}, True),
    ],
    ids=str,
)
def test_template_of_another_kind_is_reported(facts: dict[str, object], is_for_codes: bool) -> None:  # noqa: FBT001 - a column
    template = json.dumps({**json.loads(OK_TEMPLATE), **facts}).encode()

    assert failures({"GetSmsTemplate": template}) == (
        [] if is_for_codes else [("template", CheckStatus.FAIL)]
    )


def test_no_sms_is_ever_sent(doctor_run: DoctorRun) -> None:
    doctor_run.run("doctor")

    with urlopen(f"{doctor_run.sandbox.inbox_url}.json") as answer:  # noqa: S310
        assert json.load(answer) == []


# ── the network ──


def test_closed_port_and_unknown_name_are_reported() -> None:
    closed = [
        f
        for f in check_connectivity(f"http://127.0.0.1:{closed_port()}", "main")
        if f.status is not CheckStatus.OK
    ]
    nameless = list(check_connectivity("https://no-such-host.invalid", "main"))

    assert [(f.check, f.status) for f in closed] == [("IPv4", CheckStatus.FAIL)]
    assert [(f.check, f.status) for f in nameless] == [("dns", CheckStatus.FAIL)]


def test_server_without_tls_is_reported() -> None:
    with WireServer(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")) as server:
        results = list(check_connectivity(server.url.replace("http", "https"), "main"))

    assert [f.status for f in results if f.check == "tls"] == [CheckStatus.FAIL]


def test_certificate_must_be_one_that_the_service_trusts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = str(make_certificate(tmp_path) / "cert.pem")

    def tls(url: str) -> list[CheckStatus]:
        return [f.status for f in check_connectivity(url, "main") if f.check == "tls"]

    with TlsWireServer(answers(response(b"")), tmp_path) as server:
        monkeypatch.setenv("SSL_CERT_FILE", certificate)  # what this machine trusts does not matter
        assert tls(server.url) == [CheckStatus.FAIL]
        monkeypatch.setattr("requests.certs.where", lambda: certificate)
        assert tls(server.url) == [CheckStatus.OK]
        assert tls(server.url.replace("127.0.0.1", "localhost")) == [CheckStatus.FAIL]


def test_endpoint_that_is_down_is_two_failures(doctor_run: DoctorRun) -> None:
    doctor_run.sandbox.close()
    results = found(doctor_run)

    assert bad(results, "IPv4") == ["does not connect"]
    assert bad(results, "api") == ["does not respond"]


# ── redis and callers ──


class NullLogger:
    def emit(self, event: str, **facts: object) -> None:
        """Drop it."""


def of_redis(url: str, clients: list[str] | None = None) -> list[CheckResult]:
    store = RedisStore(client_from_url(url), NullLogger())
    return [f for f in check_redis(store, clients or []) if f.status is not CheckStatus.OK]


def test_redis_that_evicts_or_is_not_persistent_is_reported() -> None:
    with running(redis_binary(), "--maxmemory-policy", "allkeys-lru") as server:
        evicting = of_redis(server.url)
    with running(redis_binary(), "--appendonly", "yes") as server:
        assert of_redis(server.url) == []

    assert [f.status for f in evicting] == [CheckStatus.FAIL, CheckStatus.WARN, CheckStatus.FAIL]
    assert "allkeys-lru" in evicting[0].message


def test_newer_release_on_the_same_redis_is_reported_and_the_doctor_declares_no_version() -> None:
    with running(redis_binary(), "--appendonly", "yes") as server, server.client() as client:
        results_before = of_redis(server.url)
        declared = client.exists("otp:schema")
        client.set("otp:schema", "9 8", px=60_000)
        (result,) = of_redis(server.url, ["web"])
        alarm = list(
            check_alarm(RedisStore(client_from_url(server.url), NullLogger()), GlobalFailureLimits())
        )

    assert (results_before, declared) == ([], 0)
    assert result.status is CheckStatus.FAIL
    assert "store_schema_newer: schema 9, ours is 1" in result.message
    assert "docs/upgrading.md" in result.fix
    assert alarm == []


def test_unreachable_redis_is_reported() -> None:
    (result,) = of_redis(f"redis://127.0.0.1:{closed_port()}/0")

    assert (result.status, result.message) == (
        CheckStatus.FAIL,
        "names a host and port where nothing listens (connection refused)",
    )


def test_redis_user_without_scripts_is_reported() -> None:
    with running(redis_binary(), "--appendonly", "yes") as server:
        with server.client() as admin:
            admin.execute_command("ACL SETUSER poor on >secret ~otp:* +@all -@scripting")
        results = of_redis(f"redis://poor:secret@127.0.0.1:{server.port}/0")

    assert [(f.check, f.message) for f in results] == [
        ("redis", "does not allow its user to run EVAL (NOPERM)")
    ]


def test_client_without_client_ip_is_reported(doctor_run: DoctorRun) -> None:
    with running(redis_binary(), "--appendonly", "yes") as server:
        RedisStore(client_from_url(server.url), NullLogger()).mark_missing_client_ip("shop")
        results = of_redis(server.url, ["shop", "bank"])

    assert [(f.check, f.status) for f in results] == [("client_ip", CheckStatus.WARN)]
    assert results[0].message.startswith("shop ")


def test_proxy_without_a_usable_address_is_reported(doctor_run: DoctorRun) -> None:
    with running(redis_binary(), "--appendonly", "yes") as server:
        RedisStore(client_from_url(server.url), NullLogger()).mark_unreadable_client_ip()
        results = of_redis(server.url, ["shop"])
        with server.client() as client:
            seconds = client.ttl("otp:unreadable_ip")

    assert [(f.check, f.status) for f in results] == [("client_ip", CheckStatus.WARN)]
    assert "X-Forwarded-For" in results[0].message
    assert 0 < seconds <= 7 * 86_400


# ── the report ──


def test_exit_code_is_that_of_the_worst_result() -> None:
    assert worst([]) is CheckStatus.OK
    assert worst([ok("a", "b"), warn("a", "b", "c")]) is CheckStatus.WARN
    assert worst([fail("a", "b", "c"), ok("a", "b")]) is CheckStatus.FAIL


def test_table_is_aligned_and_shows_the_fix_below() -> None:
    text = as_text([ok("dns", "fine", "main"), fail("sign name", "gone", "bring it back")])

    assert text.splitlines() == [
        "ok    dns        main  fine",
        "FAIL  sign name        gone",
        "      fix: bring it back",
    ]
    assert json.loads(as_json([]))["checks"] == []
