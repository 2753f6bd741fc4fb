//! The wire contract between filter and collector: messages, and with the feature `grpc` the
//! service's stubs. It deliberately knows nothing of contracts, windows or Envoy.

/// Samples and tallies, from the filter to the collector.
pub mod intake {
    /// Version 1 of the wire; a breaking change makes a `v2` beside it.
    #[allow(missing_docs, unused_qualifications, rust_2018_idioms, clippy::all, clippy::pedantic)]
    pub mod v1 {
        include!(concat!(env!("OUT_DIR"), "/tidegate.intake.v1.rs"));
    }
}
