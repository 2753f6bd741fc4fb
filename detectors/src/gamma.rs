//! gamma.
