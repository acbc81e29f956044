"""The client sends phones and codes as the user entered them; only the service parses them."""

from __future__ import annotations

import pytest
from client.test_calls import APPROVED, ID, PENDING, PHONE
from support import spellings
from support.scripted_service import ScriptedService, says

from otp_service_client import OtpClient


@pytest.mark.parametrize("row", spellings.CODES, ids=lambda row: row["name"])
def test_code_is_sent_as_entered(
    service: ScriptedService, client: OtpClient, row: spellings.CodeSpelling
) -> None:
    service.will(says(200, APPROVED))
    client.verify(PHONE, ID, row["typed"])

    assert service.calls[0].json["code"] == row["typed"]


@pytest.mark.parametrize("row", spellings.PHONES, ids=lambda row: row["name"])
def test_phone_is_sent_as_entered(
    service: ScriptedService, client: OtpClient, row: spellings.PhoneSpelling
) -> None:
    service.will(says(201, PENDING))
    client.request(row["typed"])

    assert service.calls[0].json["phone"] == row["typed"]
