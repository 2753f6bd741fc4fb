//! What a simulation tells: each change of the verdict, each decision, and the sum. It does not know
//! how they came about.

use std::io::{self, Write};
use std::path::Path;

use serde_json::json;
use tidegate_detectors::finding::{Finding, Verdict};

use crate::client::{action_text, finding_text};
use crate::decision::{Action, Decision, State, UnixMillis};
use crate::judgement::Judgement;
use crate::table::calendar;
use crate::wording::{counted, grouped, painted};

/// Findings of a window that are told.
const FINDINGS_TOLD: usize = 3;

/// Something that happened.
#[derive(Clone, Copy)]
pub(super) enum Told<'a> {
    Window(&'a Judgement),
    Decision(&'a Decision),
}

/// How it was, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    /// The worst verdict of a window.
    pub worst: Verdict,
    /// How often an alarm began.
    pub alarms: u64,
    /// Decisions but those that gave a model back.
    pub decisions: usize,
}

/// The story so far.
pub(super) struct Story<'a> {
    out: &'a mut dyn Write,
    json: bool,
    colours: bool,
    /// How many windows came to each verdict, in the verdicts' order.
    windows: [u64; 4],
    /// How often an alarm began.
    alarms: u64,
    last: Option<Verdict>,
}

impl<'a> Story<'a> {
    pub fn begin(
        json: bool,
        colours: bool,
        data: &Path,
        times: &[UnixMillis],
        out: &'a mut dyn Write,
    ) -> io::Result<Self> {
        if let (false, Some(first), Some(last)) = (json, times.first(), times.last()) {
            let rows = grouped(times.len() as u64);
            let (first, last) = (moment(*first), moment(*last));
            writeln!(out, "{}: {rows} rows from {first} to {last}\n", data.display())?;
        }
        Ok(Self { out, json, colours, windows: [0; 4], alarms: 0, last: None })
    }

    pub fn tell(&mut self, told: Told<'_>) -> io::Result<()> {
        match told {
            Told::Window(judgement) => self.window(judgement),
            Told::Decision(decision) if self.json => {
                writeln!(self.out, "{}", json!({"decision": decision}))
            }
            Told::Decision(decision) => {
                let at = moment(decision.decided_unix_ms);
                let rule = match decision.rule.as_str() {
                    "" => String::new(),
                    rule => format!("\n                   by the rule: {rule}"),
                };
                let (id, action) = (&decision.id, action_text(&decision.action));
                let waits = match decision.state {
                    State::Proposed => ", waits for a person",
                    _ => "",
                };
                writeln!(self.out, "{at}  {:<12} {id} {action}{waits}{rule}", "decision")
            }
        }
    }

    fn window(&mut self, judgement: &Judgement) -> io::Result<()> {
        let verdict = judgement.verdict;
        self.windows[verdict as usize] += 1;
        let before = self.last.replace(verdict);
        if before == Some(verdict) {
            return Ok(());
        }
        self.alarms += u64::from(verdict == Verdict::Alarm);
        let loud: Vec<&Finding> =
            judgement.findings.iter().filter(|f| f.verdict >= Verdict::Warning).collect();
        if self.json {
            let (closed, rows) = (judgement.closed_unix_ms, judgement.rows);
            let line = json!({"window": {"closed_unix_ms": closed, "rows": rows,
                "verdict": verdict, "findings": loud}});
            return writeln!(self.out, "{line}");
        }
        let at = moment(judgement.closed_unix_ms);
        let rows = counted(usize::try_from(judgement.rows).unwrap_or(usize::MAX), "row");
        writeln!(self.out, "{at}  {} {rows}", painted(verdict, self.colours))?;
        for finding in loud.iter().take(FINDINGS_TOLD) {
            writeln!(self.out, "{:31}{}", "", finding_text(finding, moment))?;
        }
        match loud.len().saturating_sub(FINDINGS_TOLD) {
            0 => Ok(()),
            more => writeln!(self.out, "{:31}and {}", "", counted(more, "more finding")),
        }
    }

    /// The sum.
    pub fn end<'d>(self, decisions: impl Iterator<Item = &'d Decision>) -> io::Result<Sum> {
        let of = |verdict: Verdict| self.windows[verdict as usize];
        let made = decisions.filter(|decision| decision.action != Action::Serve).count();
        let worst = [Verdict::Alarm, Verdict::Warning, Verdict::Healthy, Verdict::Inconclusive];
        let worst = worst.into_iter().find(|verdict| of(*verdict) > 0);
        let windows: u64 = self.windows.iter().sum();
        if self.json {
            let sum = json!({"summary": {"windows": windows, "healthy": of(Verdict::Healthy),
                "inconclusive": of(Verdict::Inconclusive), "warning": of(Verdict::Warning),
                "alarm": of(Verdict::Alarm), "alarms": self.alarms, "decisions": made}});
            writeln!(self.out, "{sum}")?;
        } else {
            writeln!(
                self.out,
                "\n{} windows: {} healthy, {} inconclusive, {} warning, {} in alarm; {}, {}",
                grouped(windows),
                grouped(of(Verdict::Healthy)),
                grouped(of(Verdict::Inconclusive)),
                grouped(of(Verdict::Warning)),
                grouped(of(Verdict::Alarm)),
                counted(usize::try_from(self.alarms).unwrap_or(usize::MAX), "alarm"),
                counted(made, "decision"),
            )?;
        }
        let worst = worst.unwrap_or(Verdict::Inconclusive);
        Ok(Sum { worst, alarms: self.alarms, decisions: made })
    }
}

/// A time to the second, as it is read in a column.
pub(super) fn moment(time: UnixMillis) -> String {
    let text = calendar::instant(i64::try_from(time / 1_000).unwrap_or(i64::MAX), 1, false);
    text.replace('T', " ").trim_end_matches('Z').to_owned()
}
