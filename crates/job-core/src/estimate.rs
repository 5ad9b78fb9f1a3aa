//! When a job will probably start and finish: the queue is played through many times, with run times drawn from the last
//! runs of each API. Nothing is said where too few runs are known.
//!
//! The 90th percentile is a promise: of ten jobs, nine end by it. So a run time is drawn as the next one may come out
//! and not as the known ones did: of `n` known ones, the next is longer than all with a probability of `1 / (n + 1)`.

use std::collections::{BTreeMap, HashMap};

use chrono::TimeDelta;
use fastrand::Rng;

use crate::date::Date;
use crate::ids::{ApiName, JobId};

/// From so many known runs of an API on, its jobs are estimated.
pub const FEWEST_RUNS: usize = 10;
/// Of each API, the last so many runs count.
pub const MOST_RUNS: usize = 100;
/// How much longer than the longest known run one may be taken to be, as a part of that.
const LONGER_THAN_EVER: f64 = 0.25;
/// The queue is played through so often.
const MOST_GAMES: usize = 200;
/// A long queue is played through less often: its sums vary less.
const FEWEST_GAMES: usize = 20;
/// So many runs are drawn at most, but for the fewest games.
const MOST_DRAWN: usize = 500_000;
/// It may never come.
const NEVER: u64 = u64::MAX;

/// When a job will probably start and finish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// When it starts; absent where it has.
    pub start: Option<Spread>,
    /// When it finishes.
    pub finish: Spread,
}

/// Between what dates something will probably come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// In half of all cases it comes by then.
    pub p50: Date,
    /// In nine of ten cases it comes by then.
    pub p90: Date,
}

/// How long an API's last runs took, in milliseconds, shortest first; at least [`FEWEST_RUNS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunTimes(Vec<u64>);

/// What is known of an API.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pace {
    /// How long its last runs took; absent where too few are known.
    pub times: Option<RunTimes>,
    /// So many of its jobs run at once at most.
    pub concurrency: Option<u32>,
}

/// The jobs that have not ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line {
    /// How many jobs all living workers run at once.
    pub slots: usize,
    /// The jobs that run, with the milliseconds for which they do.
    pub running: Vec<(JobId, ApiName, u64)>,
    /// The jobs that wait, the next one first.
    pub pending: Vec<(JobId, ApiName)>,
}

impl RunTimes {
    /// Of runs that took so many milliseconds each; nothing where these are too few.
    pub fn new(runs: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut runs: Vec<_> = runs.into_iter().collect();
        runs.sort_unstable();
        (runs.len() >= FEWEST_RUNS).then_some(RunTimes(runs))
    }

    /// The time than which the next run is shorter with this probability.
    fn quantile(&self, probability: f64) -> u64 {
        let RunTimes(runs) = self;
        let place = probability * (runs.len() + 1) as f64;
        let (whole, part) = (place.floor() as usize, place.fract());
        let at = |place: usize| runs[place - 1] as f64;
        let time = match whole {
            0 => at(1),
            last if last >= runs.len() => at(runs.len()) * (1.0 + LONGER_THAN_EVER * part),
            _ => at(whole) + (at(whole + 1) - at(whole)) * part,
        };
        time.ceil() as u64
    }

    /// As many runs, drawn from these: what else might have been known. Where few are known, these differ much.
    fn resampled(&self, rng: &mut Rng) -> Self {
        let RunTimes(runs) = self;
        let mut drawn: Vec<_> = runs.iter().map(|_| runs[rng.usize(..runs.len())]).collect();
        drawn.sort_unstable();
        RunTimes(drawn)
    }

    fn draw(&self, rng: &mut Rng) -> u64 {
        self.quantile(rng.f64())
    }

    /// How much longer a run takes that has taken `elapsed` already.
    fn draw_rest(&self, elapsed: u64, rng: &mut Rng) -> u64 {
        let RunTimes(runs) = self;
        let shorter = runs.partition_point(|run| *run <= elapsed);
        let passed = shorter as f64 / (runs.len() + 1) as f64;
        let part = rng.f64();
        let whole = self.quantile(passed + (1.0 - passed) * part);
        // One that outlasts all that are known goes on for a while that grows with it.
        let beyond = (elapsed as f64 * LONGER_THAN_EVER * part).ceil() as u64;
        match whole.checked_sub(elapsed) {
            Some(rest) if shorter < runs.len() => rest,
            rest => rest.unwrap_or(0).max(beyond),
        }
    }
}

impl Pace {
    fn resampled(&self, rng: &mut Rng) -> Self {
        let times = self.times.as_ref();
        Pace {
            times: times.map(|times| times.resampled(rng)),
            concurrency: self.concurrency,
        }
    }
}

/// Estimates all jobs of a line for which that can be done. The same `seed` gives the same answer.
pub fn estimate(
    line: &Line,
    pace: impl Fn(&ApiName) -> Pace,
    now: Date,
    seed: u64,
) -> HashMap<JobId, Estimate> {
    let mut paces: HashMap<&ApiName, Pace> = HashMap::new();
    let running = line.running.iter().map(|(_, api, _)| api);
    for api in running.chain(line.pending.iter().map(|(_, api)| api)) {
        paces.entry(api).or_insert_with(|| pace(api));
    }
    let jobs = line.running.len() + line.pending.len();
    let games = (MOST_DRAWN / jobs.max(1)).clamp(FEWEST_GAMES, MOST_GAMES);
    let mut played = vec![Vec::with_capacity(games); jobs];
    let mut rng = Rng::with_seed(seed);
    for _ in 0..games {
        let paces = paces
            .iter()
            .map(|(api, pace)| (*api, pace.resampled(&mut rng)))
            .collect();
        for (outcomes, outcome) in played.iter_mut().zip(play(line, &paces, &mut rng)) {
            outcomes.push(outcome);
        }
    }
    let waits = line.running.iter().map(|(uuid, ..)| (*uuid, false));
    let jobs = waits.chain(line.pending.iter().map(|(uuid, _)| (*uuid, true)));
    jobs.zip(played)
        .filter_map(|((uuid, waits), outcomes)| {
            let finish = spread(outcomes.iter().map(|(_, finish)| *finish), now)?;
            let starts = outcomes.iter().map(|(start, _)| *start);
            let start = match waits {
                true => Some(spread(starts, now)?),
                false => None,
            };
            Some((uuid, Estimate { start, finish }))
        })
        .collect()
}

/// Plays the line through once: when each job starts and finishes, in milliseconds from now; those that run come first.
fn play(line: &Line, paces: &HashMap<&ApiName, Pace>, rng: &mut Rng) -> Vec<(u64, u64)> {
    let mut outcomes = Vec::with_capacity(line.running.len() + line.pending.len());
    let mut slots = Slots::default();
    let mut limited: HashMap<&ApiName, Slots> = HashMap::new();
    for (api, pace) in paces {
        if let Some(most) = pace.concurrency {
            limited.insert(*api, Slots::free(most as usize));
        }
    }
    for (_, api, elapsed) in &line.running {
        let times = paces[api].times.as_ref();
        let end = times.map_or(NEVER, |times| times.draw_rest(*elapsed, rng));
        slots.add(end);
        // More may run than are allowed by now: these make no room.
        if let Some(limited) = limited.get_mut(api)
            && limited.take_first() != NEVER
        {
            limited.add(end);
        }
        outcomes.push((0, end));
    }
    for _ in line.running.len()..line.slots {
        slots.add(0);
    }
    for (_, api) in &line.pending {
        let mut limit = limited.get_mut(api);
        let allowed = limit.as_mut().map_or(0, |limit| limit.take_first());
        let start = allowed.max(slots.take_for(allowed));
        let times = paces[api].times.as_ref();
        let end = times.map_or(NEVER, |times| start.saturating_add(times.draw(rng)));
        slots.add(end);
        if let Some(limit) = limit {
            limit.add(end);
        }
        outcomes.push((start, end));
    }
    outcomes
}

/// When slots become free, with how many of them do.
#[derive(Default)]
struct Slots(BTreeMap<u64, usize>);

impl Slots {
    fn free(number: usize) -> Self {
        let slots = (number > 0).then_some((0, number));
        Slots(slots.into_iter().collect())
    }

    fn add(&mut self, free: u64) {
        *self.0.entry(free).or_default() += 1;
    }

    /// Takes the slot that is free first; when that is.
    fn take_first(&mut self) -> u64 {
        let first = self.0.keys().next().copied();
        self.take(first)
    }

    /// Takes a slot for a job that may start at `allowed`: the one that stood free for the shortest time by then, so
    /// that earlier ones are left for the jobs behind it; else the next one.
    fn take_for(&mut self, allowed: u64) -> u64 {
        let fits = self.0.range(..=allowed).next_back();
        let free = fits.or_else(|| self.0.iter().next()).map(|(free, _)| *free);
        self.take(free)
    }

    fn take(&mut self, free: Option<u64>) -> u64 {
        let Some(free) = free else { return NEVER };
        if let Some(number) = self.0.get_mut(&free) {
            *number -= 1;
            if *number == 0 {
                self.0.remove(&free);
            }
        }
        free
    }
}

/// Median and 90th percentile; nothing where the latter may never come.
fn spread(outcomes: impl Iterator<Item = u64>, now: Date) -> Option<Spread> {
    let mut outcomes: Vec<_> = outcomes.collect();
    outcomes.sort_unstable();
    let at = |percent: usize| {
        let place = (outcomes.len() * percent).div_ceil(100);
        let millis = i64::try_from(*outcomes.get(place.checked_sub(1)?)?).ok()?;
        Some(now.plus(TimeDelta::try_milliseconds(millis)?))
    };
    let (p50, p90) = (at(50)?, at(90)?);
    Some(Spread { p50, p90 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: u64 = 7;

    fn now() -> Date {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn job(n: usize) -> JobId {
        format!("0190a6f0-1c2d-7abc-8def-{n:012}").parse().unwrap()
    }

    fn api(name: &str) -> ApiName {
        name.parse().unwrap()
    }

    fn steady(millis: u64) -> Pace {
        Pace {
            times: RunTimes::new([millis; FEWEST_RUNS]),
            concurrency: None,
        }
    }

    /// Milliseconds from now.
    fn p50(spread: Option<Spread>) -> i64 {
        spread.unwrap().p50.unix_millis() - now().unix_millis()
    }

    #[test]
    fn jobs_start_one_after_another_as_slots_become_free() {
        let line = Line {
            slots: 2,
            running: vec![(job(0), api("a"), 400)],
            pending: (1..=4).map(|n| (job(n), api("a"))).collect(),
        };
        let estimates = estimate(&line, |_| steady(1000), now(), SEED);
        let starts = [1, 2, 3, 4].map(|n| p50(estimates[&job(n)].start));
        assert_eq!(starts[0], 0);
        // A run may be taken to be a little longer than all before it.
        for (start, due) in starts.into_iter().zip([0, 600, 1000, 1600]) {
            assert!((due..=due + 400).contains(&start), "{starts:?}");
        }
        let running = estimates[&job(0)];
        assert_eq!(running.start, None);
        assert!((600..=700).contains(&p50(Some(running.finish))));
    }

    #[test]
    fn an_apis_own_limit_holds_up_its_jobs_and_no_others() {
        let line = Line {
            slots: 4,
            running: vec![(job(0), api("one"), 0)],
            pending: vec![
                (job(1), api("one")),
                (job(2), api("one")),
                (job(3), api("a")),
            ],
        };
        let pace = |name: &ApiName| Pace {
            concurrency: (name.as_str() == "one").then_some(1),
            ..steady(1000)
        };
        let estimates = estimate(&line, pace, now(), SEED);
        let starts = [1, 2, 3].map(|n| p50(estimates[&job(n)].start));
        assert!((1000..1500).contains(&starts[0]), "{starts:?}");
        assert!((2000..3000).contains(&starts[1]), "{starts:?}");
        assert_eq!(starts[2], 0);
    }

    #[test]
    fn an_api_of_which_no_job_may_run_is_expected_to_start_none() {
        let line = Line {
            slots: 1,
            running: vec![(job(0), api("none"), 10)],
            pending: vec![(job(1), api("none"))],
        };
        let pace = |_: &ApiName| Pace {
            concurrency: Some(0),
            ..steady(1000)
        };
        assert!(!estimate(&line, pace, now(), SEED).contains_key(&job(1)));
    }

    #[test]
    fn nothing_is_said_where_too_few_runs_are_known_or_nobody_works() {
        assert_eq!(RunTimes::new([1; FEWEST_RUNS - 1]), None);
        let pace = |name: &ApiName| match name.as_str() {
            "new" => Pace::default(),
            _ => steady(1000),
        };
        let mut line = Line {
            slots: 2,
            running: Vec::new(),
            pending: [(1, "a"), (2, "new"), (3, "a"), (4, "new"), (5, "a")]
                .map(|(n, name)| (job(n), api(name)))
                .into(),
        };
        let told = |line: &Line| {
            let estimates = estimate(line, pace, now(), SEED);
            let mut told: Vec<_> = (1..=5)
                .filter(|n| estimates.contains_key(&job(*n)))
                .collect();
            told.sort_unstable();
            told
        };
        assert_eq!(told(&line), [1, 3], "the two new ones may run for ever");
        line.slots = 0;
        assert_eq!(told(&line), [0; 0]);
    }

    #[test]
    fn a_run_that_outlasts_all_others_is_expected_to_go_on_for_a_while() {
        let times = RunTimes::new((1..=20).map(|n| n * 100)).unwrap();
        let mut rng = Rng::with_seed(SEED);
        let mut rests: Vec<_> = (0..1000)
            .map(|_| times.draw_rest(10_000, &mut rng))
            .collect();
        rests.sort_unstable();
        assert!((1000..1500).contains(&rests[500]), "{}", rests[500]);
    }

    #[test]
    fn a_long_line_is_played_through_in_a_bounded_number_of_steps() {
        let line = Line {
            slots: 8,
            running: Vec::new(),
            pending: (0..50_000).map(|n| (job(n), api("a"))).collect(),
        };
        let estimates = estimate(&line, |_| steady(1000), now(), SEED);
        let last = p50(estimates[&job(49_999)].start);
        assert!((6_200_000..7_000_000).contains(&last), "{last}");
    }

    /// How many of ten thousand jobs ended by the date that was given with 90 %.
    fn kept(run_time: impl Fn(&mut Rng) -> u64, known: usize) -> f64 {
        let mut rng = Rng::with_seed(SEED);
        let (mut held, mut told) = (0, 0);
        for round in 0..150 {
            let times = RunTimes::new((0..known).map(|_| run_time(&mut rng)));
            let line = Line {
                slots: 3,
                running: Vec::new(),
                pending: (0..20).map(|n| (job(n), api("a"))).collect(),
            };
            let pace = |_: &ApiName| Pace {
                times: times.clone(),
                concurrency: None,
            };
            let estimates = estimate(&line, pace, now(), round);
            let mut slots = Slots::free(line.slots);
            for (uuid, _) in &line.pending {
                let end = slots.take_first() + run_time(&mut rng);
                slots.add(end);
                told += 1;
                let by = estimates[uuid].finish.p90;
                held += usize::from(now().plus(TimeDelta::milliseconds(end as i64)) <= by);
            }
        }
        held as f64 / told as f64
    }

    /// Run times as they come: steady, some twenty times as long as the others, spread over a wide range.
    #[test]
    fn nine_of_ten_jobs_end_by_the_date_that_was_given_for_them() {
        let steady = |rng: &mut Rng| 900 + rng.u64(..200);
        let two_kinds = |rng: &mut Rng| if rng.u8(..5) == 0 { 20_000 } else { 1000 };
        let wide = |rng: &mut Rng| (1000.0 * (4.0 * rng.f64()).exp()) as u64;
        for known in [FEWEST_RUNS, MOST_RUNS] {
            for (name, share) in [
                ("steady", kept(steady, known)),
                ("two kinds", kept(two_kinds, known)),
                ("wide", kept(wide, known)),
            ] {
                println!("{known} runs known, {name}: {:.1} % held", share * 100.0);
                let least = if known == MOST_RUNS { 0.88 } else { 0.85 };
                assert!(share > least, "{known} {name}: {share}");
            }
        }
    }
}
