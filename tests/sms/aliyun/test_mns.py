from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from otp_service.sms.aliyun.protocol import mns
from otp_service.sms.aliyun.protocol.mns import MNS_CODES

_FILE = Path(__file__).parents[2] / "data" / "aliyun_vectors.json"
VECTORS = [v for v in json.loads(_FILE.read_text("utf-8")) if v["scheme"] == "MNS"]


def test_vectors_are_the_two_requests_to_the_queue() -> None:
    assert [vector["method"] for vector in VECTORS] == ["GET", "DELETE"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_authorization_is_the_sdks_own(vector: dict[str, Any]) -> None:
    text = mns.string_to_sign(vector["method"], vector["headers"], vector["target"])
    mac = mns.sign(vector["access_key_secret"], text)

    assert mac == vector["signature"]
    assert mns.authorization(vector["access_key_id"], mac) == vector["authorization"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["name"])
def test_authorization_can_be_read_again(vector: dict[str, Any]) -> None:
    parsed = mns.parse_authorization(vector["authorization"])

    assert parsed == mns.Authorization("STS.testId", vector["signature"])


@pytest.mark.parametrize("header", ["", "MNS", "MNS x", "MNS a b:c", "Bearer x:y", "mns x:y"])
def test_other_authorization_is_not_read(header: str) -> None:
    with pytest.raises(ValueError, match="not an MNS authorization"):
        mns.parse_authorization(header)


@pytest.mark.parametrize("code", MNS_CODES)
def test_error_has_a_message_and_a_status(code: str) -> None:
    info = MNS_CODES[code]

    assert info.message.endswith(".")
    assert 400 <= info.http_status < 500
