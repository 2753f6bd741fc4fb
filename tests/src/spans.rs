//! A real OTLP receiver: the trace service of the official protos, served over gRPC in this
//! process. It keeps what it gets and does not know who sent it.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// A running receiver.
#[derive(Debug)]
pub struct Receiver {
    port: u16,
    spans: Arc<Mutex<Vec<Span>>>,
    // Dropped with the receiver, which ends the server.
    _stop: oneshot::Sender<()>,
}

struct Door(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Door {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let resources = request.into_inner().resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        let spans = scopes.flat_map(|scope| scope.spans);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Receiver {
    /// Starts a receiver on a free port of loopback.
    ///
    /// # Panics
    /// When no runtime or port can be had.
    #[must_use]
    pub fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let listener = listener.expect("a port of loopback");
        let port = listener.local_addr().expect("a bound socket has an address").port();
        let spans = Arc::default();
        let door = TraceServiceServer::new(Door(Arc::clone(&spans)));
        let (stop, stopped) = oneshot::channel::<()>();
        thread::spawn(move || {
            let server = Server::builder().add_service(door);
            let incoming = TcpListenerStream::new(listener);
            // Either way the play is over.
            let _ = runtime.block_on(server.serve_with_incoming_shutdown(incoming, async {
                let _ = stopped.await;
            }));
        });
        Self { port, spans, _stop: stop }
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The spans of this name that came so far.
    #[must_use]
    pub fn named(&self, name: &str) -> Vec<Span> {
        let spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().filter(|span| span.name == name).cloned().collect()
    }
}
