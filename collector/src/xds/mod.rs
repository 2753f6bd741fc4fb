//! xDS: how routings and contracts reach Envoy, and how its acknowledgements come back.

pub mod delta;
pub mod fleet;
#[cfg(test)]
mod golden;
pub mod server;
pub mod session;
pub mod snapshot;
mod step;
pub mod world;
