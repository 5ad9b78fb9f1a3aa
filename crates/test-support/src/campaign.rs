//! How long campaigns last, and choices that a seed repeats.

/// How many rounds a campaign has: what `scripts/soak` says, or the usual number.
pub fn campaign_rounds(usual: u64) -> u64 {
    number("BCRL_CAMPAIGN_ROUNDS", usual)
}

#[expect(
    clippy::disallowed_methods,
    reason = "scripts/soak sets these two for tests"
)]
fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(usual)
}

/// Numbers that a seed repeats (xorshift64).
#[derive(Debug)]
pub struct Dice(u64);

impl Default for Dice {
    fn default() -> Self {
        Self::new()
    }
}

impl Dice {
    /// Dice by `BCRL_CAMPAIGN_SEED`, or by a seed of their own; it is printed either way.
    #[expect(
        clippy::print_stdout,
        reason = "whoever wants to repeat a run needs its seed"
    )]
    pub fn new() -> Self {
        let seed = number("BCRL_CAMPAIGN_SEED", u64::from(std::process::id()) + 1);
        println!("BCRL_CAMPAIGN_SEED={seed}");
        Dice(seed.max(1))
    }

    /// A number from 0 that is less than `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}
