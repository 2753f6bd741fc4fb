//! Telemetry: logs to standard error, and spans over OTLP where an endpoint is configured. The only
//! file that names the exporter.

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The endpoint is not one that the exporter takes.
    #[error("telemetry.otlp_endpoint {endpoint}: {source}")]
    Exporter {
        /// As configured.
        endpoint: String,
        /// What the exporter says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Keeps the exporter alive; what it still holds is sent when this is dropped.
#[derive(Debug)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts logging (level by `TIDEGATE_LOG`, `info` without it) and, with an endpoint, the export
    /// of spans over OTLP. Needs a Tokio runtime.
    ///
    /// # Errors
    /// When the exporter refuses the endpoint. A receiver that is only away is no error.
    pub fn start(otlp_endpoint: Option<&str>) -> Result<Self, TelemetryError> {
        let level = EnvFilter::builder()
            .with_default_directive(LevelFilter::INFO.into())
            .with_env_var("TIDEGATE_LOG")
            .from_env_lossy();
        // Where the log itself cannot be written, on a full disk, saying so on the same stream would panic.
        let log = fmt::layer()
            .with_writer(std::io::stderr)
            .log_internal_errors(false)
            .with_target(false)
            .with_filter(level);
        let provider = otlp_endpoint.map(provider).transpose()?;
        let spans = provider.as_ref().map(|provider| {
            let ours = EnvFilter::new("off,tidegate=info,tidegate_collector=info");
            tracing_opentelemetry::layer()
                .with_tracer(provider.tracer("tidegate"))
                .with_filter(ours)
        });
        tracing_subscriber::registry().with(log).with(spans).init();
        Ok(Self { provider })
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = &self.provider {
            // The process ends; a receiver that is away must not keep it.
            let _ = provider.shutdown_with_timeout(std::time::Duration::from_secs(2));
        }
    }
}

fn provider(endpoint: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter =
        SpanExporter::builder().with_tonic().with_endpoint(endpoint).build().map_err(|source| {
            TelemetryError::Exporter { endpoint: endpoint.to_owned(), source: Box::new(source) }
        })?;
    let resource = Resource::builder().with_service_name("tidegate").build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}
