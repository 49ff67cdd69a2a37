//! What is said of all cases: on the terminal, a line each in a file, and in the documents.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{Outcome, STEPS, Verdict};

/// Of a set of cases.
#[derive(Clone, Copy, Default)]
struct Counts {
    cases: usize,
    /// Passed, failed, not supported.
    float: [usize; 3],
    int8: [usize; 3],
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        let place = |verdict: &Verdict| match verdict {
            Verdict::Passed => 0,
            Verdict::Failed(_) => 1,
            Verdict::Unsupported(_) => 2,
        };
        self.cases += 1;
        self.float[place(&outcome.float)] += 1;
        self.int8[place(&outcome.int8)] += 1;
    }
}

fn counted<'a>(outcomes: &'a [Outcome], key: impl Fn(&'a Outcome) -> &'a str) -> BTreeMap<&'a str, Counts> {
    let mut all: BTreeMap<&str, Counts> = BTreeMap::new();
    outcomes.iter().for_each(|outcome| all.entry(key(outcome)).or_default().add(outcome));
    all
}

/// The table, what went wrong, and why the others are not supported.
#[must_use]
pub fn terminal(outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    let head = "operator                  cases    float passed  failed  not supported    int8 passed  failed  no form";
    out += head;
    out.push('\n');
    let mut line = |name: &str, c: Counts| {
        let ([fp, ff, fu], [ip, if_, iu]) = (c.float, c.int8);
        writeln!(out, "{name:<24} {:>6}    {fp:>12}  {ff:>6}  {fu:>13}    {ip:>11}  {if_:>6}  {iu:>7}", c.cases).ok();
    };
    counted(outcomes, |o| &o.operator).into_iter().for_each(|(name, counts)| line(name, counts));
    for (group, counts) in counted(outcomes, |o| &o.group) {
        line(&format!("group {}", if group.is_empty() { "(none)" } else { group }), counts);
    }
    let mut all = Counts::default();
    outcomes.iter().for_each(|outcome| all.add(outcome));
    line("together", all);
    for (what, of) in [("float", (|o| &o.float) as fn(&Outcome) -> &Verdict), ("int8", |o| &o.int8)] {
        for outcome in outcomes.iter().filter(|o| matches!(of(o), Verdict::Failed(_))) {
            writeln!(out, "FAILED {} ({what}): {}", outcome.case, of(outcome).reason()).ok();
        }
    }
    writeln!(out, "not supported in float:").ok();
    for (reason, cases) in reasons(outcomes, |o| &o.float) {
        writeln!(out, "  {reason}: {}", cases.join(", ")).ok();
    }
    out
}

/// Reasons, each with the cases that end for it.
fn reasons(outcomes: &[Outcome], of: fn(&Outcome) -> &Verdict) -> BTreeMap<&str, Vec<&str>> {
    let mut all: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for outcome in outcomes {
        if let Verdict::Unsupported(reason) = of(outcome) {
            all.entry(reason).or_default().push(&outcome.case);
        }
    }
    all
}

/// A line for each case: case, operator, group, float, int8, reason.
#[must_use]
pub fn tsv(outcomes: &[Outcome]) -> String {
    let mut out = "case\top\tgroup\tfloat\tint8\treason\n".to_owned();
    for Outcome { case, operator, group, float, int8 } in outcomes {
        let reason = if *float == Verdict::Passed { int8.reason() } else { float.reason() };
        let reason = reason.replace(['\t', '\n', '\r'], " ");
        writeln!(out, "{case}\t{operator}\t{group}\t{}\t{}\t{reason}", float.word(), int8.word()).ok();
    }
    out
}

/// First words of the line with the numbers that [`passes`] reads.
const SUM: &str = "Passed in float: ";

/// The page of the documents.
#[must_use]
pub fn document(outcomes: &[Outcome]) -> String {
    let mut out = String::new();
    let mut all = Counts::default();
    outcomes.iter().for_each(|outcome| all.add(outcome));
    let intro = format!(
        "# Conformance\n\nONNX's own tests of its operators (`onnx/backend/test/data/node` of onnx 1.17.0, those that \
         `../shared/conformance` has), run on the\nnetworks that the converter reads. This page is written by\n\n\
         ```sh\ncargo xtask conformance ../shared/conformance/onnx-node.tar --document docs/conformance.md\n```\n\n\
         and a test checks that nothing fails and that no fewer pass. **Float** is our f32 network beside ONNX's values, \
         within ONNX's own\ntolerance (relative 1e-3, absolute 1e-7). **int8** is the converted file, calibrated on the case's own \
         input, beside our f32 network on\nthe same int8 input: within {STEPS} steps of the output's scale. Batches, which programs \
         do not take, are dimensions here; inputs that\nmust be known before (weights, axes, shapes) are constants.\n\n"
    );
    out += &intro;
    let [fp, ip] = [all.float[0], all.int8[0]];
    writeln!(out, "{SUM}{fp} of {}; in int8: {ip}.\n", all.cases).ok();
    let table = |out: &mut String, what: &str, rows: BTreeMap<&str, Counts>| {
        writeln!(
            out,
            "| {what} | cases | float passed | failed | not supported | int8 passed | failed | no int8 form |"
        )
        .ok();
        *out += "|---|---|---|---|---|---|---|---|\n";
        for (name, c) in rows {
            let ([fp, ff, fu], [ip, if_, iu]) = (c.float, c.int8);
            let name = if name.is_empty() { "(none)" } else { name };
            writeln!(out, "| {name} | {} | {fp} | {ff} | {fu} | {ip} | {if_} | {iu} |", c.cases).ok();
        }
        out.push('\n');
    };
    table(&mut out, "group", counted(outcomes, |o| &o.group));
    table(&mut out, "operator", counted(outcomes, |o| &o.operator));
    for (title, of) in
        [("Not supported in float", (|o| &o.float) as fn(&Outcome) -> &Verdict), ("Without an int8 form", |o| &o.int8)]
    {
        writeln!(out, "## {title}\n").ok();
        for (reason, cases) in reasons(outcomes, of) {
            if reason == "not supported in float" {
                continue;
            }
            let cases: Vec<String> =
                cases.iter().map(|case| format!("`{}`", case.trim_start_matches("test_"))).collect();
            // A bar or an asterisk would be markup.
            let reason = reason.replace('|', "\\|").replace('*', "\\*");
            writeln!(out, "- {reason}: {}", cases.join(", ")).ok();
        }
        out.push('\n');
    }
    out.truncate(out.trim_end().len());
    out.push('\n');
    out
}

/// How many pass in float and in int8 as the page says.
#[must_use]
pub fn passes(document: &str) -> Option<[usize; 2]> {
    let line = document.lines().find_map(|line| line.strip_prefix(SUM))?;
    let (float, int8) = (line.split_once(' ')?.0, line.rsplit_once(' ')?.1);
    Some([float.parse().ok()?, int8.trim_end_matches('.').parse().ok()?])
}
