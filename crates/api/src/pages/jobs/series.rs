//! Many numbers in a row, of which only as much is kept as a plot can show.

use page_parts::chart::Span;

/// So many pieces are kept at most: more than a plot has columns.
const MOST: usize = 4_096;

/// The numbers of one array: each of them where they are few, else the smallest and largest of each piece.
///
/// Two arrays of one length are cut into the same pieces, so that one can be drawn over the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// How many numbers there are.
    pub count: u64,
    /// The smallest of all.
    pub low: f64,
    /// The largest of all.
    pub high: f64,
    /// Each is larger than the one before.
    pub rises: bool,
    last: f64,
    /// So many numbers are in each piece but the last.
    size: u64,
    pieces: Vec<(f64, f64)>,
}

impl Default for Series {
    fn default() -> Self {
        Series {
            count: 0,
            low: f64::INFINITY,
            high: f64::NEG_INFINITY,
            rises: true,
            last: f64::NEG_INFINITY,
            size: 1,
            pieces: Vec::new(),
        }
    }
}

impl Series {
    /// Takes the next number.
    pub fn push(&mut self, value: f64) {
        if self.count.is_multiple_of(self.size) {
            if self.pieces.len() == MOST {
                self.halve();
            }
            self.pieces.push((value, value));
        } else if let Some((low, high)) = self.pieces.last_mut() {
            *low = low.min(value);
            *high = high.max(value);
        }
        self.rises &= value > self.last;
        self.last = value;
        self.low = self.low.min(value);
        self.high = self.high.max(value);
        self.count += 1;
    }

    /// Puts each two neighbours together.
    fn halve(&mut self) {
        let pairs = self.pieces.chunks(2).map(|pair| {
            let joined =
                |(low, high): (f64, f64), next: &(f64, f64)| (low.min(next.0), high.max(next.1));
            pair.iter().skip(1).fold(pair[0], joined)
        });
        self.pieces = pairs.collect();
        self.size *= 2;
    }

    /// The numbers over those of another array of the same length that rises, or over their own places, from 0.
    pub fn over(&self, places: Option<&Series>) -> Vec<Span> {
        let places = places.filter(|places| places.count == self.count && places.rises);
        let pieces = self.pieces.iter().enumerate();
        let span = |(n, (low, high)): (usize, &(f64, f64))| {
            let (from, to) = match places {
                Some(places) => places.pieces[n],
                None => {
                    let first = n as u64 * self.size;
                    let last = (first + self.size).min(self.count) - 1;
                    (first as f64, last as f64)
                }
            };
            Span {
                from,
                to,
                low: *low,
                high: *high,
            }
        };
        pieces.map(span).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: impl IntoIterator<Item = f64>) -> Series {
        let mut series = Series::default();
        values.into_iter().for_each(|value| series.push(value));
        series
    }

    #[test]
    fn few_numbers_are_kept_as_they_are() {
        let (times, values) = (of([0.0, 0.5, 2.0]), of([3.0, 1.0, 2.0]));
        assert!(times.rises && !values.rises);
        let span = |at, value| Span {
            from: at,
            to: at,
            low: value,
            high: value,
        };
        assert_eq!(
            values.over(Some(&times)),
            [span(0.0, 3.0), span(0.5, 1.0), span(2.0, 2.0)]
        );
        assert_eq!(values.over(None)[2], span(2.0, 2.0));
        assert_eq!(values.over(Some(&values))[1].from, 1.0, "it does not rise");
    }

    #[test]
    fn of_many_numbers_every_extreme_is_kept() {
        let count = 3 * MOST + 1;
        let at = |n: usize| f64::from(u32::try_from(n).unwrap());
        let times = of((0..count).map(at));
        let values = of((0..count).map(|n| if n == 5_000 { 9.0 } else { 1.0 }));
        let spans = values.over(Some(&times));
        assert!(spans.len() <= MOST);
        assert_eq!(
            (values.count, spans.last().unwrap().to),
            (count as u64, at(count - 1))
        );
        let highest: Vec<_> = spans.iter().filter(|span| span.high == 9.0).collect();
        assert_eq!(highest.len(), 1);
        assert!(highest[0].from <= 5_000.0 && 5_000.0 <= highest[0].to && highest[0].low == 1.0);
        assert_eq!(values.over(None), spans);
    }
}
