//! A tap on a wire: it stands between two who speak over TCP, passes every byte on as it came, and
//! remembers it first. It does not know what is said.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// What passed over one connection since somebody last asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Passed {
    /// From the one who connected.
    pub up: Vec<u8>,
    /// From the one who was connected to.
    pub down: Vec<u8>,
}

#[derive(Clone, Copy)]
enum Way {
    Up,
    Down,
}

#[derive(Default)]
struct Shared {
    passed: Mutex<Vec<Passed>>,
    closing: AtomicBool,
}

/// A tap that listens.
pub struct Tap {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Tap {
    /// A tap before the one who listens at this port of loopback.
    ///
    /// # Panics
    /// When loopback has no port left.
    #[must_use]
    pub fn before(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port of loopback");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared::default());
        let tapping = Arc::clone(&shared);
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                if tapping.closing.load(Ordering::Relaxed) {
                    return;
                }
                // Whoever is not there is not there through the tap either.
                let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else { continue };
                tapping.connect(&near, &far);
            }
        });
        Self { address, shared }
    }

    /// Where it listens.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What passed since the last time, for each connection on which something did.
    #[must_use]
    pub fn take(&self) -> Vec<Passed> {
        let mut taken: Vec<Passed> =
            held(&self.shared.passed).iter_mut().map(std::mem::take).collect();
        taken.retain(|passed| *passed != Passed::default());
        taken
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts, so that it sees.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, near: &TcpStream, far: &TcpStream) {
        let number = {
            let mut passed = held(&self.passed);
            passed.push(Passed::default());
            passed.len() - 1
        };
        for (from, to, way) in [(near, far, Way::Up), (far, near, Way::Down)] {
            let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { return };
            let _ = to.set_nodelay(true);
            let shared = Arc::clone(self);
            thread::spawn(move || shared.pass(number, from, to, way));
        }
    }

    fn pass(&self, number: usize, mut from: TcpStream, mut to: TcpStream, way: Way) {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(count) = from.read(&mut bytes) {
            if count == 0 {
                break;
            }
            // Remembered before it goes on: whoever has the answer finds it here.
            let mut all = held(&self.passed);
            let passed = &mut all[number];
            match way {
                Way::Up => passed.up.extend_from_slice(&bytes[..count]),
                Way::Down => passed.down.extend_from_slice(&bytes[..count]),
            }
            drop(all);
            if to.write_all(&bytes[..count]).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Write);
        let _ = from.shutdown(Shutdown::Read);
    }
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
