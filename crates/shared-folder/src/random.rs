//! Random bits from the kernel, for ids, tokens and temporary names.

use job_core::date::Date;
use job_core::ids::{JobId, Token};

/// A new job's id.
pub fn job_id(now: Date) -> JobId {
    JobId::new(now, bytes())
}

/// A new run's token.
pub(crate) fn token() -> Token {
    Token::new(bytes())
}

/// `N` random hexadecimal digits.
pub(crate) fn hex<const N: usize>() -> String {
    bytes::<N>()
        .iter()
        .map(|byte| char::from(b"0123456789abcdef"[usize::from(byte & 15)]))
        .collect()
}

/// `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the kernel has random bits once it has booted");
    bytes
}
