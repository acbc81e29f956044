"""The service under gunicorn's own command, with the settings of `OTP_SERVICE_CONFIG` and the environment.

    gunicorn -c python:otp_service.gunicorn_conf 'otp_service:create_app()'

`otp-service serve` does the same. Flags of gunicorn, such as `--bind`, go before the configuration.
"""

from __future__ import annotations

# Before anything opens a socket or starts a thread.
from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
from pathlib import Path  # noqa: E402

from otp_service.app import CONFIG_VARIABLE  # noqa: E402
from otp_service.cli.serve import gunicorn_settings  # noqa: E402

_config = os.environ.get(CONFIG_VARIABLE)
globals().update(gunicorn_settings(Path(_config) if _config else None))
