//! How long things took, in classes that can be added up: percentiles of any range come from those of its days.
//!
//! Log-linear: below 64 µs each microsecond has a class of its own; above, each power of two is parted into 64 classes
//! of equal width. A class is at most 1/64 as wide as its least value, and its middle stands for it: what is told is off
//! by less than 1/128 (0.79 %) of what is true. Merging adds classes up and loses nothing.

use std::collections::BTreeMap;

/// Classes in each power of two.
const PARTS: u64 = 1 << PART_BITS;
const PART_BITS: u32 = 6;
/// The class of the longest time that there is.
const LAST: u64 = PARTS * (u64::BITS - PART_BITS) as u64 + PARTS - 1;

/// Times in microseconds, counted by class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How many times fell into each class; never none.
    classes: BTreeMap<u64, u64>,
}

/// Bytes that are no histogram.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("these bytes are no histogram")]
pub struct NoHistogram;

impl Histogram {
    /// Counts one time, in microseconds.
    pub fn record(&mut self, micros: u64) {
        self.add(class_of(micros), 1);
    }

    /// Counts all that the other one has counted.
    pub fn merge(&mut self, other: &Histogram) {
        for (&class, &count) in &other.classes {
            self.add(class, count);
        }
    }

    /// How many times were counted.
    pub fn count(&self) -> u64 {
        self.classes
            .values()
            .fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The time in microseconds that a share `q` of all (from 0 to 1) do not exceed, by nearest rank: of 100 times the
    /// 0.95 quantile is the 95th shortest. Nothing where none was counted.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let count = self.count();
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut passed = 0_u64;
        for (&class, &count) in &self.classes {
            passed = passed.saturating_add(count);
            if passed >= rank {
                return Some(middle_of(class));
            }
        }
        None
    }

    /// The classes as bytes: for each that was hit the distance from the one before and its count, both as varints
    /// (LEB128). Nothing counted gives no bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut before = 0;
        for (&class, &count) in &self.classes {
            put_varint(&mut bytes, class - before);
            put_varint(&mut bytes, count);
            before = class;
        }
        bytes
    }

    /// Reads what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// Where it is anything else.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, NoHistogram> {
        let mut classes = BTreeMap::new();
        let mut class = 0_u64;
        while !bytes.is_empty() {
            let step = take_varint(&mut bytes)?;
            let count = take_varint(&mut bytes)?;
            class = class.checked_add(step).ok_or(NoHistogram)?;
            let is_next = step > 0 || classes.is_empty();
            if !is_next || count == 0 || class > LAST {
                return Err(NoHistogram);
            }
            classes.insert(class, count);
        }
        Ok(Histogram { classes })
    }

    fn add(&mut self, class: u64, count: u64) {
        let sum = self.classes.entry(class).or_default();
        *sum = sum.saturating_add(count);
    }
}

/// The class that a time falls into.
fn class_of(micros: u64) -> u64 {
    if micros < PARTS {
        return micros;
    }
    let shift = micros.ilog2() - PART_BITS;
    PARTS * u64::from(shift) + (micros >> shift)
}

/// The middle of the least and the greatest time of a class.
fn middle_of(class: u64) -> f64 {
    if class < PARTS {
        return class as f64;
    }
    let shift = class / PARTS - 1;
    let width = (1_u64 << shift) as f64;
    let least = (PARTS + class % PARTS) as f64 * width;
    least + (width - 1.0) / 2.0
}

fn put_varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Result<u64, NoHistogram> {
    let mut value = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = bytes.split_first().ok_or(NoHistogram)?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if part << shift >> shift != part {
            return Err(NoHistogram);
        }
        value |= part << shift;
        if byte & 0x80 == 0 {
            // One number is written in one way: no part of it is empty but the first.
            let is_short = part > 0 || shift == 0;
            return is_short.then_some(value).ok_or(NoHistogram);
        }
    }
    Err(NoHistogram)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// What the pages promise.
    const BOUND: f64 = 0.0079;

    fn of(times: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        times.iter().for_each(|time| histogram.record(*time));
        histogram
    }

    /// Times of every size: as many below a millisecond as above a minute.
    fn times() -> impl Strategy<Value = u64> {
        (0..64_u32, any::<u64>()).prop_map(|(bits, any)| any >> bits)
    }

    #[test]
    fn each_class_begins_where_the_one_before_ends() {
        assert_eq!(class_of(0), 0);
        assert_eq!(class_of(63), 63);
        assert_eq!(class_of(64), 64);
        assert_eq!(class_of(127), 127);
        assert_eq!(class_of(128), 128);
        assert_eq!((class_of(129), class_of(130)), (128, 129));
        assert_eq!(class_of(u64::MAX), LAST);
        assert_eq!(
            (middle_of(63), middle_of(127), middle_of(128)),
            (63.0, 127.0, 128.5)
        );
    }

    #[test]
    fn nothing_has_no_quantile_and_one_time_is_all_of_them() {
        assert_eq!(Histogram::default().quantile(0.5), None);
        let one = of(&[42]);
        for q in [0.0, 0.5, 1.0, -1.0, 2.0] {
            assert_eq!(one.quantile(q), Some(42.0));
        }
        let hundred = of(&(1..=50).flat_map(|time| [time, time]).collect::<Vec<_>>());
        assert_eq!(hundred.quantile(0.5), Some(25.0));
        assert_eq!(hundred.quantile(0.95), Some(48.0));
        assert_eq!(hundred.quantile(0.99), Some(50.0));
    }

    #[test]
    fn bytes_that_are_none_are_refused() {
        assert_eq!(Histogram::decode(&[]), Ok(Histogram::default()));
        let endless = [0xff_u8; 12];
        for bad in [
            &[1][..],
            &[1, 0],
            &[1, 1, 0, 1],
            &[0x80],
            &[0x80, 0x00, 1],
            &endless,
            &[0x80, 0x80, 0x01, 1],
        ] {
            assert_eq!(Histogram::decode(bad), Err(NoHistogram), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn quantiles_are_near_the_exact_ones(mut all in vec(times(), 1..300), q in 0.0..=1.0) {
            let told = of(&all).quantile(q).unwrap();
            all.sort_unstable();
            let rank = ((q * all.len() as f64).ceil() as usize).max(1);
            let exact = all[rank - 1] as f64;
            prop_assert!((told - exact).abs() <= BOUND * exact, "{told} for {exact}");
        }

        #[test]
        fn merging_is_counting_all_together(a in vec(times(), 0..100), b in vec(times(), 0..100)) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(merged.count(), (a.len() + b.len()) as u64);
            prop_assert_eq!(merged, of(&[a, b].concat()));
        }

        #[test]
        fn what_is_written_is_read_back(all in vec(times(), 0..100)) {
            let histogram = of(&all);
            prop_assert_eq!(Histogram::decode(&histogram.encode()), Ok(histogram));
        }

        #[test]
        fn whatever_is_read_is_written_the_same(bytes in vec(any::<u8>(), 0..12)) {
            if let Ok(histogram) = Histogram::decode(&bytes) {
                prop_assert_eq!(histogram.encode(), bytes);
            }
        }
    }
}
