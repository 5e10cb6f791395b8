"""Allow-list of image addresses: public ones, and those that `fetch_allow` names.

It prevents server-side request forgery: without it an image URL could read the cloud's metadata
service or a database's HTTP port.
"""

import re
from collections.abc import Iterable
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

_NAT64 = IPv6Network("64:ff9b::/96")  # the public IPv4 internet, as hosts without IPv4 see it
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", re.IGNORECASE)


class AllowList:
    """Networks, addresses and host names that may be fetched from although they are not public.

    Raises ValueError for an entry that is none of these.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._networks: list[IPv4Network | IPv6Network] = []
        self._names: set[str] = set()
        for text in allowed:
            try:
                self._networks.append(ip_network(text))
            except ValueError as error:
                if not _NAME.fullmatch(_normalized(text)) or not re.search(
                    "[a-z]", text, re.IGNORECASE
                ):
                    raise ValueError(f"no network, address or host name: {error}") from None
                self._names.add(_normalized(text))

    def allows_host(self, host: str) -> bool:
        """Return whether a host is allowed by name, whatever its address."""
        return _normalized(host) in self._names

    def allows_address(self, address: str) -> bool:
        """Return whether an IP address may be connected to."""
        parsed = ip_address(address)
        real = parsed if isinstance(parsed, IPv4Address) else _embedded_ipv4(parsed) or parsed
        return _is_public(real) or any(
            each in network for network in self._networks for each in (parsed, real)
        )


def _normalized(host: str) -> str:
    return host.rstrip(".").lower()


def _embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    """Return the IPv4 address embedded in an IPv6 address (NAT64, mapped, 6to4); None without."""
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    """Return whether the address is public: not private, loopback, link-local, multicast, ….

    `is_global` alone takes multicast and the old site-local addresses for public.
    """
    if address.is_multicast or address.is_reserved:
        return False
    if isinstance(address, IPv6Address) and address.is_site_local:
        return False
    return address.is_global
