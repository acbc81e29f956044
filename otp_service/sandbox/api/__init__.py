"""Alibaba Cloud's RPC-style APIs: Dysmsapi (SMS), Dypnsapi (PNVS) and Dybaseapi, all served at `/`.

`blueprint` receives a request, `verifier` authenticates it, and the other modules implement the actions.
"""
