"""The command line: one file for each command of `otp-service`; `main.py` defines them and their options.

`serve.py` starts gunicorn, with `master.py` and `worker.py`. May import any part of the package. `main.py`
imports a command only when it runs.
"""

from __future__ import annotations
