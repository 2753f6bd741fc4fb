//! The guard of a policy: its bounds, and the times of maintenance. It does not know which models it
//! is for.

use super::range::within;
use super::unreadable;
use crate::config::guard::{DAY, Guard, Maintenance};
use crate::config::mistake::Mistakes;
use crate::config::raw;
use crate::config::reader::{Field, Written};

const MOST_CHANGES: u32 = 3600;
const MOST_MODELS: u32 = 256;
/// The farthest that clocks are from UTC, in minutes.
const MOST_OFFSET: u16 = 14 * 60;

/// What is written, or as `inherited`.
pub(super) fn one(
    raw: Field<raw::Guard>,
    inherited: &Guard,
    mistakes: &mut Mistakes,
) -> Option<Guard> {
    let raw = match raw {
        Field::Absent => return Some(inherited.clone()),
        Field::Mistaken => return None,
        Field::Given(written) => written.value,
    };
    let changes = within(raw.changes_per_hour, 1, MOST_CHANGES, mistakes);
    let models = within(raw.max_models, 1, MOST_MODELS, mistakes);
    let maintenance = match raw.maintenance {
        Field::Absent => Some(inherited.maintenance.clone()),
        Field::Mistaken => None,
        Field::Given(written) => {
            let all: Vec<_> =
                written.value.into_iter().map(|window| maintenance(window, mistakes)).collect();
            all.into_iter().collect()
        }
    };
    Some(Guard {
        changes_per_hour: changes.or(inherited.changes_per_hour)?,
        max_models: models.or(inherited.max_models)?,
        maintenance: maintenance?,
    })
}

fn maintenance(raw: raw::Maintenance, mistakes: &mut Mistakes) -> Option<Maintenance> {
    let from = raw.from.required("from", "\"02:00\"", &raw.place, mistakes);
    let to = raw.to.required("to", "\"04:00\"", &raw.place, mistakes);
    let from = from.and_then(|from| time(&from, mistakes));
    let to = to.and_then(|to| time(&to, mistakes));
    let offset = match raw.utc_offset {
        Field::Absent => Some(0),
        Field::Mistaken => None,
        Field::Given(written) => offset(&written, mistakes),
    };
    let days = match raw.days {
        Field::Absent => Some([true; 7]),
        Field::Mistaken => None,
        Field::Given(written) => {
            let mut days = [false; 7];
            written.value.iter().for_each(|day| days[day.value] = true);
            Some(days)
        }
    };
    Some(Maintenance { days: days?, from: from?, to: to?, utc_offset: offset? })
}

/// The minute of the day that `HH:MM` names.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |digits: &str| {
        let two = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        two.then(|| digits.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60).then_some(hours * 60 + minutes)
}

fn time(written: &Written<String>, mistakes: &mut Mistakes) -> Option<u16> {
    minutes(&written.value)
        .filter(|minute| *minute < DAY)
        .or_else(|| unreadable(written, "a time of the day such as \"02:00\"", mistakes))
}

fn offset(written: &Written<String>, mistakes: &mut Mistakes) -> Option<i16> {
    let signed = || {
        let (sign, rest) = match written.value.split_at_checked(1)? {
            ("+", rest) => (1, rest),
            ("-", rest) => (-1, rest),
            _ => return None,
        };
        let minutes = minutes(rest).filter(|minutes| *minutes <= MOST_OFFSET)?;
        i16::try_from(minutes).ok().map(|minutes| sign * minutes)
    };
    signed().or_else(|| unreadable(written, "an offset from UTC such as \"+02:00\"", mistakes))
}
