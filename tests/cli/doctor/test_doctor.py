"""The doctor: every reason why codes do not arrive is told in words, with what to do."""

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
from sms.wire import WireServer, response
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
from otp_service.cli.doctor.redis import check_redis
from otp_service.cli.doctor.template import check_template_text
from otp_service.domain.messages import Template
from otp_service.sandbox.config import REJECTED_SIGN_NAME, SIGN_NAME_IN_REVIEW
from otp_service.sms.aliyun.api import AliyunApi
from otp_service.sms.aliyun.pnvs import lookup_pnvs
from otp_service.sms.aliyun.signed_request import AccessKey
from otp_service.sms.http import HttpClient
from otp_service.store.client import client_from_url
from otp_service.store.verifications import RedisStore

LOGIN = Template("login", "SMS_100000001")


def found(practice: DoctorRun, *arguments: str) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = json.loads(practice.run("doctor", "--json", *arguments).output)["checks"]
    return results


def bad(results: list[dict[str, Any]], check: str) -> list[str]:
    return [f["message"] for f in results if f["check"] == check and f["status"] != "ok"]


# ── the whole of it ──


def test_sound_service_has_nothing_broken(practice: DoctorRun) -> None:
    done = practice.run("doctor")

    assert done.exit_code == 1, done.output  # the tests' Redis keeps nothing through a restart
    assert "FAIL" not in done.output
    assert "is approved" in done.output
    assert practice.run("doctor", "--route", "main").exit_code == 1


def test_report_is_a_table_for_people_and_json_for_machines(practice: DoctorRun) -> None:
    text, told = practice.run("doctor").output, json.loads(practice.run("doctor", "--json").output)

    assert told["status"] == "warn"
    assert set(told["checks"][0]) == {"check", "route", "status", "message", "fix"}
    assert all(result["message"] in text for result in told["checks"] if result["check"] != "dns")
    assert all(result["fix"] for result in told["checks"] if result["status"] != "ok")
    assert "\x1b" not in text


def test_broken_settings_are_told_and_the_rest_is_still_looked_at(practice: DoctorRun) -> None:
    practice.change("sms_per_day = 100000\n", "")
    practice.change('purpose = "login"', 'purpose = "nothing"')

    results = found(practice)

    assert any("service.sms_per_day" in seen for seen in bad(results, "settings"))
    assert [f["message"] for f in results if f["check"] == "sign name"] == ["云通信测试 is approved"]
    assert practice.run("doctor").exit_code == 2


def test_configuration_that_is_no_toml_is_a_finding(practice: DoctorRun) -> None:
    practice.path.write_text("this is = no toml", encoding="utf-8")

    done = practice.run("doctor")

    assert done.exit_code == 2
    assert "FAIL" in done.output
    assert "Traceback" not in done.output


def test_route_that_is_not_there_is_refused(practice: DoctorRun) -> None:
    done = practice.run("doctor", "--route", "nowhere")

    assert done.exit_code == 2
    assert "is not a route of the configuration" in done.output


def test_check_that_fails_in_itself_is_a_finding(
    practice: DoctorRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> Any:
        raise RuntimeError("+8613800138000")

    monkeypatch.setattr("otp_service.cli.doctor.runner.check_connectivity", fails)
    results = found(practice)

    assert bad(results, "route") == ["could not be checked (RuntimeError)"]
    assert any(f["check"] == "redis" for f in results)


# ── keys, sign names, templates ──


def test_wrong_secret_and_unknown_key_are_told_by_the_first_letters_only(practice: DoctorRun) -> None:
    practice.change('access_key_secret = "testSecret"', 'access_key_secret = "mistyped"')
    assert bad(found(practice), "access key")[0].startswith("test… is rejected: ")
    practice.change('access_key_id = "testId"', 'access_key_id = "nobodyId"')

    (seen,) = bad(found(practice), "access key")
    assert seen.startswith("nobo… is rejected: The access key does not exist.")
    assert "nobodyId" not in practice.texts[-1]


def test_each_of_two_access_keys_is_looked_at(practice: DoctorRun) -> None:
    practice.change(
        'access_key_secret = "testSecret"',
        'access_key_secret = "testSecret"\nsecond_access_key_id = "oldId"\nsecond_access_key_secret = "old"',
    )
    results = [f for f in found(practice) if f["check"] == "access key"]

    assert [f["status"] for f in results] == ["ok", "fail"]


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("没有的签名", "does not belong to this account"),
        (SIGN_NAME_IN_REVIEW, "is still in review"),
        (REJECTED_SIGN_NAME, "was rejected: 签名来源证明材料不齐全"),
    ],
)
def test_sign_name_that_cannot_send_is_told(practice: DoctorRun, name: str, seen: str) -> None:
    practice.change('sign_name = "云通信测试"', f'sign_name = "{name}"')

    assert any(seen in told for told in bad(found(practice), "sign name"))


@pytest.mark.parametrize(
    ("code", "seen"),
    [
        ("SMS_999999999", "does not belong to this account"),
        ("SMS_100000008", "is still in review"),
        ("SMS_100000009", "was rejected: 模板内容与所选类型不符"),
    ],
)
def test_template_that_cannot_send_is_told(practice: DoctorRun, code: str, seen: str) -> None:
    practice.change(TEMPLATES["signup"], code)

    assert any(seen in told for told in bad(found(practice), "template"))


def test_minutes_of_the_text_must_fit_the_life_of_codes(practice: DoctorRun) -> None:
    practice.change("[keys]", "[codes]\nttl = 120\n[keys]")

    assert "SMS_100000001: the text says 5 minutes, codes.ttl is 120 s" in bad(found(practice), "template")


def text_findings(
    text: str, template: Template = LOGIN, ttl: int = 300, **fields: object
) -> list[CheckResult]:
    told = {"TemplateContent": text, "TemplateType": 0, **fields}
    results = check_template_text(template, told, sign_name="云通信测试", ttl=ttl, route="main")
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
def test_minutes_are_read_in_both_languages(text: str, ttl: int, status: CheckStatus | None) -> None:
    assert [f.status for f in text_findings(text, ttl=ttl)] == ([status] if status else [])


def test_variables_of_text_and_settings_must_be_the_same() -> None:
    more = text_findings("验证码${code}，来自${product}")
    fewer = text_findings("验证码${code}", replace(LOGIN, extra_variables={"product": "shop"}))
    other = text_findings("验证码${number}")

    assert [f.status for f in (*more, *fewer, *other)] == [CheckStatus.FAIL] * 3
    assert "${product}" in more[0].message
    assert "${number}" in other[0].message


def test_notice_template_is_no_verification_template() -> None:
    assert [f.status for f in text_findings("验证码${code}", TemplateType=1)] == [CheckStatus.FAIL]
    assert text_findings("验证码${code}", TemplateType="0") == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("您的密码是${code}", "lacks a word such as 验证码"),
        ("验证码${code}，见 https://example.com", "contains a link"),
        ("【商城】验证码${code}", "contains 【 or 】"),
        ("验证码${code}${product}", "has adjacent variables"),
    ],
)
def test_text_that_breaks_a_rule_is_told(text: str, why: str) -> None:
    template = replace(LOGIN, extra_variables={"product": "shop"}) if "product" in text else LOGIN

    (result,) = text_findings(text, template)
    assert (result.status, why in result.message) == (CheckStatus.WARN, True)
    assert text_findings(text, replace(template, countries=("international",))) == []


def test_text_that_is_billed_twice_is_told() -> None:
    """With the sign name 70 characters are one SMS."""
    longest = "验证码${code}" + "。" * (70 - len("【云通信测试】验证码123456"))

    assert text_findings(longest) == []
    (result,) = text_findings(longest + "。")
    assert (result.status, result.message) == (
        CheckStatus.WARN,
        "SMS_100000001: each code is billed as 2 SMS",
    )


# ── answers that the sandbox does not give ──


def scripted(answers: dict[str, bytes], *headers: str) -> tuple[WireServer, Any]:
    """A provider that answers each action as it is told."""

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


def examined(answers: dict[str, bytes], *headers: str) -> list[CheckResult]:
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


def troubles(answers: dict[str, bytes], *headers: str) -> list[tuple[str, CheckStatus]]:
    return [(f.check, f.status) for f in examined(answers, *headers) if f.status is not CheckStatus.OK]


def test_sound_account_has_no_trouble() -> None:
    assert troubles({}) == []


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
def test_clock_is_held_against_the_answers_date(off: int, status: CheckStatus | None) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=off), usegmt=True)

    assert troubles({}, f"Date: {date}") == ([("clock", status)] if status else [])


@pytest.mark.parametrize("date", ["yesterday", "Mon, 99 Foo 2026", ""])
def test_date_that_is_none_says_nothing_about_the_clock(date: str) -> None:
    assert troubles({}, f"Date: {date}") == []


RAM = b'{"Code":"isv.RAM_PERMISSION_DENY"}'
GONE = b'{"Code":"InvalidAction.NotFound"}'
REPLACED = {"SmsSign", "SmsTemplate"}
"""What is asked by a Get action, which has replaced a Query action."""


@pytest.mark.parametrize(
    ("action", "trouble", "granted"),
    [
        ("SmsSign", ("sign name", CheckStatus.WARN), "dysms:GetSmsSign"),
        ("SmsTemplate", ("template", CheckStatus.WARN), "dysms:GetSmsTemplate"),
        ("QuerySendDetails", ("ram", CheckStatus.WARN), "dysms:QuerySendDetails"),
        ("SendSms", ("ram", CheckStatus.FAIL), "dysms:SendSms"),
    ],
)
def test_missing_permission_is_named(action: str, trouble: tuple[str, CheckStatus], granted: str) -> None:
    refused = {f"Get{action}": RAM, f"Query{action}": RAM} if action in REPLACED else {action: RAM}
    results = [f for f in examined(refused) if f.status is not CheckStatus.OK]

    assert [(f.check, f.status) for f in results] == [trouble]
    assert granted in results[0].fix


def test_address_outside_the_mainland_is_told() -> None:
    assert troubles({"SendSms": b'{"Code":"isv.DENY_IP_RANGE"}'}) == [("egress", CheckStatus.FAIL)]


HTML = b"<html>502 Bad Gateway</html>"
BUSY = b'{"Code":"Throttling.User"}'


@pytest.mark.parametrize(
    ("answer", "trouble"),
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
def test_key_is_not_called_accepted_before_it_was(answer: bytes, trouble: tuple[str, CheckStatus]) -> None:
    results = examined({"GetSmsSign": answer})

    assert [(f.check, f.status) for f in results if f.check != "clock"] == [trouble]


@pytest.mark.parametrize("answer", [HTML, BUSY], ids=["a page", "throttled"])
@pytest.mark.parametrize(
    ("action", "check"),
    [("GetSmsTemplate", "template"), ("QuerySendDetails", "ram"), ("SendSms", "sending")],
)
def test_what_could_not_be_seen_is_called_neither_well_nor_broken(
    action: str, check: str, answer: bytes
) -> None:
    assert troubles({action: answer}) == [(check, CheckStatus.WARN)]
    assert action != "SendSms" or "egress" not in {f.check for f in examined({action: answer})}


def test_sms_to_an_impossible_number_that_is_taken_is_doubtful() -> None:
    assert troubles({"SendSms": b'{"Code":"OK","BizId":"1^0"}'}) == [("sending", CheckStatus.WARN)]


# ── PNVS ──

PNVS = (
    ('[[routes.templates]]\npurpose = "login"', "[[routes.templates]]"),
    ("SMS_100000001", "100001"),
    ("SMS_100000002", "100005"),
    ('provider = "aliyun-sms"', 'provider = "aliyun-pnvs"'),
    ('sign_name = "云通信测试"', 'sign_name = "速通互联验证码"'),
)


@pytest.fixture
def pnvs(practice: DoctorRun) -> DoctorRun:
    for old, new in PNVS:
        practice.change(old, new)
    return practice


def test_sound_account_of_pnvs_is_well_and_sends_nothing(pnvs: DoctorRun) -> None:
    statuses = {f["check"]: f["status"] for f in found(pnvs) if f["route"] == "main"}

    assert statuses["access key"] == statuses["sending"] == statuses["egress"] == "ok"
    assert set(statuses.values()) == {"ok"}
    with urlopen(f"{pnvs.sandbox.inbox_url}.json") as answer:  # noqa: S310
        assert json.load(answer) == []


def test_key_and_sign_name_of_pnvs_are_looked_at(pnvs: DoctorRun) -> None:
    pnvs.change('access_key_secret = "testSecret"', 'access_key_secret = "mistyped"')

    assert bad(found(pnvs), "access key")[0].startswith("test… is rejected: ")


def pnvs_troubles(answer: bytes) -> list[tuple[str, CheckStatus, str]]:
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
    ((check, status, fix),) = pnvs_troubles(f'{{"Code":"{code}"}}'.encode())

    assert (check, status) == ("ram", CheckStatus.FAIL)
    assert "dypns:SendSmsVerifyCode" in fix


@pytest.mark.parametrize("code", ["FUNCTION_NOT_OPENED", "SMS_SIGNATURE_ILLEGAL", "AMOUNT_NOT_ENOUGH"])
def test_what_an_operator_must_mend_at_pnvs_is_told(code: str) -> None:
    told = pnvs_troubles(f'{{"Code":"{code}"}}'.encode())

    assert [(check, status) for check, status, _ in told] == [("sending", CheckStatus.FAIL)]


def test_pnvs_that_is_not_there_does_not_answer(pnvs: DoctorRun) -> None:
    pnvs.sandbox.close()

    assert bad(found(pnvs), "api") == ["does not respond"]


@pytest.mark.parametrize("code", ["isv.AMOUNT_NOT_ENOUGH", "isv.OUT_OF_SERVICE", "isv.SMS_SIGNATURE_ILLEGAL"])
def test_what_an_operator_must_mend_is_told(code: str) -> None:
    assert troubles({"SendSms": f'{{"Code":"{code}"}}'.encode()}) == [("sending", CheckStatus.FAIL)]


@pytest.mark.parametrize("barred", [GONE, RAM], ids=["unknown", "not-permitted"])
def test_older_actions_are_asked_where_the_newer_ones_are_barred(barred: bytes) -> None:
    answers = {
        "GetSmsSign": barred,
        "QuerySmsSign": b'{"Code":"OK","SignStatus":2,"Reason":"why"}',
        "GetSmsTemplate": barred,
        "QuerySmsTemplate": OK_TEMPLATE,
    }

    (result,) = [f for f in examined(answers) if f.status is not CheckStatus.OK]
    assert (result.check, result.message) == ("sign name", "云通信测试 was rejected: why")


def test_newer_actions_alone_are_asked_where_they_are_answered() -> None:
    """The script has no answer to an older one."""
    rejected = b'{"Code":"OK","SignStatus":2,"AuditInfo":{"RejectInfo":"why"}}'

    (result,) = [f for f in examined({"GetSmsSign": rejected}) if f.status is not CheckStatus.OK]
    assert (result.check, result.message) == ("sign name", "云通信测试 was rejected: why")


def test_policy_of_the_docs_permits_all_that_the_doctor_asks() -> None:
    text = (Path(__file__).parents[3] / "docs" / "aliyun-setup.md").read_text()
    permitted = set(re.findall(r"dysms:(\w+)", text))

    assert permitted == set(WELL)


def test_right_to_the_newer_action_is_named_where_both_are_barred() -> None:
    results = [
        f for f in examined({"GetSmsSign": RAM, "QuerySmsSign": GONE}) if f.status is not CheckStatus.OK
    ]

    assert [(f.check, f.status) for f in results] == [("sign name", CheckStatus.WARN)]
    assert "dysms:GetSmsSign" in results[0].fix


def test_endpoint_that_knows_neither_action_says_nothing_about_the_sign_name() -> None:
    results = [
        f for f in examined({"GetSmsSign": GONE, "QuerySmsSign": GONE}) if f.status is not CheckStatus.OK
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
def test_template_of_another_kind_is_told(facts: dict[str, object], is_for_codes: bool) -> None:  # noqa: FBT001 - a column
    template = json.dumps({**json.loads(OK_TEMPLATE), **facts}).encode()

    assert troubles({"GetSmsTemplate": template}) == (
        [] if is_for_codes else [("template", CheckStatus.FAIL)]
    )


def test_no_sms_is_ever_sent(practice: DoctorRun) -> None:
    practice.run("doctor")

    with urlopen(f"{practice.sandbox.inbox_url}.json") as answer:  # noqa: S310
        assert json.load(answer) == []


# ── the network ──


def test_closed_port_and_unknown_name_are_told() -> None:
    closed = [
        f
        for f in check_connectivity(f"http://127.0.0.1:{closed_port()}", "main")
        if f.status is not CheckStatus.OK
    ]
    nameless = list(check_connectivity("https://no-such-host.invalid", "main"))

    assert [(f.check, f.status) for f in closed] == [("IPv4", CheckStatus.FAIL)]
    assert [(f.check, f.status) for f in nameless] == [("dns", CheckStatus.FAIL)]


def test_server_without_tls_is_told() -> None:
    with WireServer(lambda connection: connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")) as server:
        results = list(check_connectivity(server.url.replace("http", "https"), "main"))

    assert [f.status for f in results if f.check == "tls"] == [CheckStatus.FAIL]


def test_endpoint_that_is_down_is_two_findings(practice: DoctorRun) -> None:
    practice.sandbox.close()
    results = found(practice)

    assert bad(results, "IPv4") == ["does not connect"]
    assert bad(results, "api") == ["does not respond"]


# ── redis and callers ──


class Silence:
    def emit(self, event: str, **facts: object) -> None:
        """Drop it."""


def of_redis(url: str, clients: list[str] | None = None) -> list[CheckResult]:
    store = RedisStore(client_from_url(url), Silence())
    return [f for f in check_redis(store, clients or []) if f.status is not CheckStatus.OK]


def test_redis_that_evicts_or_forgets_is_told() -> None:
    with running(redis_binary(), "--maxmemory-policy", "allkeys-lru") as server:
        evicting = of_redis(server.url)
    with running(redis_binary(), "--appendonly", "yes") as server:
        assert of_redis(server.url) == []

    assert [f.status for f in evicting] == [CheckStatus.FAIL, CheckStatus.WARN, CheckStatus.FAIL]
    assert "allkeys-lru" in evicting[0].message


def test_newer_release_on_the_same_redis_is_told_and_the_doctor_declares_no_version() -> None:
    with running(redis_binary(), "--appendonly", "yes") as server, server.client() as client:
        sound = of_redis(server.url)
        declared = client.exists("otp:schema")
        client.set("otp:schema", "9 8", px=60_000)
        (result,) = of_redis(server.url)

    assert (sound, declared) == ([], 0)
    assert result.status is CheckStatus.FAIL
    assert "store_schema_newer: schema 9, ours is 1" in result.message
    assert "docs/upgrading.md" in result.fix


def test_redis_that_is_not_there_is_told() -> None:
    (result,) = of_redis(f"redis://127.0.0.1:{closed_port()}/0")

    assert (result.status, result.message) == (
        CheckStatus.FAIL,
        "names a host and port where nobody listens (connection refused)",
    )


def test_user_that_may_not_run_scripts_is_told() -> None:
    with running(redis_binary(), "--appendonly", "yes") as server:
        with server.client() as admin:
            admin.execute_command("ACL SETUSER poor on >secret ~otp:* +@all -@scripting")
        results = of_redis(f"redis://poor:secret@127.0.0.1:{server.port}/0")

    assert [(f.check, f.message) for f in results] == [
        ("redis", "does not allow its user to run EVAL (NOPERM)")
    ]


def test_client_that_names_no_address_is_told(practice: DoctorRun) -> None:
    with running(redis_binary(), "--appendonly", "yes") as server:
        RedisStore(client_from_url(server.url), Silence()).mark_missing_client_ip("shop")
        results = of_redis(server.url, ["shop", "bank"])

    assert [(f.check, f.status) for f in results] == [("client_ip", CheckStatus.WARN)]
    assert results[0].message.startswith("shop ")


def test_proxy_that_writes_no_address_is_told(practice: DoctorRun) -> None:
    with running(redis_binary(), "--appendonly", "yes") as server:
        RedisStore(client_from_url(server.url), Silence()).mark_unreadable_client_ip()
        results = of_redis(server.url, ["shop"])
        with server.client() as client:
            seconds = client.ttl("otp:unreadable_ip")

    assert [(f.check, f.status) for f in results] == [("client_ip", CheckStatus.WARN)]
    assert "X-Forwarded-For" in results[0].message
    assert 0 < seconds <= 7 * 86_400


# ── the report ──


def test_worst_finding_is_the_exit_code() -> None:
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
