"""`otp-service init`: asks six questions, and writes a configuration with new secrets and a way to run it.

`answers.py` asks and checks, `files.py` has the texts, `command.py` writes them. `otp-service.service` is a
copy of the unit in `deploy/systemd`. May import any part of the package.
"""

from __future__ import annotations
