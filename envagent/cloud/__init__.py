"""The cloud: what the steps may ask of it (port.py), and how the real SDKs carry it out (adapter.py).

Nothing outside this package imports openstack or blazarclient.
"""
