//! Receivers inside of a site's own network, which webhooks reach only where they are named.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Serialize, Serializer};

/// Longest host name (RFC 1035 section 2.3.4).
const LONGEST_NAME: usize = 253;

/// Something that webhooks may reach although it is internal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// All addresses of a network.
    Network(IpNet),
    /// A host by its name, in lower case, whatever its addresses are.
    Host(String),
}

/// A text that names neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("neither a network such as 10.1.0.0/16, nor an address, nor a host name")]
pub struct NoReceiver;

impl FromStr for Allowed {
    type Err = NoReceiver;

    fn from_str(text: &str) -> Result<Self, NoReceiver> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Allowed::Network(address.into()));
        }
        if text.contains('/') {
            return text.parse().map(Allowed::Network).map_err(|_| NoReceiver);
        }
        let name = text.to_ascii_lowercase();
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let is_label = |label: &str| (1..=63).contains(&label.len()) && label.chars().all(fits);
        match name.len() <= LONGEST_NAME && name.split('.').all(is_label) {
            true => Ok(Allowed::Host(name)),
            false => Err(NoReceiver),
        }
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Allowed::Network(network) => network.fmt(f),
            Allowed::Host(name) => name.fmt(f),
        }
    }
}

impl Serialize for Allowed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_a_network_an_address_or_a_host() {
        for (text, shown) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("127.0.0.1", "127.0.0.1/32"),
            ("fd00::/8", "fd00::/8"),
            ("::1", "::1/128"),
            ("Receiver.lab.example", "receiver.lab.example"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(text.parse::<Allowed>().unwrap().to_string(), shown);
        }
        let long = "a.".repeat(127) + "a";
        for none in [
            "",
            "10.0.0.0/33",
            "a b",
            "http://a",
            "a..b",
            "a:80",
            "*",
            "a/b",
            &long,
        ] {
            assert!(none.parse::<Allowed>().is_err(), "{none}");
        }
    }
}
