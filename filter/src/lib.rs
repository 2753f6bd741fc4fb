//! The eye of Tidegate: a filter inside Envoy that holds model traffic against its contract, keeps
//! a share of it as samples, and ships them to the collector.
//!
//! The core is pure: data goes in, effects come out, and the host's clock, headers and bytes are
//! arguments. There are two shells around it. On WebAssembly `shell` carries the effects out and
//! `host` alone names the proxy-wasm ABI; with the feature `dynamic-module`, `native` does both for
//! a shared library that Envoy loads itself. The core deliberately does not know Envoy.

// A panic kills the VM of a worker and every exchange in it, so no path of the core may have one.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::todo,
        clippy::unimplemented,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::integer_division_remainder_used,
        clippy::arithmetic_side_effects
    )
)]

pub mod batch;
pub mod buffer;
pub mod capture;
pub mod coding;
pub mod exchange;
mod half;
pub mod head;
pub mod holding;
pub mod log_budget;
pub mod order;
pub mod pace;
pub mod pairs;
pub mod problem;
pub mod sampling;
pub mod sticky;
pub mod table;
pub mod tag;
pub mod tally;
pub mod worker;

#[cfg(target_family = "wasm")]
mod host;
// Its symbols are Envoy's, so a test binary could not be linked.
#[cfg(all(feature = "dynamic-module", not(target_family = "wasm"), not(test)))]
mod native;
#[cfg(target_family = "wasm")]
mod shell;
