//! How fast bodies are checked: the bodies, and the ways to read them. The same code runs natively and, as
//! a module, in V8. It does not know time.

pub mod body;
pub mod reading;

#[cfg(target_family = "wasm")]
mod module;
