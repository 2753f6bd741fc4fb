//! What survives a collector, behind one small trait: the decision log and, where several collectors
//! work on the same models, who of them decides and what each of them saw. `embedded` is a file of
//! one process; `shared` is a Redis. It does not know what decisions mean.

mod door;
pub mod embedded;
mod keeper;
pub mod shared;

use std::path::PathBuf;
use std::time::Duration;

use tidegate_detectors::parcel::Parcel;
use tokio::sync::mpsc;

use crate::config::Config;
use crate::config::state::State;
use crate::journal::JournalError;
use crate::ledger::Event;
use crate::sensitive_key::{self, KeyError};

/// News that wait for the mind.
const NEWS_WAITING: usize = 256;

/// Who decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// This collector.
    Leads,
    /// Another one, of this name.
    Follows {
        /// Its name.
        leader: String,
    },
    /// Nobody that is known: the store does not answer, or what it says cannot be used.
    Lost {
        /// What is wrong.
        why: String,
    },
}

/// The panes of one model that collectors closed at the same time.
#[derive(Debug, Clone)]
pub struct Hop {
    /// The model.
    pub model: String,
    /// When they were closed, in hops since the Unix epoch.
    pub number: u64,
    /// By collector, in the order of their ids.
    pub parcels: Vec<Parcel>,
}

/// What others did.
#[derive(Debug)]
pub enum News {
    /// Who decides may be another one now, or who is there, or what their Envoys follow.
    Standing,
    /// The log goes on.
    Lines {
        /// What was added.
        events: Vec<Event>,
        /// How long it is with them.
        length: u64,
    },
    /// The log is another one than before: lines that this collector knew are gone from it.
    Rewritten {
        /// All of it.
        events: Vec<Event>,
        /// How long it is.
        length: u64,
    },
    /// Panes were closed.
    Hop(Hop),
}

/// How the collectors that share a store stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crew {
    /// Who decides.
    pub standing: Standing,
    /// The collectors that were heard lately.
    pub members: usize,
}

/// What a decision log and the agreement around it must do. Two implementations: a file that one
/// process has to itself ([`embedded::Embedded`]), for which all but [`Store::append`] is trivial, and a
/// Redis ([`shared::Shared`]).
pub trait Store: Send {
    /// Who decides now.
    fn standing(&self) -> Standing;

    /// Adds an event to the log. When this returns, it is kept, and no other process added one that
    /// this one had not taken into account: see [`Store::took`].
    ///
    /// # Errors
    /// When it is not kept, or nobody knows ([`StateError::Unsure`]): then it comes as news if it is.
    fn append(&mut self, event: &Event) -> Result<(), StateError>;

    /// Whether an event could be added now, as far as that can be said without adding one.
    ///
    /// # Errors
    /// When it could not.
    fn check(&mut self) -> Result<(), StateError>;

    /// How many events of the log this process has taken into account.
    fn length(&self) -> u64;

    /// Says that the log's events up to this length are taken into account.
    fn took(&mut self, length: u64);

    /// The part that only collectors have who share a store.
    fn sharing(&mut self) -> Option<&mut dyn Sharing>;
}

/// What collectors tell each other.
pub trait Sharing {
    /// Gives a pane that was closed to all; `false` where that cannot be done now.
    fn publish(&mut self, model: &str, hop: Duration, number: u64, pane: Parcel) -> bool;

    /// Says up to which length of the log this collector's Envoys follow it; `None` where it has none.
    fn follow(&mut self, length: Option<u64>);

    /// Up to which length the Envoys of all other collectors follow the log; `None` where they have none.
    fn others_follow(&self) -> Option<u64>;

    /// By how many milliseconds the clock that all share is ahead of ours.
    fn ahead_ms(&self) -> i64;

    /// Who is there.
    fn crew(&self) -> Crew;
}

/// Why something was not written down.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file could not take it.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The key of sensitive values cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The folder of labels cannot be used.
    #[error("labels cannot be kept in {}: {source}", path.display())]
    Labels {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The store does not answer.
    #[error("{at} cannot be used: {why}")]
    Away {
        /// Which store.
        at: String,
        /// What is wrong.
        why: String,
    },
    /// Another collector decides.
    #[error("not written: {leader} decides now")]
    Fenced {
        /// The collector that does.
        leader: String,
    },
    /// The log has lines that were not taken into account yet.
    #[error(
        "not written: the decision log has lines that this collector has not read yet; try again"
    )]
    Behind,
    /// The store did not say whether it took the line.
    #[error(
        "{at} did not say whether it took the decision ({why}); it counts if it shows in `tidegate decisions`"
    )]
    Unsure {
        /// Which store.
        at: String,
        /// What the network said.
        why: String,
    },
    /// A line that this version cannot read.
    #[error(
        "{at}: line {line} of the decision log cannot be read ({why}); start the version that wrote it, or take the line out"
    )]
    Line {
        /// Which store.
        at: String,
        /// The line, from 1.
        line: u64,
        /// What does not fit.
        why: String,
    },
    /// A record that would not come back as it is, or is too long.
    #[error("this record cannot be kept: {why}; nothing was written")]
    Unkeepable {
        /// Why.
        why: String,
    },
}

/// A store that is open, and what it remembers.
pub struct Opened {
    /// The store.
    pub store: Box<dyn Store>,
    /// The log, oldest first.
    pub events: Vec<Event>,
    /// The key that the filters hash sensitive values by.
    pub sensitive_key: String,
    /// The folder that this collector has to itself, if it has one.
    pub folder: Option<PathBuf>,
}

/// Opens what the configuration names. Gives what others do, too.
///
/// # Errors
/// When it cannot be used.
pub fn open(config: &Config) -> Result<(Opened, mpsc::Receiver<News>), StateError> {
    match &config.state {
        State::Folder(folder) => {
            let sensitive_key = sensitive_key::of(folder)?;
            let (store, events) = embedded::Embedded::open(folder)?;
            // Nobody else is there to tell anything.
            let (_, news) = mpsc::channel(1);
            let folder = Some(folder.clone());
            Ok((Opened { store: Box::new(store), events, sensitive_key, folder }, news))
        }
        State::Redis(redis) => {
            let name = redis.name.clone().unwrap_or_else(|| config.listen.http.to_string());
            let (told, news) = mpsc::channel(NEWS_WAITING);
            let opened = shared::Shared::open(redis, &name, shared::Pace::default(), told)?;
            let shared::Begun { store, events, sensitive_key } = opened;
            Ok((Opened { store: Box::new(store), events, sensitive_key, folder: None }, news))
        }
    }
}
