//! Which addresses are internal: a client that could have these asked would reach what it cannot reach itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// What is no host of the public network (IANA IPv4 Special-Purpose Address Registry, multicast and broadcast).
const INTERNAL_V4: [Ipv4Net; 15] = [
    // This network, and the unspecified address.
    v4([0, 0, 0, 0], 8),
    // Private use (RFC 1918).
    v4([10, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    // Behind a carrier's NAT (RFC 6598).
    v4([100, 64, 0, 0], 10),
    // Loopback.
    v4([127, 0, 0, 0], 8),
    // Link-local, where clouds answer their own machines (RFC 3927).
    v4([169, 254, 0, 0], 16),
    // Protocol assignments, and relays from 6to4 (RFC 6890, RFC 7526).
    v4([192, 0, 0, 0], 24),
    v4([192, 88, 99, 0], 24),
    // Documentation (RFC 5737).
    v4([192, 0, 2, 0], 24),
    v4([198, 51, 100, 0], 24),
    v4([203, 0, 113, 0], 24),
    // Benchmarks (RFC 2544).
    v4([198, 18, 0, 0], 15),
    // Multicast.
    v4([224, 0, 0, 0], 4),
    // Reserved, and broadcast.
    v4([240, 0, 0, 0], 4),
];

/// The only block of which addresses are given to hosts of the public network (RFC 4291 section 2.4). Outside are the
/// unspecified address and loopback, unique-local, link-local, site-local and multicast addresses.
const PUBLIC_V6: Ipv6Net = v6([0x2000, 0], 3);
/// What is none of theirs all the same (IANA IPv6 Special-Purpose Address Registry).
const INTERNAL_V6: [Ipv6Net; 3] = [
    // Protocol assignments, such as Teredo, benchmarks and ORCHID (RFC 2928).
    v6([0x2001, 0], 23),
    // Documentation (RFC 3849, RFC 9637).
    v6([0x2001, 0x0db8], 32),
    v6([0x3fff, 0], 20),
];

/// IPv6 addresses that stand for an IPv4 one in their last four bytes: compatible ones (RFC 4291 section 2.5.5.1) and
/// those of NAT64 (RFC 6052). Mapped ones are told by the standard library.
const COMPATIBLE: Ipv6Net = v6([0, 0], 96);
const NAT64: Ipv6Net = v6([0x64, 0xff9b], 96);
/// The same behind the first two bytes: 6to4 (RFC 3056).
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0], 16);

/// Whether an address, or the one that it stands for, is of this machine, of a network of its own, or of no host at
/// all.
pub fn is_internal(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => INTERNAL_V4.iter().any(|network| network.contains(&address)),
        IpAddr::V6(address) => match stands_for(address) {
            Some(address) => is_internal(address.into()),
            None => {
                !PUBLIC_V6.contains(&address)
                    || INTERNAL_V6.iter().any(|network| network.contains(&address))
            }
        },
    }
}

fn stands_for(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bytes = address.octets();
    let four = |at: usize| Ipv4Addr::new(bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]);
    if COMPATIBLE.contains(&address) || NAT64.contains(&address) {
        Some(four(12))
    } else if SIX_TO_FOUR.contains(&address) {
        Some(four(2))
    } else {
        None
    }
}

const fn v4([a, b, c, d]: [u8; 4], length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6([a, b]: [u16; 2], length: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_addresses_are_known_in_every_form() {
        for internal in [
            "0.0.0.0",
            "0.1.2.3",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.1.2.3",
            "::ffff:7f00:1",
            "::127.0.0.1",
            "::10.1.2.3",
            "64:ff9b::127.0.0.1",
            "64:ff9b::a01:203",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a01:203::1",
            "3fff::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "5f00::1",
        ] {
            assert!(is_internal(internal.parse().unwrap()), "{internal}");
        }
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "223.255.255.255",
            "::ffff:1.1.1.1",
            "64:ff9b::1.1.1.1",
            "2002:101:101::1",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2400::1",
        ] {
            assert!(!is_internal(public.parse().unwrap()), "{public}");
        }
    }
}
