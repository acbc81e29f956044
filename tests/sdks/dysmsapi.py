"""PyPI alibabacloud-dysmsapi20170525: V3 with everything in the query, or V1 on request."""

from __future__ import annotations

import re
from typing import Any

from alibabacloud_dysmsapi20170525 import models
from alibabacloud_dysmsapi20170525.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils_models import Config
from run_calls import run_calls


def make_call(url: str, call: dict[str, Any]) -> Any:
    config = Config(
        access_key_id=call["accessKeyId"],
        access_key_secret=call["secret"],
        security_token=call.get("securityToken"),
        signature_algorithm=call.get("signatureAlgorithm"),
        endpoint=url.removeprefix("http://"),
        protocol="http",
    )
    request = getattr(models, call["action"] + "Request")().from_map(call["params"])
    method = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", call["action"]).lower()
    return getattr(Client(config), method)(request).body.to_map()


if __name__ == "__main__":
    run_calls(make_call, ClientException)
