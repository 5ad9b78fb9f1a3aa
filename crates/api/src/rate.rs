//! How often each client may ask: a client is the address that it comes from.
//!
//! Each of the two kinds of requests has a bucket for each client, which fills at the rate that is set, up to the burst.
//! What a client has left is told with every answer that counts (IETF draft ratelimit-headers).

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use boot::rate::Rate;
use boot::settings::RateLimits;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};

use crate::endpoint::Endpoint;
use crate::problem::{Kind, Problem};

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// So many buckets of each kind there are at most, whoever comes: clients beyond share one by chance.
const MOST_BUCKETS: u64 = 1 << 16;
/// After so many requests the buckets that are full again are forgotten.
const REQUESTS_BETWEEN_CLEANINGS: u32 = 10_000;

/// What a request counts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// As the submission of a job.
    Submits,
    /// As any other one.
    Requests,
}

/// How often each client has asked.
#[derive(Debug)]
pub struct Rates {
    submits: Option<Limit>,
    requests: Option<Limit>,
}

/// The limit of one kind of requests.
#[derive(Debug)]
struct Limit {
    /// Its name in headers.
    name: &'static str,
    rate: Rate,
    quota: Quota,
    buckets:
        RateLimiter<u64, DefaultKeyedStateStore<u64>, DefaultClock, StateInformationMiddleware>,
    /// Known to nobody outside, so that nobody chooses whom to share a bucket with.
    hasher: RandomState,
    counted: AtomicU32,
}

/// How a client stands after a request: the values of the two headers.
#[derive(Debug)]
pub struct Standing {
    policy: String,
    left: String,
}

impl Rates {
    /// Nobody has asked yet.
    pub fn new(limits: &RateLimits) -> Self {
        Rates {
            submits: Limit::new("submits", limits.submits, limits.submits_burst),
            requests: Limit::new("requests", limits.requests, limits.requests_burst),
        }
    }

    /// Counts a request; nothing is told of those that do not count.
    ///
    /// # Errors
    /// `rate-limited`.
    pub fn count(
        &self,
        endpoint: Endpoint,
        request: &HttpRequest,
    ) -> Result<Option<Standing>, Problem> {
        let limit = match endpoint.counted_as() {
            Some(Counted::Submits) => self.submits.as_ref(),
            Some(Counted::Requests) => self.requests.as_ref(),
            None => None,
        };
        // Every connection has a peer, but where it has gone already.
        let address = request.peer_addr().map(|peer| peer.ip());
        limit
            .zip(address)
            .map(|(limit, address)| limit.count(address))
            .transpose()
    }
}

impl Limit {
    fn new(name: &'static str, rate: Rate, burst: u32) -> Option<Self> {
        let quota = Quota::with_period(rate.time_for_one()?)?.allow_burst(NonZeroU32::new(burst)?);
        Some(Limit {
            name,
            rate,
            quota,
            buckets: RateLimiter::dashmap(quota).with_middleware(),
            hasher: RandomState::new(),
            counted: AtomicU32::new(0),
        })
    }

    fn count(&self, address: IpAddr) -> Result<Standing, Problem> {
        let counted = self.counted.fetch_add(1, Ordering::Relaxed);
        if counted.is_multiple_of(REQUESTS_BETWEEN_CLEANINGS) {
            self.buckets.retain_recent();
        }
        let bucket = self.hasher.hash_one(client(address)) % MOST_BUCKETS;
        match self.buckets.check_key(&bucket) {
            Ok(state) => Ok(self.standing(state.remaining_burst_capacity())),
            Err(not_yet) => {
                let wait = not_yet.wait_time_from(DefaultClock::default().now());
                let Standing { policy, left } = self.standing(0);
                let detail = format!("{} are limited to {} for each client", self.name, self.rate);
                let problem = Kind::RateLimited.problem(detail);
                Err(problem
                    .retry_after(whole_seconds(wait).max(1))
                    .with_header(POLICY, &policy)
                    .with_header(LEFT, &left))
            }
        }
    }

    fn standing(&self, left: u32) -> Standing {
        let (name, burst) = (self.name, self.quota.burst_size().get());
        let filled_after = |missing: u32| whole_seconds(self.quota.replenish_interval() * missing);
        let (window, rest) = (filled_after(burst), filled_after(burst - left));
        Standing {
            policy: format!("\"{name}\";q={burst};w={window}"),
            left: format!("\"{name}\";r={left};t={rest}"),
        }
    }
}

fn whole_seconds(time: Duration) -> u32 {
    u32::try_from(time.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
}

/// Whom requests from an address are counted to: one customer of a provider has 64 bits of IPv6 for himself at the
/// least (RFC 6177).
fn client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = address.to_bits() >> 64 << 64;
            Ipv6Addr::from_bits(network).into()
        }
        address => address,
    }
}

/// Tells a client how it stands.
pub(crate) fn tell(mut answer: HttpResponse, standing: Option<Standing>) -> HttpResponse {
    let Some(Standing { policy, left }) = standing else {
        return answer;
    };
    for (name, value) in [(POLICY, policy), (LEFT, left)] {
        let value = HeaderValue::from_str(&value).expect("a name and numbers are a header's value");
        answer.headers_mut().insert(name, value);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(rate: &str, burst: u32) -> Limit {
        Limit::new("submits", rate.parse().unwrap(), burst).unwrap()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_client_has_its_burst_and_then_its_rate() {
        let limit = limit("1/h", 3);
        let one = address("192.0.2.1");
        let left: Vec<_> = (0..3).map(|_| limit.count(one).unwrap().left).collect();
        assert_eq!(
            left,
            [
                "\"submits\";r=2;t=3600",
                "\"submits\";r=1;t=7200",
                "\"submits\";r=0;t=10800"
            ]
        );
        assert!(limit.count(one).is_err());
        let other = limit.count(address("192.0.2.2")).unwrap();
        assert_eq!(other.policy, "\"submits\";q=3;w=10800");
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_half_of_an_ipv6_one() {
        let same = |one, other| client(address(one)) == client(address(other));
        assert!(same("::ffff:192.0.2.1", "192.0.2.1"));
        assert!(!same("192.0.2.1", "192.0.2.2"));
        assert!(same("2001:db8::1", "2001:db8::ffff:1:2:3"));
        assert!(!same("2001:db8::1", "2001:db8:0:1::1"));
    }

    #[test]
    fn however_many_come_the_buckets_stay_few_and_are_forgotten() {
        let limit = limit("1000000/s", 1);
        for number in 0..200_000_u32 {
            // Whether one shares a bucket with another makes no difference here.
            let _ = limit.count(IpAddr::from(number.to_be_bytes()));
        }
        assert!(limit.buckets.len() <= MOST_BUCKETS as usize);
        limit.buckets.retain_recent();
        assert!(limit.buckets.len() < 1000, "{}", limit.buckets.len());
    }

    #[test]
    fn without_a_rate_nothing_is_counted() {
        assert!(Limit::new("submits", Rate::Off, 1).is_none());
    }
}
