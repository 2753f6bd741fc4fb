//! The append-only decision log.
