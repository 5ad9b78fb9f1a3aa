"""Where a connection really goes: to the API server, or to the proxy of the environment.

``http_proxy``, ``https_proxy`` and ``no_proxy`` count as they do for curl. A loopback address is
never a proxy's.
"""

from __future__ import annotations

import base64
import ipaddress
import urllib.request
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy."""

    host: str
    port: int
    #: What lets us use it; empty where nothing is needed.
    headers: dict[str, str]


def proxy_for(url: SplitResult) -> Proxy | None:
    """The proxy for an API server's address; None where it is to be asked directly.

    Raises ValueError where the environment names one of a kind that cannot be used.
    """
    host = url.hostname or ""
    named = url.netloc.rpartition("@")[2]
    if _is_loopback(host) or urllib.request.proxy_bypass(named):
        return None
    address = urllib.request.getproxies().get(url.scheme)
    if not address:
        return None
    parts = urlsplit(address if "://" in address else f"http://{address}")
    if parts.scheme != "http" or not parts.hostname:
        shown = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        raise ValueError(
            f"{url.scheme}_proxy names {shown!r}, and only http:// proxies can be used; "
            f"with no_proxy={host} the server is asked directly"
        )
    user = basic(parts)
    headers = {"Proxy-Authorization": user} if user else {}
    return Proxy(parts.hostname, parts.port or 80, headers)


def basic(url: SplitResult) -> str:
    """The credentials that stand in an address (RFC 7617); empty where none do."""
    if url.username is None:
        return ""
    pair = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return f"Basic {base64.b64encode(pair.encode('utf-8')).decode('ascii')}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
