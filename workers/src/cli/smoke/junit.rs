//! The report as JUnit XML, as pipelines read it: a suite for each source, a case for each link.

use std::fmt::Write as _;

use super::report::{Outcome, Report, Step};

/// The whole document.
pub(super) fn xml(report: &Report) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let all = || report.sources.iter().flat_map(|source| &source.steps);
    // Writing to a string cannot fail.
    let _ = writeln!(
        xml,
        "<testsuites name=\"tocsin smoke\" {}>",
        sums(&all().collect::<Vec<_>>())
    );
    for source in &report.sources {
        let name = escaped(&source.source);
        let sums = sums(&source.steps.iter().collect::<Vec<_>>());
        let _ = writeln!(xml, "  <testsuite name=\"{name}\" {sums}>");
        for step in &source.steps {
            xml.push_str(&case(&name, step));
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

fn sums(steps: &[&Step]) -> String {
    let count = |outcome| steps.iter().filter(|step| step.outcome == outcome).count();
    let ms: u64 = steps.iter().filter_map(|step| step.ms).sum();
    format!(
        "tests=\"{}\" failures=\"{}\" errors=\"0\" skipped=\"{}\" time=\"{}\"",
        steps.len(),
        count(Outcome::Failed),
        count(Outcome::Skipped),
        seconds(ms)
    )
}

fn case(source: &str, step: &Step) -> String {
    let time = seconds(step.ms.unwrap_or_default());
    let link = step.link.name();
    let opening = format!(
        "    <testcase classname=\"tocsin.smoke.{source}\" name=\"{link}\" time=\"{time}\""
    );
    let detail = escaped(&step.detail);
    match step.outcome {
        Outcome::Ok => format!("{opening}/>\n"),
        Outcome::Skipped => {
            format!("{opening}>\n      <skipped message=\"{detail}\"/>\n    </testcase>\n")
        }
        Outcome::Failed => {
            let hint = escaped(step.hint.unwrap_or_default());
            format!(
                "{opening}>\n      <failure message=\"{detail}\">{hint}</failure>\n    </testcase>\n"
            )
        }
    }
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

/// A text as XML has it; characters that XML cannot have are left out.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(' '),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => {}
            c => escaped.push(c),
        }
    }
    escaped
}
