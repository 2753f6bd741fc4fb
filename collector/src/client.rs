//! The command line's side of the API: asks a running collector and puts its answers in words.
//! The only file that names the HTTP client.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tidegate_contract::segment::Segment;
use tidegate_detectors::custom_metric::MetricStatus;
use tidegate_detectors::finding::{Finding, Verdict};
use tidegate_detectors::performance::Measured;

use crate::api::answer::{CrewStatus, ModelStatus, RolloutStatus, Status};
use crate::api::ask::RolloutWish;
use crate::causes;
use crate::clock;
use crate::decision::{Action, Decision, State, UnixMillis};
use crate::labels::outcomes::{LabelStatus, Taken};
use crate::manual::wish;
use crate::why::Why;
use crate::wording::{grouped, short};

/// How long a collector may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long whoever decides waits for the Envoys.
const ACKNOWLEDGEMENT_PATIENCE: Duration = Duration::from_secs(5);
/// How often they look.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Findings shown for each model.
const FINDINGS_SHOWN: usize = 5;
/// Causes told of each model, the worst.
const CAUSES_SHOWN: usize = 5;

/// Why a collector could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nothing answers there.
    #[error(
        "no collector answers at {api}: {why}; is `tidegate serve` running? (--api or TIDEGATE_API names another address)"
    )]
    Away {
        /// Where we asked.
        api: String,
        /// What the network said.
        why: String,
    },
    /// It answered, and said no.
    #[error("{detail}")]
    Refused {
        /// In the collector's words.
        detail: String,
    },
    /// Something else answers there.
    #[error("what answers at {api} is not a Tidegate collector: {why}")]
    Foreign {
        /// Where we asked.
        api: String,
        /// What was odd.
        why: String,
    },
}

/// Why a server could not be asked what it serves.
#[derive(Debug, thiserror::Error)]
#[error("{url} does not answer: {why}")]
pub struct FetchError {
    /// What was asked.
    pub url: String,
    /// What the network said.
    pub why: String,
}

/// Bytes of a server's answer that are read.
const MAX_ANSWER_BYTES: u64 = 16 << 20;

/// What a server answers to a GET, as JSON; `None` where it answers something else.
///
/// # Errors
/// When nobody answers.
pub fn fetch_json(url: &str) -> Result<Option<Value>, FetchError> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .build();
    let agent: ureq::Agent = config.into();
    let failed = |error: ureq::Error| FetchError { url: url.to_owned(), why: error.to_string() };
    let mut answer = agent.get(url).call().map_err(failed)?;
    if !answer.status().is_success() {
        return Ok(None);
    }
    let body = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES).read_to_vec();
    Ok(serde_json::from_slice(&body.map_err(failed)?).ok())
}

/// A running collector.
#[derive(Debug)]
pub struct Client {
    api: String,
    agent: ureq::Agent,
}

impl Client {
    /// A client for the collector at `api`, e.g. `http://127.0.0.1:7071`.
    #[must_use]
    pub fn new(api: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .build();
        Self { api: api.trim_end_matches('/').to_owned(), agent: config.into() }
    }

    /// `GET /api/v1/status`.
    ///
    /// # Errors
    /// See [`ClientError`]; so for all calls here.
    pub fn status(&self) -> Result<Status, ClientError> {
        self.read(self.agent.get(self.url("/api/v1/status")).call())
    }

    /// `GET /api/v1/models/MODEL/why`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn why(&self, model: &str) -> Result<Why, ClientError> {
        let path = format!("/api/v1/models/{}/why", escaped(model));
        self.read(self.agent.get(self.url(&path)).call())
    }

    /// `GET /api/v1/decisions`, oldest first.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn decisions(&self, model: Option<&str>) -> Result<Vec<Decision>, ClientError> {
        #[derive(Deserialize)]
        struct Answer {
            decisions: Vec<Decision>,
        }
        let mut request = self.agent.get(self.url("/api/v1/decisions"));
        if let Some(model) = model {
            request = request.query("model", model);
        }
        self.read::<Answer>(request.call()).map(|answer| answer.decisions)
    }

    /// Gives a model back to its primary version, and waits a little for the Envoys to follow.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn rollback(
        &self,
        model: &str,
        author: &str,
        reason: &str,
    ) -> Result<Decision, ClientError> {
        let wish = json!({ "author": author, "reason": reason });
        self.wish(&format!("/api/v1/models/{}/rollback", escaped(model)), &wish)
    }

    /// Puts a proposed decision in force, and waits a little for the Envoys to follow.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn approve(&self, id: &str, author: &str) -> Result<Decision, ClientError> {
        let wish = json!({ "author": author, "reason": "" });
        self.wish(&format!("/api/v1/decisions/{}/approve", escaped(id)), &wish)
    }

    /// Blocks a model, or a segment of it, and waits a little for the Envoys to follow.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn block(&self, model: &str, wish: &wish::Block) -> Result<Decision, ClientError> {
        self.wish(&format!("/api/v1/models/{}/block", escaped(model)), wish)
    }

    /// Diverts a model, or a segment of it, and waits a little for the Envoys to follow.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn divert(&self, model: &str, wish: &wish::Divert) -> Result<Decision, ClientError> {
        self.wish(&format!("/api/v1/models/{}/divert", escaped(model)), wish)
    }

    /// `POST /api/v1/labels`, one a line.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn labels(&self, lines: &str) -> Result<Taken, ClientError> {
        let request = self.agent.post(self.url("/api/v1/labels"));
        self.read(request.content_type("application/x-ndjson").send(lines))
    }

    /// `POST /api/v1/models/MODEL/rollout`, and waits a little for the Envoys to follow.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn rollout(
        &self,
        model: &str,
        wish: &RolloutWish,
        author: &str,
    ) -> Result<RolloutStatus, ClientError> {
        let path = format!("/api/v1/models/{}/rollout", escaped(model));
        let mut body = json!(wish);
        body["author"] = json!(author);
        let status: RolloutStatus = self.read(self.agent.post(self.url(&path)).send_json(body))?;
        if let Some(id) = &status.rollout.decision {
            self.followed(self.decision(id)?)?;
        }
        Ok(status)
    }

    fn decision(&self, id: &str) -> Result<Decision, ClientError> {
        let path = format!("/api/v1/decisions/{}", escaped(id));
        self.read(self.agent.get(self.url(&path)).call())
    }

    fn wish(&self, path: &str, wish: &impl Serialize) -> Result<Decision, ClientError> {
        let decision: Decision = self.read(self.agent.post(self.url(path)).send_json(wish))?;
        self.followed(decision)
    }

    /// Waits a little until the Envoys follow a decision.
    fn followed(&self, mut decision: Decision) -> Result<Decision, ClientError> {
        let mut waited = Duration::ZERO;
        let waits = |decision: &Decision| {
            decision.state == State::Active && decision.acknowledged_unix_ms.is_none()
        };
        while waits(&decision) && waited < ACKNOWLEDGEMENT_PATIENCE {
            std::thread::sleep(LOOK_EVERY);
            waited += LOOK_EVERY;
            decision = self.decision(&decision.id)?;
        }
        Ok(decision)
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.api)
    }

    fn read<T: for<'de> Deserialize<'de>>(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, ClientError> {
        let foreign = |why: String| ClientError::Foreign { api: self.api.clone(), why };
        let mut answer = answer
            .map_err(|why| ClientError::Away { api: self.api.clone(), why: why.to_string() })?;
        let status = answer.status();
        let body = answer.body_mut().read_to_string().map_err(|why| foreign(why.to_string()))?;
        if !status.is_success() {
            let problem: Value = serde_json::from_str(&body).unwrap_or_default();
            let detail = problem.get("detail").and_then(Value::as_str);
            return Err(match detail {
                Some(detail) => ClientError::Refused { detail: detail.to_owned() },
                None => foreign(format!("status {status}")),
            });
        }
        serde_json::from_str(&body).map_err(|why| foreign(why.to_string()))
    }
}

/// A status for people.
#[must_use]
pub fn status_text(status: &Status) -> String {
    let mut text = String::new();
    if let Some(crew) = &status.crew {
        crew_text(&mut text, crew);
    }
    for model in &status.models {
        model_text(&mut text, model);
    }
    text
}

fn crew_text(text: &mut String, crew: &CrewStatus) {
    let who = match (&crew.leader, &crew.trouble) {
        (_, Some(why)) => format!("nothing is decided here: {why}"),
        (Some(leader), None) => format!("{leader} decides"),
        (None, None) => "this one decides".to_owned(),
    };
    line(text, &format!("collectors: {}; {who}", crew.members));
}

/// Decisions for people, the newest first.
#[must_use]
pub fn decisions_text(decisions: &[Decision]) -> String {
    if decisions.is_empty() {
        return "no decisions yet\n".to_owned();
    }
    let mut text = String::new();
    for decision in decisions.iter().rev() {
        line(&mut text, &format!("{}  {}", decision.id, decision_text(decision)));
        line(&mut text, &format!("          {}", decision.reason));
        if !decision.rule.is_empty() {
            line(&mut text, &format!("          rule: {}", decision.rule));
        }
    }
    text
}

/// What is done, in a few words.
#[must_use]
pub fn action_text(action: &Action) -> String {
    match action {
        Action::Serve => "serve by the primary".to_owned(),
        Action::Shadow { to, share } => format!("shadow {share} % to {to}"),
        Action::Canary { to, share, .. } => format!("canary {share} % to {to}"),
        Action::Promote { to } => format!("promote {to}: it is the primary version"),
        Action::Divert { to, segment } => format!("divert{} to {to}", segment_text(segment)),
        Action::Block { segment, answer, .. } => {
            let answer = answer.as_ref().map(|answer| format!(", answer {}", answer.status));
            format!("block{}{}", segment_text(segment), answer.unwrap_or_default())
        }
    }
}

fn segment_text(segment: &Option<Segment>) -> String {
    segment.as_ref().map(|segment| format!(" where {segment}")).unwrap_or_default()
}

/// One decision in one line.
#[must_use]
pub fn decision_text(decision: &Decision) -> String {
    let what = action_text(&decision.action);
    let state = match decision.state {
        State::Proposed => "proposed: waits for `tidegate approve`",
        State::Active => "in force",
        State::RolledBack => "rolled back",
        State::Expired => "expired",
        State::Superseded => "superseded",
        State::Withdrawn => "withdrawn",
    };
    let followed = match (&decision.refused, decision.seconds_to_acknowledgement) {
        (Some(why), _) => format!("; refused by Envoy: {why}"),
        (None, Some(seconds)) => format!("; acknowledged by Envoy after {seconds:.3} s"),
        (None, None) if decision.state == State::Active => {
            "; not acknowledged by an Envoy yet".to_owned()
        }
        (None, None) => String::new(),
    };
    let ago = ago(decision.decided_unix_ms);
    format!("{}: {what}, {state}, by {} {ago}{followed}", decision.model, decision.author)
}

fn model_text(text: &mut String, model: &ModelStatus) {
    line(text, &format!("{}  {}", model.model, verdict_text(model.verdict)));
    let weights: Vec<String> = model
        .weights
        .iter()
        .filter(|(_, percent)| **percent > 0)
        .map(|(cluster, percent)| format!("{cluster} {percent} %"))
        .collect();
    let mirrors: Vec<String> = model
        .mirrors
        .iter()
        .filter(|(_, percent)| **percent > 0)
        .map(|(cluster, percent)| format!("mirrored to {cluster} {percent} %"))
        .collect();
    let of_filter = model.decision.as_ref().map(|decision| &decision.action);
    let of_filter = of_filter.filter(|action| action.is_the_filters());
    let blocked = of_filter.filter(|action| action.segment().is_none());
    let routes = if blocked.is_some() {
        "blocked".to_owned()
    } else {
        let part = of_filter.map(action_text);
        weights.into_iter().chain(mirrors).chain(part).collect::<Vec<_>>().join(", ")
    };
    let envoys = match (model.envoys, model.acknowledged) {
        (0, _) => "no Envoy is connected".to_owned(),
        (1, true) => "1 Envoy follows".to_owned(),
        (n, true) => format!("{n} Envoys follow"),
        (n, false) => format!("{n} connected, not all follow yet"),
    };
    line(text, &format!("  routes    {routes} ({envoys})"));
    if let Some(window) = &model.window {
        let coverage =
            window.coverage.map_or("unknown".to_owned(), |c| format!("{:.0} %", c * 100.0));
        let rows = window.rows;
        let exchanges = window.exchanges;
        let when = ago(window.closed_unix_ms);
        let lost = match window.dropped {
            0 => String::new(),
            dropped => format!(" ({dropped} samples lost or unreadable)"),
        };
        line(
            text,
            &format!(
                "  window    {rows} rows of {exchanges} exchanges, coverage {coverage}{lost}, closed {when}"
            ),
        );
    }
    contract_text(text, model);
    for metric in &model.metrics {
        line(text, &format!("  metric    {}", metric_text(metric)));
    }
    if let Some(labels) = &model.labels {
        labels_text(text, labels);
    }
    for refusal in &model.refusals {
        line(text, &format!("  refused   by {refusal}"));
    }
    for told in causes_text(model) {
        line(text, &told);
    }
    let loud: Vec<&Finding> =
        model.findings.iter().filter(|finding| finding.verdict >= Verdict::Warning).collect();
    for finding in loud.iter().take(FINDINGS_SHOWN) {
        line(
            text,
            &format!("  {:<9} {}", verdict_text(finding.verdict), finding_text(finding, ago)),
        );
    }
    if loud.len() > FINDINGS_SHOWN {
        let more = loud.len() - FINDINGS_SHOWN;
        line(text, &format!("            and {more} more findings (--json shows all)"));
    }
    if let Some(rollout) = model.rollout.as_ref().filter(|status| status.rollout.is_open()) {
        let (to, told, next) = (&rollout.rollout.to, &rollout.told, &rollout.next);
        line(text, &format!("  rollout   {to} {told}: {next}"));
    }
    if let Some(decision) = &model.decision {
        line(text, &format!("  decision  {} {}", decision.id, decision_text(decision)));
    }
    if let Some(proposed) = &model.proposed {
        line(text, &format!("  proposed  {} {}", proposed.id, decision_text(proposed)));
        line(text, &format!("            tidegate approve {}", proposed.id));
    }
}

/// The causes of the last window's findings, a line each, beside how many there are.
#[must_use]
pub fn causes_text(model: &ModelStatus) -> Vec<String> {
    let mut beside = causes::how_many(&model.causes);
    let told = causes::lines(&model.causes, &model.findings, ago).into_iter().take(CAUSES_SHOWN);
    told.map(|told| format!("  {:<9} {told}", std::mem::take(&mut beside))).collect()
}

/// What the contract did, and what a stricter mode would have done.
fn contract_text(text: &mut String, model: &ModelStatus) {
    let deeds = &model.contract.deeds;
    if deeds.violating == 0 {
        return;
    }
    let done: Vec<String> = [
        (deeds.refused, "refused"),
        (deeds.diverted, "diverted"),
        (deeds.tagged, "tagged"),
        (deeds.would_refuse, "passed that `enforce` refuses"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect();
    let (violating, checked) = (deeds.violating, deeds.checked);
    line(
        text,
        &format!("  contract  {violating} of {checked} requests break it: {}", done.join(", ")),
    );
    for broken in model.contract.broken.iter().take(FINDINGS_SHOWN) {
        let field = if broken.field.is_empty() { "the body" } else { &broken.field };
        line(text, &format!("            {field}: {} in {}", broken.kind, broken.exchanges));
    }
}

/// A metric of the model's owner in one line.
fn metric_text(metric: &MetricStatus) -> String {
    let value = match (metric.value, metric.interval) {
        (Some(value), Some((low, high))) => {
            format!("{} ({}-{})", short(value), short(low), short(high))
        }
        (Some(value), None) => short(value),
        (None, _) => "no value yet".to_owned(),
    };
    let limits = match (metric.min.map(short), metric.max.map(short)) {
        (Some(min), Some(max)) => format!(", {min} to {max} allowed"),
        (Some(min), None) => format!(", at least {min} allowed"),
        (None, Some(max)) => format!(", at most {max} allowed"),
        (None, None) => String::new(),
    };
    let uncounted = [(metric.missing_rows, "lack a value"), (metric.undefined_rows, "undefined")];
    let uncounted = uncounted.into_iter().filter(|(rows, _)| *rows > 0);
    let uncounted: String = uncounted.map(|(rows, why)| format!("; {rows} {why}")).collect();
    format!("{} {value} in {} rows{limits}{uncounted}", metric.name, grouped(metric.rows))
}

/// What labels say, and what answers without one are probably worth.
fn labels_text(text: &mut String, labels: &LabelStatus) {
    let LabelStatus { output, counts, versions, .. } = labels;
    let others = [(counts.unknown, "unknown"), (counts.conflicting, "conflicting")];
    let others = others.into_iter().filter(|(count, _)| *count > 0);
    let others: String = others.map(|(count, what)| format!(", {count} {what}")).collect();
    line(text, &format!("  labels    {} joined with {output}{others}", counts.joined));
    for of in versions {
        let measured = |measured: &[Measured]| {
            let one = |found: &Measured| {
                let (low, high) = found.interval;
                let name = found.metric.name();
                format!("{name} {} ({}-{})", short(found.value), short(low), short(high))
            };
            measured.iter().map(one).collect::<Vec<String>>().join(", ")
        };
        if !of.realised.is_empty() {
            let (rows, version) = (of.labelled_rows, &of.version);
            let found = measured(&of.realised);
            line(text, &format!("  {version:<9} {rows} labelled rows: {found}"));
        }
        if let Some(first) = of.estimated.first() {
            let (rows, version, found) = (first.rows, &of.version, measured(&of.estimated));
            line(text, &format!("  {version:<9} {rows} rows of the window, estimated: {found}"));
        }
    }
}

/// One finding in one line; `when` says a time.
pub fn finding_text(finding: &Finding, when: impl Fn(UnixMillis) -> String) -> String {
    let what = finding.subject("requests");
    let evidence = finding.evidence.filter(|evidence| evidence.value >= evidence.enough);
    let since = evidence.and_then(|evidence| u64::try_from(evidence.since_unix_ms?).ok());
    let since = since.map_or(String::new(), |since| format!(", since {}", when(since)));
    format!(
        "{what}: {} became {}{since} ({}, effect {:.2}, adjusted p {:.1e})",
        finding.was,
        finding.now,
        finding.detector.name(),
        finding.effect,
        finding.adjusted_p_value
    )
}

/// A verdict as people read it; an alarm is loud.
#[must_use]
pub fn verdict_text(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Healthy => "healthy",
        Verdict::Inconclusive => "inconclusive",
        Verdict::Warning => "warning",
        Verdict::Alarm => "ALARM",
    }
}

/// How long ago a time was.
#[must_use]
pub fn ago(then: UnixMillis) -> String {
    let seconds = clock::unix_ms().saturating_sub(then) / 1000;
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{line}");
}

/// A name as one segment of a path.
fn escaped(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    name.bytes().fold(String::new(), |mut path, byte| {
        if plain(byte) {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
        path
    })
}
