"""The examples over HTTP: who holds the phone gets in, as the holder of that phone and of no other."""

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

from .conftest import EXAMPLES, Example, Person, Start, shown_phone, started

FOLDERS = sorted(path.parent.name for path in (ROOT / "examples").glob("*/README.md"))
OTHER_SITE = {"Sec-Fetch-Site": "cross-site"}


def test_the_holder_of_the_phone_gets_in(person: Person) -> None:
    welcome = person.hand_in(person.verify())

    assert welcome.status_code == 200
    assert shown_phone(welcome.text) == person.phone


def test_a_phone_in_the_form_does_not_matter(person: Person) -> None:
    """Whoever verifies a phone of their own and names another one gets in with their own."""
    other = new_phone()
    welcome = person.hand_in(person.verify(), phone=other, username=other, verification_id="v" * 22)

    assert welcome.status_code == 200
    assert shown_phone(welcome.text) == person.phone
    assert other not in welcome.text


def test_nobody_gets_in_with_a_phone_alone(person: Person) -> None:
    refused = person.hand_in("", phone=person.phone)

    assert refused.status_code == 422
    assert person.phone not in refused.text


def test_nobody_gets_in_with_a_proof_of_their_own_making(person: Person) -> None:
    claims, _, signature = person.verify().rpartition(".")
    refused = person.hand_in(f"{claims}.{signature[::-1]}")

    assert refused.status_code == 422
    assert person.phone not in refused.text


def test_a_proof_gets_nobody_in_twice(person: Person) -> None:
    proof = person.verify()
    assert person.hand_in(proof).status_code == 200
    thief = Person(person.example)
    with thief.browser:
        refused = thief.hand_in(proof)

    assert refused.status_code == 422
    assert person.phone not in refused.text


def test_a_proof_for_something_else_gets_nobody_in(person: Person) -> None:
    refused = person.hand_in(person.verify(purpose="reset_password"))

    assert refused.status_code == 422
    assert person.phone not in refused.text


def test_a_form_of_another_site_gets_nobody_in(person: Person) -> None:
    proof, name = person.verify(), person.example.name
    if name == "django_signup":
        refused = person.hand_in(proof, csrfmiddlewaretoken="x" * 64)
    else:
        refused = person.hand_in(proof, headers=OTHER_SITE)

    assert refused.status_code == 403
    assert person.phone not in refused.text
    assert person.hand_in(proof).status_code == 200  # it was not even looked at


OTHER_SITES = {
    "cross-site": OTHER_SITE,
    "same-site": {"Sec-Fetch-Site": "same-site"},
    "typed by the person": {"Sec-Fetch-Site": "none"},
    "cross-site, with our origin": {**OTHER_SITE, "Origin": "OURS"},
    "another origin": {"Origin": "http://evil.example"},
    "an origin that begins as ours": {"Origin": "OURS.evil.example"},
    "null": {"Origin": "null"},
    "nothing": {},
}


@pytest.mark.parametrize("headers", OTHER_SITES.values(), ids=OTHER_SITES.keys())
@pytest.mark.parametrize("name", ["flask_login", "express", "fastapi", "plain_html"])
def test_what_may_come_from_another_site_is_refused(start: Start, name: str, headers: dict[str, str]) -> None:
    """Django asks for a token instead, whatever the headers say."""
    person = Person(start(name))
    sent = {header: value.replace("OURS", person.example.url) for header, value in headers.items()}
    with person.browser:
        assert person.hand_in("x.y.z", headers=sent).status_code == 403


def test_django_refuses_a_form_without_its_token(start: Start) -> None:
    person = Person(start("django_signup"))
    with person.browser:
        assert person.hand_in("x.y.z", headers={}, csrfmiddlewaretoken="").status_code == 403


def test_the_own_page_of_a_browser_that_says_so_is_taken(person: Person) -> None:
    headers = {"Sec-Fetch-Site": "same-origin"}

    assert person.hand_in(person.verify(), headers=headers).status_code == 200


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_json_that_is_not_said_to_be_json_gets_nobody_in(start: Start, content_type: str | None) -> None:
    """A page of another site can send such a body without a preflight."""
    person = Person(start("fastapi"))
    headers = {"Origin": person.example.url} | ({"Content-Type": content_type} if content_type else {})
    with person.browser:
        body = json.dumps({"proof": person.verify()}).encode()
        url = f"{person.example.url}/api/login"
        refused = person.browser.post(url, data=body, headers=headers, timeout=30)

    assert refused.status_code == 422
    assert person.phone not in refused.text


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
    "shorter than it says": "Content-Length: 50",
}


@pytest.mark.parametrize("header", BAD_LENGTHS.values(), ids=BAD_LENGTHS.keys())
def test_a_bad_content_length_is_a_400(start: Start, header: str) -> None:
    """plain_html reads the body itself."""
    example = start("plain_html")
    host = example.url.removeprefix("http://")
    head = f"POST /signup HTTP/1.1\r\nHost: {host}\r\nOrigin: {example.url}\r\n{header}\r\n"
    with socket.create_connection(("127.0.0.1", int(host.partition(":")[2])), timeout=30) as connection:
        connection.sendall(head.encode() + b"\r\nproof=x")
        connection.shutdown(socket.SHUT_WR)
        answer = connection.makefile("rb").readline()

    assert answer.split()[1] == b"400"


def test_the_secret_key_follows_no_redirect(tmp_path: Path, start: Start) -> None:
    """plain_html calls the service without a client."""
    dev = start("plain_html").dev
    with scripted_service.serving() as elsewhere, scripted_service.serving() as service:
        service.always = scripted_service.says(302, Location=f"{elsewhere.url}/otp/redeem")
        lost = replace(dev, service_url=service.url)
        with started("plain_html", free_port(), lost, tmp_path) as example:
            form = {"data": {"proof": "x.y.z"}, "headers": {"Origin": example.url}}
            refused = requests.post(f"{example.url}/signup", timeout=30, **form)  # type: ignore[arg-type]

    assert refused.status_code == 422
    assert len(service.calls) == 1
    assert (elsewhere.calls, elsewhere.gets) == ([], 0)


# ── sessions ──


@pytest.fixture(params=[name for name in EXAMPLES if name != "plain_html"])
def site(request: pytest.FixtureRequest, start: Start) -> Example:
    """Each example that knows its people again."""
    return start(request.param)


@pytest.fixture
def guest(site: Example) -> Person:
    """Somebody who wants in there."""
    return Person(site)


def test_who_got_in_is_known_again_until_they_leave(guest: Person) -> None:
    with guest.browser as browser:
        assert guest.known_as() is None
        guest.hand_in(guest.verify())
        assert guest.known_as() == guest.phone
        if guest.example.name != "fastapi":
            headers = {"Origin": guest.example.url}
            url = f"{guest.example.url}/logout"
            browser.post(url, data=dict(tokens(browser)), headers=headers, timeout=30)
            assert guest.known_as() is None


def tokens(browser: object) -> list[tuple[str, str]]:
    cookies = getattr(browser, "cookies")  # noqa: B009
    return [("csrfmiddlewaretoken", cookie.value) for cookie in cookies if cookie.name == "csrftoken"]


def test_no_script_reads_the_cookie_of_a_session_and_no_other_site_sends_it(guest: Person) -> None:
    with guest.browser as browser:
        guest.hand_in(guest.verify())
        cookies = [cookie for cookie in browser.cookies if cookie.name != "csrftoken"]

    assert len(cookies) == 1
    assert cookies[0].has_nonstandard_attr("HttpOnly") or cookies[0].has_nonstandard_attr("httponly")
    same_site = cookies[0].get_nonstandard_attr("SameSite") or cookies[0].get_nonstandard_attr("samesite")
    assert same_site.lower() == "lax"


def test_a_name_is_text_and_no_markup(start: Start) -> None:
    person = Person(start("django_signup"))
    with person.browser:
        welcome = person.hand_in(person.verify(), name="<b onclick=alert(1)>Mei")

    assert "&lt;b onclick=alert(1)&gt;Mei" in welcome.text
    assert "<b onclick" not in welcome.text


def test_a_missing_name_does_not_use_the_proof_up(start: Start) -> None:
    person = Person(start("django_signup"))
    with person.browser:
        proof = person.verify()
        assert person.hand_in(proof, name="").status_code == 422
        assert person.hand_in(proof).status_code == 200


# ── what stands around them ──


def test_every_example_is_tested() -> None:
    assert sorted(EXAMPLES) == FOLDERS


@pytest.mark.parametrize("name", EXAMPLES)
def test_readme_fits_on_a_screen_and_starts_the_example_by_one_command(name: str) -> None:
    text = (ROOT / "examples" / name / "README.md").read_text()

    assert len(text.splitlines()) <= 30
    assert f"\nmake example NAME={name}\n" in text
    assert f"({name})" in (ROOT / "examples" / "README.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Say which"),
        (("NAME=nonsense",), "Say which"),
        (("NAME=plain_html",), "First paste the line"),
    ],
)
def test_make_says_what_is_missing(arguments: tuple[str, ...], told: str, tmp_path: Path) -> None:
    (tmp_path / ".embedded").touch()
    environment = {"PATH": "/usr/bin:/bin"}
    command = ["make", "example", f"VENV={tmp_path}", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr.startswith(told)
