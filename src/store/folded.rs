//! Looking for a text in whatever case.
//!
//! What the databases fold by themselves differs: SQLite knows capitals of ASCII alone, PostgreSQL those of its
//! locale. So a text that is not ASCII becomes a pattern that lists each character's cases, as Unicode has
//! them where they are one character each; one that is ASCII is looked for as both fold it, which is faster.

use sea_orm::sea_query::{Expr, ExprTrait as _, Func, LikeExpr, SimpleExpr};
use sea_orm::{ColumnTrait, DbBackend};

/// Whether a column has this text in it, with nothing special in it.
pub(super) fn contains(column: impl ColumnTrait, text: &str, backend: DbBackend) -> Expr {
    let column = column.into_expr();
    if !text.is_ascii() {
        return match backend {
            DbBackend::Postgres => matches(column, regex(text)),
            _ => glob(column, text),
        };
    }
    let escaped = text
        .to_ascii_lowercase()
        .replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_");
    let pattern = LikeExpr::new(format!("%{escaped}%")).escape('\\');
    Expr::expr(Func::lower(column)).like(pattern)
}

/// Whether bytes, which need not be text, have this text in them. PostgreSQL writes what is not ASCII as `\ooo`,
/// so what is looked for is written likewise.
pub(super) fn contains_in_bytes(
    column: impl ColumnTrait,
    text: &str,
    backend: DbBackend,
) -> SimpleExpr {
    let bytes = Expr::col(column);
    match backend {
        DbBackend::Postgres => {
            let written = Func::cust("encode").arg(bytes).arg("escape").into();
            if text.is_ascii() {
                let text = octal(&text.to_ascii_lowercase());
                let at = Func::cust("strpos").arg(Func::lower(written)).arg(text);
                return Expr::expr(at).gt(0);
            }
            matches(written, regex_in_octal(text))
        }
        _ if text.is_ascii() => {
            let lower = Func::lower(bytes.cast_as("text"));
            let at = Func::cust("instr")
                .arg(lower)
                .arg(text.to_ascii_lowercase());
            Expr::expr(at).gt(0)
        }
        _ => glob(bytes.cast_as("text"), text),
    }
}

/// A pattern of SQLite's `GLOB`.
fn glob(column: SimpleExpr, text: &str) -> SimpleExpr {
    let mut pattern = String::from("*");
    for c in text.chars() {
        match (cases(c).as_slice(), c) {
            ([_], '*' | '?' | '[') => pattern.extend(['[', c, ']']),
            ([_], _) => pattern.push(c),
            (cases, _) => {
                pattern.push('[');
                pattern.extend(cases);
                pattern.push(']');
            }
        }
    }
    pattern.push('*');
    Expr::cust_with_exprs("? GLOB ?", [column, Expr::val(pattern)])
}

fn matches(column: SimpleExpr, pattern: String) -> SimpleExpr {
    Expr::cust_with_exprs("$1 ~ $2", [column, Expr::val(pattern)])
}

/// A regular expression of PostgreSQL.
fn regex(text: &str) -> String {
    text.chars()
        .map(|c| match cases(c).as_slice() {
            [c] => escaped(&c.to_string()),
            cases => format!("[{}]", cases.iter().collect::<String>()),
        })
        .collect()
}

/// The same, for what [`octal`] writes, where a character is several.
fn regex_in_octal(text: &str) -> String {
    let written = |c: &char| escaped(&octal(&c.to_string()));
    text.chars()
        .map(|c| match cases(c).as_slice() {
            [c] => written(c),
            cases => {
                let cases: Vec<String> = cases.iter().map(written).collect();
                format!("(?:{})", cases.join("|"))
            }
        })
        .collect()
}

/// With nothing special in it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// As PostgreSQL's `encode(…, 'escape')` writes it. A NUL, which it cannot be asked for, is left out.
fn octal(text: &str) -> String {
    text.bytes().fold(String::new(), |mut octal, byte| {
        match byte {
            b'\\' => octal.push_str("\\\\"),
            1..=0x7f => octal.push(char::from(byte)),
            _ => octal.push_str(&format!("\\{byte:03o}")),
        }
        octal
    })
}

/// A character and its other cases, each once.
fn cases(c: char) -> Vec<char> {
    let mut cases = vec![c];
    let one = |mut all: Vec<char>| (all.len() == 1).then(|| all.remove(0));
    let upper = |c: char| one(c.to_uppercase().collect());
    let lower = |c: char| one(c.to_lowercase().collect());
    let others = [
        lower(c),
        upper(c),
        upper(c).and_then(lower),
        lower(c).and_then(upper),
        // At a word's end.
        matches!(c, 'σ' | 'Σ').then_some('ς'),
    ];
    for other in others.into_iter().flatten() {
        if !cases.contains(&other) {
            cases.push(other);
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_has_the_cases_that_are_one_character() {
        for (c, expected) in [
            ('a', "aA"),
            ('7', "7"),
            ('Ü', "Üü"),
            ('д', "дД"),
            ('ß', "ß"),
            ('ẞ', "ẞß"),
            ('σ', "σΣς"),
            ('ς', "ςΣσ"),
            ('磁', "磁"),
        ] {
            let mut found = cases(c);
            let mut expected: Vec<char> = expected.chars().collect();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{c}");
        }
    }

    #[test]
    fn no_character_in_a_search_text_is_special() {
        assert_eq!(regex("ä.b"), "[äÄ]\\.[bB]");
        assert_eq!(
            regex_in_octal("ä\\"),
            "(?:\\\\303\\\\244|\\\\303\\\\204)\\\\\\\\"
        );
    }
}
