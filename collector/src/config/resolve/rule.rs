//! The rules of a policy: which may act by themselves, on which version, for how long. It does not
//! know how findings come about.

use std::time::Duration;

use tidegate_detectors::finding::{Detector, Kind};

use super::range::{lasting, within};
use crate::config::mistake::{Mistakes, Place, Problem};
use crate::config::model::Role;
use crate::config::raw::{self, Drifted, Then, role_named, role_word};
use crate::config::reader::{Field, Written};
use crate::config::rule::{Action, Approval, Least, Part, Rule, Severity};

const EXPIRES: Duration = Duration::from_hours(1);
const COOLDOWN: Duration = Duration::from_mins(5);
const SECOND: Duration = Duration::from_secs(1);
const MONTH: Duration = Duration::from_hours(30 * 24);
const DAY: Duration = Duration::from_hours(24);
const MAX_WINDOWS: u32 = 1000;
const SHADOW_SHARE: u8 = 100;
const MOST_ROWS: u64 = 1_000_000_000;
/// In how many windows in a row the rules that nobody wrote want to see an alarm.
const UNWRITTEN_WINDOWS: u32 = 2;

/// What makes two rules the same but for what they do.
type Trigger = (Kind, Severity, Option<Detector>, Option<String>, [u64; 3], u32, Approval);

/// The rules of a model for which nobody wrote any: where an alarm lasts and there is a fallback, a
/// person is asked whether it should answer. None where there is no fallback, or the versions could
/// not be read.
pub(super) fn unwritten(roles: Option<&[(String, Role)]>) -> Vec<Rule> {
    let fallback = roles.and_then(|roles| roles.iter().find(|(_, role)| *role == Role::Fallback));
    let Some((to, _)) = fallback else { return Vec::new() };
    let rule = |on| Rule {
        on,
        verdict: Severity::Alarm,
        detector: None,
        feature: None,
        least: Least::default(),
        windows: UNWRITTEN_WINDOWS,
        holds: Severity::Warning,
        then: Action::Divert { to: to.clone(), of: Part::All },
        expires: EXPIRES,
        cooldown: COOLDOWN,
        approval: Approval::Required,
    };
    [Kind::ConceptDrift, Kind::OutputDrift, Kind::DataDrift].map(rule).into()
}

/// Resolves the rules that a model inherits. One that goes to a role which the model does not have
/// is not the model's.
pub(super) fn inherited(
    raw: &[raw::Rule],
    roles: Option<&[(String, Role)]>,
    mistakes: &mut Mistakes,
) -> Option<Vec<Rule>> {
    let has = |role: Role| roles.is_none_or(|roles| roles.iter().any(|(_, known)| *known == role));
    let applies = |rule: &&raw::Rule| {
        let role = rule.to.given().and_then(|to| role_named(&to.value));
        role.is_none_or(has)
    };
    all(raw.iter().filter(applies).cloned().collect(), roles, mistakes)
}

/// Resolves the rules of a model. `roles` are its versions, where they could be read.
pub(super) fn all(
    raw: Vec<raw::Rule>,
    roles: Option<&[(String, Role)]>,
    mistakes: &mut Mistakes,
) -> Option<Vec<Rule>> {
    let mut triggers: Vec<(Trigger, String)> = Vec::new();
    let mut rules = Vec::with_capacity(raw.len());
    for raw in raw {
        let place = raw.place.clone();
        let rule = one(raw, roles, mistakes);
        if let Some(rule) = &rule {
            let trigger = trigger(rule);
            match triggers.iter().find(|(known, _)| *known == trigger) {
                Some((_, by)) => {
                    mistakes.add(place, Problem::SameTrigger { by: String::clone(by) });
                }
                None => triggers.push((trigger, place.path)),
            }
        }
        rules.push(rule);
    }
    rules.into_iter().collect()
}

fn trigger(rule: &Rule) -> Trigger {
    let Rule { on, verdict, detector, feature, least, windows, approval, .. } = rule;
    let least = [least.effect.to_bits(), least.coverage.to_bits(), least.rows];
    (*on, *verdict, *detector, feature.clone(), least, *windows, *approval)
}

fn one(raw: raw::Rule, roles: Option<&[(String, Role)]>, mistakes: &mut Mistakes) -> Option<Rule> {
    let place = &raw.place;
    let on = raw.on.required("on", "data_drift", place, mistakes);
    let windows = within(raw.windows, 1, MAX_WINDOWS, mistakes);
    let then = raw.then.required("then", "divert", place, mistakes).map(|then| then.value);
    // A canary that takes all of the traffic is none.
    let most = if then == Some(Then::Canary) { 99 } else { 100 };
    let share = within(raw.share, 1, most, mistakes);
    let expires = lasting(raw.expires, SECOND, MONTH, mistakes);
    let cooldown = lasting(raw.cooldown, Duration::ZERO, MONTH, mistakes);

    let effect = within(raw.min_effect, 0.0, 1.0, mistakes);
    let coverage = within(raw.min_coverage, 0.0, 1.0, mistakes);
    let rows = within(raw.min_rows, 1, MOST_ROWS, mistakes);
    let retry_after = lasting(raw.retry_after, SECOND, DAY, mistakes);

    let then = then?;
    let of = match then {
        Then::Divert | Then::Block => {
            let on = on.as_ref().map(|on| on.value);
            part(on, &raw.part, &raw.segment, mistakes)
        }
        Then::Shadow | Then::Canary => {
            let unwritten = needless(then, &raw.part, mistakes);
            let undrifted = needless(then, &raw.segment, mistakes);
            unwritten.and(undrifted).map(|()| Part::All)
        }
    };
    let unasked = match then {
        Then::Block => Some(()),
        Then::Shadow | Then::Canary | Then::Divert => needless(then, &retry_after, mistakes),
    };
    let verdict = raw.verdict.or(Severity::Alarm)?;
    let action = match then {
        Then::Shadow => {
            let to = target(then, raw.to, place, roles, mistakes);
            to.zip(share.or(SHADOW_SHARE)).map(|(to, share)| Action::Shadow { to, share })
        }
        Then::Canary => {
            let to = target(then, raw.to, place, roles, mistakes);
            let share = share.required("share", "10", place, mistakes);
            to.zip(share).map(|(to, share)| Action::Canary { to, share: share.value })
        }
        Then::Divert => {
            let to = target(then, raw.to, place, roles, mistakes);
            let unshared = needless(then, &share, mistakes);
            to.zip(unshared).zip(of).map(|((to, ()), of)| Action::Divert { to, of })
        }
        Then::Block => {
            let aimless = needless(then, &raw.to, mistakes);
            let unshared = needless(then, &share, mistakes);
            let retry_after_seconds = match retry_after.map(Some).or(None) {
                Some(after) => {
                    after.map(|after| u32::try_from(after.as_secs()).unwrap_or(u32::MAX))
                }
                None => return None,
            };
            let whom = aimless.and(unshared).and(of);
            whom.map(|of| Action::Block { of, retry_after_seconds })
        }
    };
    let expires = match then {
        Then::Block => expires.required("expires", "10m", place, mistakes).map(|e| e.value),
        Then::Shadow | Then::Canary | Then::Divert => expires.or(EXPIRES),
    };
    let approval = match then {
        Then::Canary => {
            raw.approval.required("approval", "required", place, mistakes).and_then(|approval| {
                if approval.value == Approval::Automatic {
                    mistakes.add(approval.place, Problem::UnapprovedCanary);
                    return None;
                }
                Some(approval.value)
            })
        }
        Then::Shadow => raw.approval.or(Approval::Automatic),
        Then::Divert | Then::Block if verdict == Severity::Warning => {
            warned(raw.approval, mistakes)
        }
        Then::Divert | Then::Block => raw.approval.or(Approval::Automatic),
    };
    Some(Rule {
        on: on?.value,
        verdict,
        detector: raw.detector.map(Some).or(None)?,
        feature: raw.feature.map(Some).or(None)?,
        least: Least { effect: effect.or(0.0)?, coverage: coverage.or(0.0)?, rows: rows.or(0)? },
        windows: windows.or(1)?,
        holds: raw.holds.or(Severity::Warning)?,
        then: unasked.and(action)?,
        expires: expires?,
        cooldown: cooldown.or(COOLDOWN)?,
        approval: approval?,
    })
}

/// Who must agree to what follows a warning: a person, because warnings come as often as each look
/// allows and no budget of false alarms bounds them.
fn warned(approval: Field<Approval>, mistakes: &mut Mistakes) -> Option<Approval> {
    if let Some(Written { value: Approval::Automatic, place }) = approval.given() {
        mistakes.add(place.clone(), Problem::AutomaticWarning);
        return None;
    }
    approval.or(Approval::Required)
}

/// Which of the traffic an action is about.
fn part(
    on: Option<Kind>,
    written: &Field<String>,
    drifted: &Field<Drifted>,
    mistakes: &mut Mistakes,
) -> Option<Part> {
    match (written, drifted) {
        (Field::Mistaken, _) | (_, Field::Mistaken) => None,
        (Field::Given(_), Field::Given(drifted)) => {
            mistakes.add(drifted.place.clone(), Problem::TwoSegments);
            None
        }
        (Field::Given(written), Field::Absent) => match written.value.parse() {
            Ok(segment) => Some(Part::Where(segment)),
            Err(wrong) => {
                mistakes.add(written.place.clone(), Problem::NoSegment(wrong));
                None
            }
        },
        (Field::Absent, Field::Given(drifted)) => match on {
            Some(Kind::DataDrift | Kind::Completeness) => Some(Part::Drifted),
            Some(_) => {
                mistakes.add(drifted.place.clone(), Problem::NothingDrifts);
                None
            }
            None => None,
        },
        (Field::Absent, Field::Absent) => Some(Part::All),
    }
}

/// The version that an action goes to.
fn target(
    then: Then,
    to: Field<String>,
    place: &Place,
    roles: Option<&[(String, Role)]>,
    mistakes: &mut Mistakes,
) -> Option<String> {
    let (wanted, fits): (Role, fn(Role) -> bool) = match then {
        Then::Divert => (Role::Fallback, |role| role == Role::Fallback),
        Then::Canary => (Role::Candidate, |role| role == Role::Candidate),
        Then::Shadow | Then::Block => (Role::Candidate, |role| role != Role::Primary),
    };
    let to = to.required("to", "v2", place, mistakes)?;
    let Some(roles) = roles else { return Some(to.value) };
    // A role stands for the first version that has it, unless a version is called so.
    if !roles.iter().any(|(name, _)| *name == to.value)
        && let Some(role) = role_named(&to.value).filter(|role| fits(*role))
        && let Some((name, _)) = roles.iter().find(|(_, known)| *known == role)
    {
        return Some(name.clone());
    }
    let versions: Vec<String> =
        roles.iter().filter(|(_, role)| fits(*role)).map(|(name, _)| name.clone()).collect();
    if versions.contains(&to.value) {
        return Some(to.value);
    }
    let named = roles.iter().find(|(name, _)| *name == to.value);
    let problem = match named {
        _ if versions.is_empty() => {
            Problem::NoVersionFor { action: then.word(), role: role_word(wanted) }
        }
        Some((_, role)) => {
            Problem::WrongRole { action: then.word(), role: role_word(*role), versions }
        }
        None => Problem::UnknownVersion { got: to.value, versions },
    };
    mistakes.add(to.place, problem);
    None
}

/// Notes a field that has no meaning beside the action.
fn needless<T>(then: Then, field: &Field<T>, mistakes: &mut Mistakes) -> Option<()> {
    if let Some(Written { place, .. }) = field.given() {
        mistakes.add(place.clone(), Problem::Needless { action: then.word() });
        return None;
    }
    Some(())
}
