//! The traffic that filters are measured with: bodies, a client and a model server that cost
//! little, and one Envoy with a listener for each variant. It does not know what the figures are
//! held to.

pub mod body;
pub mod client;
pub mod peers;
pub mod proxy;
pub mod upstream;
pub mod variant;
