//! Keeps a result small: a model reads all of it.

use serde_json::Value;

/// Bytes of a result, about 12,000 tokens.
pub(super) const BYTES: usize = 48 << 10;
/// Characters of a text, at first and at last.
const TEXT: [usize; 3] = [2000, 500, 100];

/// Cuts a result to [`BYTES`]: long texts first, then the longest lists, of which the first entries stay. Returns
/// what was cut, in words.
pub(super) fn fit(value: &mut Value) -> Vec<String> {
    let mut cut = Vec::new();
    if cut_texts(value, TEXT[0]) {
        cut.push(format!("texts to {} characters", TEXT[0]));
    }
    while size(value) > BYTES {
        let Some(list) = longest(value) else {
            break;
        };
        cut.push(halve(value, &list));
    }
    for most in &TEXT[1..] {
        if size(value) > BYTES && cut_texts(value, *most) {
            cut.push(format!("texts to {most} characters"));
        }
    }
    cut
}

/// Bytes of a value as JSON.
pub(super) fn size(value: &Value) -> usize {
    value.to_string().len()
}

/// Whether a text was longer.
fn cut_texts(value: &mut Value, most: usize) -> bool {
    match value {
        Value::String(text) => {
            let end = text.char_indices().nth(most).map(|(at, _)| at);
            if let Some(at) = end {
                text.truncate(at);
                text.push('…');
            }
            end.is_some()
        }
        Value::Array(items) => cut_each(items.iter_mut(), most),
        Value::Object(fields) => cut_each(fields.values_mut(), most),
        _ => false,
    }
}

/// Cuts the texts in all of these.
fn cut_each<'a>(values: impl Iterator<Item = &'a mut Value>, most: usize) -> bool {
    let mut cut = false;
    for value in values {
        cut |= cut_texts(value, most);
    }
    cut
}

/// Where the list is that has the most bytes, of those with two entries or more.
fn longest(value: &Value) -> Option<String> {
    let mut lists = Vec::new();
    collect(value, &mut String::new(), &mut lists);
    lists.into_iter().max().map(|(_, path)| path)
}

/// All lists with two entries or more, with their bytes and where they are.
fn collect(value: &Value, path: &mut String, lists: &mut Vec<(usize, String)>) {
    let length = path.len();
    let mut below = |name: &str, value: &Value| {
        path.push('/');
        path.push_str(&name.replace('~', "~0").replace('/', "~1"));
        if value.as_array().is_some_and(|items| items.len() > 1) {
            lists.push((size(value), path.clone()));
        }
        collect(value, path, lists);
        path.truncate(length);
    };
    match value {
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                below(&n.to_string(), item);
            }
        }
        Value::Object(fields) => fields.iter().for_each(|(name, of)| below(name, of)),
        _ => {}
    }
}

/// Keeps the first half of the list at `path`.
fn halve(value: &mut Value, path: &str) -> String {
    let list = value.pointer_mut(path).and_then(Value::as_array_mut);
    let (had, kept) = list.map_or((0, 0), |items| {
        let had = items.len();
        items.truncate(had / 2);
        (had, had / 2)
    });
    format!("{path}: {kept} of {had} entries")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_longest_lists_and_texts_are_cut_until_all_fits() {
        let short = json!({"items": [1, 2, 3]});
        let mut value = short.clone();
        assert!(fit(&mut value).is_empty());
        assert_eq!(value, short);

        let mut value = json!({
            "id": "x",
            "few": [1, 2],
            "history": {"many": vec!["m".repeat(500); 400]},
            "note": "ü".repeat(3000),
        });
        let cut = fit(&mut value);
        assert!(size(&value) <= BYTES, "{}", size(&value));
        assert_eq!(value["few"], json!([1, 2]));
        assert_eq!(value["note"].as_str().unwrap().chars().count(), 2001);
        assert_eq!(cut[0], "texts to 2000 characters");
        assert_eq!(cut[1], "/history/many: 200 of 400 entries");

        let labels = (0..200).map(|n| (format!("l{n}"), json!("v".repeat(1000))));
        let mut value = json!({"labels": labels.collect::<serde_json::Map<_, _>>()});
        assert_eq!(
            fit(&mut value),
            ["texts to 500 characters", "texts to 100 characters"]
        );
        assert!(size(&value) <= BYTES, "{}", size(&value));
    }
}
