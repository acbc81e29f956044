"""The examples over HTTP: the owner of a phone gets in with that phone, and no one else does."""

from __future__ import annotations

import json
import socket
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from support import scripted_service
from support.deployment import new_phone
from support.nodejs import ROOT
from support.redis_servers import free_port

from .conftest import EXAMPLES, Example, Start, Visitor, running_example, shown_phone

FOLDERS = sorted(path.parent.name for path in (ROOT / "examples").glob("*/README.md"))
OTHER_SITE = {"Sec-Fetch-Site": "cross-site"}


def test_owner_of_the_phone_gets_in(visitor: Visitor) -> None:
    welcome = visitor.submit(visitor.verify())

    assert welcome.status_code == 200
    assert shown_phone(welcome.text) == visitor.phone


def test_phone_in_the_form_is_ignored(visitor: Visitor) -> None:
    """A visitor who verifies their own phone and submits another one gets in with their own."""
    other = new_phone()
    welcome = visitor.submit(visitor.verify(), phone=other, username=other, verification_id="v" * 22)

    assert welcome.status_code == 200
    assert shown_phone(welcome.text) == visitor.phone
    assert other not in welcome.text


def test_phone_without_a_proof_is_rejected(visitor: Visitor) -> None:
    rejected = visitor.submit("", phone=visitor.phone)

    assert rejected.status_code == 422
    assert visitor.phone not in rejected.text


def test_forged_proof_is_rejected(visitor: Visitor) -> None:
    claims, _, signature = visitor.verify().rpartition(".")
    rejected = visitor.submit(f"{claims}.{signature[::-1]}")

    assert rejected.status_code == 422
    assert visitor.phone not in rejected.text


def test_proof_cannot_be_used_twice(visitor: Visitor) -> None:
    proof = visitor.verify()
    assert visitor.submit(proof).status_code == 200
    thief = Visitor(visitor.example)
    with thief.browser:
        rejected = thief.submit(proof)

    assert rejected.status_code == 422
    assert visitor.phone not in rejected.text


def test_proof_for_another_purpose_is_rejected(visitor: Visitor) -> None:
    rejected = visitor.submit(visitor.verify(purpose="reset_password"))

    assert rejected.status_code == 422
    assert visitor.phone not in rejected.text


def test_form_of_another_site_is_rejected(visitor: Visitor) -> None:
    proof, name = visitor.verify(), visitor.example.name
    if name == "django_signup":
        rejected = visitor.submit(proof, csrfmiddlewaretoken="x" * 64)
    else:
        rejected = visitor.submit(proof, headers=OTHER_SITE)

    assert rejected.status_code == 403
    assert visitor.phone not in rejected.text
    assert visitor.submit(proof).status_code == 200  # the proof has not been redeemed


OTHER_SITES = {
    "cross-site": OTHER_SITE,
    "same-site": {"Sec-Fetch-Site": "same-site"},
    "user-initiated": {"Sec-Fetch-Site": "none"},
    "cross-site with our origin": {**OTHER_SITE, "Origin": "OURS"},
    "another origin": {"Origin": "http://evil.example"},
    "origin that begins like ours": {"Origin": "OURS.evil.example"},
    "null": {"Origin": "null"},
    "neither header": {},
}


@pytest.mark.parametrize("headers", OTHER_SITES.values(), ids=OTHER_SITES.keys())
@pytest.mark.parametrize("name", ["flask_login", "express", "fastapi", "plain_html"])
def test_request_that_may_come_from_another_site_is_rejected(
    start: Start, name: str, headers: dict[str, str]
) -> None:
    """Django is not among them: it checks a CSRF token instead of the headers."""
    visitor = Visitor(start(name))
    sent = {header: value.replace("OURS", visitor.example.url) for header, value in headers.items()}
    with visitor.browser:
        assert visitor.submit("x.y.z", headers=sent).status_code == 403


def test_django_rejects_a_form_without_its_token(start: Start) -> None:
    visitor = Visitor(start("django_signup"))
    with visitor.browser:
        assert visitor.submit("x.y.z", headers={}, csrfmiddlewaretoken="").status_code == 403


def test_form_with_same_origin_metadata_is_accepted(visitor: Visitor) -> None:
    headers = {"Sec-Fetch-Site": "same-origin"}

    assert visitor.submit(visitor.verify(), headers=headers).status_code == 200


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_json_without_its_content_type_is_rejected(start: Start, content_type: str | None) -> None:
    """A page of another site can send such a body without a preflight."""
    visitor = Visitor(start("fastapi"))
    headers = {"Origin": visitor.example.url} | ({"Content-Type": content_type} if content_type else {})
    with visitor.browser:
        body = json.dumps({"proof": visitor.verify()}).encode()
        url = f"{visitor.example.url}/api/login"
        rejected = visitor.browser.post(url, data=body, headers=headers, timeout=30)

    assert rejected.status_code == 422
    assert visitor.phone not in rejected.text


BAD_LENGTHS = {
    "none": "",
    "word": "Content-Length: abc",
    "negative": "Content-Length: -1",
    "signed": "Content-Length: +5",
    "hexadecimal": "Content-Length: 0x5",
    "Arabic digits": "Content-Length: \u0665",
    "list": "Content-Length: 5, 5",
    "twice": "Content-Length: 5\r\nContent-Length: 6",
    "too long": "Content-Length: 10001",
    "endless": f"Content-Length: {'9' * 5000}",
    "body is shorter": "Content-Length: 50",
}


@pytest.mark.parametrize("header", BAD_LENGTHS.values(), ids=BAD_LENGTHS.keys())
def test_bad_content_length_is_a_400(start: Start, header: str) -> None:
    """Only plain_html reads the body itself."""
    example = start("plain_html")
    host = example.url.removeprefix("http://")
    head = f"POST /signup HTTP/1.1\r\nHost: {host}\r\nOrigin: {example.url}\r\n{header}\r\n"
    with socket.create_connection(("127.0.0.1", int(host.partition(":")[2])), timeout=30) as connection:
        connection.sendall(head.encode() + b"\r\nproof=x")
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").readline()

    assert answer.split()[1] == b"400"


def test_secret_key_is_not_sent_to_a_redirect_target(tmp_path: Path, start: Start) -> None:
    """Only plain_html calls the service without a client."""
    dev = start("plain_html").dev
    with scripted_service.serving() as elsewhere, scripted_service.serving() as service:
        service.always = scripted_service.says(302, Location=f"{elsewhere.url}/otp/redeem")
        redirecting = replace(dev, service_url=service.url)
        with running_example("plain_html", free_port(), redirecting, tmp_path) as example:
            form = {"data": {"proof": "x.y.z"}, "headers": {"Origin": example.url}}
            rejected = requests.post(f"{example.url}/signup", timeout=30, **form)  # type: ignore[arg-type]

    assert rejected.status_code == 422
    assert len(service.calls) == 1
    assert (elsewhere.calls, elsewhere.gets) == ([], 0)


# ── sessions ──


@pytest.fixture(params=[name for name in EXAMPLES if name != "plain_html"])
def site(request: pytest.FixtureRequest, start: Start) -> Example:
    """Run the test for each example with a session."""
    return start(request.param)


@pytest.fixture
def session_visitor(site: Example) -> Visitor:
    """A visitor of an example with a session."""
    return Visitor(site)


def test_session_lasts_until_logout(session_visitor: Visitor) -> None:
    with session_visitor.browser as browser:
        assert session_visitor.logged_in_phone() is None
        session_visitor.submit(session_visitor.verify())
        assert session_visitor.logged_in_phone() == session_visitor.phone
        if session_visitor.example.name != "fastapi":
            headers = {"Origin": session_visitor.example.url}
            url = f"{session_visitor.example.url}/logout"
            browser.post(url, data=dict(tokens(browser)), headers=headers, timeout=30)
            assert session_visitor.logged_in_phone() is None


def tokens(browser: object) -> list[tuple[str, str]]:
    cookies = getattr(browser, "cookies")  # noqa: B009
    return [("csrfmiddlewaretoken", cookie.value) for cookie in cookies if cookie.name == "csrftoken"]


def test_session_cookie_is_http_only_and_same_site(session_visitor: Visitor) -> None:
    with session_visitor.browser as browser:
        session_visitor.submit(session_visitor.verify())
        cookies = [cookie for cookie in browser.cookies if cookie.name != "csrftoken"]

    assert len(cookies) == 1
    assert cookies[0].has_nonstandard_attr("HttpOnly") or cookies[0].has_nonstandard_attr("httponly")
    same_site = cookies[0].get_nonstandard_attr("SameSite") or cookies[0].get_nonstandard_attr("samesite")
    assert same_site.lower() == "lax"


def test_name_is_escaped(start: Start) -> None:
    visitor = Visitor(start("django_signup"))
    with visitor.browser:
        welcome = visitor.submit(visitor.verify(), name="<b onclick=alert(1)>Mei")

    assert "&lt;b onclick=alert(1)&gt;Mei" in welcome.text
    assert "<b onclick" not in welcome.text


def test_missing_name_does_not_use_up_the_proof(start: Start) -> None:
    visitor = Visitor(start("django_signup"))
    with visitor.browser:
        proof = visitor.verify()
        assert visitor.submit(proof, name="").status_code == 422
        assert visitor.submit(proof).status_code == 200


# ── READMEs and make ──


def test_every_example_is_tested() -> None:
    assert sorted(EXAMPLES) == FOLDERS


@pytest.mark.parametrize("name", EXAMPLES)
def test_readme_is_short_and_starts_the_example_with_one_command(name: str) -> None:
    text = (ROOT / "examples" / name / "README.md").read_text()

    assert len(text.splitlines()) <= 30
    assert f"\nmake example NAME={name}\n" in text
    assert f"({name}/README.md)" in (ROOT / "examples" / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Say which"),
        (("NAME=nonsense",), "Say which"),
        (("NAME=plain_html",), "First paste the line"),
    ],
)
def test_make_reports_what_is_missing(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    (tmp_path / ".embedded").touch()
    environment = {"PATH": "/usr/bin:/bin"}
    command = ["make", "example", f"VENV={tmp_path}", *arguments]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert result.returncode == 2
    assert result.stderr.startswith(message)
