//! The HTTP API: health, metrics, and what people ask the mind. It decides nothing.

pub mod answer;
pub mod ask;
pub mod routes;
