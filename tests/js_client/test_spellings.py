"""clients/js sends typed codes and phones unchanged: only the service parses them."""

from __future__ import annotations

from client.test_calls import APPROVED, ID, PENDING, PHONE
from support import scripted_service, spellings
from support.nodejs import make_calls
from support.scripted_service import says


def test_client_sends_codes_and_phones_as_they_were_typed() -> None:
    codes, phones = ([row["typed"] for row in rows] for rows in (spellings.CODES, spellings.PHONES))
    with scripted_service.serving() as service:
        service.will(*[says(200, APPROVED)] * len(codes), *[says(201, PENDING)] * len(phones))
        make_calls(
            service.url,
            *[["verify", PHONE, ID, typed] for typed in codes],
            *[["request", typed] for typed in phones],
        )

    assert [call.json["code"] for call in service.calls[: len(codes)]] == codes
    assert [call.json["phone"] for call in service.calls[len(codes) :]] == phones
