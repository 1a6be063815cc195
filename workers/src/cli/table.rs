//! Tables for people: two spaces between columns, one rule, and no line wider than the terminal.

use std::env;

use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, LineStyle, Row, Table};
use comfy_table::{TableStyle, Width};

/// The width where there is no terminal to ask.
const PIPED_WIDTH: u16 = 120;
/// Spaces between two columns.
const GAP: u16 = 2;
/// What cells are broken at: nothing that is in them, so that a cut is where the space ends.
const NO_WORDS: char = '\0';
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─'));

/// The width and colours of the output.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// Columns of text.
    pub width: u16,
    /// Whether colours are wanted.
    pub colour: bool,
}

impl Terminal {
    /// What the standard output can show: colours only on a terminal where `NO_COLOR` is not set.
    pub fn of_stdout() -> Self {
        let probe = Table::new();
        let declined = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            width: probe
                .width()
                .filter(|width| *width > 0)
                .unwrap_or(PIPED_WIDTH),
            colour: probe.is_tty() && !declined,
        }
    }

    /// An empty table with these column heads.
    pub fn table(self, heads: &[&str]) -> Table {
        let mut table = Table::new();
        table
            .load_style(STYLE)
            .set_delimiter(NO_WORDS)
            .force_no_tty();
        if self.colour {
            table.enforce_styling();
        }
        table.set_header(
            heads
                .iter()
                .map(|head| cell(head).add_attribute(Attribute::Bold)),
        );
        table
    }

    /// The table as text. If it is too wide, the columns named in `shrink` give way in that order,
    /// each down to its least width.
    pub fn render(self, mut table: Table, shrink: &[(usize, u16)]) -> String {
        let last = table.column_count().saturating_sub(1);
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, if index == last { 0 } else { GAP }));
        }
        let widths = table.column_max_content_widths();
        let gaps = GAP * u16::try_from(last).unwrap_or(0);
        let total = widths
            .iter()
            .fold(gaps, |sum, width| sum.saturating_add(*width));
        let mut excess = total.saturating_sub(self.width);
        for &(index, least) in shrink {
            let Some((column, width)) = table.column_mut(index).zip(widths.get(index)) else {
                continue;
            };
            let given = excess.min(width.saturating_sub(least));
            if given > 0 {
                excess -= given;
                let width = Width::Fixed(width - given + column.padding_width());
                column.set_constraint(ColumnConstraint::Absolute(width));
            }
        }
        table.trim_fmt()
    }
}

/// A row of one line: what does not fit is cut and marked with "…".
pub fn line(cells: Vec<Cell>) -> Row {
    let mut row = Row::from(cells);
    row.max_height(1);
    row
}

/// A cell.
pub fn cell(text: &str) -> Cell {
    Cell::new(text)
}

/// A cell of secondary interest.
pub fn dim(text: &str) -> Cell {
    cell(text).add_attribute(Attribute::Dim)
}

/// A cell that should be seen.
pub fn attention(text: &str) -> Cell {
    cell(text).fg(Color::Yellow)
}

/// A figure.
pub fn figure(value: Option<i64>) -> Cell {
    cell(&value.map_or_else(|| "-".to_owned(), |value| value.to_string()))
}

/// Aligns columns of figures, heads included, to the right.
pub fn align_right(table: &mut Table, columns: impl IntoIterator<Item = usize>) {
    for index in columns {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// An incident's status in its colour.
pub fn status(status: &str) -> Cell {
    match status {
        "OPEN" => cell(status).fg(Color::Red),
        "ANALYZING" | "ACKNOWLEDGED" => cell(status).fg(Color::Yellow),
        "RESOLVED" => cell(status).fg(Color::Green),
        _ => cell(status),
    }
}

/// A level in its colour, by its word.
pub fn level(level: &str) -> Cell {
    match level {
        "NEEDS PERMANENT FIX" => cell(level).fg(Color::Red).add_attribute(Attribute::Bold),
        "ESCALATE" => cell(level).fg(Color::Red),
        "REPEAT" => cell(level).fg(Color::Yellow),
        _ => dim(level),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(width: u16, colour: bool) -> String {
        let look = Terminal { width, colour };
        let mut table = look.table(&["TITLE", "STATUS", "COUNT"]);
        align_right(&mut table, [2]);
        table.add_row(line(vec![
            cell("Pods of checkout-api are restarting"),
            status("OPEN"),
            figure(Some(12)),
        ]));
        table.add_row(line(vec![
            cell("Köln 東京 is late"),
            status("NEW"),
            figure(None),
        ]));
        look.render(table, &[(0, 10)])
    }

    #[test]
    fn a_column_gives_way_until_the_table_fits() {
        insta::assert_snapshot!(render(32, false), @"
        TITLE              STATUS  COUNT
        ────────────────────────────────
        Pods of checkout…  OPEN       12
        Köln 東京 is late  NEW         -
        ");
        insta::assert_snapshot!(render(100, false), @"
        TITLE                                STATUS  COUNT
        ──────────────────────────────────────────────────
        Pods of checkout-api are restarting  OPEN       12
        Köln 東京 is late                    NEW         -
        ");
    }

    #[test]
    fn no_column_gives_way_below_its_least_width() {
        let widest = render(1, false)
            .lines()
            .map(|line| line.chars().count())
            .max();
        assert_eq!(widest, Some(10 + 2 + 6 + 2 + 5));
    }

    #[test]
    fn colours_appear_only_where_they_are_wanted() {
        assert!(render(80, true).contains('\u{1b}'));
        assert!(!render(80, false).contains('\u{1b}'));
    }
}
