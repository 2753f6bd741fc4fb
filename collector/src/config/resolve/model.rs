//! Models: their routes, versions and windows, each by itself and beside the others. It does not
//! know what the rules of a policy may say.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tidegate_contract::contract::Mode;
use tidegate_contract::plugin::{Keep, LowConfidence, Route, Sticky};
use tidegate_contract::protocol::Protocol;

use super::range::{lasting, positive, within};
use super::{
    Inherited, NAME, VERSION_NAME, absolute, guard, is_visible, labels, metric, name, rollout,
    rule, unreadable,
};
use crate::config::duration::show;
use crate::config::mistake::{Mistakes, Place, Problem};
use crate::config::model::{Detectors, Envoys, Model, OwnTime, Role, Version, Window};
use crate::config::raw;
use crate::config::reader::{Field, Written};

const SAMPLE_RATE: f64 = 0.1;
const CAPTURE_BYTES: u32 = 64 << 10;
/// Both bodies of an exchange must fit a batch of the filter's (1 MiB) with room for the rest.
const MAX_CAPTURE_BYTES: u32 = 384 << 10;
/// How slow an answer may be that is always kept.
const SLOW: [Duration; 2] = [Duration::from_millis(1), Duration::from_hours(24)];
const WINDOW_LENGTH: Duration = Duration::from_secs(60);
const WINDOW_LENGTHS: [Duration; 2] = [Duration::from_secs(1), Duration::from_hours(24)];
const LEAST_HOP: Duration = Duration::from_millis(100);
/// A window without a `hop` of its own is judged this often while it lasts.
const PANES: u32 = 5;
const MAX_PANES: u32 = 60;
const MIN_ROWS: u64 = 200;
const LATENESS: Duration = Duration::from_secs(60);
const MAX_LATE_RATE: f64 = 0.01;
const MOST_MIN_ROWS: u64 = 10_000_000;
const MIN_EFFECT: f64 = 0.1;
const FALSE_ALARMS_PER_MONTH: f64 = 1.0;
const MOST_FALSE_ALARMS_PER_MONTH: f64 = 1000.0;
const MAX_ROUTE_CHARS: usize = 1024;

/// Resolves all models of a file.
pub(super) fn all(
    raw: Vec<raw::Model>,
    file: &Path,
    folder: &Path,
    inherited: &Inherited,
    mistakes: &mut Mistakes,
) -> Option<Vec<Model>> {
    unique(raw.iter().map(|model| &model.name), mistakes);
    let mut routes = Vec::new();
    let mut models = Vec::with_capacity(raw.len());
    for model in raw {
        let route = route(&model, mistakes);
        if let Some(route) = &route {
            check_reachable(route, &routes, mistakes);
            routes.push(route.clone());
        }
        let route = route.map(|route| route.value);
        models.push(one(model, route, [file, folder], inherited, mistakes));
    }
    models.into_iter().collect()
}

fn one(
    raw: raw::Model,
    route: Option<Route>,
    [file, folder]: [&Path; 2],
    inherited: &Inherited,
    mistakes: &mut Mistakes,
) -> Option<Model> {
    let place = &raw.place;
    let model_name = raw
        .name
        .check(|written| name(written, NAME, mistakes))
        .required("name", "census", place, mistakes);
    let sticky = match raw.sticky {
        Field::Absent => Some(None),
        Field::Mistaken => None,
        Field::Given(written) => sticky(&written, mistakes).map(Some),
    };
    let envoys = match raw.envoys {
        Field::Absent => Some(Envoys::default()),
        Field::Mistaken => None,
        Field::Given(written) => envoys(written.value, mistakes),
    };
    let has_rules = match raw.policy.given() {
        Some(policy) => !policy.value.is_empty(),
        None => inherited.policy.as_ref().is_some_and(|rules| !rules.is_empty()),
    };
    let sample_rate = within(raw.sample_rate, 0.0, 1.0, mistakes).check(|rate| {
        let blind = has_rules && rate.value == 0.0;
        if blind {
            mistakes.add(rate.place.clone(), Problem::NothingSampled);
        }
        (!blind).then_some(())
    });
    let capture = within(raw.max_capture_bytes, 1, MAX_CAPTURE_BYTES, mistakes);
    let budget = within(raw.max_sample_bytes_per_second, 1, u32::MAX, mistakes);
    let keep = match raw.keep {
        Field::Absent => Some(Keep::default()),
        Field::Mistaken => None,
        Field::Given(written) => keep(written.value, mistakes),
    };
    let profile = raw.profile.required("profile", "./profile", place, mistakes);
    let contract: Field<Option<PathBuf>> = raw.contract.map(|file| Some(absolute(&file, folder)));
    let roles = roles(&raw.versions);
    let versions = raw
        .versions
        .required("versions", "[{name: v1, cluster: census-v1, role: primary}]", place, mistakes)
        .and_then(|versions| self::versions(versions, mistakes));
    let window = match raw.window {
        Field::Absent => Some(default_window()),
        Field::Mistaken => None,
        Field::Given(written) => window(written.value, inherited.shared, mistakes),
    };
    let detectors = match raw.detectors {
        Field::Absent => Some(Detectors {
            min_effect: MIN_EFFECT,
            false_alarms_per_month: FALSE_ALARMS_PER_MONTH,
            volume: true,
        }),
        Field::Mistaken => None,
        Field::Given(written) => detectors(written.value, mistakes),
    };
    let labels = match raw.labels {
        Field::Absent => Some(None),
        Field::Mistaken => None,
        Field::Given(written) => labels::one(written.value, mistakes).map(Some),
    };
    let metrics = match raw.metrics {
        Field::Absent => Some(inherited.metrics.clone()),
        Field::Mistaken => None,
        Field::Given(written) => metric::all(&written.value, file, mistakes),
    };
    let policy = match (raw.policy, &inherited.policy) {
        (Field::Absent, None) => Some(rule::unwritten(roles.as_deref())),
        (Field::Absent, Some(rules)) => rule::inherited(rules, roles.as_deref(), mistakes),
        (Field::Mistaken, _) => None,
        (Field::Given(written), _) => rule::all(written.value, roles.as_deref(), mistakes),
    };
    let guard = guard::one(raw.guard, &inherited.guard, mistakes);
    let rollout = rollout::one(raw.rollout, &inherited.rollout, mistakes);
    Some(Model {
        name: model_name?.value,
        protocol: raw.protocol.or(Protocol::Auto)?,
        mode: raw.mode.or(Mode::Observe)?,
        route: route?,
        envoys: envoys?,
        sticky: sticky?,
        sample_rate: sample_rate.or(SAMPLE_RATE)?,
        max_capture_bytes: capture.or(CAPTURE_BYTES)?,
        max_sample_bytes_per_second: budget.map(Some).or(None)?,
        keep: keep?,
        profile: absolute(&profile?.value, folder),
        contract: contract.or(None)?,
        versions: versions?,
        window: window?,
        detectors: detectors?,
        labels: labels?,
        metrics: metrics?,
        policy: policy?,
        guard: guard?,
        rollout: rollout?,
    })
}

fn sticky(written: &Written<String>, mistakes: &mut Mistakes) -> Option<Sticky> {
    let expected = "what a client is known by: `client`, or `header:` and a name";
    written.value.parse().ok().or_else(|| unreadable(written, expected, mistakes))
}

fn envoys(raw: raw::Envoys, mistakes: &mut Mistakes) -> Option<Envoys> {
    let metadata = match raw.metadata {
        Field::Absent => Some(BTreeMap::new()),
        Field::Mistaken => None,
        Field::Given(written) => {
            let pair = |written: &Written<String>| match written.value.split_once('=') {
                Some((key, value)) if !key.is_empty() => Some((key.to_owned(), value.to_owned())),
                _ => unreadable(written, "a key and its text, such as zone=eu", mistakes),
            };
            let pairs: Vec<_> = written.value.iter().map(pair).collect();
            pairs.into_iter().collect()
        }
    };
    Some(Envoys {
        id: raw.id.map(Some).or(None)?,
        cluster: raw.cluster.map(Some).or(None)?,
        metadata: metadata?,
    })
}

fn keep(raw: raw::Keep, mistakes: &mut Mistakes) -> Option<Keep> {
    let slower_than = lasting(raw.slower_than, SLOW[0], SLOW[1], mistakes);
    let low_confidence = match raw.low_confidence {
        Field::Absent => Some(None),
        Field::Mistaken => None,
        Field::Given(written) => low_confidence(written.value, mistakes).map(Some),
    };
    Some(Keep {
        violations: raw.violations.or(false)?,
        errors: raw.errors.or(false)?,
        slower_than_milliseconds: slower_than
            .map(|bound| u32::try_from(bound.as_millis()).ok())
            .or(None)?,
        low_confidence: low_confidence?,
    })
}

fn low_confidence(raw: raw::LowConfidence, mistakes: &mut Mistakes) -> Option<LowConfidence> {
    let output = raw.output.required("output", "score", &raw.place, mistakes);
    let below = raw.below.required("below", "0.6", &raw.place, mistakes);
    Some(LowConfidence { output: output?.value, below: below?.value })
}

fn route(model: &raw::Model, mistakes: &mut Mistakes) -> Option<Written<Route>> {
    let example = "{path_prefix: /v2/models/census}";
    let written = model.route.clone().required("route", example, &model.place, mistakes)?;
    let Written { value: raw::Route { name, path_prefix }, place } = written;
    if matches!((&name, &path_prefix), (Field::Absent, Field::Absent)) {
        mistakes.add(place, Problem::EmptyRoute);
        return None;
    }
    let name = name.check(|name| {
        let good = name.value.chars().count() <= MAX_ROUTE_CHARS;
        good.then_some(())
            .or_else(|| unreadable(name, "a name of at most 1024 characters", mistakes))
    });
    let path_prefix = path_prefix.check(|prefix| {
        let path = prefix.value.as_str();
        let good = path.starts_with('/')
            && path.chars().count() <= MAX_ROUTE_CHARS
            && path.chars().all(|c| is_visible(c) && c != '?' && c != '#');
        let expected = "the start of a path such as /v2/models/census, without a query";
        good.then_some(()).or_else(|| unreadable(prefix, expected, mistakes))
    });
    let (name, path_prefix) = (name.map(Some).or(None)?, path_prefix.map(Some).or(None)?);
    Some(Written { value: Route { name, path_prefix }, place })
}

/// Whether the filter takes a path for one at or below a prefix: it ends at a segment.
fn is_under(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| {
        prefix.ends_with('/') || rest.is_empty() || rest.starts_with(['/', ':'])
    })
}

/// The filter takes the first model whose route matches, so a route inside an earlier one is dead.
fn check_reachable(route: &Written<Route>, earlier: &[Written<Route>], mistakes: &mut Mistakes) {
    let covers = |earlier: &Route| {
        let name = earlier.name.is_none() || earlier.name == route.value.name;
        let path = earlier.path_prefix.as_ref().is_none_or(|prefix| {
            route.value.path_prefix.as_ref().is_some_and(|path| is_under(path, prefix))
        });
        name && path
    };
    if let Some(first) = earlier.iter().find(|first| covers(&first.value)) {
        let by = first.place.path.clone();
        mistakes.add(route.place.clone(), Problem::Unreachable { by });
    }
}

/// Names and roles of the versions, where all of them are known.
fn roles(versions: &Field<Vec<raw::Version>>) -> Option<Vec<(String, Role)>> {
    let versions = &versions.given()?.value;
    versions
        .iter()
        .map(|version| Some((version.name.given()?.value.clone(), version.role.given()?.value)))
        .collect()
}

fn versions(raw: Written<Vec<raw::Version>>, mistakes: &mut Mistakes) -> Option<Vec<Version>> {
    unique(raw.value.iter().map(|version| &version.name), mistakes);
    unique(raw.value.iter().map(|version| &version.cluster), mistakes);
    let primaries: Option<usize> = raw
        .value
        .iter()
        .map(|version| Some(usize::from(version.role.given()?.value == Role::Primary)))
        .sum();
    if let Some(found) = primaries.filter(|found| *found != 1) {
        mistakes.add(raw.place, Problem::Primaries { found });
    }
    let versions: Vec<_> =
        raw.value.into_iter().map(|version| self::version(version, mistakes)).collect();
    versions.into_iter().collect()
}

fn version(raw: raw::Version, mistakes: &mut Mistakes) -> Option<Version> {
    let place: &Place = &raw.place;
    let version_name = raw
        .name
        .check(|written| name(written, VERSION_NAME, mistakes))
        .required("name", "v1", place, mistakes);
    let cluster = raw
        .cluster
        .check(|written| {
            // `tidegate.<model>.mirror.<cluster>` are the runtime keys of mirrors.
            if written.value == "mirror" {
                mistakes.add(written.place.clone(), Problem::Reserved("mirror"));
                return None;
            }
            name(written, NAME, mistakes)
        })
        .required("cluster", "census-v1", place, mistakes);
    let role = raw.role.required("role", "primary", place, mistakes);
    Some(Version { name: version_name?.value, cluster: cluster?.value, role: role?.value })
}

fn default_window() -> Window {
    let (length, hop) = (WINDOW_LENGTH, WINDOW_LENGTH / PANES);
    Window { length, hop, min_rows: MIN_ROWS, rows: None, time: None }
}

fn window(raw: raw::Window, shared: bool, mistakes: &mut Mistakes) -> Option<Window> {
    let [shortest, longest] = WINDOW_LENGTHS;
    let length = lasting(raw.length, shortest, longest, mistakes);
    let hop = lasting(raw.hop, LEAST_HOP, longest, mistakes);
    let min_rows = within(raw.min_rows, 1, MOST_MIN_ROWS, mistakes);
    // With fewer rows than a window must have it would never be judged.
    let least = min_rows.given().map_or(MIN_ROWS, |least| least.value);
    let rows = within(raw.rows, least, MOST_MIN_ROWS, mistakes);
    let time = match raw.time {
        Field::Absent => Some(None),
        Field::Mistaken => None,
        Field::Given(written) => own_time(written.value, shared, mistakes).map(Some),
    };
    // Where only the length is wrong, the hop cannot be judged against it.
    let place = hop.given().map(|hop| hop.place.clone());
    let length = length.or(WINDOW_LENGTH)?;
    let hop = hop.or(length / PANES)?;
    if let Some(place) = place {
        let (hop_text, length_text) = (show(hop), show(length));
        if !length.as_nanos().is_multiple_of(hop.as_nanos()) {
            let problem = Problem::HopDoesNotDivide { hop: hop_text, length: length_text };
            mistakes.add(place, problem);
            return None;
        }
        if length > hop * MAX_PANES {
            let (hop, length, most) = (hop_text, length_text, MAX_PANES);
            mistakes.add(place, Problem::TooManyPanes { hop, length, most });
            return None;
        }
    }
    let rows = rows.map(Some).or(None)?;
    Some(Window { length, hop, min_rows: min_rows.or(MIN_ROWS)?, rows, time: time? })
}

fn own_time(raw: raw::OwnTime, shared: bool, mistakes: &mut Mistakes) -> Option<OwnTime> {
    let input = raw.input.required("input", "created_at", &raw.place, mistakes);
    let lateness = lasting(raw.lateness, Duration::ZERO, WINDOW_LENGTHS[1], mistakes);
    let max_late_rate = within(raw.max_late_rate, 0.0, 1.0, mistakes);
    if shared {
        mistakes.add(raw.place, Problem::SharedOwnTime);
        return None;
    }
    Some(OwnTime {
        input: input?.value,
        lateness: lateness.or(LATENESS)?,
        max_late_rate: max_late_rate.or(MAX_LATE_RATE)?,
    })
}

fn detectors(raw: raw::Detectors, mistakes: &mut Mistakes) -> Option<Detectors> {
    let min_effect = positive(raw.min_effect, 1.0, mistakes);
    let alarms = positive(raw.false_alarms_per_month, MOST_FALSE_ALARMS_PER_MONTH, mistakes);
    Some(Detectors {
        min_effect: min_effect.or(MIN_EFFECT)?,
        false_alarms_per_month: alarms.or(FALSE_ALARMS_PER_MONTH)?,
        volume: raw.volume.or(true)?,
    })
}

/// Notes each name that was used before.
pub(super) fn unique<'a>(names: impl Iterator<Item = &'a Field<String>>, mistakes: &mut Mistakes) {
    let mut first_uses = HashMap::new();
    for written in names.filter_map(Field::given) {
        if let Some(first) = first_uses.get(&written.value) {
            let problem =
                Problem::Taken { name: written.value.clone(), first: String::clone(first) };
            mistakes.add(written.place.clone(), problem);
        } else {
            first_uses.insert(&written.value, written.place.path.clone());
        }
    }
}
