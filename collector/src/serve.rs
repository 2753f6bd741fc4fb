//! `tidegate serve`: the wiring. Every part of the collector is made here and given its neighbours;
//! nothing is decided here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::AggregatedDiscoveryServiceServer;
use tidegate_contract::columns::Wanted;
use tidegate_contract::contract::Contract;
use tidegate_contract::protocol::Side;
use tidegate_proto::intake::v1::intake_server::IntakeServer;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::TcpListenerStream;
use tracing::{info, warn};

use crate::api::routes::{Doors, router};
use crate::config::Config;
use crate::config::mistake::ConfigError;
use crate::config::model::Model;
use crate::config::rule::Part;
use crate::custom_metrics::CustomMetrics;
use crate::intake::{Door, Keeps, LostAtDoor, Pairing, Reads};
use crate::labels::reading::Labelled;
use crate::metrics::Metrics;
use crate::mind::{Inbox, Mind, Subject};
use crate::profile;
use crate::profile::error::ProfileError;
use crate::sides::Sides;
use crate::state::{self, StateError};
use crate::store::shelf::{Shelf, ShelfError};
use crate::store::{Keeper, Shape, layout};
use crate::telemetry::{Telemetry, TelemetryError};
use crate::xds::server::Discovery;

/// Batches that wait for the mind. A flood can hold, for each of them, 6 MiB of cells
/// ([`crate::intake::BATCH_CELLS`]) and the texts in them, no longer than [`MAX_BATCH_BYTES`] but
/// with an allocation each; and as much again for each batch that is being read just then. What
/// the filters send takes far less: one batch of theirs is 1 MiB of bodies at most.
const BATCHES_WAITING: usize = 64;
/// What Envoys said and the mind has not heard yet.
const REPORTS_WAITING: usize = 1024;
/// What people asked and the mind has not answered yet.
const ASKS_WAITING: usize = 64;
/// Bytes of one message from a filter; the filter's own bound is lower.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// Calls at once on one connection of an Envoy; its own circuit breaker is lower.
const MAX_CALLS: usize = 256;
/// What the kernel sends who writes past its limit on the size of files.
const FILE_TOO_LARGE: i32 = 25;
/// How long a part may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the collector could not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A profile cannot be used.
    #[error("models.{model}.profile: {source}")]
    Profile {
        /// The model.
        model: String,
        /// What is wrong with it.
        source: ProfileError,
    },
    /// A contract cannot be used.
    #[error("models.{model}.contract: {file}: {why}")]
    Contract {
        /// The model.
        model: String,
        /// The file.
        file: String,
        /// All that is wrong with it.
        why: String,
    },
    /// A rule is about a segment that the model's requests cannot be in.
    #[error("models.{model}.policy: `{rule}`: {why}")]
    Segment {
        /// The model.
        model: String,
        /// The rule, in one line.
        rule: String,
        /// All that is wrong with its segment.
        why: String,
    },
    /// A metric is about what the model does not have.
    #[error(transparent)]
    Metric(#[from] ConfigError),
    /// The decision log cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// Samples cannot be kept where they should be.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// Telemetry cannot be set up.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// Somebody else listens there, or nobody may.
    #[error("listen.{door}: cannot listen on {address}: {source}")]
    Listen {
        /// `grpc` or `http`.
        door: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The runtime or one of its servers failed.
    #[error("the collector stopped: {0}")]
    Stopped(#[source] Box<dyn std::error::Error + Send + Sync>),
}

fn stopped(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> ServeError {
    ServeError::Stopped(why.into())
}

/// Reads the profile and the contract of every model.
///
/// # Errors
/// When one of them is missing or broken.
pub fn subjects(config: &Config) -> Result<Vec<Subject>, ServeError> {
    config.models.iter().map(subject).collect()
}

/// Reads the profile and the contract of one model.
///
/// # Errors
/// When one of them is missing or broken.
pub fn subject(model: &Model) -> Result<Subject, ServeError> {
    let profile = profile::load(&model.profile)
        .map_err(|source| ServeError::Profile { model: model.name.clone(), source })?;
    let contract = match &model.contract {
        None => profile.contract,
        Some(file) => {
            let broken = |why: String| ServeError::Contract {
                model: model.name.clone(),
                file: file.display().to_string(),
                why,
            };
            let text = std::fs::read_to_string(file).map_err(|error| broken(error.to_string()))?;
            Contract::parse(&text).map_err(|mistakes| {
                let mistakes: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
                broken(mistakes.join("; "))
            })?
        }
    };
    for rule in &model.policy {
        let misfits: Vec<String> = match rule.then.part() {
            Some(Part::Where(segment)) => {
                segment.misfits(&contract).iter().map(ToString::to_string).collect()
            }
            _ => Vec::new(),
        };
        if !misfits.is_empty() {
            return Err(ServeError::Segment {
                model: model.name.clone(),
                rule: rule.to_string(),
                why: misfits.join("; "),
            });
        }
    }
    let sides = Sides::of(&profile.reference, &profile.outputs);
    Ok(Subject {
        model: model.clone(),
        metrics: CustomMetrics::of(model, &contract, &sides)?,
        sides: sides.by_hour(profile.seasons),
        hours: profile.memory.time.map(|timed| timed.hours),
        effective_tests: profile.document.effective_tests,
        contract,
    })
}

/// What is read of a model's samples: what is judged, what is kept for labels, and all of it where
/// samples are kept on disk.
fn reads(subject: &Subject, stored: bool) -> Reads {
    let Subject { model, sides, contract, metrics, .. } = subject;
    let time = model.window.time.as_ref().map(|time| time.input.as_str());
    let versions: Vec<String> = model.versions.iter().map(|version| version.name.clone()).collect();
    let kept = model.labels.as_ref().map(|labels| labels.output.as_str());
    let said = contract.outputs.iter().map(|field| field.name.as_str());
    let columns = if stored { layout::columns(contract, sides) } else { Vec::new() };
    let of = |side: Side| columns.iter().filter(move |column| column.side == side);
    let named = |side: Side| of(side).map(|column| column.source.as_str());

    let measured = |side: Side| metrics.names(side);
    let inputs = sides.names(Side::Request).chain(measured(Side::Request)).chain(time);
    let inputs = Wanted::new(inputs.chain(named(Side::Request)));
    let judged = sides.names(Side::Response).chain(kept).chain(measured(Side::Response));
    let judged: Vec<&str> = judged.collect();
    let all = judged.iter().copied().chain(said).chain(named(Side::Response));
    Reads {
        model: model.name.clone(),
        inputs: inputs.in_fields(&contract.inputs),
        all_outputs: Wanted::new(all).in_fields(&contract.outputs),
        outputs: (!judged.is_empty()).then(|| Wanted::new(judged).in_fields(&contract.outputs)),
        keeps: kept.map(|output| Keeps {
            versions: versions.clone(),
            output: output.to_owned(),
            metrics: metrics.clone(),
        }),
        measured: !metrics.need_no_exchange(),
        versions,
    }
}

/// What the store knows of a model.
fn shape(subject: &Subject) -> Shape {
    let Subject { model, sides, contract, .. } = subject;
    Shape {
        model: model.name.clone(),
        versions: model.versions.iter().map(|version| version.name.clone()).collect(),
        columns: layout::columns(contract, sides),
    }
}

/// Runs until SIGINT or SIGTERM.
///
/// # Errors
/// When something it needs is not there.
pub fn run(config: Config) -> Result<(), ServeError> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(stopped)?;
    runtime.block_on(async {
        let _telemetry = Telemetry::start(config.telemetry.otlp_endpoint.as_deref())?;
        collect(config).await
    })
}

async fn collect(config: Config) -> Result<(), ServeError> {
    // A limit on files is met like a full disk, as an error of the write, instead of ending the process.
    let _limit = signal(SignalKind::from_raw(FILE_TOO_LARGE)).map_err(stopped)?;
    let subjects = subjects(&config)?;
    let listen = config.listen;
    let grpc = bind("grpc", listen.grpc).await?;
    let http = bind("http", listen.http).await?;

    let metrics = Metrics::default();
    let lost = Arc::new(LostAtDoor::new(subjects.len()));
    let (to_mind, batches) = mpsc::channel(BATCHES_WAITING);
    let (to_fleet, reports) = mpsc::channel(REPORTS_WAITING);
    let (to_answer, asks) = mpsc::channel(ASKS_WAITING);
    let labelled = Arc::new(Labelled::of(&config.models));
    let pairing = Arc::new(Pairing::new(subjects.len()));
    let door = Door::new(
        subjects.iter().map(|subject| reads(subject, config.samples.is_some())),
        to_mind,
        Arc::clone(&lost),
        Arc::clone(&pairing),
        metrics.clone(),
    );
    let keeps = match &config.samples {
        None => None,
        Some(samples) => {
            let shapes = subjects.iter().map(shape).collect();
            let shelf = Shelf::of(&samples.to)?;
            Some(Keeper::new(shelf, samples.clone(), shapes, metrics.clone()))
        }
    };
    let (keeper, store) = keeps.map_or((None, None), |(keeper, door)| (Some(keeper), Some(door)));
    let door = door.keeping(store);
    let (opened, news) = state::open(&config)?;
    let (mind, worlds) =
        Mind::awake(config, subjects, Arc::clone(&lost), pairing, metrics.clone(), opened)?;
    let inbox = Inbox { batches, lost, reports, asks, news };
    let discovery = Discovery::new(worlds, to_fleet);

    let (stop, stopping) = watch::channel(false);
    let mut mind = tokio::spawn(mind.run(inbox, stopping.clone()));
    let keeper = keeper.map(|keeper| tokio::spawn(keeper.run(stopping.clone())));
    let door = IntakeServer::new(door).max_decoding_message_size(MAX_BATCH_BYTES);
    let mut grpc = tokio::spawn(
        tonic::transport::Server::builder()
            // An Envoy whose machine went without saying so must not keep a decision waiting.
            .http2_keepalive_interval(Some(Duration::from_secs(10)))
            .http2_keepalive_timeout(Some(Duration::from_secs(5)))
            .concurrency_limit_per_connection(MAX_CALLS)
            .add_service(door)
            .add_service(AggregatedDiscoveryServiceServer::new(discovery))
            .serve_with_incoming_shutdown(TcpListenerStream::new(grpc), told(stopping.clone())),
    );
    let routes = router(Doors { mind: to_answer, metrics, labelled });
    let mut http = tokio::spawn(async move {
        axum::serve(http, routes).with_graceful_shutdown(told(stopping)).await
    });
    info!(grpc = %listen.grpc, http = %listen.http, "the collector is up");

    // A part that ends by itself takes the whole process with it: whoever runs us starts us anew.
    tokio::select! {
        asked = interrupted() => asked.map_err(stopped)?,
        ended = &mut mind => {
            return Err(stopped(reason(ended.map(Ok::<(), Failure>), "the mind ended")));
        }
        ended = &mut grpc => return Err(stopped(reason(ended, "the gRPC server ended"))),
        ended = &mut http => return Err(stopped(reason(ended, "the HTTP server ended"))),
    }
    info!("stopping");
    // The mind ends first: the streams to the Envoys end with it, and with them the gRPC server.
    let _ = stop.send(true);
    let all = async {
        let _ = (mind.await, grpc.await, http.await);
        if let Some(keeper) = keeper {
            let _ = keeper.await;
        }
    };
    if timeout(PATIENCE, all).await.is_err() {
        warn!("a connection did not end in time; it is cut off");
    }
    Ok(())
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Why a server ended that nobody asked to.
fn reason<E: Into<Failure>>(
    ended: Result<Result<(), E>, tokio::task::JoinError>,
    otherwise: &str,
) -> Failure {
    match ended {
        Ok(Ok(())) => otherwise.into(),
        Ok(Err(error)) => error.into(),
        Err(error) => error.into(),
    }
}

async fn bind(door: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    let listener = TcpListener::bind(address).await;
    listener.map_err(|source| ServeError::Listen { door, address, source })
}

/// Until the collector is told to stop.
async fn told(mut stopping: watch::Receiver<bool>) {
    // A sender that is gone means the same.
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn interrupted() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
