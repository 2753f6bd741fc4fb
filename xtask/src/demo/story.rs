//! The acts, in order, told while they happen. Whatever they say was counted at the clients or
//! told by the collector's API. They do not know how anything is started.

use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::Error;
use super::cast::{Cast, MODEL, WINDOW_SECONDS};
use super::props::{Input, Props, Row};
use super::report::{Drifted, Notes, Phase, Refusal, Stable};
use super::traffic::{People, Population, Traffic, request};
use crate::stage::http::Client;
use crate::terminal::Terminal;

/// How often we look whether something happened.
const LOOK: Duration = Duration::from_millis(50);
/// The healthy act lasts this many whole windows.
const HEALTHY_WINDOWS: u64 = 2;
/// Characters of an unexpected answer that are shown.
const MOST_SHOWN: usize = 300;
/// Findings of a decision that are shown; the report has them all.
const MOST_FINDINGS: usize = 3;
/// Predictions in a row from one version before we say that the route is there.
const STREAK: u64 = 24;

/// The story under way.
pub struct Story {
    cast: Cast,
    traffic: Traffic,
    inputs: Vec<Input>,
    model_citizen: Row,
    notes: Notes,
    terminal: Terminal,
}

impl Story {
    /// Lets the clients begin.
    pub fn begin(cast: Cast, props: Props, terminal: Terminal) -> Self {
        let Props { inputs, stable, drifted, training, .. } = props;
        let model_citizen = stable.first().cloned().unwrap_or_default();
        let people = People { inputs: inputs.clone(), stable, drifted };
        let traffic = Traffic::begin(&cast.infer_url(), people);
        let notes = Notes::new(training, WINDOW_SECONDS);
        Self { cast, traffic, inputs, model_citizen, notes, terminal }
    }

    /// Plays every act.
    ///
    /// # Errors
    /// One of them did not happen as it should.
    pub fn tell(&mut self) -> Result<(), Error> {
        self.healthy_traffic()?;
        self.clients_with_mistakes()?;
        self.the_population_shifts()?;
        self.rolled_back_by_hand()?;
        self.recovery()
    }

    /// Ends the traffic, takes the last notes and ends everybody on stage.
    pub fn end(mut self) -> Notes {
        self.notes.tally = self.traffic.end();
        if let Ok(windows) = self.cast.list("findings", "windows") {
            self.notes.keep_windows(&windows);
        }
        if let Ok(decisions) = self.cast.list("decisions", "decisions") {
            self.notes.decisions = decisions;
        }
        self.notes
    }

    fn healthy_traffic(&mut self) -> Result<(), Error> {
        self.enter(Phase::Stable, "Healthy traffic: the people of 1995, through Envoy to v1");
        let begun = Instant::now();
        let seconds = WINDOW_SECONDS * HEALTHY_WINDOWS;
        let title = format!("{HEALTHY_WINDOWS} windows of {WINDOW_SECONDS} s");
        let mut step = self.terminal.step(&title);
        while begun.elapsed() < Duration::from_secs(seconds) {
            step.tick(&self.standing()?);
            thread::sleep(LOOK);
        }
        step.done(&self.standing()?);
        let status = self.cast.status()?;
        self.expect(status["envoys"].as_u64() >= Some(1), "Envoy never asked for its orders")?;
        let decisions = self.cast.list("decisions", "decisions")?.len();
        let windows = self.windows_of(Phase::Stable)?;
        let judged = windows.iter().filter(|window| window["rows"].as_u64() > Some(0)).count();
        let alarms: Vec<Value> = windows.iter().flat_map(alarms).cloned().collect();
        let tally = self.traffic.tally();
        self.terminal.good(&format!(
            "{} requests, {} rows, every answer from {}; windows judged: {judged}, decisions: {decisions}",
            tally.requests, tally.rows, tally.streak.0
        ));
        self.notes.stable = Some(Stable {
            decisions,
            findings: alarms,
            seconds: begun.elapsed().as_secs_f64(),
            windows: judged,
        });
        self.expect(judged > 0, "no window was judged")?;
        self.expect(decisions == 0, "healthy traffic led to a decision")?;
        let surprise: String = tally.surprises.first().map(Value::to_string).unwrap_or_default();
        let surprise: String = surprise.chars().take(MOST_SHOWN).collect();
        let surprised = format!("healthy requests were not answered with a prediction: {surprise}");
        self.expect(tally.surprises.is_empty(), &surprised)?;
        self.expect(tally.streak.0 == "v1", "healthy traffic was not answered by v1")
    }

    fn clients_with_mistakes(&mut self) -> Result<(), Error> {
        self.enter(
            Phase::Mistakes,
            "Clients with mistakes: refused at the proxy, v1 never sees them",
        );
        let client = Client::new(Duration::from_secs(10));
        let mistakes = [("wage_per_hour", json!("10k")), ("age", json!(1986)), ("sex", json!(1))];
        for (field, sent) in mistakes {
            let mut row = self.model_citizen.clone();
            row.insert(field.to_owned(), sent.clone());
            let body = request(&self.inputs, &[&row]).to_string();
            let answer = client.post(&self.cast.infer_url(), body.as_bytes())?;
            self.traffic.count(1, answer.status);
            let told = answer.json();
            let violation = told.pointer("/violations/0").cloned().unwrap_or(Value::Null);
            let word = |key: &str| match &violation[key] {
                Value::String(word) => word.clone(),
                other => other.to_string(),
            };
            self.terminal.alert(&format!(
                "{field}: {sent}  ->  {} {}",
                answer.status,
                word("kind")
            ));
            self.terminal.say(&format!("    expected {}, got {}", word("expected"), word("got")));
            self.notes.refusals.push(Refusal {
                field: field.to_owned(),
                sent: sent.clone(),
                status: answer.status,
                answer: told.clone(),
            });
            self.expect(answer.status == 400, &format!("{field}: {sent} was not refused: {told}"))?;
            self.expect(
                word("field") == field,
                &format!("the refusal of {field}: {sent} does not name the field: {told}"),
            )?;
        }
        Ok(())
    }

    fn the_population_shifts(&mut self) -> Result<(), Error> {
        self.enter(
            Phase::Drifted,
            "The population shifts: people from 55 on, in other work classes",
        );
        self.traffic.become_population(Population::Drifted);
        let begun = Instant::now();
        let mut step = self.terminal.step("Waiting for what Tidegate makes of it");
        let patience = Duration::from_secs(4 * WINDOW_SECONDS);
        let (first_sent, first_answer) = loop {
            let tally = self.traffic.tally();
            let answered = tally.first_answers.get("v2").copied();
            if let (Some(sent), Some(answered)) = (tally.first_sent, answered)
                && tally.streak.0 == "v2"
                && tally.streak.1 >= STREAK
            {
                break (sent, answered);
            }
            if begun.elapsed() > patience {
                step.broken();
                return self.expect(false, "the shifted population was not diverted to v2");
            }
            step.tick(&self.standing()?);
            thread::sleep(LOOK);
        };
        let seconds_to_route = first_answer.duration_since(first_sent).as_secs_f64();
        step.done(&format!("v2 answers {seconds_to_route:.1} s after the first drifted request"));

        let decision = self.in_force()?;
        let finding = decision.pointer("/evidence/0").cloned().unwrap_or(Value::Null);
        let evidence = decision["evidence"].as_array().map(Vec::as_slice).unwrap_or_default();
        for finding in evidence.iter().take(MOST_FINDINGS) {
            self.terminal.alert(&format!("{}: {}", plain(&finding["feature"]), sentence(finding)));
        }
        self.terminal.good(&format!(
            "decision {}: {} to {}; Envoy acknowledged it {} s after the window closed",
            plain(&decision["id"]),
            plain(&decision["action"]),
            plain(&decision["to"]),
            decision["seconds_to_acknowledgement"]
                .as_f64()
                .map_or_else(|| "?".to_owned(), |seconds| format!("{seconds:.3}")),
        ));
        self.terminal.say(&format!("  by the rule: {}", plain(&decision["rule"])));
        let diverted = decision["action"] == "divert" && decision["to"] == "v2";
        let seen = format!("v2 answers, but the API tells no divert to it: {decision}");
        self.notes.drifted =
            Some(Drifted { seconds_to_route, window_seconds: WINDOW_SECONDS, finding, decision });
        self.expect(diverted, &seen)
    }

    fn rolled_back_by_hand(&mut self) -> Result<(), Error> {
        self.enter(Phase::RolledBack, "One command undoes it; the people of 1995 are back");
        self.traffic.become_population(Population::Stable);
        self.terminal.say(&format!("$ tidegate rollback {MODEL}"));
        let output = self.cast.collector.command(&["rollback", MODEL])?;
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            self.terminal.say(&format!("  {line}"));
        }
        let begun = Instant::now();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        self.expect(output.status.success(), &format!("the rollback failed: {words}"))?;
        let back = self.wait_for_streak("v1", Duration::from_secs(WINDOW_SECONDS))?;
        let decisions = self.cast.list("decisions", "decisions")?;
        let noted = decisions.iter().any(|decision| decision["state"] == "rolled_back");
        self.expect(back, "v1 did not answer again after the rollback")?;
        self.expect(noted, "the decision log does not tell the rollback")?;
        self.notes.rolled_back = true;
        self.terminal.good(&format!(
            "v1 answers again; {STREAK} answers in a row after {:.1} s",
            begun.elapsed().as_secs_f64()
        ));
        Ok(())
    }

    fn recovery(&mut self) -> Result<(), Error> {
        self.enter(Phase::Recovery, "Recovery: the window fills with healthy traffic again");
        let begun = Instant::now();
        let mut step = self.terminal.step("Waiting for a window without an alarm");
        let patience = Duration::from_secs(3 * WINDOW_SECONDS);
        loop {
            let status = self.cast.status()?;
            let quiet = status["verdict"] != "alarm" && status["verdict"] != "warning";
            let whole = begun.elapsed() >= Duration::from_secs(WINDOW_SECONDS);
            if quiet && whole && status["decision"].is_null() {
                step.done(&self.standing()?);
                self.notes.recovered = true;
                break;
            }
            if begun.elapsed() > patience {
                step.broken();
                return self.expect(false, "the windows did not calm down after the rollback");
            }
            step.tick(&self.standing()?);
            thread::sleep(LOOK);
        }
        let tally = self.traffic.tally();
        let gone = self.cast.gone();
        self.expect(gone.is_empty(), &format!("ended on the way: {}", gone.join(", ")))?;
        self.expect(tally.streak.0 == "v1", "v1 does not answer at the end")?;
        self.expect(tally.answered(500..600) == 0, "clients were answered with 5xx")?;
        self.expect(tally.unanswered == 0, "clients were left without an answer")
    }

    fn enter(&mut self, phase: Phase, title: &str) {
        self.terminal.act(title);
        self.notes.phases.push((phase, unix_ms()));
    }

    /// One line of how the model stands.
    fn standing(&self) -> Result<String, Error> {
        let status = self.cast.status()?;
        let rows = status.pointer("/window/rows").and_then(Value::as_u64).unwrap_or(0);
        let coverage = status.pointer("/window/coverage").and_then(Value::as_f64);
        let coverage =
            coverage.map_or_else(|| "none".to_owned(), |part| format!("{:.0} %", part * 100.0));
        let verdict = plain(&status["verdict"]);
        let answering = self.traffic.tally().streak.0;
        Ok(format!("{verdict}, {rows} rows, coverage {coverage}, {answering} answers"))
    }

    fn wait_for_streak(&self, version: &str, within: Duration) -> Result<bool, Error> {
        let begun = Instant::now();
        while begun.elapsed() < within {
            let (answering, count) = self.traffic.tally().streak;
            if answering == version && count >= STREAK {
                return Ok(true);
            }
            thread::sleep(LOOK);
        }
        Ok(false)
    }

    /// The decision in force, once Envoy acknowledged it.
    fn in_force(&self) -> Result<Value, Error> {
        let begun = Instant::now();
        loop {
            let decision = self.cast.status()?["decision"].clone();
            let acknowledged = !decision["acknowledged_unix_ms"].is_null();
            if acknowledged || begun.elapsed() > Duration::from_secs(5) {
                return Ok(decision);
            }
            thread::sleep(LOOK);
        }
    }

    /// The windows that closed in a phase, as the API tells them.
    fn windows_of(&mut self, phase: Phase) -> Result<Vec<Value>, Error> {
        let windows = self.cast.list("findings", "windows")?;
        self.notes.keep_windows(&windows);
        Ok(self.notes.windows_of(phase))
    }

    fn expect(&self, happened: bool, what: &str) -> Result<(), Error> {
        if happened {
            return Ok(());
        }
        Err(Error::Story { what: what.to_owned(), logs: self.cast.folder.clone() })
    }
}

/// The findings of a window that call for something.
fn alarms(window: &Value) -> impl Iterator<Item = &Value> {
    let findings = window["findings"].as_array().map(Vec::as_slice).unwrap_or_default();
    findings
        .iter()
        .filter(|finding| finding["verdict"] == "alarm" || finding["verdict"] == "warning")
}

/// A finding in words.
fn sentence(finding: &Value) -> String {
    let number = |key: &str| {
        finding[key].as_f64().map_or_else(|| "?".to_owned(), |number| format!("{number:.2}"))
    };
    let (was, now) = (plain(&finding["was"]), plain(&finding["now"]));
    let effect = format!("effect {} where {} matters", number("effect"), number("min_effect"));
    if was.is_empty() && now.is_empty() { effect } else { format!("was {was}, is {now}; {effect}") }
}

/// A JSON value without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
