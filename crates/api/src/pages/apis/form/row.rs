//! Many numbers on their way into one array.

use super::field::Range;
use super::misfit::What;
use super::number::json_number;

/// Numbers that become an array.
pub(super) struct Row<'a> {
    each: &'a Range,
    /// The array as JSON, but for its end.
    pub(super) text: String,
    /// How many they are.
    pub(super) count: u64,
    /// What is wrong with the first that is wrong.
    pub(super) misfit: Option<What>,
}

impl<'a> Row<'a> {
    /// None so far; each may be what the range says.
    pub(super) fn new(each: &'a Range) -> Self {
        Row {
            each,
            text: "[".into(),
            count: 0,
            misfit: None,
        }
    }

    /// Takes a number, as JSON writes it.
    pub(super) fn push(&mut self, number: &str) {
        if self.count > 0 {
            self.text.push(',');
        }
        self.text.push_str(number);
        self.count += 1;
        if self.misfit.is_none() {
            let what = self.each.misfit(number);
            let place = usize::try_from(self.count).unwrap_or(usize::MAX);
            self.misfit = what.map(|what| What::Item(place, Box::new(what)));
        }
    }

    /// Takes numbers that stand one a line, or with blanks or commas between them.
    ///
    /// # Errors
    /// The first line in which something is none.
    pub(super) fn take_pasted(&mut self, text: &str) -> Result<(), What> {
        for (n, line) in text.lines().enumerate() {
            let words = line.split([',', '\t', ' ', '\u{3000}', ';']).map(str::trim);
            for word in words.filter(|word| !word.is_empty()) {
                let number = json_number(word);
                let number = number.ok_or_else(|| What::no_number_in_line(n + 1, word))?;
                self.push(&number);
            }
        }
        Ok(())
    }
}

impl Range {
    /// What is wrong with a number, as JSON writes it.
    pub(super) fn misfit(&self, number: &str) -> Option<What> {
        let value: f64 = number.parse().ok()?;
        let is = |bound: Option<f64>, wrong: fn(f64, f64) -> bool| {
            bound.filter(|bound| wrong(value, *bound))
        };
        // 5.0 is an integer to JSON Schema (draft 2020-12, section 4.2.2).
        if self.integer && value.fract() != 0.0 {
            return Some(What::NoInteger);
        }
        let least = is(self.least, |value, bound| value < bound).map(What::Under);
        let above = is(self.above, |value, bound| value <= bound).map(What::NotAbove);
        let most = is(self.most, |value, bound| value > bound).map(What::Over);
        let below = is(self.below, |value, bound| value >= bound).map(What::NotBelow);
        least.or(above).or(most).or(below)
    }
}
