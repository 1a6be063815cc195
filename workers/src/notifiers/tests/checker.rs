//! Telegram's HTML, read strictly.

/// Reads HTML as strictly as Telegram could, and returns the text that is shown.
pub(super) fn shown(html: &str) -> Result<String, String> {
    let mut shown = String::new();
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find(['<', '>', '&', '"']) {
        shown.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('&') {
            let entities = [
                ("&amp;", '&'),
                ("&lt;", '<'),
                ("&gt;", '>'),
                ("&quot;", '"'),
            ];
            let (entity, c) = entities
                .into_iter()
                .find(|(entity, _)| rest.starts_with(entity))
                .ok_or_else(|| format!("a bare & in {html}"))?;
            shown.push(c);
            rest = &rest[entity.len()..];
            continue;
        }
        let (tag, after) = rest
            .strip_prefix('<')
            .and_then(|tag| tag.split_once('>'))
            .ok_or_else(|| format!("a bare {} in {html}", &rest[..1]))?;
        rest = after;
        if let Some(closed) = tag.strip_prefix('/') {
            if open.pop() != Some(closed) {
                return Err(format!("{closed} is closed and was not open in {html}"));
            }
        } else if let Some(href) = tag
            .strip_prefix("a href=\"")
            .and_then(|t| t.strip_suffix('"'))
        {
            let plain = shown_attribute(href)?;
            if !plain.starts_with("https://") && !plain.starts_with("http://") {
                return Err(format!("a link to {plain}"));
            }
            open.push("a");
        } else if ["b", "i", "code"].contains(&tag) && open.is_empty() {
            open.push(tag);
        } else {
            return Err(format!("<{tag}> in {open:?} in {html}"));
        }
    }
    shown.push_str(rest);
    if open.is_empty() {
        Ok(shown)
    } else {
        Err(format!("{open:?} stay open in {html}"))
    }
}

fn shown_attribute(value: &str) -> Result<String, String> {
    if value.contains(['<', '>', '"']) {
        return Err(format!("unescaped: {value}"));
    }
    shown(value)
}

#[test]
fn the_checker_refuses_what_telegram_would() {
    for broken in [
        "<b>",
        "</b>",
        "<b><i></b></i>",
        "a & b",
        "a < b",
        "<u>x</u>",
        "\"",
        "&nbsp;",
    ] {
        assert!(shown(broken).is_err(), "{broken}");
    }
    let fine = "a &amp; <b>b&lt;</b><a href=\"https://x/?a=1&amp;b=2\">c</a>";
    assert_eq!(shown(fine).as_deref(), Ok("a & b<c"));
}
