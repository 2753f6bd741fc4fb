//! The second shell: the same core as a shared library that Envoy loads as a dynamic module,
//! built with the feature `dynamic-module`. `abi` alone names what Envoy offers and calls, `shell`
//! carries effects out, `fleet` ships samples. What the core decides, none of them knows.
//!
//! A worker of Envoy is a thread. Each has its own [`crate::worker::Worker`], as each has a VM of
//! its own in the first shell. Bodies are read where Envoy holds them, by the stream that they
//! belong to; a worker's state is asked when an exchange begins and when it ends.

mod abi;
mod fleet;
mod shell;
