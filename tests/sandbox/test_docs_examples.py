"""The examples in `docs/sandbox.md` run, and its tables are complete."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.redis_servers import skip_or_fail

from otp_service.sandbox import SandboxConfig, start_sandbox
from otp_service.sandbox.app import ACTIONS
from otp_service.sandbox.config import DEFAULT_REVIEWS, DEFAULT_SIGN_NAME, DEFAULT_TEMPLATES

_ROOT = Path(__file__).parents[2]
_DOCS = (_ROOT / "docs" / "sandbox.md").read_text("utf-8")
_SDKS = _ROOT / "tests" / "sdks"

BLOCKS = re.findall(r"^```(js|python)\n(.*?)^```$", _DOCS, re.MULTILINE | re.DOTALL)
SDK_EXAMPLES = [block for block in BLOCKS if "8025" in block[1]]
CONFIG_EXAMPLES = [text for _, text in BLOCKS if "SandboxConfig" in text]


def _command(language: str, text: str) -> list[str]:
    if language == "python":
        package = "alibabacloud_dysmsapi20170525" if "alibabacloud" in text else "aliyunsdkdysmsapi"
        if importlib.util.find_spec(package) is None:
            skip_or_fail(f"the Python package {package} is missing")
        return [sys.executable, "-c", text]
    node = shutil.which("node")
    if node is None or not (_SDKS / "node_modules").is_dir():
        skip_or_fail("node or its packages are missing (npm ci --prefix tests/sdks)")
    return [str(node), "-e", text]


def test_docs_have_an_example_for_each_sdk() -> None:
    assert [language for language, _ in SDK_EXAMPLES] == ["js", "js", "python", "python"]
    assert len(CONFIG_EXAMPLES) == 2


@pytest.mark.sdk
@pytest.mark.parametrize(
    ("language", "text"), SDK_EXAMPLES, ids=["sms_sdk", "new_node", "new_python", "old_python"]
)
def test_sdk_example_sends_an_sms(language: str, text: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    with start_sandbox(SandboxConfig.default({"testId": "testSecret"})) as sandbox:
        command = _command(language, text.replace("8025", str(sandbox.port)))
        result = subprocess.run(
            command, cwd=_SDKS, capture_output=True, text=True, timeout=60, check=False, env=environment
        )
        assert result.returncode == 0, result.stderr
        messages = sandbox.inbox.newest_first()

    assert "OK" in result.stdout
    assert ("err_code" in result.stdout) == ("receiveMsg" in text)
    assert len(messages) == 1


@pytest.mark.parametrize("text", CONFIG_EXAMPLES, ids=["start", "report_urls"])
def test_python_example_runs(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    exec(text, names)  # noqa: S102 - our own text

    assert ("/inbox" in capsys.readouterr().out) == ("start_sandbox" in text)


@pytest.mark.parametrize("action", ACTIONS)
def test_docs_list_the_action(action: str) -> None:
    assert f"`{action}`" in _DOCS


@pytest.mark.parametrize("name", sorted({DEFAULT_SIGN_NAME, *DEFAULT_TEMPLATES, *DEFAULT_REVIEWS}))
def test_docs_list_the_sign_name_or_template(name: str) -> None:
    row = next(line for line in _DOCS.splitlines() if line.startswith(f"| `{name}` |"))
    review = DEFAULT_REVIEWS.get(name)

    assert DEFAULT_TEMPLATES.get(name, name) in row
    assert (review.state.name.lower().replace("_", " ") if review else "approved") in row


@pytest.mark.parametrize("name", SandboxConfig.__dataclass_fields__)
def test_docs_list_the_field_of_the_config(name: str) -> None:
    assert re.search(rf"^\| .*`{name}`.* \|", _DOCS, re.MULTILINE)
