"""`limits`, `unlock`, `erase-phone` and `history`: input, output and effects."""

from __future__ import annotations

import base64
import json
import os
import pty
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner, Result
from support.deployment import config_text, make_secrets, new_phone
from support.phone_in_store import CLIENT, RIGHT, WRONG, Phone, make_phone
from support.redis_servers import Server, free_port, redis_binary, running

from otp_service.cli.admin import format_duration
from otp_service.cli.main import main
from otp_service.domain.errors import WrongCode
from otp_service.domain.limits import HOUR, IpLimits
from otp_service.domain.phone import PhoneRules, parse
from otp_service.domain.risk import ClientIpQuota, PhoneKey, PrecheckRequest
from otp_service.domain.verification import DeliveryReport, DeliveryStatus, SendDisposition, Verification
from otp_service.settings import Settings, load
from otp_service.store import keys

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("OTP_SERVICE")}
ADDRESS = "203.0.113.7"


@pytest.fixture
def client(redis_server: Server) -> Iterator[redis.Redis]:
    with redis_server.client() as client:
        yield client


@pytest.fixture
def config(tmp_path: Path, redis_server: Server) -> Path:
    return config_for(redis_server, tmp_path)


def config_for(server: Server, directory: Path) -> Path:
    path = directory / "config.toml"
    text = config_text(server.url, "http://127.0.0.1:1", free_port(), make_secrets())
    path.write_text(text.replace('"debug"', '"info"'))
    return path


@pytest.fixture
def settings(config: Path) -> Settings:
    return load(config, {})


@pytest.fixture
def number() -> str:
    return new_phone()


@pytest.fixture
def phone(client: redis.Redis, settings: Settings, number: str) -> Phone:
    """The state of *number* in the store of this configuration."""
    phone = make_phone(client)
    phone.phone_key = PhoneKey(settings.keyring().phone_hash(number), phone.phone_key.limits)
    return phone


def run(config: Path, *arguments: str, typed: str = "") -> Result:
    command, *options = arguments
    return CliRunner().invoke(main, [command, "--config", str(config), *options], input=typed)


def masked(number: str) -> str:
    return str(parse(number, PhoneRules()))


def lines_of(result: Result) -> dict[str, str]:
    """Return the listed lines by name."""
    lines = [line.strip().split("  ", 1) for line in result.stdout.splitlines() if line.startswith("  ")]
    return {name: what.strip() for name, what in lines}


def fail(phone: Phone, times: int) -> None:
    """Use up *times* attempts, so long ago that only the consecutive failures still count."""
    quick = phone.with_limits(restrict_after_failures=100)
    quick.pass_time(-40 * 24 * HOUR)
    for _ in range(times // 5):
        verification = quick.open()
        for _ in range(5):
            with pytest.raises(WrongCode):
                quick.submit(verification, WRONG)
        quick.pass_time(8 * HOUR)
    phone.runner.offset_ms = 0


def run_precheck(phone: Phone, settings: Settings, address: str, times: int) -> str:
    """Make *times* prechecks from *address*, each for another phone; return the hash of the address."""
    ip_hash = base64.urlsafe_b64encode(settings.keyring().ip_hash(address)).decode()
    for _ in range(times):
        quota = ClientIpQuota(ip_hash, IpLimits())
        phone.store.precheck(
            PhoneKey(secrets.token_urlsafe(12), phone.phone_key.limits),
            CLIENT,
            5,
            PrecheckRequest(quota, challenges_disabled=True),
        )
    return ip_hash


# ── limits of a phone ──


def test_limits_of_an_unknown_phone_are_unused(config: Path, number: str) -> None:
    result = run(config, "limits", typed=f"{number}\n")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == masked(number)
    assert lines_of(result) == {
        "next SMS": "now",
        "if trusted": "now",
        "SMS": "0 of 5 in 1 h, 0 of 10 in 24 h",
        "wrong codes": "0 of 10 in 1 h, 0 of 20 in 24 h, 0 in a row (0 by untrusted calls)",
        "restricted": "no (from 50 in a row, or 35 by untrusted calls)",
        "locked": "no (from 100 in a row, or 70 by untrusted calls)",
        "known": "no",
        "trusted": "0 IP addresses that verified this phone",
        "verifications": "0 open",
    }


def test_limits_show_counts_and_the_time_of_the_next_sms(config: Path, number: str, phone: Phone) -> None:
    phone.pass_time(-17)
    verification = phone.open()
    for _ in range(3):
        with pytest.raises(WrongCode):
            phone.submit(verification, WRONG)

    lines = lines_of(run(config, "limits", typed=number))

    seconds = int(lines["next SMS"].removeprefix("in ").partition(" s (phone_cooldown)")[0])
    assert 20 < seconds <= 43
    assert lines["SMS"] == "1 of 5 in 1 h, 1 of 10 in 24 h"
    assert lines["wrong codes"] == "3 of 10 in 1 h, 3 of 20 in 24 h, 3 in a row (3 by untrusted calls)"
    assert lines["verifications"] == "1 open"


def test_json_has_the_limit_names_of_the_api(config: Path, number: str, phone: Phone) -> None:
    """Seventy wrong codes from untrusted calls block untrusted calls, but not trusted ones."""
    fail(phone, 70)

    result = run(config, "limits", "--json", typed=number)

    facts = json.loads(result.stdout)
    wait = facts.pop("next_sms_in")
    assert 80 * 24 * HOUR > wait > 40 * 24 * HOUR
    assert facts.pop("trusted_next_sms_in") == 0
    assert facts == {
        "phone_masked": masked(number),
        "refused_by": "phone_locked",
        "trusted_refused_by": None,
        "known": False,
        "trusted_addresses": 0,
        "restricted": True,
        "trusted_restricted": False,
        "locked": True,
        "trusted_locked": False,
        "open_verifications": 0,
        "limits": {
            "phone_sends_per_hour": {"used": 0, "of": 5},
            "phone_sends_per_day": {"used": 0, "of": 10},
            "phone_failures_per_hour": {"used": 0, "of": 10},
            "phone_failures_per_day": {"used": 0, "of": 20},
            "phone_slow_lane": {"used": 70, "of": 50},
            "phone_locked": {"used": 70, "of": 100},
            "untrusted_failures": {"used": 70, "of": 70},
        },
        "alarm_level": 0,
        "cleared": False,
    }


@pytest.mark.parametrize("spelling", ["{}", "{} ", "{0[0]}{0[1]}{0[2]} {0[3]}{0[4]}{0[5]} {1}", "00{2}"])
def test_phone_is_read_in_usual_spellings(config: Path, number: str, phone: Phone, spelling: str) -> None:
    phone.open()

    result = run(config, "limits", typed=spelling.format(number, number[6:], number[1:]) + "\n")

    assert lines_of(result)["SMS"].startswith("1 of 5")


@pytest.mark.parametrize("typed", ["", "\n", "110", "13800138000,13900139000", "help", "\udcff"], ids=repr)
@pytest.mark.parametrize("command", ["limits", "unlock", "erase-phone"])
def test_invalid_phone_is_rejected_and_not_repeated(config: Path, command: str, typed: str) -> None:
    result = CliRunner(charset="utf-8").invoke(
        main, [command, "--config", str(config)], input=typed.encode("utf-8", "surrogateescape")
    )

    assert result.exit_code == 2
    assert "Invalid value for phone: is not a valid phone number" in result.stderr
    assert "13900139000" not in result.output


@pytest.mark.parametrize("command", ["alarm", "limits", "unlock", "erase-phone"])
def test_phone_is_never_an_argument(config: Path, command: str, number: str) -> None:
    result = run(config, command, number)

    assert result.exit_code == 2
    assert result.stdout == ""


def test_phone_of_a_country_that_was_removed_is_found(
    config: Path, client: redis.Redis, settings: Settings
) -> None:
    phone_hash = settings.keyring().phone_hash("+14155552671")
    client.set(keys.verification(phone_hash, "v" * 22), b"x", ex=60)

    result = run(config, "erase-phone", "--yes", typed="+1 415-555-2671")

    assert "Keys deleted: 1;" in result.stdout
    assert client.exists(keys.verification(phone_hash, "v" * 22)) == 0


def test_limits_of_a_client_are_used(config: Path, number: str) -> None:
    mine = run(config, "limits", "--client", "shop", typed=number)
    unknown = run(config, "limits", "--client", "unknown", typed=number)

    assert lines_of(mine)["next SMS"] == "now"
    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert "is not a client of the configuration" in unknown.stderr


# ── clearing the limits of a phone ──


@pytest.mark.parametrize(
    ("options", "typed"), [(["--yes"], "{}\n"), ([], "{}\ny\n")], ids=["flag", "confirmed"]
)
def test_cleared_phone_may_get_an_sms_at_once(
    config: Path, number: str, phone: Phone, options: list[str], typed: str
) -> None:
    phone.open()

    result = run(config, "limits", "--clear", *options, typed=typed.format(number))

    assert result.exit_code == 0
    assert "phone_cooldown" in lines_of(result)["next SMS"]
    assert result.stdout.splitlines()[-1] == "Cleared."
    assert lines_of(run(config, "limits", typed=number))["next SMS"] == "now"
    phone.open()


@pytest.mark.parametrize("answer", ["n", ""], ids=["no", "silence"])
def test_nothing_is_cleared_without_confirmation(
    config: Path, number: str, phone: Phone, answer: str
) -> None:
    phone.open()

    result = run(config, "limits", "--clear", typed=f"{number}\n{answer}")

    assert result.exit_code == 1
    assert "Cleared." not in result.stdout
    assert "phone_cooldown" in lines_of(run(config, "limits", typed=number))["next SMS"]


def test_clearing_is_in_the_json_and_in_the_log(config: Path, number: str, phone: Phone) -> None:
    result = run(config, "limits", "--clear", "--yes", "--json", typed=number)

    assert json.loads(result.stdout)["cleared"] is True
    event = json.loads(result.stderr)
    assert (event["event"], event["phone_hash"], event["phone_masked"]) == (
        "limits_cleared",
        phone.phone_key.phone_hash,
        masked(number),
    )


# ── limits of an address ──


def test_limits_of_an_address_show_what_applies_to_the_next_sms(
    config: Path, phone: Phone, settings: Settings
) -> None:
    run_precheck(phone, settings, ADDRESS, 19)
    before = run(config, "limits", "--address", ADDRESS)
    run_precheck(phone, settings, ADDRESS, 1)
    after = run(config, "limits", "--address", ADDRESS)

    assert before.stdout.splitlines()[0] == ADDRESS
    assert lines_of(before) == {
        "next SMS": "now",
        "unverified SMS": "19 of 20 in 1 h, 19 of 100 in 24 h, to 19 of 20 phones",
        "verified": "0 in 24 h",
        "misses": "0 of 60 in 10 min",
        "rejected": "at 10 times the limits for SMS",
    }
    assert lines_of(after)["next SMS"] == "now, after a risk challenge (address_sends_per_hour)"


def test_blocked_address_is_cleared(config: Path, phone: Phone, settings: Settings) -> None:
    ip_hash = run_precheck(phone, settings, "2001:db8:1:2::/64", 200)

    result = run(config, "limits", "--address", "2001:db8:1:2::9", "--clear", "--yes")

    assert result.stdout.splitlines()[0] == "2001:db8:1:2::/64"
    assert lines_of(result)["next SMS"].endswith("(address_phones_per_day)")
    assert result.stdout.splitlines()[-1] == "Cleared."
    event = json.loads(result.stderr)
    assert (event["event"], event["client_ip_hash"]) == ("limits_cleared", ip_hash)
    again = json.loads(run(config, "limits", "--address", "2001:db8:1:2::1", "--json").stdout)
    assert again == {
        "address": "2001:db8:1:2::/64",
        "next_sms_in": 0,
        "refused_by": None,
        "challenged_by": None,
        "verified_in_day": 0,
        "limits": {
            "address_sends_per_hour": {"used": 0, "of": 20},
            "address_sends_per_day": {"used": 0, "of": 100},
            "address_phones_per_day": {"used": 0, "of": 20},
            "address_misses_per_10_minutes": {"used": 0, "of": 60},
        },
        "alarm_level": 0,
        "cleared": False,
    }


@pytest.mark.parametrize("address", ["", "x", "203.0.113", "203.0.113.0/24"])
def test_invalid_address_is_rejected(config: Path, address: str) -> None:
    result = run(config, "limits", "--address", address)

    assert result.exit_code == 2
    assert "is not an IP address" in result.stderr


# ── unlock ──


def test_unlocked_phone_is_reported_and_no_longer_locked(config: Path, number: str, phone: Phone) -> None:
    fail(phone, 100)

    result = run(config, "unlock", typed=number)

    assert result.stdout.splitlines() == [
        f"{masked(number)} was locked. Wrong codes in a row, now reset: 100.",
        "next SMS: now",
    ]
    event = json.loads(result.stderr)
    assert (event["event"], event["phone_hash"], event["client"]) == (
        "phone_unlocked",
        phone.phone_key.phone_hash,
        "",
    )
    assert lines_of(run(config, "limits", typed=number))["locked"].startswith("no")
    phone.open()


def test_unlock_shows_which_limits_still_apply(config: Path, number: str, phone: Phone) -> None:
    verification = phone.open()
    with pytest.raises(WrongCode):
        phone.submit(verification, WRONG)

    lines = run(config, "unlock", typed=number).stdout.splitlines()

    assert lines[0] == f"{masked(number)} was not locked. Wrong codes in a row, now reset: 1."
    assert lines[1].endswith(" (phone_cooldown)")


# ── erase-phone ──


def test_erased_phone_leaves_nothing_and_remaining_data_is_named(
    config: Path, number: str, phone: Phone, settings: Settings
) -> None:
    address = ClientIpQuota(run_precheck(phone, settings, ADDRESS, 1), IpLimits())
    phone.store.precheck(phone.phone_key, CLIENT, 5, PrecheckRequest(address))
    phone.open()

    result = run(config, "erase-phone", typed=f"{number}\ny\n")

    assert result.exit_code == 0
    first, *rest = result.stdout.splitlines()
    erased = "Keys deleted: 2; entries removed from IP logs: 1."
    assert first == f"{masked(number)} is erased. {erased}"
    left = "\n".join(rest)
    assert all(what in left for what in ("log lines", "idempotency keys", "copies of Redis", "the provider"))
    event = json.loads(result.stderr.splitlines()[-1])
    assert (event["event"], event["keys"], event["ip_logs"]) == ("phone_erased", 2, 1)
    assert phone.stored_keys() == []


@pytest.mark.parametrize("answer", ["n", ""], ids=["no", "silence"])
def test_nothing_is_erased_without_confirmation(config: Path, number: str, phone: Phone, answer: str) -> None:
    phone.open()

    result = run(config, "erase-phone", typed=f"{number}\n{answer}")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert len(phone.stored_keys()) == 2


# ── all commands ──


@pytest.mark.parametrize("command", ["limits", "unlock", "erase-phone"])
def test_output_never_contains_the_number(config: Path, number: str, phone: Phone, command: str) -> None:
    phone.open()
    yes = [] if command == "unlock" else ["--yes"]

    result = run(config, command, *yes, typed=number)

    assert result.exit_code == 0
    assert masked(number) in result.output
    assert number[3:] not in result.output


@pytest.mark.parametrize("command", ["alarm", "limits", "unlock", "erase-phone"])
def test_unreachable_store_is_reported_in_one_line(tmp_path: Path, command: str, number: str) -> None:
    with running(redis_binary()) as server:
        path = config_for(server, tmp_path)
    yes = [] if command == "unlock" else ["--yes"]

    result = run(path, command, *yes, typed=number)

    assert (result.exit_code, result.stdout) == (1, "")
    event, error = result.stderr.splitlines()
    assert json.loads(event)["event"] == "redis_error"
    assert error == (
        "Error: The store failed. The change may or may not have been made. It is safe to try again."
    )


@pytest.fixture
def newer_release(client: redis.Redis) -> Iterator[None]:
    """A release whose data this one cannot read uses the same Redis."""
    client.set(keys.schema(), "9 8", px=60_000)
    yield
    client.unlink(keys.schema())


def dump(client: redis.Redis) -> dict[bytes, bytes]:
    return {key: client.dump(key) for key in client.scan_iter()}


CHANGES = [
    ("alarm", "--clear", "--yes"),
    ("limits", "--clear", "--yes"),
    ("limits", "--clear", "--yes", "--address", ADDRESS),
    ("unlock",),
    ("erase-phone", "--yes"),
]


@pytest.mark.usefixtures("newer_release")
@pytest.mark.parametrize("arguments", [*CHANGES, ("history",)], ids=" ".join)
def test_command_beside_a_newer_release_says_why_and_does_nothing(
    config: Path,
    client: redis.Redis,
    number: str,
    phone: Phone,
    arguments: tuple[str, ...],
) -> None:
    fail(phone, 5)
    stored = dump(client)

    result = run(config, *arguments, typed=number)

    assert (result.exit_code, result.stdout) == (1, "")
    (error,) = result.stderr.splitlines()
    assert error.startswith("Error: Nothing was done: redis.url leads to a Redis that a newer release uses")
    assert "store_schema_newer: schema 9, ours is 1" in error
    assert "docs/upgrading.md" in error
    assert dump(client) == stored


@pytest.mark.parametrize("arguments", CHANGES, ids=" ".join)
def test_command_beside_a_release_that_it_can_read_works_and_declares_no_version(
    config: Path, client: redis.Redis, number: str, arguments: tuple[str, ...]
) -> None:
    client.unlink(keys.schema())
    assert run(config, *arguments, typed=number).exit_code == 0
    assert client.exists(keys.schema()) == 0

    client.set(keys.schema(), "2 1", px=60_000)
    result = run(config, *arguments, typed=number)
    in_use = client.get(keys.schema())
    client.unlink(keys.schema())

    assert result.exit_code == 0
    assert in_use == b"2 1"


@pytest.mark.usefixtures("newer_release")
def test_report_worker_beside_a_newer_release_does_not_start(config: Path) -> None:
    result = run(config, "consume-reports", "--once")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "store_schema_newer: schema 9, ours is 1" in result.stderr


@pytest.mark.parametrize("command", ["alarm", "limits", "unlock", "erase-phone"])
def test_configuration_without_its_own_store_is_rejected(
    config: Path, command: str, number: str, redis_server: Server
) -> None:
    text = config.read_text()
    for broken, what in (
        (text.replace(redis_server.url, "embedded://"), "only the service itself can use an embedded store"),
        (text.replace(redis_server.url, "redis://:s3cret/x@127.0.0.1/0"), "is not the URL of a Redis"),
        (text.replace("[keys]", "[keyz]"), "keyz: is not a setting"),
    ):
        config.write_text(broken)

        result = run(config, command, typed=number)

        assert (result.exit_code, result.stdout) == (2, "")
        assert what in result.stderr
        assert "s3cret" not in result.output


def test_piped_phone_is_read_by_the_real_command(config: Path, number: str, phone: Phone) -> None:
    fail(phone, 100)
    command = [sys.executable, "-m", "otp_service", "unlock", "--config", str(config)]

    result = subprocess.run(
        command,
        cwd=ROOT,
        env=ENVIRONMENT,
        input=number,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert result.stdout.splitlines()[0].endswith("was locked. Wrong codes in a row, now reset: 100.")
    assert json.loads(result.stderr)["event"] == "phone_unlocked"
    assert number[3:] not in result.stdout + result.stderr


def test_typed_phone_is_not_shown(config: Path, number: str) -> None:
    """A terminal may be recorded, so the number must not be echoed."""
    terminal, end = pty.openpty()
    command = [sys.executable, "-m", "otp_service", "limits", "--config", str(config)]
    with subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdin=end, stdout=end, stderr=end, start_new_session=True
    ) as process:
        os.close(end)
        shown = b""
        while not shown.endswith(b"Phone: "):
            shown += os.read(terminal, 1)
        os.write(terminal, f"{number}\n".encode())
        with suppress(OSError):  # the other end of the terminal has been closed
            while True:
                shown += os.read(terminal, 1024)
        assert process.wait(30) == 0
    os.close(terminal)

    assert masked(number) in shown.decode()
    assert number[3:] not in shown.decode()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (43, "43 s"),
        (60, "1 min"),
        (3603, "1 h 3 s"),
        (86_399, "23 h 59 min 59 s"),
        (90 * 86_400 - 1, "89 d 23 h 59 min 59 s"),
    ],
)
def test_durations_are_exact_to_the_second(seconds: int, text: str) -> None:
    assert format_duration(seconds) == text


# ── history ──


def sent(phone: Phone, how: SendDisposition, code: str = "", **facts: int) -> Verification:
    """Return a verification whose first send has the result *how* and the provider code *code*."""
    verification = phone.open(result=None)
    phone.record_result(verification, how, provider_code=code, **facts)
    return verification


def test_history_of_a_rejected_number_shows_the_reason(config: Path, number: str, phone: Phone) -> None:
    sent(phone, SendDisposition.RECIPIENT_REJECTED, "isv.MOBILE_NUMBER_ILLEGAL")

    result = run(config, "history", typed=number)

    assert result.exit_code == 0
    assert phone.phone_key.phone_hash in result.stdout.splitlines()[0]
    assert "SMS 1 by route main: rejected for this number" in result.stdout
    assert "isv.MOBILE_NUMBER_ILLEGAL: " in result.stdout
    assert "canceled" in result.stdout


def test_history_shows_the_newest_first_and_how_each_verification_ended(
    config: Path, number: str, phone: Phone
) -> None:
    phone.pass_time(-4 * HOUR)
    approved = phone.open()
    phone.submit(approved, RIGHT)
    phone.pass_time(HOUR)
    phone.open()
    phone.pass_time(HOUR)
    exhausted = phone.open()
    for _ in range(5):
        with pytest.raises(WrongCode):
            phone.submit(exhausted, WRONG)
    phone.pass_time(HOUR)
    canceled = phone.open()
    phone.store.cancel(phone.phone_key, CLIENT, canceled.verification_hash)
    phone.pass_time(60)
    sent(phone, SendDisposition.NOT_SENT, "local.not_sent")
    phone.runner.offset_ms = 0
    phone.open()

    found = json.loads(run(config, "history", "--json", typed=number).stdout)["verifications"]

    ends = [one["ended"] for one in found]
    assert ends == ["open", "not opened", "canceled", "exhausted", "expired", "approved"]
    assert found[1]["sends"][0]["outcome"] == "withdrawn"
    assert found[1]["sends"][0]["meaning"].startswith("Nothing left this machine")


def test_history_shows_the_delivery_report(config: Path, number: str, phone: Phone) -> None:
    verification = phone.open()
    report = DeliveryReport(
        phone.phone_key.phone_hash,
        verification.verification_hash,
        1,
        DeliveryStatus.UNDELIVERED,
        "MOBILE_NOT_ON_SERVICE",
    )
    phone.store.apply_delivery_reports([report])

    (send,) = json.loads(run(config, "history", "--json", typed=number).stdout)["verifications"][0]["sends"]

    assert (send["outcome"], send["provider_code"]) == ("undelivered", "MOBILE_NOT_ON_SERVICE")
    assert send["meaning"]


def test_history_shows_a_report_for_an_expired_verification(
    config: Path, number: str, phone: Phone, client: redis.Redis
) -> None:
    verification = phone.open()
    client.delete(keys.verification(phone.phone_key.phone_hash, verification.verification_hash))
    report = DeliveryReport(
        phone.phone_key.phone_hash, verification.verification_hash, 1, DeliveryStatus.DELIVERED
    )

    assert phone.store.apply_delivery_reports([report]) == [None]
    assert "delivered" in run(config, "history", typed=number).stdout


@pytest.mark.parametrize(
    "spelling", ["{}{}", " {} {}\t", "{}\u200b{}", "\u2066{}{}\u2069", "{}\u00a0{}\u200f"], ids=ascii
)
def test_history_finds_a_verification_by_its_id(
    config: Path, number: str, phone: Phone, settings: Settings, spelling: str
) -> None:
    verification_id = "bXkgdmVyaWZpY2F0aW9u_w"
    hash_of_id = settings.keyring().verification_hash(verification_id)
    phone.pass_time(-HOUR)
    phone.open(verification_hash=hash_of_id)
    phone.runner.offset_ms = 0
    phone.open()

    both = run(config, "history", typed=number).stdout
    pasted = spelling.format(verification_id[:9], verification_id[9:])
    one = run(config, "history", "--verification", typed=f"{number}\n{pasted}\n").stdout

    assert (both.count("verification "), one.count("verification ")) == (2, 1)
    assert hash_of_id[:7] in one
    assert verification_id not in both + one


def test_history_of_an_invalid_id_is_rejected(config: Path, number: str) -> None:
    result = run(config, "history", "--verification", typed=f"{number}\nnone\n")

    assert result.exit_code == 2
    assert "none" not in result.output.replace("is not a verification id", "")


def test_history_of_an_unknown_phone_says_so(config: Path, number: str) -> None:
    assert "No SMS in the last 24 hours." in run(config, "history", typed=number).stdout


def test_history_expires_after_a_day_and_contains_no_number(
    config: Path, number: str, phone: Phone, client: redis.Redis
) -> None:
    phone.open()
    stored = b"".join(key + (client.get(key) or b"") for key in phone.stored_keys())
    assert number[4:].encode() not in stored
    assert all(0 < client.ttl(key) <= 24 * HOUR for key in phone.stored_keys())
