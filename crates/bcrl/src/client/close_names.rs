//! Which name was meant by one that does not exist.

/// The offered names that are close to `name`, closest first; all of them, in their order, where none is close.
pub(super) fn closest<'a>(name: &str, offered: impl Iterator<Item = &'a str>) -> Vec<String> {
    let offered: Vec<&str> = offered.collect();
    let allowed = 1 + name.chars().count() / 3;
    let mut close: Vec<(usize, &str)> = offered
        .iter()
        .map(|candidate| (distance(&name.to_lowercase(), candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= allowed || candidate.starts_with(name))
        .collect();
    close.sort();
    let names = if close.is_empty() {
        offered
    } else {
        close.into_iter().map(|(_, name)| name).collect()
    };
    names.into_iter().map(str::to_owned).collect()
}

/// How many characters must be put in, left out or replaced to make one name the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_levenshtein() {
        for (one, other, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("add", "add", 0),
            ("kitten", "sitting", 3),
            ("soc", "cos", 2),
        ] {
            assert_eq!(distance(one, other), expected, "{one} {other}");
            assert_eq!(distance(other, one), expected, "{other} {one}");
        }
    }

    #[test]
    fn close_names_come_first_and_else_all_are_told() {
        let offered = ["add", "fit", "soc", "soh"];
        assert_eq!(closest("soc2", offered.into_iter()), ["soc", "soh"]);
        assert_eq!(closest("ADD", offered.into_iter()), ["add"]);
        assert_eq!(closest("unheard-of", offered.into_iter()).len(), 4);
    }
}
