//! Turns what was written into what it means: defaults filled in, ranges checked, paths made
//! absolute. It does not know where in the file's grammar a value came from, only its place.

mod guard;
mod labels;
mod metric;
mod model;
mod range;
mod rollout;
mod rule;
mod samples;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use super::guard::Guard;
use super::metric::Metric;
use super::mistake::{Mistakes, Problem};
use super::raw;
use super::reader::{Field, Written};
use super::rollout::Plan;
use super::state::{self, Redis, State};
use super::{Config, Envoy, Listen, Telemetry};

const GRPC: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7070);
const HTTP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 7071);
const STATE: &str = "./state";
const FILTER: &str = "/etc/tidegate/tidegate_filter.wasm";
const COLLECTOR_CLUSTER: &str = "tidegate_collector";

/// Resolves a file. `None` only where a mistake was noted, now or when the file was read.
pub(super) fn config(
    raw: raw::Config,
    file: &Path,
    folder: &Path,
    mistakes: &mut Mistakes,
) -> Option<Config> {
    let listen = match raw.listen {
        Field::Absent => Some(Listen { grpc: GRPC, http: HTTP }),
        Field::Mistaken => None,
        Field::Given(written) => listen(&written.value, mistakes),
    };
    let state = raw.state.check(|written| place(written, mistakes));
    let state = state.map(|state| kept(&state, folder)).or(kept(STATE, folder));
    let envoy = match raw.envoy {
        Field::Absent => {
            let (filter, collector_cluster) = (FILTER.into(), COLLECTOR_CLUSTER.to_owned());
            Some(Envoy { filter, collector_cluster })
        }
        Field::Mistaken => None,
        Field::Given(written) => envoy(written.value, folder, mistakes),
    };
    let telemetry = match raw.telemetry {
        Field::Absent => Some(Telemetry { otlp_endpoint: None }),
        Field::Mistaken => None,
        Field::Given(written) => telemetry(written.value, mistakes),
    };
    let samples = match raw.samples {
        Field::Absent => Some(None),
        Field::Mistaken => None,
        Field::Given(written) => samples::one(written, folder, mistakes).map(Some),
    };
    let inherited = match raw.defaults {
        Field::Absent => Some(Inherited::default()),
        Field::Mistaken => None,
        Field::Given(written) => inherited(written.value, file, mistakes),
    };
    // Where the defaults are wrong, the models are still read, for their own mistakes.
    let shared = matches!(state, Some(State::Redis(_)));
    let inherits = Inherited { shared, ..inherited.clone().unwrap_or_default() };
    let models = raw
        .models
        .required("models", "[{name: census, ...}]", &raw.place, mistakes)
        .and_then(|models| model::all(models.value, file, folder, &inherits, mistakes));
    inherited?;
    Some(Config {
        listen: listen?,
        state: state?,
        envoy: envoy?,
        telemetry: telemetry?,
        samples: samples?,
        models: models?,
    })
}

/// What models have that say nothing else, and what is the same for all.
#[derive(Clone, Default)]
struct Inherited {
    /// The rules; without them, those that every model with a fallback has.
    policy: Option<Vec<raw::Rule>>,
    metrics: Vec<Metric>,
    guard: Guard,
    rollout: Plan,
    /// Whether several collectors share their state.
    shared: bool,
}

fn inherited(raw: raw::Defaults, file: &Path, mistakes: &mut Mistakes) -> Option<Inherited> {
    let guard = guard::one(raw.guard, &Guard::default(), mistakes);
    let rollout = rollout::one(raw.rollout, &Plan::default(), mistakes);
    let metrics = match raw.metrics {
        Field::Absent => Some(Vec::new()),
        Field::Mistaken => None,
        Field::Given(written) => metric::all(&written.value, file, mistakes),
    };
    let policy = match raw.policy {
        Field::Absent => Some(None),
        Field::Mistaken => None,
        Field::Given(written) => Some(Some(written.value)),
    };
    Some(Inherited {
        policy: policy?,
        metrics: metrics?,
        guard: guard?,
        rollout: rollout?,
        shared: false,
    })
}

fn listen(raw: &raw::Listen, mistakes: &mut Mistakes) -> Option<Listen> {
    if let (Some(grpc), Some(http)) = (raw.grpc.given(), raw.http.given()) {
        // Port 0 asks the system for a free one, so two of them are not the same door.
        if grpc.value == http.value && grpc.value.port() != 0 {
            mistakes.add(http.place.clone(), Problem::SameAddress(http.value));
        }
    }
    Some(Listen { grpc: raw.grpc.clone().or(GRPC)?, http: raw.http.clone().or(HTTP)? })
}

fn envoy(raw: raw::Envoy, folder: &Path, mistakes: &mut Mistakes) -> Option<Envoy> {
    let filter = raw.filter.map(|filter| absolute(&filter, folder)).or(FILTER.into());
    let cluster = raw.collector_cluster.check(|written| name(written, NAME, mistakes));
    Some(Envoy { filter: filter?, collector_cluster: cluster.or(COLLECTOR_CLUSTER.to_owned())? })
}

fn telemetry(raw: raw::Telemetry, mistakes: &mut Mistakes) -> Option<Telemetry> {
    let endpoint = raw.otlp_endpoint.check(|written| {
        let url = written.value.as_str();
        let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let good = rest.is_some_and(|rest| {
            !rest.starts_with(['/', ':']) && !rest.is_empty() && rest.chars().all(is_visible)
        });
        let expected = "a URL such as http://127.0.0.1:4317";
        good.then_some(()).or_else(|| unreadable(written, expected, mistakes))
    });
    Some(Telemetry { otlp_endpoint: endpoint.map(Some).or(None)? })
}

/// Where state is kept: what looks like a URL must be one of a Redis.
fn place(written: &Written<String>, mistakes: &mut Mistakes) -> Option<()> {
    let fine = !written.value.contains("://") || Redis::parse(&written.value).is_some();
    fine.then_some(()).or_else(|| unreadable(written, state::EXPECTED, mistakes))
}

fn kept(state: &str, folder: &Path) -> State {
    Redis::parse(state).map_or_else(|| State::Folder(absolute(state, folder)), State::Redis)
}

/// A path of the file, made absolute.
fn absolute(path: &str, folder: &Path) -> PathBuf {
    folder.join(path).components().collect()
}

fn is_visible(character: char) -> bool {
    !character.is_whitespace() && !character.is_control()
}

/// What a name may be made of besides ASCII letters and digits, and how that is told.
#[derive(Clone, Copy)]
struct Alphabet {
    others: &'static str,
    told: &'static str,
}

/// Names that become segments of runtime keys, where a dot would begin another segment.
const NAME: Alphabet = Alphabet {
    others: "_-",
    told: "a name; use letters, digits, `_` and `-`, at most 64 characters",
};

/// Names of versions, which people like to number.
const VERSION_NAME: Alphabet = Alphabet {
    others: "_-.",
    told: "a version; use letters, digits, `_`, `-` and `.`, at most 64 characters",
};

/// Checks a name; `None` where a mistake was noted.
fn name(written: &Written<String>, alphabet: Alphabet, mistakes: &mut Mistakes) -> Option<()> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || alphabet.others.contains(c);
    if written.value.len() <= 64 && written.value.chars().all(allowed) {
        return Some(());
    }
    unreadable(written, alphabet.told, mistakes)
}

fn unreadable<T>(
    written: &Written<String>,
    expected: &'static str,
    mistakes: &mut Mistakes,
) -> Option<T> {
    let problem = Problem::Unreadable { got: written.value.clone(), expected };
    mistakes.add(written.place.clone(), problem);
    None
}
