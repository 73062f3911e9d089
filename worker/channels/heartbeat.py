"""A sign of life: one request to an address that alerts when it hears nothing."""

from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from worker.domain.errors import Misconfigured
from worker.domain.hosts import is_loopback

_SECONDS = 10


def check_heartbeat(url: str) -> None:
    """Raises Misconfigured for an address in the clear that is not on loopback."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.hostname)):
        raise Misconfigured(
            "QIDA_HEARTBEAT_URL 须以 https:// 开头", "QIDA_HEARTBEAT_URL must begin with https://"
        )


def beat(url: str) -> bool:
    """Ask for the address once; whether it was answered well."""
    opener = build_opener(ProxyHandler({}))
    request = Request(url, headers={"User-Agent": "qida"})  # noqa: S310 - checked at the start
    try:
        with opener.open(request, timeout=_SECONDS) as answer:
            return bool(200 <= answer.status < 300)
    except (URLError, OSError, ValueError):
        return False
