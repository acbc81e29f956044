"""The way out: routes, what guards them, and one folder per provider; touches requests and threads.

`SendSms` and its like are billed and not idempotent. So nothing in this room sends an SMS again: there is no
retry, and another route is tried only when it is certain that nothing was sent.
"""
