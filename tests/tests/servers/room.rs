//! Room on the machine: at most two model servers run at once, however many tests do. It does not
//! know which.

use std::sync::{Condvar, Mutex, PoisonError};

const AT_ONCE: usize = 2;

static TAKEN: Mutex<usize> = Mutex::new(0);
static LEFT: Condvar = Condvar::new();

/// A place for one server; it is free again when this goes.
pub struct Room;

/// Waits for a place.
pub fn enter() -> Room {
    let taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    let full = |taken: &mut usize| *taken >= AT_ONCE;
    *LEFT.wait_while(taken, full).unwrap_or_else(PoisonError::into_inner) += 1;
    Room
}

impl Drop for Room {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        LEFT.notify_one();
    }
}
