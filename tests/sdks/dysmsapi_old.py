"""PyPI aliyun-python-sdk-dysmsapi: V1, by POST with everything in the query."""

from __future__ import annotations

import importlib
import json
from typing import Any

from aliyunsdkcore.acs_exception.exceptions import ClientException, ServerException
from aliyunsdkcore.client import AcsClient
from run_calls import run_calls


def make_call(url: str, call: dict[str, Any]) -> Any:
    host, _, port = url.removeprefix("http://").partition(":")
    client = AcsClient(call["accessKeyId"], call["secret"], "cn-hangzhou", port=int(port))
    name = call["action"] + "Request"
    request = getattr(importlib.import_module(f"aliyunsdkdysmsapi.request.v20170525.{name}"), name)()
    request.set_endpoint(host)
    for param, value in call["params"].items():
        getattr(request, f"set_{param}")(value)
    if call.get("format") == "XML":
        request.set_accept_format("XML")
        return client.do_action(request).decode()
    return json.loads(client.do_action_with_exception(request))


if __name__ == "__main__":
    run_calls(make_call, ClientException, ServerException)
