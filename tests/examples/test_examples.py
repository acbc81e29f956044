"""The examples over HTTP: who holds the phone gets in, as the holder of that phone and of no other."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from deployment import new_phone
from nodes import ROOT

from .conftest import EXAMPLES, Example, Person, Start, shown_phone

FOLDERS = sorted(path.parent.name for path in (ROOT / "examples").glob("*/README.md"))
SITE = {"Sec-Fetch-Site": "cross-site"}


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
    elif name == "fastapi":  # a form cannot send JSON, and says what it sends
        headers = {"Content-Type": "text/plain"}
        refused = person.browser.post(
            f"{person.example.url}/api/login", data=f'{{"proof": "{proof}"}}', headers=headers, timeout=30
        )
    else:
        refused = person.hand_in(proof, headers=SITE)

    assert refused.status_code in {403, 422}
    assert person.phone not in refused.text
    assert person.hand_in(proof).status_code == 200  # it was not even looked at


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
            browser.post(f"{guest.example.url}/logout", data=dict(tokens(browser)), timeout=30)
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
