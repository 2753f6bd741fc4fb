//! Streams: clients that ask about people without an end, beside what a play does. They do not know what
//! the play is about.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::client::{Client, Request};
use crate::house::{House, INFER};
use crate::people::{Dice, Era, oip, person};

/// What a stream asks, and how fast.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    era: Era,
    seed: u64,
    rows: usize,
    pause: Duration,
    served: bool,
}

impl Flow {
    /// Five people of this era a request, about a hundred times a second; any answer will do.
    #[must_use]
    pub fn of(era: Era) -> Self {
        Self { era, seed: 1995, rows: 5, pause: Duration::from_millis(10), served: false }
    }

    /// With people from this seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// With so many people a request.
    #[must_use]
    pub fn rows(mut self, rows: usize) -> Self {
        self.rows = rows;
        self
    }

    /// With this pause after each answer: the pace of a client; nothing waits for it.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// With an answer of 200 for each.
    #[must_use]
    pub fn served(mut self) -> Self {
        self.served = true;
        self
    }

    /// Begins at a house's Envoy.
    #[must_use]
    pub fn begin(self, house: &House) -> Stream {
        let (goes_on, sent) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicU64::new(0)));
        let (going, counted) = (Arc::clone(&goes_on), Arc::clone(&sent));
        let port = house.envoy.listener;
        let client = thread::spawn(move || {
            let mut dice = Dice::of(self.seed);
            let mut client = Client::to(port);
            while going.load(Ordering::Relaxed) {
                let people: Vec<_> = (0..self.rows).map(|_| person(&mut dice, self.era)).collect();
                let answer = client.ask(&Request::post(INFER, oip(&people).to_string()));
                if self.served {
                    assert_eq!(answer.status, 200, "{}", answer.text());
                }
                counted.fetch_add(1, Ordering::Relaxed);
                thread::sleep(self.pause);
            }
        });
        Stream { goes_on, sent, client: Some(client) }
    }
}

/// A client that goes on until it is dropped. The play fails with a request that is not answered as it
/// must be.
#[derive(Debug)]
pub struct Stream {
    goes_on: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    client: Option<JoinHandle<()>>,
}

impl Stream {
    /// Requests that were answered.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.goes_on.store(false, Ordering::Relaxed);
        let ended = self.client.take().map(JoinHandle::join);
        if !thread::panicking() {
            ended.expect("a stream has a client").expect("each request is answered as it must be");
        }
    }
}
