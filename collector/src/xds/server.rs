//! The aggregated discovery service over gRPC: one task for each Envoy's stream. It carries words
//! between Envoy, a `session` and the mind, and decides nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_server::AggregatedDiscoveryService;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::delta::DeltaSession;
use super::fleet::Report;
use super::session::{Heard, Session, Turn};
use super::snapshot::Snapshot;
use super::world::{Asker, World};

/// Pushes that may wait on one stream before its task waits for the network.
const PUSHES_WAITING: usize = 8;
/// Envoys that may be connected at once.
const MAX_STREAMS: u64 = 4096;

/// The service.
#[derive(Debug)]
pub struct Discovery {
    worlds: watch::Receiver<Arc<World>>,
    reports: mpsc::Sender<Report>,
    named: AtomicU64,
    open: Arc<AtomicU64>,
}

impl Discovery {
    /// A service that serves each its part of the newest of `worlds` and tells what it hears to `reports`.
    #[must_use]
    pub fn new(worlds: watch::Receiver<Arc<World>>, reports: mpsc::Sender<Report>) -> Self {
        Self { worlds, reports, named: AtomicU64::new(1), open: Arc::default() }
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
        self.open(Session::default(), request.into_inner())
    }

    async fn delta_aggregated_resources(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        self.open(DeltaSession::default(), request.into_inner())
    }
}

impl Discovery {
    /// Begins a stream, in the words of one of the two variants.
    fn open<S: Speaks>(
        &self,
        session: S,
        requests: Streaming<S::Request>,
    ) -> Result<Response<Answers<S::Answer>>, Status> {
        let open = Arc::clone(&self.open);
        if open.fetch_add(1, Ordering::Relaxed) >= MAX_STREAMS {
            open.fetch_sub(1, Ordering::Relaxed);
            return Err(Status::resource_exhausted("too many Envoys are connected"));
        }
        let (answers, stream) = mpsc::channel(PUSHES_WAITING);
        let carrier = Carrier {
            stream: self.named.fetch_add(1, Ordering::Relaxed),
            asker: Arc::default(),
            session,
            worlds: self.worlds.clone(),
            reports: self.reports.clone(),
            answers,
        };
        tokio::spawn(async move {
            carrier.run(requests).await;
            open.fetch_sub(1, Ordering::Relaxed);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

/// One variant of the protocol: what its sessions hear and say.
trait Speaks: Send + Sync + 'static {
    type Request: Send + Sync + 'static;
    type Answer: Send + Sync + 'static;

    /// Who asks; told with the first request only.
    fn node(request: &Self::Request) -> Option<&Node>;
    fn hear(
        &mut self,
        request: &Self::Request,
        snapshot: &Arc<Snapshot>,
    ) -> (Vec<Heard>, Vec<Self::Answer>);
    fn turn(&mut self, snapshot: &Arc<Snapshot>) -> (Vec<Self::Answer>, Vec<Heard>);
}

impl Speaks for Session {
    type Request = DiscoveryRequest;
    type Answer = DiscoveryResponse;

    fn node(request: &DiscoveryRequest) -> Option<&Node> {
        request.node.as_ref()
    }

    fn hear(
        &mut self,
        request: &DiscoveryRequest,
        snapshot: &Arc<Snapshot>,
    ) -> (Vec<Heard>, Vec<DiscoveryResponse>) {
        let (heard, answers) = Session::hear(self, request, snapshot);
        (vec![heard], answers)
    }

    fn turn(&mut self, snapshot: &Arc<Snapshot>) -> (Vec<DiscoveryResponse>, Vec<Heard>) {
        let Turn { pushes, has } = Session::turn(self, snapshot);
        (pushes, has)
    }
}

impl Speaks for DeltaSession {
    type Request = DeltaDiscoveryRequest;
    type Answer = DeltaDiscoveryResponse;

    fn node(request: &DeltaDiscoveryRequest) -> Option<&Node> {
        request.node.as_ref()
    }

    fn hear(
        &mut self,
        request: &DeltaDiscoveryRequest,
        snapshot: &Arc<Snapshot>,
    ) -> (Vec<Heard>, Vec<DeltaDiscoveryResponse>) {
        DeltaSession::hear(self, request, snapshot)
    }

    fn turn(&mut self, snapshot: &Arc<Snapshot>) -> (Vec<DeltaDiscoveryResponse>, Vec<Heard>) {
        DeltaSession::turn(self, snapshot)
    }
}

/// One stream and all that its task needs.
struct Carrier<S: Speaks> {
    stream: u64,
    asker: Arc<Asker>,
    session: S,
    worlds: watch::Receiver<Arc<World>>,
    reports: mpsc::Sender<Report>,
    answers: mpsc::Sender<Result<S::Answer, Status>>,
}

impl<S: Speaks> Carrier<S> {
    /// Until Envoy hangs up or the mind is gone.
    async fn run(mut self, mut requests: Streaming<S::Request>) {
        loop {
            let going_on = tokio::select! {
                request = requests.next() => match request {
                    Some(Ok(request)) => self.answer(&request).await,
                    Some(Err(_)) | None => false,
                },
                changed = self.worlds.changed() => changed.is_ok() && self.turn().await,
                () = self.answers.closed() => false,
            };
            if !going_on {
                break;
            }
        }
        self.report(None).await;
    }

    async fn answer(&mut self, request: &S::Request) -> bool {
        if let Some(node) = S::node(request) {
            self.asker = Arc::new(Asker::of(node));
        }
        let snapshot = self.worlds.borrow().snapshot(&self.asker);
        let (heard, answers) = self.session.hear(request, &snapshot);
        // What was heard is told first: an answer to what is sent now must not overtake it.
        self.tell(heard).await && self.send(answers).await
    }

    async fn turn(&mut self) -> bool {
        let snapshot = self.worlds.borrow_and_update().snapshot(&self.asker);
        let (pushes, has) = self.session.turn(&snapshot);
        self.send(pushes).await && self.tell(has).await
    }

    async fn send(&self, answers: Vec<S::Answer>) -> bool {
        for answer in answers {
            if self.answers.send(Ok(answer)).await.is_err() {
                return false;
            }
        }
        true
    }

    async fn tell(&self, heard: Vec<Heard>) -> bool {
        for heard in heard {
            if !self.report(Some(heard)).await {
                return false;
            }
        }
        true
    }

    async fn report(&self, heard: Option<Heard>) -> bool {
        let report = Report { stream: self.stream, asker: Arc::clone(&self.asker), heard };
        self.reports.send(report).await.is_ok()
    }
}
