//! Lines of a message, written as HTML, for chats like Slack, as Markdown for Discord, as a card of Teams, or as
//! plain text.
//!
//! A line knows its own length as its reader counts it, and markup is never cut: what does not fit
//! goes as a whole line.

use reqwest::Url;
use serde_json::{Value, json};
use tocsin::domain::id::ShortId;
use uuid::Uuid;

/// One part of a line.
#[derive(Clone, Debug)]
enum Span {
    Symbol(&'static str),
    Text(String),
    Bold(String),
    Code(String),
    Id(Uuid),
    Link(&'static str, Url),
}

/// One line.
#[derive(Clone, Debug, Default)]
pub(super) struct Line(Vec<Span>);

impl Line {
    /// A line without anything in it.
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// A symbol that leads the line; plain text goes without.
    pub(super) fn symbol(self, symbol: &'static str) -> Self {
        self.with(Span::Symbol(symbol))
    }

    /// Text as it is.
    pub(super) fn text(self, text: impl Into<String>) -> Self {
        self.with(Span::Text(text.into()))
    }

    /// Text that stands out.
    pub(super) fn bold(self, text: impl Into<String>) -> Self {
        self.with(Span::Bold(text.into()))
    }

    /// A name to copy, in which the reader's program looks for no links.
    pub(super) fn code(self, text: impl Into<String>) -> Self {
        self.with(Span::Code(text.into()))
    }

    /// An incident's id, short where a person reads it. Plain text has all of it.
    pub(super) fn id(self, id: Uuid) -> Self {
        self.with(Span::Id(id))
    }

    /// A link.
    pub(super) fn link(self, label: &'static str, url: Url) -> Self {
        self.with(Span::Link(label, url))
    }

    /// What sets two parts apart, unless the line is still empty.
    pub(super) fn dot(self) -> Self {
        if self.is_empty() {
            self
        } else {
            self.text(" · ")
        }
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As plain text.
    pub(super) fn plain(&self) -> String {
        self.0.iter().map(Span::plain).collect()
    }

    /// What is seen of it.
    pub(super) fn shown(&self) -> String {
        self.0.iter().map(Span::shown).collect()
    }

    fn html(&self) -> String {
        self.0.iter().map(Span::html).collect()
    }

    /// Its length after entity parsing, in UTF-16 code units.
    fn html_units(&self) -> usize {
        let units = |span: &Span| span.shown().encode_utf16().count();
        self.0.iter().map(units).sum()
    }

    fn chat(&self) -> String {
        let line: String = self.0.iter().map(Span::chat).collect();
        // To Markdown it says what `[name]` elsewhere leads to, and is not shown.
        match line.starts_with('[') {
            true => line.replacen("]:", &format!("]{APART}:"), 1),
            false => line,
        }
    }

    fn markdown(&self) -> String {
        let line: String = self.0.iter().map(Span::markdown).collect();
        match line.starts_with(['-', '+']) {
            true => format!("\\{line}"),
            false => line,
        }
    }

    /// As parts of a text of an Adaptive Card, in which nothing acts. What is in links is left out.
    pub(super) fn runs(&self) -> Vec<Value> {
        if self.links().next().is_some() {
            return Vec::new();
        }
        self.0.iter().map(Span::run).collect()
    }

    /// Its links.
    pub(super) fn links(&self) -> impl Iterator<Item = (&'static str, &Url)> {
        self.0.iter().filter_map(|span| match span {
            Span::Link(label, url) => Some((*label, url)),
            _ => None,
        })
    }

    fn with(mut self, span: Span) -> Self {
        self.0.push(span);
        self
    }
}

impl Span {
    /// What the reader of the HTML sees.
    fn shown(&self) -> String {
        match self {
            Self::Symbol(symbol) => format!("{symbol} "),
            Self::Text(text) | Self::Bold(text) | Self::Code(text) => text.clone(),
            Self::Id(id) => ShortId::of(*id).to_string(),
            Self::Link(label, _) => (*label).to_owned(),
        }
    }

    fn html(&self) -> String {
        let shown = escape(&self.shown());
        match self {
            Self::Symbol(_) | Self::Text(_) => shown,
            Self::Bold(_) => format!("<b>{shown}</b>"),
            Self::Code(_) | Self::Id(_) => format!("<code>{shown}</code>"),
            Self::Link(_, url) => format!("<a href=\"{}\">{shown}</a>", escape(url.as_str())),
        }
    }

    /// As [`plain`](Self::plain), with symbols, and without anything that Slack, Mattermost or Discord
    /// would take for a link that shows another address than its own, or for a call to everybody.
    fn chat(&self) -> String {
        let shown = match self {
            Self::Symbol(_) => self.shown(),
            // What keeps characters apart would be part of the address.
            Self::Link(label, url) => {
                let url = kept_apart(url.as_str(), ["%5D", "%40"]);
                format!("{label} {url}")
            }
            _ => kept_apart(&self.plain(), [&format!("]{APART}"), &format!("@{APART}")]),
        };
        let mut escaped = String::with_capacity(shown.len());
        for c in shown.chars() {
            match c {
                '&' => escaped.push_str("&amp;"),
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                c => escaped.push(c),
            }
        }
        escaped
    }

    fn markdown(&self) -> String {
        let shown = self.shown();
        match self {
            Self::Symbol(_) => shown,
            Self::Text(_) => escape_markdown(&shown),
            Self::Bold(_) => format!("**{}**", escape_markdown(&shown)),
            // Within these nothing is escaped.
            Self::Code(_) if shown.contains('`') => escape_markdown(&shown),
            Self::Code(_) | Self::Id(_) => format!("`{shown}`"),
            Self::Link(_, url) => {
                let url = encoded(url.as_str(), "()*~`|");
                format!("[{}](<{url}>)", escape_markdown(&shown))
            }
        }
    }

    fn run(&self) -> Value {
        let mut run = json!({"type": "TextRun", "text": self.shown()});
        match self {
            Self::Bold(_) => run["weight"] = "Bolder".into(),
            Self::Code(_) | Self::Id(_) => run["fontType"] = "Monospace".into(),
            Self::Symbol(_) | Self::Text(_) | Self::Link(..) => {}
        }
        run
    }

    fn plain(&self) -> String {
        match self {
            Self::Symbol(_) => String::new(),
            Self::Text(text) | Self::Bold(text) | Self::Code(text) => text.clone(),
            Self::Id(id) => id.to_string(),
            Self::Link(label, url) => format!("{label} {url}"),
        }
    }
}

/// Keeps two characters apart that would act together. It is not seen, and neither Slack nor Markdown know
/// it, where a backslash is one more character to Slack.
const APART: char = '\u{200b}';
/// Who is called by `@`: by Mattermost the second to the last, by Discord the first two.
const EVERYBODY: [&str; 4] = ["everyone", "here", "channel", "all"];

/// A text in which these stand for the `]` before a `(`, which in Markdown makes what is before it the
/// name of a link, and for the `@` that calls everybody.
fn kept_apart(text: &str, [bracket, at]: [&str; 2]) -> String {
    let mut apart = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find([']', '@']) {
        let (before, from) = rest.split_at(found);
        let (sign, after) = from.split_at(1);
        let calls = |name: &&str| {
            let said = after.get(..name.len());
            said.is_some_and(|said| said.eq_ignore_ascii_case(name))
        };
        apart.push_str(before);
        apart.push_str(match sign {
            "]" if after.starts_with('(') => bracket,
            "@" if EVERYBODY.iter().any(calls) => at,
            sign => sign,
        });
        rest = after;
    }
    apart.push_str(rest);
    apart
}

/// As HTML that shows at most `limit` UTF-16 code units. The lines come most important first; from
/// the first that does not fit, they are left out.
pub(super) fn html(lines: &[Line], limit: usize) -> String {
    let written = lines.iter().map(|line| (line.html(), line.html_units()));
    fitting(written, limit)
}

/// As text for Slack and what is like it, at most `limit` UTF-16 code units of it, likewise.
pub(super) fn chat(lines: &[Line], limit: usize) -> String {
    let written = lines.iter().map(Line::chat);
    let written = written.map(|line| {
        let units = line.encode_utf16().count();
        (line, units)
    });
    fitting(written, limit)
}

/// As Markdown for Discord, at most `limit` UTF-16 code units of it, likewise.
pub(super) fn markdown(lines: &[Line], limit: usize) -> String {
    let written = lines.iter().map(Line::markdown);
    let written = written.map(|line| {
        let units = line.encode_utf16().count();
        (line, units)
    });
    fitting(written, limit)
}

/// As plain text.
pub(super) fn plain(lines: &[Line]) -> String {
    let lines: Vec<String> = lines.iter().map(Line::plain).collect();
    lines.join("\n")
}

/// What acts in Discord's Markdown, where a backslash before it keeps it from that.
const ACTS_IN_MARKDOWN: &str = "\\*_~`|<>[]()#@";

/// An address in which these characters are percent-encoded.
fn encoded(url: &str, acting: &str) -> String {
    let mut encoded = String::with_capacity(url.len());
    for c in url.chars() {
        match acting.contains(c) {
            true => encoded.push_str(&format!("%{:02X}", u32::from(c))),
            false => encoded.push(c),
        }
    }
    encoded
}

/// Text in which nothing acts as Markdown.
pub(super) fn escape_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if ACTS_IN_MARKDOWN.contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// Lines with their lengths, as many of them as fit.
fn fitting(lines: impl Iterator<Item = (String, usize)>, limit: usize) -> String {
    let mut text = String::new();
    let mut units = 0;
    for (line, length) in lines {
        let line_break = usize::from(!text.is_empty());
        units += line_break + length;
        if units > limit {
            break;
        }
        if line_break > 0 {
            text.push('\n');
        }
        text.push_str(&line);
    }
    text
}

/// Escapes for text and for quoted attributes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// What the reader sees of HTML that [`html`] wrote, with the addresses of links behind them.
pub(super) fn without(html: &str) -> String {
    let mut plain = String::with_capacity(html.len());
    let (mut rest, mut address) = (html, None);
    while let Some(at) = rest.find(['<', '&']) {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        let end = from.find(['>', ';']).map_or(from.len(), |end| end + 1);
        let (mark, after) = from.split_at(end);
        rest = after;
        match mark {
            "&amp;" => plain.push('&'),
            "&lt;" => plain.push('<'),
            "&gt;" => plain.push('>'),
            "&quot;" => plain.push('"'),
            "</a>" => {
                let address = address.take().map(without).unwrap_or_default();
                plain.push(' ');
                plain.push_str(&address);
            }
            _ => {
                let link = from.strip_prefix("<a href=\"");
                if let Some((to, after)) = link.and_then(|link| link.split_once("\">")) {
                    address = Some(to);
                    rest = after;
                }
            }
        }
    }
    plain.push_str(rest);
    plain
}

#[cfg(test)]
mod tests;
