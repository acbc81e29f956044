"""What people type goes through the client as it is: the service alone reads it."""

from __future__ import annotations

import pytest
from client.test_calls import APPROVED, ID, PHONE, STANDING
from support import spellings
from support.scripted_service import Scripted, says

from otp_service.client import OtpClient


@pytest.mark.parametrize("row", spellings.CODES, ids=lambda row: row["name"])
def test_client_sends_a_code_as_it_was_typed(
    service: Scripted, client: OtpClient, row: spellings.CodeSpelling
) -> None:
    service.will(says(200, APPROVED))
    client.verify(PHONE, ID, row["typed"])

    assert service.calls[0].json["code"] == row["typed"]


@pytest.mark.parametrize("row", spellings.PHONES, ids=lambda row: row["name"])
def test_client_sends_a_phone_as_it_was_typed(
    service: Scripted, client: OtpClient, row: spellings.PhoneSpelling
) -> None:
    service.will(says(201, STANDING))
    client.request(row["typed"])

    assert service.calls[0].json["phone"] == row["typed"]
