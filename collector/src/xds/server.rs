//! The aggregated discovery service over gRPC: one task for each Envoy's stream. It carries words
//! between Envoy, a `session` and the mind, and decides nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::AggregatedDiscoveryService;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::fleet::Report;
use super::session::{Heard, Session, Turn};
use super::snapshot::Snapshot;

/// Pushes that may wait on one stream before its task waits for the network.
const PUSHES_WAITING: usize = 8;
/// Envoys that may be connected at once.
const MAX_STREAMS: u64 = 4096;

/// The service.
#[derive(Debug)]
pub struct Discovery {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    reports: mpsc::Sender<Report>,
    named: AtomicU64,
    open: Arc<AtomicU64>,
}

impl Discovery {
    /// A service that serves the newest of `snapshots` and tells what it hears to `reports`.
    #[must_use]
    pub fn new(snapshots: watch::Receiver<Arc<Snapshot>>, reports: mpsc::Sender<Report>) -> Self {
        Self { snapshots, reports, named: AtomicU64::new(1), open: Arc::default() }
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl AggregatedDiscoveryService for Discovery {
    type StreamAggregatedResourcesStream = Answers<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = Answers<DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        let open = Arc::clone(&self.open);
        if open.fetch_add(1, Ordering::Relaxed) >= MAX_STREAMS {
            open.fetch_sub(1, Ordering::Relaxed);
            return Err(Status::resource_exhausted("too many Envoys are connected"));
        }
        let (answers, stream) = mpsc::channel(PUSHES_WAITING);
        let carrier = Carrier {
            stream: self.named.fetch_add(1, Ordering::Relaxed),
            node: String::new(),
            session: Session::default(),
            snapshots: self.snapshots.clone(),
            reports: self.reports.clone(),
            answers,
        };
        let requests = request.into_inner();
        tokio::spawn(async move {
            carrier.run(requests).await;
            open.fetch_sub(1, Ordering::Relaxed);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn delta_aggregated_resources(
        &self,
        _request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        Err(Status::unimplemented(
            "this collector serves the state of the world: set `api_type: GRPC` in ads_config",
        ))
    }
}

/// One stream and all that its task needs.
struct Carrier {
    stream: u64,
    node: String,
    session: Session,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    reports: mpsc::Sender<Report>,
    answers: mpsc::Sender<Result<DiscoveryResponse, Status>>,
}

impl Carrier {
    /// Until Envoy hangs up or the mind is gone.
    async fn run(mut self, mut requests: Streaming<DiscoveryRequest>) {
        loop {
            let going_on = tokio::select! {
                request = requests.next() => match request {
                    Some(Ok(request)) => self.answer(&request).await,
                    Some(Err(_)) | None => false,
                },
                changed = self.snapshots.changed() => changed.is_ok() && self.turn().await,
                () = self.answers.closed() => false,
            };
            if !going_on {
                break;
            }
        }
        self.report(None).await;
    }

    async fn answer(&mut self, request: &DiscoveryRequest) -> bool {
        if let Some(node) = &request.node {
            self.node = node.id.chars().take(256).collect();
        }
        let snapshot = Arc::clone(&self.snapshots.borrow());
        let (heard, answer) = self.session.hear(request, &snapshot);
        if !self.report(Some(heard)).await {
            return false;
        }
        match answer {
            Some(answer) => self.answers.send(Ok(answer)).await.is_ok(),
            None => true,
        }
    }

    async fn turn(&mut self) -> bool {
        let snapshot = Arc::clone(&self.snapshots.borrow_and_update());
        let Turn { pushes, has } = self.session.turn(&snapshot);
        for push in pushes {
            if self.answers.send(Ok(push)).await.is_err() {
                return false;
            }
        }
        for heard in has {
            if !self.report(Some(heard)).await {
                return false;
            }
        }
        true
    }

    async fn report(&self, heard: Option<Heard>) -> bool {
        let report = Report { stream: self.stream, node: self.node.clone(), heard };
        self.reports.send(report).await.is_ok()
    }
}
