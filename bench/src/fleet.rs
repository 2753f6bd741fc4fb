//! A fleet of Envoys that are none: clients of the aggregated discovery service that ask for what an
//! Envoy asks for, and acknowledge at once whatever comes. They do not know what it means.

use envoy_types::pb::envoy::config::core::v3::Node;
use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use envoy_types::pb::envoy::service::discovery::v3::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;

/// What an Envoy with our bootstrap asks for.
const TYPES: [&str; 2] = [
    "type.googleapis.com/envoy.service.runtime.v3.Runtime",
    "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig",
];

/// Connects one client to the collector's gRPC port; it ends with the connection.
///
/// # Errors
/// Nobody listens there.
pub async fn join(port: u16, number: usize) -> Result<JoinHandle<()>, tonic::transport::Error> {
    let url = format!("http://127.0.0.1:{port}");
    let mut client =
        AggregatedDiscoveryServiceClient::connect(url).await?.max_decoding_message_size(64 << 20);
    let (asks, requests) = mpsc::channel(16);
    Ok(tokio::spawn(async move {
        let node = Node { id: format!("simulated-{number}"), ..Node::default() };
        for type_url in TYPES {
            let first = DiscoveryRequest {
                node: Some(node.clone()),
                type_url: type_url.to_owned(),
                resource_names: vec!["tidegate".to_owned()],
                ..DiscoveryRequest::default()
            };
            if asks.send(first).await.is_err() {
                return;
            }
        }
        let Ok(answers) = client.stream_aggregated_resources(ReceiverStream::new(requests)).await
        else {
            return;
        };
        let mut answers = answers.into_inner();
        while let Some(Ok(answer)) = answers.next().await {
            let acknowledgement = DiscoveryRequest {
                version_info: answer.version_info,
                response_nonce: answer.nonce,
                type_url: answer.type_url,
                resource_names: vec!["tidegate".to_owned()],
                ..DiscoveryRequest::default()
            };
            if asks.send(acknowledgement).await.is_err() {
                return;
            }
        }
    }))
}
