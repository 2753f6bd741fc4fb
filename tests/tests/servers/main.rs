//! Real model servers behind the gate: what they are sent arrives as it was sent, and what they
//! answer comes through as it was given, whatever they speak. `tests/SERVERS.md` says what that is.
//! One module a server. In each, `good` is what is to be read as rows and let pass, `bad` is what
//! a contract of people refuses; where the filter reads the protocol, `Said::enforced` holds it.

mod bentoml;
mod forms;
mod kserve;
mod litserve;
mod llamacpp;
mod mlflow;
mod mlserver;
mod room;
mod said;
mod torchserve;
mod triton;
