"""The widget accepts every spelling of a code and of a number."""

from __future__ import annotations

import re
import sys
import unicodedata
from typing import Any

import pytest
from browser.answering import SENT, answer_calls, serve_module_for
from playwright.sync_api import Page
from support import spellings
from support.widget_shop import Shop

from otp_service.domain.codes import CodeType
from otp_service.domain.errors import OtpError
from otp_service.domain.phone import PhoneRules, parse

RULES = PhoneRules(countries=frozenset(spellings.COUNTRIES))


def is_of_letters(row: spellings.CodeSpelling) -> bool:
    """Return whether *row* is about a code of letters and digits."""
    return re.search("[A-Za-z]", unicodedata.normalize("NFKC", row["code"] or row["typed"])) is not None


# The spellings are tables. They run within the page, with calls that do not use the network.
IN_THE_PAGE = """
  const element = document.querySelector("otp-verify");
  const part = (name) => element.shadowRoot.querySelector(`[part~=${name}]`);
  const hint = () => element.shadowRoot.querySelector("form:not([inert]) .hint").textContent;
  const type = (input, text) => {
    input.value = text;
    input.dispatchEvent(new InputEvent("input"));
  };
  const until = async (holds, text) => {
    const deadline = performance.now() + 30_000;
    do {
      await new Promise((resolve) => setTimeout(resolve));
      if (performance.now() > deadline) throw new Error(`nothing happened: ${text}`);
    } while (!holds());
  };
"""


# ── codes ──


TYPE_CODES = f"""async (texts) => {{
  {IN_THE_PAGE}
  const [code, verify] = ["code", "verify"].map(part);
  let posted = [];
  window.fetch = async (request) => {{
    posted.push(JSON.parse(await request.text()).code);
    return new Response('{{"code": "store_unavailable", "retry_after": 0}}', {{ status: 503 }});
  }};
  const isIdle = () => verify.getAttribute("aria-disabled") === "false";
  const found = [];
  for (const text of texts) {{
    type(code, "");
    posted = [];
    type(code, text);
    await until(isIdle, text);
    const bySelf = [...posted];
    if (!bySelf.length) verify.click();
    await until(isIdle, text);
    found.push([posted, bySelf, hint(), code.value]);
  }}
  return found;
}}"""

Found = tuple[list[str], list[str], str, str]
"""All posted codes, the automatically posted ones, the message, and the value of the field."""


def type_codes(page: Page, shop: Shop, code_type: str, texts: list[str]) -> list[Found]:
    """Type one code after another into a widget for codes of this type."""
    answer_calls(page, request=(201, {**SENT, "code_type": code_type}))
    shop.visit(page).send("13800138000")
    found: list[list[Any]] = page.evaluate(TYPE_CODES, texts)
    return [(posted, by_itself, hint, value) for posted, by_itself, hint, value in found]


@pytest.mark.parametrize("code_type", list(CodeType))
def test_code_in_any_spelling_is_posted_as_the_code(page: Page, shop: Shop, code_type: str) -> None:
    rows = [row for row in spellings.CODES if is_of_letters(row) == (code_type == CodeType.ALNUM)]
    found = type_codes(page, shop, code_type, [row["typed"] for row in rows])
    found_by_name = {row["name"]: one for row, one in zip(rows, found, strict=True)}

    refused = {name: (one[0], one[2]) for name, one in found_by_name.items() if not one[1]}
    assert {name: one for name, one in found_by_name.items() if name not in refused} == {
        row["name"]: (
            [row["code"]],
            [row["code"]],
            "The service is not available. Please try again.",
            row["code"],
        )
        for row in rows
        if row["code"]
    }
    assert refused == {
        row["name"]: ([], "This cannot be the code. Please check it.") for row in rows if not row["code"]
    }
    assert len(found) > 10


def test_digits_of_every_script_are_read(page: Page, shop: Shop) -> None:
    digits = [chr(i) for i in range(128, sys.maxunicode) if unicodedata.category(chr(i)) == "Nd"]
    texts = ["".join(digits[at : at + 6]) for at in range(0, len(digits) - 5, 6)]
    found = type_codes(page, shop, CodeType.DIGITS, texts)
    posted = {text: by_itself for text, (_, by_itself, _, _) in zip(texts, found, strict=True)}

    assert posted == {text: ["".join(str(unicodedata.digit(c)) for c in text)] for text in texts}
    assert len(posted) > 100


# ── numbers ──


TYPE_PHONES = f"""async ([country, texts]) => {{
  {IN_THE_PAGE}
  const [phone, select, send] = ["phone", "country", "send"].map(part);
  let posted = [];
  window.fetch = async (request) => {{
    posted.push(JSON.parse(await request.text()).phone);
    return new Response('{{"code": "invalid_phone"}}', {{ status: 422 }});
  }};
  const found = [];
  for (const text of texts) {{
    element.formResetCallback();
    posted = [];
    select.value = country;
    type(phone, text);
    send.click();
    await until(() => hint() === "This is not a valid phone number.", text);
    found.push(posted);
  }}
  return found;
}}"""


@pytest.mark.parametrize("place", ["only country", "first of several", "last of several"])
def test_number_in_any_spelling_is_the_one_that_the_service_reads(page: Page, shop: Shop, place: str) -> None:
    """The service parses the posted number without knowing the selected country."""
    found = {}
    for country in spellings.COUNTRIES:
        others = [other for other in spellings.COUNTRIES if other != country]
        served = {"only country": [country], "first of several": [country, *others]}.get(
            place, [*others, country]
        )
        rows = [row for row in spellings.PHONES if row["country"] == country]
        serve_module_for(page, served)
        shop.visit(page)
        posted = page.evaluate(TYPE_PHONES, [country, [row["typed"] for row in rows]])
        for row, numbers in zip(rows, posted, strict=True):
            found[row["name"]] = read_by_service(numbers, served[0])
        page.unroute_all()

    assert found == {row["name"]: row["e164"] for row in spellings.PHONES}


def read_by_service(posted: list[str], region: str) -> str | None:
    """Return the first posted number that a service with this default region accepts."""
    for number in posted:
        try:
            return parse(number, PhoneRules(default_region=region, countries=RULES.countries)).e164
        except OtpError:
            continue
    return None
