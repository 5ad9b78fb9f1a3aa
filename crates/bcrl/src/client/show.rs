//! How single values are shown to a person: dates, times, sizes, text of strangers, columns.

use chrono::{Local, TimeDelta};
use job_core::date::Date;
use unicode_width::UnicodeWidthStr;

/// A date in the zone of whoever looks, to the second.
pub(super) fn local(date: Date) -> String {
    let moment = date.moment().with_timezone(&Local);
    moment.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// The time of a date that is near, in the zone of whoever looks, to the second.
pub(super) fn local_time(date: Date) -> String {
    let moment = date.moment().with_timezone(&Local);
    moment.format("%H:%M:%S").to_string()
}

/// How long something took: milliseconds at first, coarser as it gets longer.
pub(super) fn time(delta: TimeDelta) -> String {
    let millis = delta.num_milliseconds().max(0);
    let (seconds, minutes, hours) = (millis / 1000, millis / 60_000, millis / 3_600_000);
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{seconds}.{} s", millis % 1000 / 100),
        60..3600 => format!("{minutes} m {:02} s", seconds % 60),
        _ => format!("{hours} h {:02} m", minutes % 60),
    }
}

/// A size in bytes, kB, MB or GB.
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        1_000_000..1_000_000_000 => format!("{} MB", bytes / 1_000_000),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// Text from scripts and servers on one line: what would move the cursor or change colours becomes a space.
pub(super) fn plain(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.trim_end().chars().map(visible).collect()
}

/// Text of a script or server, its further lines indented.
pub(super) fn plain_lines(text: &str) -> String {
    text.lines().map(plain).collect::<Vec<_>>().join("\n  ")
}

/// Rows under their heads, in columns as wide as they need to be; two spaces apart, none at a line's end.
pub(super) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let head = head.map(str::to_owned);
    let lines: Vec<[String; N]> = std::iter::once(&head)
        .chain(rows)
        .map(|row| row.each_ref().map(|cell| plain(cell)))
        .collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        lines
            .iter()
            .map(|row| row[column].width())
            .max()
            .unwrap_or(0)
    });
    lines
        .iter()
        .map(|row| {
            let cells = row
                .iter()
                .zip(widths)
                .map(|(cell, width)| padded(cell, width));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect::<Vec<_>>()
        .join("\n")
}

/// Names and values in two columns. Further lines of a value stand below its first.
pub(super) fn fields(fields: &[(&str, String)]) -> String {
    let name_width = fields
        .iter()
        .map(|(name, _)| name.width())
        .max()
        .unwrap_or(0);
    let mut lines = Vec::new();
    for (name, value) in fields {
        let mut name = *name;
        for line in value.lines() {
            lines.push(format!("{}  {}", padded(name, name_width), plain(line)));
            name = "";
        }
    }
    lines.join("\n")
}

fn padded(text: &str, to: usize) -> String {
    format!("{text}{}", " ".repeat(to.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other_also_in_japanese() {
        let rows = [
            ["add", "足し算API", "POST /api/v1/add"].map(str::to_owned),
            ["soc", "State of charge", "-"].map(str::to_owned),
        ];
        assert_eq!(
            table(["name", "label", "route"], &rows),
            "name  label            route\n\
             add   足し算API        POST /api/v1/add\n\
             soc   State of charge  -"
        );
    }

    #[test]
    fn an_empty_table_is_its_head() {
        assert_eq!(table(["id", "api"], &[]), "id  api");
    }

    #[test]
    fn further_lines_of_a_value_stand_below_its_first() {
        assert_eq!(
            fields(&[
                ("api", "soc".into()),
                ("failure", "timeout:\nlast words".into())
            ]),
            "api      soc\nfailure  timeout:\n         last words"
        );
    }

    #[test]
    fn a_script_cannot_move_the_cursor() {
        assert_eq!(plain("a\u{1b}[2Jb\u{9b}c\n"), "a [2Jb c");
        assert_eq!(table(["x"], &[["a\nb".to_owned()]]), "x\na b");
    }

    #[test]
    fn times_get_coarser_as_they_get_longer() {
        for (millis, shown) in [
            (-5, "0 ms"),
            (40, "40 ms"),
            (3_260, "3.2 s"),
            (59_999, "59.9 s"),
            (130_000, "2 m 10 s"),
            (7_384_000, "2 h 03 m"),
        ] {
            assert_eq!(time(TimeDelta::milliseconds(millis)), shown);
        }
    }

    #[test]
    fn sizes_are_short() {
        for (bytes, shown) in [
            (0, "0 B"),
            (1_500, "1 kB"),
            (12_345_678, "12 MB"),
            (2_500_000_000, "2.5 GB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }
}
