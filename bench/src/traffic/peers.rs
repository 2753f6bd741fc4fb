//! Who stands beside Envoy: an external processor that looks at a request's body and lets it go
//! on, and a collector that takes samples and forgets them. Their own time is not measured.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;

use envoy_types::pb::envoy::service::ext_proc::v3::external_processor_server::{
    ExternalProcessor, ExternalProcessorServer,
};
use envoy_types::pb::envoy::service::ext_proc::v3::{
    BodyResponse, HeadersResponse, ProcessingRequest, ProcessingResponse, processing_request,
    processing_response,
};
use tidegate_proto::intake::v1::intake_server::{Intake, IntakeServer};
use tidegate_proto::intake::v1::{ShipRequest, ShipResponse};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt as _};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

/// Bytes of a message: a body of 1 MiB and what is around it.
const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// Starts both on one port, for the rest of the process's life.
///
/// # Errors
/// Loopback has no port left, or the runtime cannot start.
pub fn start() -> std::io::Result<u16> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = runtime.block_on(TcpListener::bind(address))?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        let served = Server::builder()
            .add_service(
                ExternalProcessorServer::new(Looker).max_decoding_message_size(MAX_MESSAGE_BYTES),
            )
            .add_service(IntakeServer::new(Sink).max_decoding_message_size(MAX_MESSAGE_BYTES))
            .serve_with_incoming(TcpListenerStream::new(listener));
        runtime.block_on(served)
    });
    Ok(port)
}

struct Looker;

type Answers = Pin<Box<dyn Stream<Item = Result<ProcessingResponse, Status>> + Send>>;

#[tonic::async_trait]
impl ExternalProcessor for Looker {
    type ProcessStream = Answers;

    async fn process(
        &self,
        request: Request<Streaming<ProcessingRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let answers = request.into_inner().map(|asked| asked.map(|asked| answer(&asked)));
        Ok(Response::new(Box::pin(answers)))
    }
}

fn answer(asked: &ProcessingRequest) -> ProcessingResponse {
    use processing_request::Request as Asked;
    use processing_response::Response as Said;
    let response = match asked.request {
        Some(Asked::RequestHeaders(_)) => Some(Said::RequestHeaders(HeadersResponse::default())),
        Some(Asked::RequestBody(_)) => Some(Said::RequestBody(BodyResponse::default())),
        // Nothing else is sent to us.
        _ => None,
    };
    ProcessingResponse { response, ..ProcessingResponse::default() }
}

struct Sink;

#[tonic::async_trait]
impl Intake for Sink {
    async fn ship(&self, batch: Request<ShipRequest>) -> Result<Response<ShipResponse>, Status> {
        let accepted = u32::try_from(batch.get_ref().samples.len()).unwrap_or(u32::MAX);
        Ok(Response::new(ShipResponse { accepted, ..ShipResponse::default() }))
    }
}
