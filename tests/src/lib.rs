//! The harness: a house with a real Envoy, the real filter and the real collector, between clients
//! that can say anything and model servers that remember every byte. It names no crate of the
//! house: it meets them as a user does, over the network and on the command line.

pub mod client;
pub mod coding;
pub mod frames;
pub mod gate;
pub mod house;
pub mod patience;
pub mod people;
pub mod recorder;
pub mod samples;
pub mod spans;
pub mod stream;
pub mod tap;
pub mod tools;
pub mod wire;
