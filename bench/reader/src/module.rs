//! The module's exports: what a host of WebAssembly calls.

use std::cell::RefCell;

use crate::body::{self, Body};
use crate::reading::{self, Reading};

thread_local! {
    static BODIES: RefCell<Vec<Body>> = const { RefCell::new(Vec::new()) };
}

/// Makes the bodies and says how many there are.
#[unsafe(no_mangle)]
extern "C" fn prepare() -> usize {
    BODIES.with_borrow_mut(|bodies| {
        *bodies = body::all();
        bodies.len()
    })
}

/// The length of a body.
#[unsafe(no_mangle)]
extern "C" fn length(body: usize) -> usize {
    BODIES.with_borrow(|bodies| bodies[body].bytes.len())
}

/// Reads a body so many times.
#[unsafe(no_mangle)]
extern "C" fn read(body: usize, reading: usize, times: u32) -> u32 {
    let (_, reading) = Reading::ALL[reading];
    BODIES.with_borrow(|bodies| reading::read(&bodies[body], reading, times) as u32)
}
