//! Markdown as it stands in an API's description. Markup in it is shown as text, and never taken as such.

use pulldown_cmark::{CowStr, Event, LinkType, Options, Parser, Tag, TagEnd, html};

use crate::html::Html;
use crate::language::Language;

/// The whole text.
pub fn render(markdown: &str) -> Html {
    let harmless = events(markdown).filter_map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
        Event::Start(Tag::HtmlBlock) => Some(Event::Start(Tag::Paragraph)),
        Event::End(TagEnd::HtmlBlock) => Some(Event::End(TagEnd::Paragraph)),
        // A picture would be loaded from somewhere.
        Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
        // Only what begins with a scheme of the web leads anywhere.
        Event::Start(Tag::Link { dest_url, .. }) if !is_web(&dest_url) => {
            Some(link(CowStr::Borrowed("#")))
        }
        Event::Start(Tag::Link { dest_url, .. }) => Some(link(dest_url)),
        other => Some(other),
    });
    let mut markup = String::new();
    html::push_html(&mut markup, harmless);
    // A heading without words is none to a screen reader.
    Html::new(markup.replace("<th></th>", "<td></td>"))
}

/// What a text consists of. Where a line of Japanese goes on in the next, nothing stands between the two.
fn events(markdown: &str) -> impl Iterator<Item = Event<'_>> {
    let mut is_after_japanese = false;
    Parser::new_ext(markdown, Options::ENABLE_TABLES).filter(move |event| {
        if let Event::Text(text) = event {
            is_after_japanese = text.chars().next_back().is_some_and(|c| c >= '\u{3000}');
        }
        !(matches!(event, Event::SoftBreak) && is_after_japanese)
    })
}

fn link(dest_url: CowStr<'_>) -> Event<'_> {
    Event::Start(Tag::Link {
        link_type: LinkType::Inline,
        dest_url,
        title: CowStr::Borrowed(""),
        id: CowStr::Borrowed(""),
    })
}

fn is_web(url: &str) -> bool {
    let url = url.to_ascii_lowercase();
    url.starts_with("https://") || url.starts_with("http://")
}

/// The first paragraph that is in this language, as plain text; the first of all where none is.
pub fn first_paragraph(markdown: &str, language: Language) -> String {
    let mut paragraphs = Vec::new();
    let mut current: Option<String> = None;
    for event in events(markdown) {
        match event {
            Event::Start(Tag::Paragraph) => current = Some(String::new()),
            Event::End(TagEnd::Paragraph) => paragraphs.extend(current.take()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(current) = &mut current {
                    current.push_str(&text);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some(current) = &mut current {
                    current.push(' ');
                }
            }
            _ => {}
        }
    }
    let wanted = language == Language::Ja;
    let mut in_language = paragraphs.iter().filter(|text| is_japanese(text) == wanted);
    let first = in_language.next().or(paragraphs.first());
    first.cloned().unwrap_or_default()
}

/// Whether there are kana in a text.
fn is_japanese(text: &str) -> bool {
    text.chars().any(|c| ('\u{3041}'..='\u{30ff}').contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_within_is_text() {
        let html = render(
            "a <script>alert(1)</script>\n\n<img src=x onerror=y>\n\n[l](javascript:x) ![i](/p)",
        );
        for bad in ["<script", "<img", "javascript:"] {
            assert!(!html.as_str().contains(bad), "{html}");
        }
        assert!(html.as_str().contains("&lt;script&gt;"));
    }

    #[test]
    fn tables_and_code_are_shown() {
        let html = render("**bold** `code`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n");
        for part in ["<strong>bold</strong>", "<code>code</code>", "<td>1</td>"] {
            assert!(html.as_str().contains(part), "{html}");
        }
    }

    #[test]
    fn the_first_paragraph_follows_the_language() {
        let text = "2つの数を\n足します。\n\nAdds `a`\nand b.\n";
        assert_eq!(first_paragraph(text, Language::Ja), "2つの数を足します。");
        assert_eq!(first_paragraph(text, Language::En), "Adds a and b.");
        assert_eq!(first_paragraph("Only this.", Language::Ja), "Only this.");
        assert_eq!(first_paragraph("", Language::Ja), "");
    }
}
