//! Places in texts, and what fills them.

/// Fills in the named places of a text.
#[must_use]
pub fn fill(text: &str, places: &[(&str, &str)]) -> String {
    let mut filled = String::with_capacity(text.len() + 16);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, after)) = after.split_once('}') else {
            break;
        };
        filled.push_str(before);
        let value = places.iter().find(|(place, _)| *place == name);
        filled.push_str(value.map_or("", |(_, value)| value));
        rest = after;
    }
    filled.push_str(rest);
    filled
}

/// The form of a text that fits `n`, with `{n}` filled in.
#[must_use]
pub fn plural(text: &str, n: i64) -> String {
    let form = match text.split_once('|') {
        Some((one, _)) if n == 1 => one,
        Some((_, more)) => more,
        None => text,
    };
    fill(form, &[("n", &n.to_string())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_and_plurals_are_filled_in() {
        assert_eq!(fill("{a} of {b}", &[("a", "1"), ("b", "{a}")]), "1 of {a}");
        assert_eq!(fill("50 {", &[]), "50 {");
        assert_eq!(plural("1 new|{n} new", 1), "1 new");
        assert_eq!(plural("1 new|{n} new", 0), "0 new");
        assert_eq!(plural("{n} 件", 1), "1 件");
    }
}
