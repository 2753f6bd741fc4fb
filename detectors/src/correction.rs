//! correction.
