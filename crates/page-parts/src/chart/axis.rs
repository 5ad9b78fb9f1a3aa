//! Where an axis begins and ends, and its round ticks.

use crate::number;

/// The range of an axis, with ticks at round numbers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    step: f64,
}

impl Axis {
    /// An axis from `low` to `high` as they are, with about so many ticks on it.
    pub(super) fn tight(low: f64, high: f64, ticks: u32) -> Self {
        let (low, high) = widened(low, high);
        Axis {
            low,
            high,
            step: round_step(high - low, ticks),
        }
    }

    /// The same, ending at ticks.
    pub(super) fn loose(low: f64, high: f64, ticks: u32) -> Self {
        let Axis { low, high, step } = Axis::tight(low, high, ticks);
        Axis {
            low: (low / step).floor() * step,
            high: (high / step).ceil() * step,
            step,
        }
    }

    /// The ticks, with their texts.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        // A hair of room: what is a tick but for rounding is one.
        let slack = self.step * 1e-6;
        let first = ((self.low - slack) / self.step).ceil();
        let last = ((self.high + slack) / self.step).floor();
        let count = (last - first) as u32;
        let values = (0..=count).map(|n| (first + f64::from(n)) * self.step);
        values.map(|value| (value, self.text(value))).collect()
    }

    fn text(&self, value: f64) -> String {
        let largest = self.low.abs().max(self.high.abs());
        if largest >= 1e7 || self.step < 1e-5 {
            let digits = (largest / self.step).log10().ceil().clamp(0.0, 12.0) as usize;
            return format!("{value:.digits$e}").replace('-', "−");
        }
        let decimals = (-self.step.log10().floor()).clamp(0.0, 9.0) as usize;
        number::fixed(value, decimals)
    }
}

/// A range that is none is given some width.
fn widened(low: f64, high: f64) -> (f64, f64) {
    if high - low > low.abs().max(high.abs()) * 1e-12 {
        return (low, high);
    }
    let around = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
    (low - around, high + around)
}

/// 1, 2 or 5 times a power of ten, so that there are at most about so many steps.
fn round_step(width: f64, ticks: u32) -> f64 {
    let rough = width / f64::from(ticks);
    let power = 10f64.powf(rough.log10().floor());
    let factors = [1.0, 2.0, 5.0];
    let fits = factors.into_iter().find(|factor| factor * power >= rough);
    fits.unwrap_or(10.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis) -> Vec<String> {
        axis.ticks().into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            texts(&Axis::loose(0.8703, 0.9, 5)),
            ["0.87", "0.88", "0.89", "0.90"]
        );
        assert_eq!(
            texts(&Axis::tight(0.0, 600.0, 6)),
            ["0", "100", "200", "300", "400", "500", "600"]
        );
        assert_eq!(
            texts(&Axis::loose(-3.0, 7.0, 5)),
            ["−4", "−2", "0", "2", "4", "6", "8"]
        );
        assert_eq!(texts(&Axis::tight(0.0, 2.5e9, 5))[1], "5.0e8");
    }

    #[test]
    fn a_constant_has_room_above_and_below() {
        for value in [0.0, 1.0, -4.2, 1e9, 1e-9] {
            let axis = Axis::loose(value, value, 5);
            assert!(axis.low < value && value < axis.high, "{axis:?}");
            assert!((2..=12).contains(&axis.ticks().len()), "{axis:?}");
        }
    }
}
