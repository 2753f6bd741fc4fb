//! proportion.
