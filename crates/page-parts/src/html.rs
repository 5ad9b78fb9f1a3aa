//! Markup that was made here, which templates take as it is.

use std::fmt;

/// Markup in which everything that came from outside has been escaped already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Takes markup; whoever calls it has escaped what is not its own.
    pub(crate) fn new(markup: String) -> Self {
        Html(markup)
    }

    /// The markup.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for Html {}

/// Text as it stands in markup, in elements and in attributes between double quotes.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn what_ends_an_element_or_an_attribute_is_escaped() {
        assert_eq!(
            escape(r#"<script a="b">'&'"#),
            "&lt;script a=&quot;b&quot;&gt;&#39;&amp;&#39;"
        );
    }
}
