//! Where an axis begins and ends, and its round ticks.

use crate::number;

/// No axis has more ticks than this, whatever rounding makes of it.
const MOST_TICKS: f64 = 20.0;

/// The range of an axis, with ticks at round numbers. Its ends, its width and its step are finite, and it has a width.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    pub(super) low: f64,
    pub(super) high: f64,
    step: f64,
}

impl Axis {
    /// An axis from `low` to `high` as they are, with about so many ticks on it; nothing where there are no numbers for
    /// it, at the ends of what is finite or too near to zero.
    pub(super) fn tight(low: f64, high: f64, ticks: u32) -> Option<Self> {
        let (low, high) = widened(low, high);
        let step = round_step(high - low, ticks);
        Axis { low, high, step }.sound()
    }

    /// The same, ending at ticks.
    pub(super) fn loose(low: f64, high: f64, ticks: u32) -> Option<Self> {
        let Axis { low, high, step } = Axis::tight(low, high, ticks)?;
        let axis = Axis {
            low: (low / step).floor() * step,
            high: (high / step).ceil() * step,
            step,
        };
        axis.sound()
    }

    /// The axis, where one can count and draw along it.
    fn sound(self) -> Option<Self> {
        let width = self.high - self.low;
        let is_sound = self.step.is_normal() && width.is_finite() && width > 0.0;
        is_sound.then_some(self)
    }

    /// The ticks, with their texts.
    pub(super) fn ticks(&self) -> Vec<(f64, String)> {
        // A hair of room: what is a tick but for rounding is one.
        let first = (self.low / self.step - 1e-6).ceil();
        let last = (self.high / self.step + 1e-6).floor();
        // Between two round numbers there is none.
        let count = (last - first + 1.0).clamp(0.0, MOST_TICKS) as u32;
        let values = (0..count).map(|n| (first + f64::from(n)) * self.step);
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
    use proptest::prelude::*;

    use super::*;

    fn texts(axis: Option<Axis>) -> Vec<String> {
        axis.unwrap()
            .ticks()
            .into_iter()
            .map(|(_, text)| text)
            .collect()
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(
            texts(Axis::loose(0.8703, 0.9, 5)),
            ["0.87", "0.88", "0.89", "0.90"]
        );
        assert_eq!(
            texts(Axis::tight(0.0, 600.0, 6)),
            ["0", "100", "200", "300", "400", "500", "600"]
        );
        assert_eq!(
            texts(Axis::loose(-3.0, 7.0, 5)),
            ["−4", "−2", "0", "2", "4", "6", "8"]
        );
        assert_eq!(texts(Axis::tight(0.0, 2.5e9, 5))[1], "5.0e8");
    }

    #[test]
    fn a_constant_has_room_above_and_below() {
        for value in [0.0, 1.0, -4.2, 1e9, 1e-9] {
            let axis = Axis::loose(value, value, 5).unwrap();
            assert!(axis.low < value && value < axis.high, "{axis:?}");
            assert!((2..=12).contains(&axis.ticks().len()), "{axis:?}");
        }
    }

    /// Any finite number, and often one where numbers end.
    fn finite() -> impl Strategy<Value = f64> {
        let ends = [0.0, 5e-324, f64::MIN_POSITIVE, 1.0, 1.7e308, f64::MAX];
        let ends = prop::sample::select(ends.to_vec());
        prop_oneof![
            any::<u64>().prop_map(f64::from_bits),
            (ends, any::<bool>()).prop_map(|(end, is_negative)| if is_negative {
                -end
            } else {
                end
            }),
        ]
        .prop_filter("finite", |number| number.is_finite())
    }

    proptest! {
        #[test]
        fn an_axis_holds_what_it_is_for_and_has_few_ticks(one in finite(), other in finite(), ticks in 1..9_u32) {
            let (low, high) = (one.min(other), one.max(other));
            for axis in [Axis::tight(low, high, ticks), Axis::loose(low, high, ticks)].into_iter().flatten() {
                let slack = axis.step * 0.01;
                prop_assert!(axis.low <= low + slack && high <= axis.high + slack, "{axis:?}");
                prop_assert!((axis.high - axis.low).is_finite(), "{axis:?}");
                let found = axis.ticks();
                prop_assert!(found.len() as f64 <= MOST_TICKS, "{axis:?}: {} ticks", found.len());
                for (value, text) in found {
                    prop_assert!(axis.low - slack <= value && value <= axis.high + slack, "{axis:?}: {value}");
                    prop_assert!(text.len() < 40, "{axis:?}: {text}");
                }
            }
        }
    }

    #[test]
    fn where_numbers_end_there_is_no_axis() {
        for (low, high) in [
            (-5e-324, 5e-324),
            (0.0, 1.7e308),
            (-8e307, 8e307),
            (1.7e308, 1.7e308),
            (-1e308, 1e308),
        ] {
            assert_eq!(Axis::loose(low, high, 5), None, "{low} to {high}");
        }
        assert!(Axis::loose(0.0, 1e308, 5).is_some());
        assert_eq!(texts(Axis::tight(-1.5e274, -5e273, 1)).len(), 0);
        assert_eq!(texts(Axis::tight(0.0, f64::MAX, 5)).len(), 4);
    }
}
