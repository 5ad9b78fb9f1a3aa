//! Whom webhooks may reach: what a client names is checked when it submits, and what a name means when a connection is
//! made, so that a name that changes its mind gains nothing.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use boot::allowed::Allowed;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::is_internal;

/// Longest URL of a receiver, in characters, as it is sent.
const LONGEST: usize = 2_000;

/// The rule whom webhooks may reach.
#[derive(Debug, Clone, Default)]
pub struct Receivers {
    allow: Arc<[Allowed]>,
}

/// Why a text is no URL that could be told of a job's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It is none, or of another scheme.
    #[error("an http or https URL with a host is due, percent-encoded as a value of the query")]
    NoUrl,
    /// It names a user.
    #[error("a URL without user and password is due; events are known by their signature")]
    User,
    /// It has a fragment, which is never sent.
    #[error("a URL without a fragment is due")]
    Fragment,
    /// It is too long.
    #[error("a URL of at most {LONGEST} characters is due")]
    Long,
    /// Its host is an internal address.
    #[error("its host is an internal address, which this server does not reach for its clients")]
    Internal,
}

/// A name of which all addresses are internal.
#[derive(Debug, thiserror::Error)]
#[error("{0} has internal addresses alone, and none that webhook.allow allows")]
struct InternalName(String);

impl Receivers {
    /// Hosts of the public network, and those that are allowed besides.
    pub fn new(allow: Vec<Allowed>) -> Self {
        Receivers {
            allow: allow.into(),
        }
    }

    /// Checks what a client named. A host that is a name is looked up later, each time that it is connected to.
    ///
    /// # Errors
    /// Where it could not be told of a job's end.
    pub fn check(&self, text: &str) -> Result<Url, Unfit> {
        let url = Url::parse(text).map_err(|_| Unfit::NoUrl)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(Unfit::NoUrl);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Unfit::User);
        }
        if url.fragment().is_some() {
            return Err(Unfit::Fragment);
        }
        if url.as_str().len() > LONGEST {
            return Err(Unfit::Long);
        }
        match address_of(&url) {
            Some(address) if !self.may_reach(&address.to_string(), address) => Err(Unfit::Internal),
            _ => Ok(url),
        }
    }

    fn may_reach(&self, host: &str, address: IpAddr) -> bool {
        let canonical = address.to_canonical();
        let host = host.trim_end_matches('.');
        let names = |allowed: &Allowed| match allowed {
            Allowed::Network(network) => network.contains(&canonical) || network.contains(&address),
            Allowed::Host(name) => name.eq_ignore_ascii_case(host),
        };
        !is_internal(address) || self.allow.iter().any(names)
    }
}

/// The address that a URL names in the place of a host, in whichever way it is written.
fn address_of(url: &Url) -> Option<IpAddr> {
    let host = url.host_str()?;
    host.trim_matches(['[', ']']).parse().ok()
}

impl Resolve for Receivers {
    /// Looks a name up, and leaves out what may not be reached.
    fn resolve(&self, name: Name) -> Resolving {
        let this = self.clone();
        Box::pin(async move {
            let host = name.as_str();
            let found = tokio::net::lookup_host((host, 0)).await?;
            let reached: Vec<SocketAddr> = found
                .filter(|address| this.may_reach(host, address.ip()))
                .collect();
            match reached.is_empty() {
                true => Err(InternalName(host.to_owned()).into()),
                false => Ok(Box::new(reached.into_iter()) as Addrs),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowing(allow: &[&str]) -> Receivers {
        Receivers::new(allow.iter().map(|text| text.parse().unwrap()).collect())
    }

    #[test]
    fn a_receiver_is_an_http_url_of_a_host_that_is_not_internal() {
        let none = allowing(&[]);
        for fine in [
            "https://example.com/hook?key=1",
            "http://example.com:8080",
            "https://1.1.1.1/",
            "https://[2606:4700::1111]/",
            "https://例え.jp/終わり",
        ] {
            assert!(none.check(fine).is_ok(), "{fine}");
        }
        let long = format!("https://example.com/{}", "a".repeat(LONGEST));
        for (text, unfit) in [
            ("", Unfit::NoUrl),
            ("example.com", Unfit::NoUrl),
            ("ftp://example.com/", Unfit::NoUrl),
            ("file:///etc/passwd", Unfit::NoUrl),
            ("http://", Unfit::NoUrl),
            ("http://1.2.3.4.5/", Unfit::NoUrl),
            ("https://user@example.com/", Unfit::User),
            ("https://:word@example.com/", Unfit::User),
            ("https://example.com/#part", Unfit::Fragment),
            (&long, Unfit::Long),
        ] {
            assert_eq!(none.check(text), Err(unfit), "{text}");
        }
    }

    #[test]
    fn internal_hosts_are_refused_however_they_are_written() {
        let none = allowing(&[]);
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0x7f.0.0.1",
            "0177.0.0.1",
            "127.0.0.1.",
            "１２７.0.0.1",
            "%31%32%37.0.0.1",
            "0",
            "169.254.169.254",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a00:1]",
            "[::10.0.0.1]",
            "[64:ff9b::10.0.0.1]",
            "[2002:a00:1::]",
            "[fe80::1]",
            "[fd00::1]",
            "[ff02::1]",
        ] {
            let url = format!("http://{host}/hook");
            assert_eq!(none.check(&url), Err(Unfit::Internal), "{url}");
        }
        let lab = allowing(&["10.1.0.0/16", "fd00::/8", "127.0.0.1"]);
        for host in ["10.1.2.3", "[::ffff:10.1.2.3]", "[fd00::1]", "127.1"] {
            assert!(lab.check(&format!("http://{host}/")).is_ok(), "{host}");
        }
        for host in ["10.2.0.1", "127.0.0.2", "[fc00::1]"] {
            assert!(lab.check(&format!("http://{host}/")).is_err(), "{host}");
        }
    }

    #[test]
    fn a_host_that_is_allowed_by_name_may_have_any_address() {
        let lab = allowing(&["receiver.lab"]);
        let inside: IpAddr = "10.0.0.1".parse().unwrap();
        for host in ["receiver.lab", "receiver.lab.", "Receiver.Lab"] {
            assert!(lab.may_reach(host, inside), "{host}");
        }
        for host in ["lab", "a.receiver.lab", "receiver.lab.example"] {
            assert!(!lab.may_reach(host, inside), "{host}");
        }
    }

    #[tokio::test]
    async fn a_name_with_internal_addresses_alone_leads_nowhere() {
        let found = |receivers: Receivers| async move {
            let found = receivers.resolve("localhost".parse().unwrap()).await;
            found
                .map(Iterator::count)
                .map_err(|error| error.to_string())
        };
        let refused = found(allowing(&[])).await.unwrap_err();
        assert!(refused.contains("webhook.allow"), "{refused}");
        for allow in ["localhost", "127.0.0.0/8"] {
            // Some hosts know it by its IPv6 address as well, which only the name allows.
            assert!(found(allowing(&[allow])).await.unwrap() > 0);
        }
    }
}
