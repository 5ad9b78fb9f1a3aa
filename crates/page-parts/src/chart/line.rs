//! A line over an axis: one value for each place, or the smallest and largest of many.

use std::fmt::Write;

use super::axis::Axis;
use crate::html::{Html, escape};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 72.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 56.0;
/// The plot is so many columns wide; none of them holds more than two points of the line.
const COLUMNS: usize = (WIDTH - LEFT - RIGHT) as usize;

/// Values in a row, at one place each or, where there are many, between two places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// Where the first of them lies.
    pub from: f64,
    /// Where the last of them lies.
    pub to: f64,
    /// The smallest of them.
    pub low: f64,
    /// The largest of them.
    pub high: f64,
}

/// A line.
#[derive(Debug, Clone, PartialEq)]
pub struct Line<'a> {
    /// Tells this plot's elements from another's on one page: letters, digits and hyphens.
    pub id: &'a str,
    /// What it shows.
    pub title: &'a str,
    /// The same in a sentence or two, for whoever does not see it.
    pub description: &'a str,
    /// The name of the places, with their unit.
    pub x_label: &'a str,
    /// The name of the values, with their unit.
    pub y_label: &'a str,
    /// The values, from left to right.
    pub spans: &'a [Span],
}

impl Line<'_> {
    /// Whether there are more values than columns, so that a column shows the smallest and largest of several.
    pub fn is_condensed(spans: &[Span]) -> bool {
        spans.len() > COLUMNS || spans.iter().any(|span| span.from < span.to)
    }

    /// The plot; nothing where there is no value, or no scale for the values.
    pub fn draw(&self) -> Option<Html> {
        let first = self.spans.first()?;
        let (x_low, x_high) = (first.from, self.spans.last()?.to);
        let low = self
            .spans
            .iter()
            .map(|span| span.low)
            .fold(f64::INFINITY, f64::min);
        let high = self
            .spans
            .iter()
            .map(|span| span.high)
            .fold(f64::NEG_INFINITY, f64::max);
        let (x, y) = (Axis::tight(x_low, x_high, 7)?, Axis::loose(low, high, 5)?);
        let mut svg = String::new();
        self.frame(&mut svg);
        grid(&mut svg, &x, &y);
        self.labels(&mut svg);
        let path = path(self.spans, &x, &y);
        let _ = write!(svg, "<path class=\"line\" d=\"{path}\"/>\n</svg>");
        Some(Html::new(svg))
    }

    fn frame(&self, svg: &mut String) {
        let (id, title, description) = (self.id, escape(self.title), escape(self.description));
        let _ = writeln!(
            svg,
            "<svg class=\"plot\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             aria-labelledby=\"{id}-title {id}-description\">\n<title id=\"{id}-title\">{title}</title>\n\
             <desc id=\"{id}-description\">{description}</desc>"
        );
    }

    fn labels(&self, svg: &mut String) {
        let (x_label, y_label) = (escape(self.x_label), escape(self.y_label));
        let (middle, bottom) = (LEFT + COLUMNS as f64 / 2.0, HEIGHT - 10.0);
        let side = TOP + (HEIGHT - TOP - BOTTOM) / 2.0;
        let _ = writeln!(
            svg,
            "<text class=\"label\" x=\"{middle}\" y=\"{bottom}\" text-anchor=\"middle\">{x_label}</text>\n\
             <text class=\"label\" transform=\"translate(16 {side}) rotate(-90)\" text-anchor=\"middle\">{y_label}</text>"
        );
    }
}

fn grid(svg: &mut String, x: &Axis, y: &Axis) {
    let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
    for (value, text) in y.ticks() {
        let at = across(value, y);
        let (side, baseline) = (LEFT - 8.0, at + 4.5);
        let _ = writeln!(
            svg,
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{right}\"/>\n\
             <text class=\"tick\" x=\"{side}\" y=\"{baseline:.1}\" text-anchor=\"end\">{text}</text>"
        );
    }
    for (value, text) in x.ticks() {
        let at = along(value, x);
        let (end, baseline) = (bottom + 5.0, bottom + 20.0);
        let _ = writeln!(
            svg,
            "<path class=\"axis\" d=\"M{at:.1} {bottom}V{end}\"/>\n\
             <text class=\"tick\" x=\"{at:.1}\" y=\"{baseline}\" text-anchor=\"middle\">{text}</text>"
        );
    }
    let _ = writeln!(svg, "<path class=\"axis\" d=\"M{LEFT} {bottom}H{right}\"/>");
}

fn along(value: f64, x: &Axis) -> f64 {
    LEFT + (value - x.low) / (x.high - x.low) * COLUMNS as f64
}

fn across(value: f64, y: &Axis) -> f64 {
    let bottom = HEIGHT - BOTTOM;
    bottom - (value - y.low) / (y.high - y.low) * (bottom - TOP)
}

/// The line: through every value where there is room, else through the smallest and largest of each column.
fn path(spans: &[Span], x: &Axis, y: &Axis) -> String {
    let condensed = Line::is_condensed(spans);
    let mut path = String::new();
    let mut last_y = None;
    let mut point = |at: f64, value: f64| {
        let command = if last_y.is_none() { 'M' } else { 'L' };
        let down = across(value, y);
        let _ = write!(path, "{command}{at:.1} {down:.1}");
        last_y = Some(value);
    };
    if !condensed {
        for span in spans {
            point(along(span.from, x), span.low);
        }
        return path;
    }
    let mut before = None;
    for (column, low, high) in columns(spans, x) {
        let at = LEFT + column as f64 + 0.5;
        // The nearer of the two first, so that the line does not jump more than the values do.
        let rises = before.is_none_or(|before: f64| (before - low).abs() <= (before - high).abs());
        let (one, two) = if rises { (low, high) } else { (high, low) };
        point(at, one);
        if low < high {
            point(at, two);
        }
        before = Some(two);
    }
    path
}

/// The columns that hold values, with the smallest and largest of each.
fn columns(spans: &[Span], x: &Axis) -> Vec<(usize, f64, f64)> {
    let mut columns: Vec<(usize, f64, f64)> = Vec::with_capacity(COLUMNS);
    for span in spans {
        let middle = along(span.from / 2.0 + span.to / 2.0, x) - LEFT;
        let column = (middle.max(0.0) as usize).min(COLUMNS - 1);
        match columns.last_mut() {
            Some((last, low, high)) if *last == column => {
                *low = low.min(span.low);
                *high = high.max(span.high);
            }
            _ => columns.push((column, span.low, span.high)),
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(values: impl IntoIterator<Item = f64>) -> Vec<Span> {
        let values = values.into_iter().enumerate();
        let at = |n| f64::from(u32::try_from(n).unwrap());
        values
            .map(|(n, value)| Span {
                from: at(n),
                to: at(n),
                low: value,
                high: value,
            })
            .collect()
    }

    fn line(spans: &[Span]) -> Line<'_> {
        Line {
            id: "soc",
            title: "soc",
            description: "3 values from 0.5 to 1",
            x_label: "Time [s]",
            y_label: "soc <&>",
            spans,
        }
    }

    #[test]
    fn a_small_plot_is_drawn_through_every_value() {
        insta::assert_snapshot!(line(&spans([1.0, 0.5, 0.75])).draw().unwrap());
    }

    #[test]
    fn a_large_plot_stays_small_and_keeps_every_extreme() {
        let mut values: Vec<f64> = (0..100_000).map(|n| (f64::from(n) / 50.0).sin()).collect();
        values[77_777] = 9.75;
        let spans = spans(values);
        assert!(Line::is_condensed(&spans));
        let svg = line(&spans).draw().unwrap();
        assert!(svg.as_str().len() < 20_000, "{} bytes", svg.as_str().len());
        // The one value that stands out is the highest point of the path.
        let axis = Axis::loose(-1.0, 9.75, 5).unwrap();
        assert!(
            svg.as_str()
                .contains(&format!(" {:.1}L", across(9.75, &axis)))
        );
    }

    #[test]
    fn what_has_no_scale_is_not_drawn() {
        assert_eq!(line(&[]).draw(), None);
        for values in [[-1e308, 1e308], [0.0, 1.7e308], [-5e-324, 5e-324]] {
            assert_eq!(line(&spans(values)).draw(), None, "{values:?}");
            let places = values.map(|at| Span {
                from: at,
                to: at,
                low: 1.0,
                high: 1.0,
            });
            let drawn = line(&places).draw();
            let text = drawn.as_ref().map_or("", |svg| svg.as_str());
            assert!(!text.contains("inf") && !text.contains("NaN"), "{text}");
        }
        assert!(line(&spans([5.0])).draw().is_some());
    }
}
