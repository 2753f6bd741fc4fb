//! The mind: what Tidegate knows of a model's training data. It does not know Envoy yet.

pub mod profile;
pub mod table;
