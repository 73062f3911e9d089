"""Which hosts are this machine: only there may a secret or a text travel in the clear."""

import ipaddress


def is_loopback(host: str | None) -> bool:
    """Whether a host name or address can only be this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False
