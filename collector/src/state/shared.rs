//! State that several collectors share in Redis. One of them decides at a time: the one that holds the
//! lease. A line enters the log only from its hand, and only where it knows all lines before, so that a
//! collector which believes that it still leads writes nothing, and a line whose answer was lost is
//! never written twice.
//!
//! This is the mind's side, which never waits for Redis but for the answer to a line, and for that not
//! long. `keeper` does the talking.

use std::sync::mpsc as std_mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tidegate_detectors::parcel::Parcel;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{mpsc, watch};

use super::door::{Door, LINES_AT_ONCE, Trouble};
use super::keeper::{Keeper, Of, Request, View};
use super::{Crew, News, Sharing, Standing, StateError, Store};
use crate::config::state::Redis;
use crate::journal::{MAX_LINE_BYTES, framed, whole};
use crate::ledger::Event;
use crate::sensitive_key;

/// How long a line may take: longer than the keeper takes to find out that nobody answers.
const LINE: Duration = Duration::from_millis(1_500);
/// What the mind wants and the keeper has not done yet.
const REQUESTS_WAITING: usize = 1024;
/// How long Redis may take to be there when the collector starts.
const BEGIN: Duration = Duration::from_secs(10);

/// How quickly things happen.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// How long a lease lasts that nobody renews, and how long a collector counts as there that is not
    /// heard.
    pub lease: Duration,
    /// How often it is renewed.
    pub tend: Duration,
    /// How often the log is looked at.
    pub look: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(3),
            tend: Duration::from_millis(500),
            look: Duration::from_millis(40),
        }
    }
}

impl Pace {
    /// How long the panes of other collectors are waited for: their clocks may be off by as much.
    pub(super) fn wait(&self, hop: Duration) -> Duration {
        (hop / 2).clamp(Duration::from_millis(100), Duration::from_secs(1))
    }
}

/// The state that collectors share, as the mind of one of them sees it.
#[derive(Debug)]
pub struct Shared {
    at: String,
    view: watch::Receiver<View>,
    requests: std_mpsc::SyncSender<Request>,
    /// Lines that were taken into account.
    length: u64,
    followed: Option<u64>,
}

/// What there is when Redis was opened.
#[derive(Debug)]
pub struct Begun {
    /// The store.
    pub store: Shared,
    /// The log, oldest first.
    pub events: Vec<Event>,
    /// The key of sensitive values.
    pub sensitive_key: String,
}

impl Shared {
    /// Opens a Redis under a name that people know this collector by. What others do comes as `news`.
    ///
    /// # Errors
    /// When Redis is not there within ten seconds, or its log cannot be read.
    pub fn open(
        redis: &Redis,
        name: &str,
        pace: Pace,
        news: mpsc::Sender<News>,
    ) -> Result<Begun, StateError> {
        let at = redis.told();
        let mut door = patiently(redis)?;
        let away = |trouble: Trouble| StateError::Away { at: at.clone(), why: trouble.to_string() };
        let mut lines: Vec<Vec<u8>> = Vec::new();
        loop {
            let more = door.lines(lines.len() as u64).map_err(away)?;
            let last = (more.len() as u64) < LINES_AT_ONCE;
            lines.extend(more);
            if last {
                break;
            }
        }
        let read = (1..).zip(&lines).map(|(number, line)| event(&at, number, line));
        let events: Vec<Event> = read.collect::<Result<_, _>>()?;
        let sensitive_key = door.sensitive_key(&sensitive_key::random()).map_err(away)?;
        if door.settled().is_none() {
            tracing::warn!(
                at = %at,
                "Redis does not say that it keeps the decision log on its disk; let it run with `appendonly yes` and `appendfsync always`"
            );
        }
        let length = lines.len() as u64;
        let (view, viewed) = watch::channel(View {
            crew: Crew { standing: Standing::Lost { why: "starting".to_owned() }, members: 0 },
            until: Instant::now(),
            length,
            others_follow: None,
            ahead_ms: 0,
        });
        let (requests, wanted) = std_mpsc::sync_channel(REQUESTS_WAITING);
        let id = sensitive_key::random();
        let name = name.to_owned();
        let of = Of { redis: redis.clone(), id, name, pace };
        let keeper = Keeper::new(of, door, lines, news, view);
        thread::Builder::new()
            .name("redis".to_owned())
            .spawn(move || keeper.run(&wanted))
            .map_err(|error| StateError::Away { at: at.clone(), why: error.to_string() })?;
        let store = Self { at, view: viewed, requests, length, followed: None };
        Ok(Begun { store, events, sensitive_key })
    }

    fn line(event: &Event) -> Result<Vec<u8>, StateError> {
        let unkeepable = |why: String| StateError::Unkeepable { why };
        let record = serde_json::to_vec(event).map_err(|error| unkeepable(error.to_string()))?;
        // NaN, for one, becomes null: better refused now than when the log is read.
        serde_json::from_slice::<Event>(&record).map_err(|error| unkeepable(error.to_string()))?;
        let line = framed(&record);
        if line.len() > MAX_LINE_BYTES {
            let bytes = line.len();
            return Err(unkeepable(format!(
                "it takes {bytes} bytes, a line holds {MAX_LINE_BYTES}"
            )));
        }
        Ok(line)
    }
}

/// The event of a line of the log.
pub(super) fn event(at: &str, number: u64, line: &[u8]) -> Result<Event, StateError> {
    let unread = |why: String| StateError::Line { at: at.to_owned(), line: number, why };
    let record = whole(line).map_err(|damage| unread(damage.to_string()))?;
    serde_json::from_slice(record).map_err(|error| unread(error.to_string()))
}

/// Waits for a Redis that starts together with us.
fn patiently(redis: &Redis) -> Result<Door, StateError> {
    let deadline = Instant::now() + BEGIN;
    loop {
        match Door::open(redis) {
            Ok(door) => return Ok(door),
            Err(trouble) if Instant::now() >= deadline => {
                return Err(StateError::Away { at: redis.told(), why: trouble.to_string() });
            }
            Err(_) => thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// Waits without keeping other tasks of the runtime from going on, where there is one.
fn waiting<T>(wait: impl FnOnce() -> T) -> T {
    let flavour = Handle::try_current().map(|handle| handle.runtime_flavor());
    if flavour.is_ok_and(|flavour| flavour == RuntimeFlavor::MultiThread) {
        tokio::task::block_in_place(wait)
    } else {
        wait()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let (done, left) = std_mpsc::sync_channel(1);
        // Where Redis is away, the lease runs out by itself.
        if self.requests.try_send(Request::Leave { done }).is_ok() {
            let _ = waiting(|| left.recv_timeout(LINE));
        }
    }
}

impl Store for Shared {
    fn standing(&self) -> Standing {
        let view = self.view.borrow();
        match &view.crew.standing {
            Standing::Leads if Instant::now() >= view.until => {
                Standing::Lost { why: "the lease ran out before it could be renewed".to_owned() }
            }
            Standing::Leads if self.length < view.length => {
                Standing::Lost { why: "the decision log is still being read".to_owned() }
            }
            standing => standing.clone(),
        }
    }

    fn append(&mut self, event: &Event) -> Result<(), StateError> {
        let line = Self::line(event)?;
        match self.standing() {
            Standing::Leads => {}
            Standing::Follows { leader } => return Err(StateError::Fenced { leader }),
            Standing::Lost { why } => return Err(StateError::Away { at: self.at.clone(), why }),
        }
        let (reply, answer) = std_mpsc::sync_channel(1);
        let request = Request::Append { length: self.length, line, reply };
        if self.requests.try_send(request).is_err() {
            let why = "too much waits for it".to_owned();
            return Err(StateError::Away { at: self.at.clone(), why });
        }
        let done = waiting(|| answer.recv_timeout(LINE)).unwrap_or_else(|_| {
            let why = format!("no answer within {} ms", LINE.as_millis());
            Err(StateError::Unsure { at: self.at.clone(), why })
        });
        if done.is_ok() {
            self.length += 1;
        }
        done
    }

    fn check(&mut self) -> Result<(), StateError> {
        // Its standing says whether Redis answers.
        Ok(())
    }

    fn length(&self) -> u64 {
        self.length
    }

    fn took(&mut self, length: u64) {
        self.length = length;
    }

    fn sharing(&mut self) -> Option<&mut dyn Sharing> {
        Some(self)
    }
}

impl Sharing for Shared {
    fn publish(&mut self, model: &str, hop: Duration, number: u64, pane: Parcel) -> bool {
        if matches!(self.view.borrow().crew.standing, Standing::Lost { .. }) {
            return false;
        }
        let (model, pane) = (model.to_owned(), Box::new(pane));
        self.requests.try_send(Request::Publish { model, hop, number, pane }).is_ok()
    }

    fn follow(&mut self, length: Option<u64>) {
        if self.followed != length && self.requests.try_send(Request::Follow(length)).is_ok() {
            self.followed = length;
        }
    }

    fn others_follow(&self) -> Option<u64> {
        self.view.borrow().others_follow
    }

    fn ahead_ms(&self) -> i64 {
        self.view.borrow().ahead_ms
    }

    fn crew(&self) -> Crew {
        Crew { standing: self.standing(), members: self.view.borrow().crew.members }
    }
}
