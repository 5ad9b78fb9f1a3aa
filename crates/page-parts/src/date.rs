//! Dates and times as people read them, in the zone of the site.

use job_core::date::Date;

use crate::html::Html;
use crate::language::Language;

/// A moment, to the second and with its offset; the element has it to the millisecond (RFC 3339).
pub fn moment(date: Date) -> Html {
    let shown = date.moment().format("%Y-%m-%d %H:%M:%S");
    let offset = date.moment().format("%:z");
    Html::new(format!(
        "<time datetime=\"{date}\">{shown} <span class=\"offset\">{offset}</span></time>"
    ))
}

/// How long something takes, in the two largest units that it has.
pub fn duration(milliseconds: i64, language: Language) -> String {
    let seconds = milliseconds.max(0) / 1000;
    let unit = |ja, en| language.say(ja, en);
    let two = |large: i64, large_unit: &str, small: i64, small_unit: &str| {
        let gap = language.say("", " ");
        format!("{large}{gap}{large_unit} {small}{gap}{small_unit}")
    };
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let (day, hour) = (unit("日", "d"), unit("時間", "h"));
    let (minute, second) = (unit("分", "min"), unit("秒", "s"));
    if days > 0 {
        two(days, day, hours % 24, hour)
    } else if hours > 0 {
        two(hours, hour, minutes % 60, minute)
    } else if minutes > 0 {
        two(minutes, minute, seconds % 60, second)
    } else {
        let tenths = milliseconds.max(0) / 100;
        let gap = language.say("", " ");
        format!("{}.{}{gap}{second}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_shown_in_its_own_zone() {
        let date: Date = "2026-11-21T21:25:12.822+09:00".parse().unwrap();
        assert_eq!(
            moment(date).as_str(),
            "<time datetime=\"2026-11-21T21:25:12.822+09:00\">2026-11-21 21:25:12 \
             <span class=\"offset\">+09:00</span></time>"
        );
    }

    #[test]
    fn a_duration_has_its_two_largest_units() {
        for (milliseconds, ja, en) in [
            (-5, "0.0秒", "0.0 s"),
            (1_250, "1.2秒", "1.2 s"),
            (61_000, "1分 1秒", "1 min 1 s"),
            (7_260_000, "2時間 1分", "2 h 1 min"),
            (604_800_000, "7日 0時間", "7 d 0 h"),
        ] {
            assert_eq!(duration(milliseconds, Language::Ja), ja);
            assert_eq!(duration(milliseconds, Language::En), en);
        }
    }
}
