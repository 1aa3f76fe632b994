"""Which web addresses may be fetched at all (RELIABILITY J1 to J4, J12): one strict reading of a URL, and a list of networks that are
refused.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote

from kimi_vl.errors import MediaError

MAX_URL_CHARS = 2048
PORTS = {"http": 80, "https": 443}
LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?")
INNER_DOMAINS = ("localhost", "local", "internal", "intranet", "lan", "home.arpa", "onion")

# Everything that is not the public internet. Python's own is_global is no help: it is true for multicast, NAT64 and 6to4.
REFUSED_V4 = [
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
    )
]  # fmt: skip
PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")  # so not: loopback, mapped and translated IPv4, unique local, link-local, multicast
REFUSED_V6 = [
    ipaddress.IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
]  # Teredo, 6to4, examples


@dataclass(frozen=True, slots=True)
class Target:
    """The one reading of a URL that everything after goes by. `host` is ASCII in lower case without a final dot, `path` ready to send."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def url(self) -> str:
        """What it is, written out again."""
        return f"{self.scheme}://{self.authority}{self.path}"

    @property
    def authority(self) -> str:
        """Host and port as a Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


def not_allowed(url: str, why: str) -> MediaError:
    """The one error for an address that is not fetched."""
    shown = "".join(c if c.isprintable() else "?" for c in url[:120])
    return MediaError(f"the address {shown!r} is not fetched: {why}", "url_not_allowed")


def parse(url: str, ports: frozenset[int] = frozenset(PORTS.values())) -> Target:
    """Read an http(s) URL strictly: what two readers could understand differently is refused.

    Raises: MediaError for another scheme, white space, control characters, backslashes, user names, ports that are not in `ports`, and
    hosts that are no full domain name and no plain address.
    """
    if len(url) > MAX_URL_CHARS:
        raise not_allowed(url, f"it has {len(url):,} characters, more than {MAX_URL_CHARS:,}")
    if re.search(r"[\s\\\x00-\x20\x7f-\xa0]", url):
        raise not_allowed(url, "it holds white space, a backslash or a control character")
    parts = re.fullmatch(r"(https?)://([^/?#]*)([^#]*)(#.*)?", url, re.IGNORECASE)
    if parts is None:
        raise not_allowed(url, "it must begin with https:// or http://")
    scheme = parts[1].lower()
    authority = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(?::([0-9]{1,5}))?", parts[2])
    if authority is None:
        raise not_allowed(url, "what stands between // and the path must be a host, with nothing but a port behind it")
    port = int(authority[2]) if authority[2] else PORTS[scheme]
    if port not in ports:
        raise not_allowed(url, f"port {port} is not one of {', '.join(map(str, sorted(ports)))}")
    path = quote(parts[3], safe="/?:@!$&'()*+,;=%~-._")
    return Target(scheme, _host(url, authority[1]), port, path if path.startswith("/") else f"/{path}")


def normal_host(host: str) -> str:
    """A host in lower case ASCII without a final dot: circled digits become digits, other scripts punycode. Raises: UnicodeError."""
    name = host if host.isascii() else host.encode("idna").decode("ascii")
    return name.lower().removesuffix(".")


def _host(url: str, host: str) -> str:
    if host.startswith("["):
        try:
            return ipaddress.IPv6Address(host[1:-1]).compressed
        except ValueError:
            raise not_allowed(url, "its host is no address") from None
    try:
        name = normal_host(host)
    except UnicodeError:
        raise not_allowed(url, "its host is no domain name") from None
    labels = name.split(".")
    if len(name) > 253 or not all(LABEL.fullmatch(label) for label in labels):
        raise not_allowed(url, "its host is no domain name")
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):  # what ends in a number is an address, in one of a dozen old spellings
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise not_allowed(url, "its host is a number that is no plain address") from None
    if len(labels) < 2 or any(name == inner or name.endswith(f".{inner}") for inner in INNER_DOMAINS):
        raise not_allowed(url, "its host is a name of an inner network")
    return name


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in REFUSED_V4)
    return parsed in PUBLIC_V6 and not any(parsed in network for network in REFUSED_V6)
