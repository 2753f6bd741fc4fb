//! Policy: the rules that turn a judgement into at most one decision. Pure: time is an argument,
//! and nothing here knows how a decision is carried out.
//!
//! A rule only ever reduces exposure by itself. What raises it, a canary, waits for a person; so
//! does what the model's guard does not leave to automation.

use std::time::Duration;

use tidegate_detectors::finding::{Detector, Finding, Verdict};

use crate::config::duration::millis;
use crate::config::model::Model;
use crate::config::rule::{self, Approval, Part, Rule, Severity};
use crate::decision::{Action, Decision, State, UnixMillis};
use crate::drifted;
use crate::judgement::Judgement;
use crate::ledger::Ledger;

/// The author of what no person decided.
const AUTHOR: &str = "policy";
/// How long the policy keeps quiet at least after a person undid its work.
pub const LEAST_QUIET: Duration = Duration::from_secs(60);
/// Findings that a decision carries as its evidence.
const MAX_EVIDENCE: usize = 10;

/// In how many windows in a row findings must hold, at least, for a decision to be carried on: one
/// warning comes by chance.
const LEAST_HELD: u32 = 3;
/// What the budget of changes is over.
const HOUR_MS: UnixMillis = 3_600_000;

/// How many judgements in a row have met each rule of one model, and held what it led to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Streaks(Vec<Streak>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Streak {
    met: u32,
    held: u32,
}

impl Streaks {
    /// In how many judgements in a row a rule was met, by its place among the model's.
    #[must_use]
    pub fn met(&self, rule: usize) -> u32 {
        self.0.get(rule).map_or(0, |streak| streak.met)
    }
}

/// What stands for a model when its window closes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standing<'a> {
    /// The decision in force.
    pub active: Option<&'a Decision>,
    /// A decision that waits for a person.
    pub proposed: Option<&'a Decision>,
    /// Until when nothing else is decided.
    pub quiet_until: UnixMillis,
    /// How often the policy changed this model's routes in the last hour.
    pub changes: usize,
    /// How many other models the policy keeps from their primary version.
    pub others_held: usize,
}

impl<'a> Standing<'a> {
    /// How things stand for `model` by all that was decided.
    #[must_use]
    pub fn of(model: &Model, ledger: &'a Ledger, now: UnixMillis) -> Self {
        let of_policy = |decision: &&Decision| decision.author == AUTHOR;
        let recent = |decision: &&Decision| {
            decision.model == model.name
                && decision.state != State::Proposed
                && decision.state != State::Withdrawn
                // What was decided at a time that has not come yet was before the clock was set back.
                && now.abs_diff(decision.decided_unix_ms) < HOUR_MS
        };
        let other = |decision: &&Decision| {
            let away = matches!(decision.action, Action::Divert { .. } | Action::Block { .. });
            decision.model != model.name && decision.changes_routes() && away
        };
        Self {
            active: ledger.active(&model.name),
            proposed: ledger.proposed(&model.name),
            quiet_until: quiet_until(ledger, model, now),
            changes: ledger.iter().filter(of_policy).filter(recent).count(),
            others_held: ledger.iter().filter(of_policy).filter(other).count(),
        }
    }

    /// Why the policy may not act by itself now, in words; `None` where it may.
    fn bounded(&self, model: &Model, action: &Action) -> Option<String> {
        let guard = &model.guard;
        let changes = guard.changes_per_hour;
        if self.changes >= changes as usize {
            return Some(format!("{changes} changes in an hour are spent"));
        }
        let away = matches!(action, Action::Divert { .. } | Action::Block { .. });
        let most = guard.max_models;
        (away && self.others_held >= most as usize)
            .then(|| format!("{} other models are held already, {most} may be", self.others_held))
    }
}

/// What the policy wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Move {
    /// A new decision, under this id.
    Decide(Box<Decision>),
    /// The decision in force still has its reason: it ends later.
    Extend {
        /// The decision.
        id: String,
        /// Its new end.
        expires_unix_ms: UnixMillis,
    },
}

/// Takes a judgement in and says what follows, if anything. `id` is the next decision's.
///
/// Of the rules whose findings have lasted, the most protective one counts. It takes the place of a
/// less protective decision in force, and carries on an equal one.
pub fn next(
    model: &Model,
    streaks: &mut Streaks,
    judgement: &Judgement,
    standing: Standing<'_>,
    id: &str,
    now: UnixMillis,
) -> Option<Move> {
    streaks.0.resize(model.policy.len(), Streak::default());
    if model.guard.in_maintenance(now) {
        // What is found while somebody works on the systems leads to nothing afterwards either.
        streaks.0.fill(Streak::default());
        return None;
    }
    for (streak, rule) in streaks.0.iter_mut().zip(&model.policy) {
        let longer =
            |streak: u32, goes_on: bool| if goes_on { streak.saturating_add(1) } else { 0 };
        let found = |least| judgement.findings.iter().any(|f| looks_at(rule, f) && bad(f, least));
        streak.met = longer(streak.met, found(rule.verdict));
        streak.held = longer(streak.held, found(rule.holds.min(rule.verdict)));
    }
    let strongest = |approval: Approval| {
        let rules = model.policy.iter().zip(&streaks.0);
        let lasting = rules.filter(|(rule, streak)| streak.met >= rule.windows);
        lasting
            .map(|(rule, _)| rule)
            .filter(|rule| rule.approval == approval)
            .max_by_key(|rule| action(rule, judgement).protection())
    };
    let active = standing.active.filter(|decision| decision.changes_routes());
    let more = |rule: &&Rule| {
        let wanted = action(rule, judgement);
        active.is_none_or(|active| wanted.outdoes(&active.action))
    };
    // A stronger rule acts even in the quiet time of a weaker decision.
    let may_decide = active.is_some() || now >= standing.quiet_until;
    let automatic = strongest(Approval::Automatic).filter(more).filter(|_| may_decide);
    let bound = automatic.and_then(|rule| standing.bounded(model, &action(rule, judgement)));
    if let (Some(rule), None) = (automatic, &bound) {
        let made = decision(model, rule, judgement, State::Active, id.to_owned(), now);
        return Some(Move::Decide(Box::new(made)));
    }
    if let Some(extension) =
        active.and_then(|active| extension(model, streaks, judgement, active, now))
    {
        return Some(extension);
    }
    let may_propose = standing.proposed.is_none() && now >= standing.quiet_until;
    let proposes = automatic.or_else(|| strongest(Approval::Required).filter(more));
    let rule = proposes.filter(|_| may_propose)?;
    let mut made = decision(model, rule, judgement, State::Proposed, id.to_owned(), now);
    if let Some(why) = bound {
        made.reason.push_str(&format!("; a person must agree: {why}"));
    }
    Some(Move::Decide(Box::new(made)))
}

/// The longest time for which any rule of the model asks for quiet after a decision.
#[must_use]
pub fn longest_cooldown(model: &Model) -> Duration {
    model.policy.iter().map(|rule| rule.cooldown).max().unwrap_or(Duration::ZERO)
}

/// Until when the policy decides nothing for a model. Never longer than its rules ask for, whatever
/// a clock that jumped has written down.
#[must_use]
pub fn quiet_until(ledger: &Ledger, model: &Model, now: UnixMillis) -> UnixMillis {
    let longest = longest_cooldown(model).max(LEAST_QUIET);
    ledger.quiet_until(&model.name).min(now.saturating_add(millis(longest)))
}

fn meets(rule: &Rule, finding: &Finding) -> bool {
    looks_at(rule, finding) && bad(finding, rule.verdict)
}

/// Whether a rule is about a finding, and the finding rests on enough.
fn looks_at(rule: &Rule, finding: &Finding) -> bool {
    let least = &rule.least;
    // Less traffic than usual is told, but no route brings it back: a rule must mean it.
    let of_detector = match rule.detector {
        Some(detector) => finding.detector == detector,
        None => finding.detector != Detector::Volume,
    };
    finding.kind == rule.on
        && of_detector
        && rule.feature.as_ref().is_none_or(|name| finding.is_about(name))
        && finding.effect >= least.effect
        && finding.coverage.unwrap_or(0.0) >= least.coverage
        && finding.rows >= least.rows
}

fn bad(finding: &Finding, least: Severity) -> bool {
    let least = match least {
        Severity::Warning => Verdict::Warning,
        Severity::Alarm => Verdict::Alarm,
    };
    finding.verdict >= least
}

/// An active decision is carried on by an automatic rule that made it, once half its time is over
/// and findings hold. What a person approved ends when they were told it would.
///
/// One about what drifted keeps the segment it was made with: it moves when it is made anew.
fn extension(
    model: &Model,
    streaks: &Streaks,
    judgement: &Judgement,
    active: &Decision,
    now: UnixMillis,
) -> Option<Move> {
    let left = active.expires_unix_ms?.saturating_sub(now);
    let made = |rule: &Rule| match (&rule.then, &active.action) {
        (rule::Action::Divert { to, of: Part::Drifted }, Action::Divert { to: known, .. }) => {
            to == known
        }
        (rule::Action::Block { of: Part::Drifted, .. }, Action::Block { .. }) => true,
        _ => active.action == action(rule, judgement),
    };
    let holds = |(rule, streak): &(&Rule, &Streak)| {
        let again = rule.approval == Approval::Automatic && made(rule);
        let chance = rule.holds < rule.verdict;
        let needed = if chance { rule.windows.max(LEAST_HELD) } else { rule.windows };
        // What would be decided anew holds, too.
        again && (streak.held >= needed || streak.met >= rule.windows)
    };
    let lasts = model.policy.iter().zip(&streaks.0).filter(holds);
    let lasts = lasts.map(|(rule, _)| millis(rule.expires)).max()?;
    (active.author == AUTHOR && left < lasts / 2)
        .then(|| Move::Extend { id: active.id.clone(), expires_unix_ms: now.saturating_add(lasts) })
}

fn decision(
    model: &Model,
    rule: &Rule,
    judgement: &Judgement,
    state: State,
    id: String,
    now: UnixMillis,
) -> Decision {
    let evidence: Vec<Finding> = judgement
        .findings
        .iter()
        .filter(|finding| meets(rule, finding))
        .take(MAX_EVIDENCE)
        .cloned()
        .collect();
    Decision {
        id,
        model: model.name.clone(),
        action: action(rule, judgement),
        state,
        author: AUTHOR.to_owned(),
        rule: rule.to_string(),
        reason: reason(judgement, rule),
        evidence,
        exchanges: Vec::new(),
        decided_unix_ms: now,
        expires_unix_ms: Some(now.saturating_add(millis(rule.expires))),
        quiet_until_unix_ms: now.saturating_add(millis(rule.cooldown)),
        window_closed_unix_ms: Some(judgement.closed_unix_ms),
        acknowledged_unix_ms: None,
        seconds_to_acknowledgement: None,
        refused: None,
    }
}

fn action(rule: &Rule, judgement: &Judgement) -> Action {
    let segment = |of: &Part| match of {
        Part::All => None,
        Part::Where(segment) => Some(segment.clone()),
        Part::Drifted => {
            drifted::segment(judgement.findings.iter().filter(|finding| meets(rule, finding)))
        }
    };
    match &rule.then {
        rule::Action::Shadow { to, share } => Action::Shadow { to: to.clone(), share: *share },
        rule::Action::Canary { to, share } => {
            Action::Canary { to: to.clone(), share: *share, shadow: 0 }
        }
        rule::Action::Divert { to, of } => Action::Divert { to: to.clone(), segment: segment(of) },
        rule::Action::Block { of, retry_after_seconds } => Action::Block {
            segment: segment(of),
            retry_after_seconds: *retry_after_seconds,
            answer: None,
        },
    }
}

/// The worst finding in words, and how many more there are.
fn reason(judgement: &Judgement, rule: &Rule) -> String {
    let met: Vec<&Finding> =
        judgement.findings.iter().filter(|finding| meets(rule, finding)).collect();
    let Some(worst) = met.first() else { return String::new() };
    let what = worst.subject("requests");
    let more = match met.len() - 1 {
        0 => String::new(),
        1 => ", and 1 more finding".to_owned(),
        more => format!(", and {more} more findings"),
    };
    // Beyond its owner's limit any effect of a metric matters.
    let least = Some(worst.min_effect).filter(|least| *least > 0.0);
    let least = least.map_or(String::new(), |least| format!(", at least {least:.2} matters"));
    format!(
        "{what}: {} became {} (effect {:.2}{least}; {} rows){more}",
        worst.was, worst.now, worst.effect, worst.rows
    )
}

#[cfg(test)]
mod tests {
    use tidegate_detectors::finding::{Excess, Verdict};

    use super::{Judgement, Move, Standing, Streaks, next};
    use crate::decision::{Action, Decision, State, UnixMillis};
    use crate::fixture::{DIVERT, config, judgement};

    const NOW: UnixMillis = 1_000_000;
    const MINUTE: UnixMillis = 60_000;

    /// What the policy does with these verdicts, one window after the other.
    fn moves(policy: &str, verdicts: &[Verdict], standing: Standing<'_>) -> Vec<Option<Move>> {
        let config = config(policy);
        let mut streaks = Streaks::default();
        verdicts
            .iter()
            .map(|verdict| {
                let judgement = judgement(*verdict);
                next(&config.models[0], &mut streaks, &judgement, standing, "d-000001", NOW)
            })
            .collect()
    }

    fn decided(policy: &str) -> Decision {
        match moves(policy, &[Verdict::Alarm], Standing::default()).pop() {
            Some(Some(Move::Decide(decision))) => *decision,
            other => panic!("no decision but {other:?}"),
        }
    }

    #[test]
    fn an_alarm_leads_to_the_rules_decision_with_its_evidence() {
        let decision = decided(DIVERT);
        assert_eq!(decision.action, Action::Divert { to: "v2".to_owned(), segment: None });
        assert_eq!(decision.state, State::Active);
        assert_eq!(decision.evidence.len(), 1);
        assert_eq!(decision.expires_unix_ms, Some(NOW + 60 * MINUTE));
        assert_eq!(decision.quiet_until_unix_ms, NOW + 5 * MINUTE);
        let says = "age: median 34 became median 61";
        assert!(decision.reason.starts_with(says), "{}", decision.reason);
    }

    #[test]
    fn less_than_the_rule_asks_leads_to_nothing() {
        let verdicts = [Verdict::Healthy, Verdict::Inconclusive, Verdict::Warning];
        assert!(moves(DIVERT, &verdicts, Standing::default()).iter().all(Option::is_none));
    }

    #[test]
    fn a_rule_for_two_windows_waits_for_two_in_a_row() {
        let two = DIVERT.replace("windows: 1", "windows: 2");
        let verdicts = [Verdict::Alarm, Verdict::Healthy, Verdict::Alarm, Verdict::Alarm];
        let decided: Vec<bool> =
            moves(&two, &verdicts, Standing::default()).iter().map(Option::is_some).collect();
        assert_eq!(decided, [false, false, false, true]);
    }

    #[test]
    fn what_needs_approval_is_only_proposed() {
        let required = DIVERT.replace("approval: automatic", "approval: required");
        assert_eq!(decided(&required).state, State::Proposed);
    }

    #[test]
    fn a_proposal_is_not_made_twice() {
        let required = DIVERT.replace("approval: automatic", "approval: required");
        let proposed = decided(&required);
        let standing = Standing { proposed: Some(&proposed), ..Standing::default() };
        assert_eq!(moves(&required, &[Verdict::Alarm], standing), [None]);
    }

    #[test]
    fn nothing_is_decided_while_it_must_be_quiet() {
        let standing = Standing { quiet_until: NOW + 1, ..Standing::default() };
        assert_eq!(moves(DIVERT, &[Verdict::Alarm], standing), [None]);
        let standing = Standing { quiet_until: NOW, ..Standing::default() };
        assert!(moves(DIVERT, &[Verdict::Alarm], standing)[0].is_some());
    }

    #[test]
    fn a_decision_in_force_is_extended_once_half_its_time_is_over() {
        let mut active = decided(DIVERT);
        let standing = Standing { active: Some(&active), ..Standing::default() };
        assert_eq!(moves(DIVERT, &[Verdict::Alarm], standing), [None]);

        active.expires_unix_ms = Some(NOW + 20 * MINUTE);
        let standing = Standing { active: Some(&active), ..Standing::default() };
        let extended =
            Move::Extend { id: "d-000001".to_owned(), expires_unix_ms: NOW + 60 * MINUTE };
        assert_eq!(moves(DIVERT, &[Verdict::Alarm], standing), [Some(extended)]);
    }

    const STRONGER: &str = "
      - {on: data_drift, verdict: warning, then: shadow, to: v2, share: 50, expires: 1h, cooldown: 5m}
      - {on: data_drift, verdict: alarm, then: canary, to: v3, share: 5, expires: 1h, cooldown: 5m, approval: required}
      - {on: data_drift, verdict: alarm, windows: 2, then: divert, to: v2, expires: 1h, cooldown: 5m}";

    fn actions(moves: &[Option<Move>]) -> Vec<Option<&'static str>> {
        let action = |moved: &Option<Move>| match moved {
            Some(Move::Decide(decision)) => Some(decision.action.name()),
            Some(Move::Extend { .. }) => Some("extend"),
            None => None,
        };
        moves.iter().map(action).collect()
    }

    #[test]
    fn the_most_protective_rule_that_has_lasted_counts() {
        let moves = moves(STRONGER, &[Verdict::Alarm, Verdict::Alarm], Standing::default());
        assert_eq!(actions(&moves), [Some("shadow"), Some("divert")]);
    }

    #[test]
    fn a_more_protective_decision_takes_the_place_of_a_weaker_one_even_in_its_quiet_time() {
        let first = moves(STRONGER, &[Verdict::Alarm], Standing::default());
        let [Some(Move::Decide(shadow))] = first.as_slice() else { panic!("{first:?}") };
        let standing = Standing {
            active: Some(shadow),
            quiet_until: shadow.quiet_until_unix_ms,
            ..Standing::default()
        };
        let moves = moves(STRONGER, &[Verdict::Alarm, Verdict::Alarm], standing);
        assert_eq!(actions(&moves), [None, Some("divert")]);
    }

    #[test]
    fn a_proposal_that_waits_keeps_no_automatic_rule_from_acting() {
        let mut canary = decided(DIVERT);
        canary.state = State::Proposed;
        let standing = Standing { proposed: Some(&canary), ..Standing::default() };
        assert_eq!(actions(&moves(STRONGER, &[Verdict::Alarm], standing)), [Some("shadow")]);
    }

    #[test]
    fn what_a_person_approved_is_not_carried_on_by_the_policy() {
        let mut active = decided(DIVERT);
        active.author = "ada".to_owned();
        active.expires_unix_ms = Some(NOW + MINUTE);
        let standing = Standing { active: Some(&active), ..Standing::default() };
        assert_eq!(moves(DIVERT, &[Verdict::Alarm], standing), [None]);
    }

    const DRIFTED: &str = "
      - {on: data_drift, verdict: alarm, then: divert, to: v2, segment: drifted, expires: 1h, cooldown: 5m}
      - {on: data_drift, verdict: alarm, windows: 3, then: divert, to: v2, expires: 1h, cooldown: 5m}";

    #[test]
    fn a_rule_about_what_drifted_takes_its_segment_from_the_findings() {
        let config = config(DRIFTED);
        let mut streaks = Streaks::default();
        let mut judgement = judgement(Verdict::Alarm);
        let old = |above: f64| Some(Excess::Range { above: Some(above), upto: None });
        judgement.findings[0].excess = old(60.0);
        let mut next = |judgement: &Judgement, standing| {
            next(&config.models[0], &mut streaks, judgement, standing, "d-000001", NOW)
        };
        let Some(Move::Decide(mut active)) = next(&judgement, Standing::default()) else {
            panic!("a decision")
        };
        let segment = active.action.segment().map(ToString::to_string);
        assert_eq!(segment.as_deref(), Some("age > 60"));
        // It is carried on as it was made, wherever the drift's edge lies by now.
        active.expires_unix_ms = Some(NOW + MINUTE);
        judgement.findings[0].excess = old(58.5);
        let standing = || Standing { active: Some(&active), ..Standing::default() };
        assert!(matches!(next(&judgement, standing()), Some(Move::Extend { .. })));
        // What lasts longer may be about all of it, which keeps more from the primary.
        let Some(Move::Decide(all)) = next(&judgement, standing()) else { panic!("a decision") };
        assert_eq!(all.action, Action::Divert { to: "v2".to_owned(), segment: None });
    }

    #[test]
    fn where_nothing_tells_what_drifted_the_decision_is_about_all_of_it() {
        let moves = moves(DRIFTED, &[Verdict::Alarm], Standing::default());
        let [Some(Move::Decide(decision))] = moves.as_slice() else { panic!("{moves:?}") };
        assert_eq!(decision.action, Action::Divert { to: "v2".to_owned(), segment: None });
    }

    #[test]
    fn a_rule_looks_only_at_what_it_names_and_at_what_rests_on_enough() {
        let with = |keys: &str| DIVERT.replace("windows: 1", &format!("windows: 1, {keys}"));
        let decides =
            |keys: &str| moves(&with(keys), &[Verdict::Alarm], Standing::default())[0].is_some();
        for (keys, expected) in [
            ("detector: kolmogorov_smirnov", true),
            ("detector: chi_squared", false),
            ("feature: age", true),
            ("feature: wage", false),
            ("min_effect: 0.4", true),
            ("min_effect: 0.41", false),
            ("min_coverage: 1", true),
            ("min_rows: 500", true),
            ("min_rows: 501", false),
        ] {
            assert_eq!(decides(keys), expected, "{keys}");
        }
    }

    #[test]
    fn what_was_decided_is_easier_to_keep_than_to_reach() {
        let mut active = decided(DIVERT);
        active.expires_unix_ms = Some(NOW + MINUTE);
        let standing = Standing { active: Some(&active), ..Standing::default() };
        let warnings = [Verdict::Warning, Verdict::Warning, Verdict::Warning];
        let carried = |policy: &str, verdicts: &[Verdict]| {
            actions(&moves(policy, verdicts, standing)).last().copied().flatten()
        };
        assert_eq!(carried(DIVERT, &warnings), Some("extend"));
        assert_eq!(carried(DIVERT, &warnings[..2]), None, "two warnings may be chance");
        let strict = DIVERT.replace("windows: 1", "windows: 1, holds: alarm");
        assert_eq!(carried(&strict, &warnings), None);
        assert_eq!(carried(&strict, &[Verdict::Alarm]), Some("extend"));
    }

    /// What is decided under this guard.
    fn guarded(guard: &str, standing: Standing<'_>) -> Option<Decision> {
        let policy = format!("{DIVERT}\n    guard: {guard}");
        match moves(&policy, &[Verdict::Alarm], standing).pop()? {
            Some(Move::Decide(decision)) => Some(*decision),
            _ => None,
        }
    }

    #[test]
    fn beyond_its_budget_or_its_radius_the_policy_asks_a_person() {
        let standing =
            |changes, others_held| Standing { changes, others_held, ..Standing::default() };
        let decided = |guard, standing| guarded(guard, standing).map(|d| (d.state, d.reason));
        let guard = "{changes_per_hour: 2, max_models: 1}";
        assert_eq!(decided(guard, standing(1, 0)).map(|d| d.0), Some(State::Active));
        let (state, reason) = decided(guard, standing(2, 0)).expect("a proposal");
        assert_eq!(state, State::Proposed);
        assert!(reason.ends_with("2 changes in an hour are spent"), "{reason}");
        let (state, reason) = decided(guard, standing(0, 1)).expect("a proposal");
        assert_eq!(state, State::Proposed);
        assert!(reason.contains("1 other models are held already"), "{reason}");
    }

    #[test]
    fn in_maintenance_nothing_is_decided_and_nothing_counts_later() {
        // NOW is on Thursday, 1 January 1970, 00:16:40.
        let in_it = "{maintenance: [{days: [thu], from: \"00:00\", to: \"01:00\"}]}";
        assert_eq!(guarded(in_it, Standing::default()), None);
        let out = "{maintenance: [{days: [wed], from: \"00:00\", to: \"01:00\"}]}";
        assert!(guarded(out, Standing::default()).is_some());
    }

    #[test]
    fn the_standing_counts_the_policys_own_changes_and_the_models_it_holds() {
        let model = &config(DIVERT).models[0];
        let mut earlier = decided(DIVERT);
        let mut other = earlier.clone();
        "d-000002".clone_into(&mut other.id);
        "other".clone_into(&mut other.model);
        let mut by_hand = earlier.clone();
        "d-000003".clone_into(&mut by_hand.id);
        "ada".clone_into(&mut by_hand.author);
        earlier.state = State::Expired;
        let events = [earlier, other, by_hand].map(|decision| crate::ledger::Event::Decided {
            decision: decision.into(),
            ends: None,
        });
        let ledger = crate::ledger::Ledger::replay(&events);
        let standing = Standing::of(model, &ledger, NOW + MINUTE);
        assert_eq!((standing.changes, standing.others_held), (1, 1));
        let later = Standing::of(model, &ledger, NOW + 60 * MINUTE);
        assert_eq!((later.changes, later.others_held), (0, 1));
    }

    #[test]
    fn without_rules_nothing_is_decided() {
        assert_eq!(moves(" []", &[Verdict::Alarm], Standing::default()), [None]);
    }
}
