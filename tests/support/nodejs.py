"""Node.js and npm packages for tests. If one is missing, the test is skipped; in CI it fails."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from support.redis_servers import skip_or_fail

ROOT = Path(__file__).parents[2]
MODULES = ROOT / "tests" / "sdks" / "node_modules"


def node() -> str:
    """Return the path of the node program."""
    path = shutil.which("node")
    if path is None:
        skip_or_fail("node is not installed")
    return str(path)


def package(name: str) -> Path:
    """Return the folder of an installed npm package."""
    if not (MODULES / name).is_dir():
        skip_or_fail(f"the npm package {name} is missing (npm ci --prefix tests/sdks)")
    return MODULES / name


def make_calls(url: str, *calls: list[Any], key: str = "sk_never_shown_anywhere", **options: Any) -> Any:
    """Make *calls* with clients/js; return the output of tests/js_client/driver.js."""
    work = {"url": url, "key": key, "options": options, "calls": calls}
    result = subprocess.run(
        [node(), str(ROOT / "tests" / "js_client" / "driver.js")],
        input=json.dumps(work),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def make_call(url: str, *call: Any, **options: Any) -> Any:
    """Make one call and return its result."""
    (result,) = make_calls(url, list(call), **options)["results"]
    return result
