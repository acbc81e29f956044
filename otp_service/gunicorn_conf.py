"""gunicorn configuration file, to run the service with gunicorn's own command.

    gunicorn -c python:otp_service.gunicorn_conf 'otp_service:create_app()'

The settings come from the environment and from the file that `OTP_SERVICE_CONFIG` names. `otp-service serve`
does the same. gunicorn's command line options, such as `--bind`, take precedence over the settings.
"""

from __future__ import annotations

# This must come before anything opens a socket or starts a thread.
from gevent import monkey

monkey.patch_all()

import os  # noqa: E402
from pathlib import Path  # noqa: E402

from otp_service.app import CONFIG_VARIABLE  # noqa: E402
from otp_service.cli.serve import gunicorn_settings  # noqa: E402

_config = os.environ.get(CONFIG_VARIABLE)
globals().update(gunicorn_settings(Path(_config) if _config else None))
