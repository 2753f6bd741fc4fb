//! Real model servers behind the gate: what they are sent arrives as it was sent, and what they
//! answer comes through as it was given, whatever they speak. What they speak is written down in
//! `tests/SERVERS.md`. One module a server; each has one place for what is to be read of its
//! exchanges, `good`, and one for what a contract of people refuses, `bad`.

mod bentoml;
mod kserve;
mod litserve;
mod llamacpp;
mod mlflow;
mod mlserver;
mod room;
mod said;
mod torchserve;
mod triton;
