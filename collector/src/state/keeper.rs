//! The keeper: the thread that talks to Redis, so that nobody else waits for it. It keeps the lease,
//! reads the log as it grows, and brings panes together. It does not know what is in them.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use tidegate_detectors::parcel::Parcel;

use super::door::{Added, Door, LINES_AT_ONCE, Trouble};
use super::shared::{Pace, event};
use super::{Crew, Hop, News, Standing, StateError};
use crate::clock;
use crate::config::state::Redis;
use crate::ledger::Event;

/// Lines that are remembered, so that a Redis which lost its last ones gets them back.
pub(super) const REMEMBERED: usize = 1024;
/// How long after a failure the next try is.
const AGAIN: Duration = Duration::from_millis(300);
/// Bytes of a pane; one that takes more travels without its first rows, or not at all.
const MAX_PANE_BYTES: usize = 4 << 20;
/// Panes that are waited for.
const MAX_WAITED_FOR: usize = 1024;
/// Hops that panes are kept for.
const HOPS_KEPT: u32 = 8;

/// What the mind wants of the keeper.
pub(super) enum Request {
    /// A line for the log.
    Append { length: u64, line: Vec<u8>, reply: SyncSender<Result<(), StateError>> },
    /// A pane for all.
    Publish { model: String, hop: Duration, number: u64, pane: Box<Parcel> },
    /// The Envoys follow the log up to here; `None` where there are none.
    Follow(Option<u64>),
    /// The collector goes: the lease is given back.
    Leave { done: SyncSender<()> },
}

/// What the keeper knows.
#[derive(Debug, Clone)]
pub(super) struct View {
    pub(super) crew: Crew,
    /// When the lease ends unless it is renewed.
    pub(super) until: Instant,
    /// Lines of the log.
    pub(super) length: u64,
    /// What the Envoys of all other collectors follow.
    pub(super) others_follow: Option<u64>,
    /// By how many milliseconds the clock of Redis is ahead of ours.
    pub(super) ahead_ms: i64,
}

/// A pane of one model that other collectors close at the same time.
struct WaitedFor {
    key: String,
    model: String,
    number: u64,
    until: Instant,
}

/// The collector that a keeper is of.
pub(super) struct Of {
    /// Where the state is.
    pub(super) redis: Redis,
    /// Unique among all that ever were.
    pub(super) id: String,
    /// For people.
    pub(super) name: String,
    pub(super) pace: Pace,
}

/// The keeper of one collector.
pub(super) struct Keeper {
    of: Of,
    /// `None` while Redis is away.
    door: Option<Door>,
    news: mpsc::Sender<News>,
    view: watch::Sender<View>,
    /// Lines that were read.
    length: u64,
    /// The last of them.
    recent: VecDeque<Vec<u8>>,
    /// The lease that this collector holds; empty where it holds none.
    lease: String,
    followed: Option<u64>,
    /// When the lease is looked at next.
    tends: Instant,
    /// When a connection is tried again.
    retries: Instant,
    waited_for: Vec<WaitedFor>,
}

impl Keeper {
    /// A keeper that has read these lines.
    pub(super) fn new(
        of: Of,
        door: Door,
        lines: Vec<Vec<u8>>,
        news: mpsc::Sender<News>,
        view: watch::Sender<View>,
    ) -> Self {
        let now = Instant::now();
        let length = lines.len() as u64;
        let mut recent = VecDeque::from(lines);
        recent.drain(..recent.len().saturating_sub(REMEMBERED));
        Self {
            of,
            door: Some(door),
            news,
            view,
            length,
            recent,
            lease: String::new(),
            followed: None,
            tends: now,
            retries: now,
            waited_for: Vec::new(),
        }
    }

    /// Until whoever asks is gone.
    pub(super) fn run(mut self, requests: &Receiver<Request>) {
        loop {
            self.look();
            let mut request = match requests.recv_timeout(self.of.pace.look) {
                Ok(request) => Some(request),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => break,
            };
            while let Some(wanted) = request {
                if let Request::Leave { done } = wanted {
                    self.leave();
                    let _ = done.try_send(());
                    return;
                }
                self.serve(wanted);
                request = requests.try_recv().ok();
            }
        }
    }

    fn leave(&mut self) {
        if let Some(door) = &mut self.door
            && let Err(trouble) = door.release(&self.of.id, &self.lease)
        {
            warn!(%trouble, "the lease was not given back; it runs out by itself");
        }
    }

    fn serve(&mut self, request: Request) {
        match request {
            Request::Append { length, line, reply } => {
                let done = self.append(length, &line);
                // Who no longer waits hears of it as news.
                let _ = reply.try_send(done);
            }
            Request::Publish { model, hop, number, pane } => {
                self.publish(model, hop, number, *pane);
            }
            Request::Follow(length) => {
                if self.followed != length {
                    self.followed = length;
                    self.tends = Instant::now();
                }
            }
            Request::Leave { .. } => {}
        }
    }

    fn append(&mut self, length: u64, line: &[u8]) -> Result<(), StateError> {
        let at = self.of.redis.told();
        let Some(door) = &mut self.door else {
            return Err(StateError::Away { at, why: self.trouble() });
        };
        match door.append(&self.lease, length, line) {
            Ok(Added::Kept) => {
                // Redis has it. Where it keeps a file, it is asked to have it there, too.
                door.settled();
                Ok(())
            }
            Ok(Added::Fenced) => {
                self.tends = Instant::now();
                self.look();
                Err(StateError::Fenced { leader: self.leader() })
            }
            Ok(Added::Moved) => Err(StateError::Behind),
            Err(trouble) => {
                let why = trouble.to_string();
                self.lose(why.clone());
                Err(StateError::Unsure { at, why })
            }
        }
    }

    fn publish(&mut self, model: String, hop: Duration, number: u64, pane: Parcel) {
        let Some(door) = &mut self.door else { return };
        let key = format!("pane:{model}:{}:{number}", hop.as_millis());
        let Some(bytes) = packed(pane) else {
            warn!(%model, "a pane is too large to be shared; it is left out");
            return;
        };
        match door.publish(&key, &self.of.id, &bytes, hop * HOPS_KEPT) {
            Ok(()) if self.waited_for.len() < MAX_WAITED_FOR => {
                let until = Instant::now() + self.of.pace.wait(hop);
                self.waited_for.push(WaitedFor { key, model, number, until });
            }
            Ok(()) => warn!(%model, "too many panes are waited for; one is left out"),
            Err(trouble) => self.lose(trouble.to_string()),
        }
    }

    /// Looks at everything that may have changed.
    fn look(&mut self) {
        if self.door.is_none() {
            if Instant::now() < self.retries {
                return;
            }
            match Door::open(&self.of.redis) {
                Ok(door) => {
                    self.door = Some(door);
                    self.tends = Instant::now();
                }
                Err(trouble) => return self.lose(trouble.to_string()),
            }
        }
        if let Err(trouble) = self.round() {
            self.lose(trouble.to_string());
        }
    }

    fn round(&mut self) -> Result<(), Trouble> {
        self.read()?;
        let now = Instant::now();
        if now >= self.tends {
            self.tend(now)?;
        }
        self.collect()
    }

    /// Says that we are there and keeps the lease, or takes it.
    fn tend(&mut self, now: Instant) -> Result<(), Trouble> {
        let Some(door) = &mut self.door else { return Ok(()) };
        let tended =
            door.tend(&self.of.id, &self.of.name, &self.lease, self.of.pace.lease, self.followed)?;
        let ahead_ms = i64::try_from(tended.now).unwrap_or(i64::MAX)
            - i64::try_from(clock::unix_ms()).unwrap_or(0);
        self.tends = now + self.of.pace.tend;
        let mut words = tended.lease.splitn(3, ' ').skip(1);
        let (id, name) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let leads = id == self.of.id;
        let name = name.to_owned();
        // What was written before the lease was ours must be known before anything is decided.
        if leads && self.lease != tended.lease {
            info!(lease = %tended.lease, "this collector decides from now on");
            self.lease.clone_from(&tended.lease);
            self.read()?;
        }
        if !leads && !self.lease.is_empty() {
            warn!(leader = %name, "another collector decides from now on");
            self.lease.clear();
        }
        let others = tended.followed.iter().filter(|(id, _)| *id != self.of.id);
        let standing = if self.length < tended.length {
            Standing::Lost { why: "the decision log is still being read".to_owned() }
        } else if leads {
            Standing::Leads
        } else {
            Standing::Follows { leader: name }
        };
        self.tell(&View {
            crew: Crew { standing, members: tended.followed.len() },
            until: now + self.of.pace.lease,
            length: self.length,
            others_follow: others.filter_map(|(_, length)| *length).min(),
            ahead_ms,
        });
        Ok(())
    }

    /// Reads what the log has more.
    fn read(&mut self) -> Result<(), Trouble> {
        loop {
            let Some(door) = &mut self.door else { return Ok(()) };
            // The last line that is known is read again: a log that lost it is another one.
            let known = usize::from(self.length > 0);
            let lines = door.lines(self.length - known as u64)?;
            if lines.get(..known) != Some(self.last()) {
                return self.repair();
            }
            let whole = lines.len() as u64 == LINES_AT_ONCE;
            let new = &lines[known..];
            if new.is_empty() {
                return Ok(());
            }
            let Some(events) = self.events(new) else { return Ok(()) };
            let length = self.length + new.len() as u64;
            if self.news.try_send(News::Lines { events, length }).is_err() {
                // The mind has no room; it is told the next time.
                return Ok(());
            }
            self.remember(new);
            if !whole {
                return Ok(());
            }
        }
    }

    fn last(&self) -> &[Vec<u8>] {
        self.recent.back().map_or(&[], std::slice::from_ref)
    }

    fn remember(&mut self, lines: &[Vec<u8>]) {
        self.length += lines.len() as u64;
        self.recent.extend(lines.iter().cloned());
        let more = self.recent.len().saturating_sub(REMEMBERED);
        self.recent.drain(..more);
    }

    /// What lines say; `None`, and said as our trouble, where one cannot be read.
    fn events(&mut self, lines: &[Vec<u8>]) -> Option<Vec<Event>> {
        let at = self.of.redis.told();
        let read = (self.length + 1..).zip(lines).map(|(number, line)| event(&at, number, line));
        match read.collect() {
            Ok(events) => Some(events),
            Err(unread) => {
                self.lose(unread.to_string());
                None
            }
        }
    }

    /// The log lost lines that were read. Where they are its last ones, it gets them back; where others
    /// stand in their place, what stands there counts.
    fn repair(&mut self) -> Result<(), Trouble> {
        let Some(door) = &mut self.door else { return Ok(()) };
        let mut all: Vec<Vec<u8>> = Vec::new();
        loop {
            let more = door.lines(all.len() as u64)?;
            let last = (more.len() as u64) < LINES_AT_ONCE;
            all.extend(more);
            if last {
                break;
            }
        }
        let first = self.length - self.recent.len() as u64;
        let missing = (all.len() as u64).checked_sub(first).map(|there| there as usize);
        let there = missing.filter(|there| *there < self.recent.len());
        let same = |there: &usize| {
            *there == 0 && first == 0 || *there > 0 && all.last() == self.recent.get(there - 1)
        };
        if let Some(there) = there.filter(same) {
            let lost: Vec<&[u8]> = self.recent.iter().skip(there).map(Vec::as_slice).collect();
            door.restore(all.len() as u64, &lost)?;
            error!(
                lines = lost.len(),
                "Redis had lost the last lines of the decision log; it got them back. Let it run with `appendonly yes` and `appendfsync always`"
            );
            return Ok(());
        }
        if (all.len() as u64) < self.length {
            self.lose(format!(
                "the decision log has {} lines and had {}; restore it from a copy of Redis, or restart all collectors to go on without what is lost",
                all.len(),
                self.length
            ));
            return Ok(());
        }
        error!(
            "the decision log is another one than before: others decided while Redis had lost lines; what stands there now counts"
        );
        self.length = 0;
        let Some(events) = self.events(&all) else { return Ok(()) };
        let length = all.len() as u64;
        if self.news.try_send(News::Rewritten { events, length }).is_ok() {
            self.recent.clear();
            self.remember(&all);
        }
        Ok(())
    }

    /// Brings panes together: when all collectors have given theirs, or time is up.
    fn collect(&mut self) -> Result<(), Trouble> {
        let now = Instant::now();
        let members = self.view.borrow().crew.members.max(1);
        let mut at = 0;
        while at < self.waited_for.len() {
            let Some(door) = &mut self.door else { return Ok(()) };
            let waited = &self.waited_for[at];
            if door.given(&waited.key)? < members && now < waited.until {
                at += 1;
                continue;
            }
            let mut panes = door.panes(&waited.key)?;
            // All collectors add them up in the same order.
            panes.sort();
            let waited = self.waited_for.remove(at);
            let parcels = panes.iter().filter_map(|(id, bytes)| unpacked(id, bytes)).collect();
            let hop = Hop { model: waited.model, number: waited.number, parcels };
            if self.news.try_send(News::Hop(hop)).is_err() {
                warn!("the mind has no room for panes; some are left out");
            }
        }
        Ok(())
    }

    fn leader(&self) -> String {
        match &self.view.borrow().crew.standing {
            Standing::Follows { leader } => leader.clone(),
            Standing::Leads | Standing::Lost { .. } => "another collector".to_owned(),
        }
    }

    fn trouble(&self) -> String {
        match &self.view.borrow().crew.standing {
            Standing::Lost { why } => why.clone(),
            Standing::Leads | Standing::Follows { .. } => "no connection".to_owned(),
        }
    }

    /// Nothing can be decided until Redis answers again.
    fn lose(&mut self, why: String) {
        self.door = None;
        self.waited_for.clear();
        self.retries = Instant::now() + AGAIN;
        let mut view = self.view.borrow().clone();
        if !matches!(view.crew.standing, Standing::Lost { .. }) {
            warn!(at = %self.of.redis.told(), %why, "the shared state is away; nothing is decided until it is back");
        }
        view.crew.standing = Standing::Lost { why };
        self.tell(&view);
    }

    fn tell(&self, view: &View) {
        let before = self.view.send_replace(view.clone());
        if before.crew != view.crew || before.others_follow != view.others_follow {
            // Only wakes the mind, which looks anyway when a window closes.
            let _ = self.news.try_send(News::Standing);
        }
    }
}

/// A pane as it travels.
fn packed(mut pane: Parcel) -> Option<Vec<u8>> {
    let bytes = serde_json::to_vec(&pane).ok()?;
    if bytes.len() <= MAX_PANE_BYTES {
        return Some(bytes);
    }
    pane.forget_rows();
    serde_json::to_vec(&pane).ok().filter(|bytes| bytes.len() <= MAX_PANE_BYTES)
}

fn unpacked(id: &str, bytes: &[u8]) -> Option<Parcel> {
    let fits = bytes.len() <= MAX_PANE_BYTES;
    let read = fits.then(|| serde_json::from_slice(bytes));
    match read {
        Some(Ok(parcel)) => Some(parcel),
        Some(Err(error)) => {
            warn!(collector = id, %error, "a pane of another collector cannot be read; it is left out");
            None
        }
        None => {
            warn!(collector = id, "a pane of another collector is too large; it is left out");
            None
        }
    }
}
