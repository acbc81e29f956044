"""Sends each SMS described on stdin through Aliyun's official Python SDK; both ends speak JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from alibabacloud_dysmsapi20170525.client import Client
from alibabacloud_dysmsapi20170525.models import SendSmsRequest
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils_models import Config


def send(endpoint: str, one: dict[str, Any]) -> dict[str, Any]:
    config = Config(
        access_key_id=one["accessKeyId"],
        access_key_secret=one["secretAccessKey"],
        endpoint=endpoint,
        protocol="http",
        signature_algorithm=one.get("signatureAlgorithm"),
    )
    try:
        body = Client(config).send_sms(SendSmsRequest().from_map(one["message"])).body
    except ClientException as error:
        return {"resolved": False, "code": error.code, "message": error.message}
    return {"resolved": True, "code": body.code, "message": body.message, "bizId": body.biz_id}


if __name__ == "__main__":
    work = json.load(sys.stdin)
    address = work["url"].removeprefix("http://")
    json.dump([send(address, one) for one in work["sends"]], sys.stdout)
