//! The sample store: samples as Parquet files, by model, version, day and hour, for people, for
//! back-tests and for training. Written by a task of its own, which nothing waits for: what it has no
//! room for, or what the storage refuses, is lost and counted.
//!
//! Files appear whole or not at all, so a crash loses the open parts only. Age and bytes are bounded; the
//! oldest files go first, and only files that are ours by their names.

pub mod layout;
pub mod part;
pub mod shelf;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use crate::clock;
use crate::config::duration::millis;
use crate::config::samples::Samples;
use crate::decision::UnixMillis;
use crate::metrics::{Loss, Metrics};
use layout::Column;
use part::{Kept, Part};
use shelf::{Lying, Shelf};

/// Batches that wait to be put into parts.
const BATCHES_WAITING: usize = 16;
/// Parts that are open at once.
const MAX_OPEN: usize = 256;
/// How often it is looked for what must go.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// What the keeper knows of a model.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Its name.
    pub model: String,
    /// The names of its versions; samples of others are of none.
    pub versions: Vec<String>,
    /// Its columns.
    pub columns: Vec<Column>,
}

/// The way in, for whoever reads samples.
#[derive(Debug, Clone)]
pub struct Door {
    to: mpsc::Sender<Vec<(usize, Kept)>>,
    metrics: Metrics,
}

impl Door {
    /// Hands samples over, each with the place of its model; never waits.
    pub fn offer(&self, kept: Vec<(usize, Kept)>) {
        let samples = kept.len() as u64;
        if samples > 0 && self.to.try_send(kept).is_err() {
            self.metrics.lost(Loss::Unkept, samples);
        }
    }
}

/// What the keeper does next.
enum Next {
    End,
    Take(Vec<(usize, Kept)>),
    Close,
    Tidy,
}

/// The task that keeps samples.
pub struct Keeper {
    from: mpsc::Receiver<Vec<(usize, Kept)>>,
    shelf: Shelf,
    samples: Samples,
    shapes: Vec<Shape>,
    open: BTreeMap<(usize, String), Part>,
    written: u64,
    metrics: Metrics,
}

impl Keeper {
    /// A keeper for these models, and the way to it.
    #[must_use]
    pub fn new(
        shelf: Shelf,
        samples: Samples,
        shapes: Vec<Shape>,
        metrics: Metrics,
    ) -> (Self, Door) {
        let (to, from) = mpsc::channel(BATCHES_WAITING);
        let door = Door { to, metrics: metrics.clone() };
        let open = BTreeMap::new();
        (Self { from, shelf, samples, shapes, open, written: 0, metrics }, door)
    }

    /// Until it is told to stop; then it writes what is open.
    pub async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let every = self.samples.part.min(Duration::from_secs(1)).max(Duration::from_millis(50));
        let mut looks = interval(every);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tidies = interval(TIDY_EVERY.min(self.samples.retention));
        tidies.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let next = tokio::select! {
                _ = stopping.wait_for(|stop| *stop) => Next::End,
                Some(kept) = self.from.recv() => Next::Take(kept),
                _ = looks.tick() => Next::Close,
                _ = tidies.tick() => Next::Tidy,
            };
            let now = clock::unix_ms();
            match next {
                Next::End => break,
                Next::Take(kept) => self.take(kept, now).await,
                Next::Close => self.close_due(now).await,
                Next::Tidy => self.tidy(now).await,
            }
        }
        while let Ok(kept) = self.from.try_recv() {
            self.take(kept, clock::unix_ms()).await;
        }
        self.close_due(UnixMillis::MAX).await;
    }

    async fn take(&mut self, kept: Vec<(usize, Kept)>, now: UnixMillis) {
        for (model, kept) in kept {
            let Some(shape) = self.shapes.get(model) else { continue };
            let known = shape.versions.iter().any(|version| **version == *kept.about.version);
            let version = if known { kept.about.version.to_string() } else { "none".to_owned() };
            let key = (model, version);
            if !self.open.contains_key(&key) && self.open.len() >= MAX_OPEN {
                self.metrics.lost(Loss::Unkept, 1);
                continue;
            }
            let part = self.open.entry(key.clone());
            let part = part.or_insert_with(|| Part::begin(&shape.columns, now));
            part.take(kept);
            if part.is_whole()
                && let Some(part) = self.open.remove(&key)
            {
                self.write(key, part).await;
            }
        }
    }

    async fn close_due(&mut self, now: UnixMillis) {
        let lasts = millis(self.samples.part);
        let due = |part: &Part| now.saturating_sub(part.begun) >= lasts;
        let keys: Vec<_> =
            self.open.iter().filter(|(_, part)| due(part)).map(|(key, _)| key.clone()).collect();
        for key in keys {
            if let Some(part) = self.open.remove(&key) {
                self.write(key, part).await;
            }
        }
    }

    async fn write(&mut self, (model, version): (usize, String), part: Part) {
        let Some(shape) = self.shapes.get(model) else { return };
        let (rows, exchanges) = (part.rows() as u64, part.exchanges() as u64);
        let (day, hour) = part.hour();
        self.written += 1;
        let name = format!(
            "model={}/version={version}/date={day}/hour={hour}/part-{:013}-{:x}-{}.parquet",
            shape.model,
            part.begun,
            std::process::id(),
            self.written
        );
        // Compressing is work for a thread of its own.
        let encoded = tokio::task::spawn_blocking(|| part.encode()).await;
        let encoded = encoded.unwrap_or_else(|error| Err(error.to_string()));
        let done = match encoded {
            Ok(bytes) => self.shelf.put(&name, bytes).await,
            Err(why) => Err(why),
        };
        match done {
            Ok(()) => self.metrics.stored(rows),
            Err(why) => {
                self.metrics.lost(Loss::Unkept, exchanges);
                warn!(file = %name, %why, exchanges, "samples could not be kept");
            }
        }
    }

    /// Takes away what is too old, and the oldest of what is too much.
    async fn tidy(&mut self, now: UnixMillis) {
        let lying = match self.shelf.list().await {
            Ok(lying) => lying,
            Err(why) => {
                warn!(%why, "the samples that are kept could not be listed");
                return;
            }
        };
        let lasts = millis(self.samples.retention);
        let oldest = now.saturating_sub(lasts);
        for name in too_many(lying, oldest, self.samples.max_bytes) {
            if let Err(why) = self.shelf.remove(&name).await {
                warn!(file = %name, %why, "a file of samples could not be removed");
            }
        }
    }
}

/// The names of what must go: files of ours that are older than `oldest`, and the oldest of the others
/// until these have at most so many bytes.
fn too_many(mut lying: Vec<Lying>, oldest: UnixMillis, max_bytes: u64) -> Vec<String> {
    lying.retain(|file| is_ours(&file.name));
    lying.sort_by(|a, b| (b.written_unix_ms, &b.name).cmp(&(a.written_unix_ms, &a.name)));
    let mut bytes = 0_u64;
    let gone = lying.into_iter().filter(|file| {
        bytes = bytes.saturating_add(file.bytes);
        file.written_unix_ms < oldest || bytes > max_bytes
    });
    gone.map(|file| file.name).collect()
}

/// Whether a name is one that the keeper gives.
fn is_ours(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    let begins = ["model=", "version=", "date=", "hour=", "part-"];
    parts.len() == begins.len()
        && parts.iter().zip(begins).all(|(part, begin)| part.starts_with(begin))
        && name.ends_with(".parquet")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tidegate_contract::columns::{Cell, Column, Columns};
    use tidegate_contract::contract::Contract;
    use tidegate_detectors::reference::Reference;
    use tokio::sync::watch;

    use super::part::{About, Kept};
    use super::shelf::{Lying, Shelf};
    use super::{Keeper, Shape, is_ours, layout, too_many};
    use crate::config::samples::{Samples, Shelf as Configured};
    use crate::metrics::Metrics;
    use crate::sides::Sides;
    use crate::table::{Reading, Table};

    fn lying(name: &str, bytes: u64, written_unix_ms: u64) -> Lying {
        Lying { name: name.to_owned(), bytes, written_unix_ms }
    }

    #[test]
    fn only_our_own_files_go_the_oldest_first() {
        let name = |at: u64| format!("model=m/version=v1/date=d/hour=0/part-{at}.parquet");
        let files = vec![
            lying("notes.parquet", 1_000_000, 0),
            lying("model=m/version=v1/other.parquet", 1_000_000, 0),
            lying(&name(1), 10, 100),
            lying(&name(2), 10, 200),
            lying(&name(3), 10, 300),
            lying(&name(4), 10, 50),
        ];
        assert_eq!(too_many(files.clone(), 60, 1000), [name(4)]);
        assert_eq!(too_many(files.clone(), 0, 25), [name(1), name(4)]);
        assert!(too_many(files, 0, 40).is_empty());
        assert!(!is_ours("model=m/version=v/date=d/hour=0/part-1.csv"));
    }

    fn kept(id: &str, ages: &[Cell], score: f64) -> Kept {
        let column = |name: &str, cells: Vec<Cell>| Column { name: name.to_owned(), cells };
        let rows = ages.len();
        let scores = vec![Cell::Number(score); rows];
        Kept {
            about: About {
                request_id: id.into(),
                start_unix_micros: 1_795_780_800_000_000,
                version: "v1".into(),
                status: 200,
                outcome: "served",
                reason: "rate",
                sampling_rate: 0.5,
                ..About::default()
            },
            asked: Some(Arc::new(Columns { rows, columns: vec![column("age", ages.to_vec())] })),
            answered: Some(Arc::new(Columns { rows, columns: vec![column("score", scores)] })),
        }
    }

    fn keep(folder: &std::path::Path, all: Vec<Kept>) -> Metrics {
        let contract = r#"{"inputs": [{"name": "age", "type": "integer"}],
            "outputs": [{"name": "score", "type": "number"}]}"#;
        let contract = Contract::parse(contract).expect("a contract");
        let none = Reference::of(0, Vec::new());
        let shape = Shape {
            model: "census".to_owned(),
            versions: vec!["v1".to_owned()],
            columns: layout::columns(&contract, &Sides::of(&none, &none)),
        };
        let samples = Samples {
            to: Configured::Folder(folder.to_owned()),
            retention: Duration::from_secs(3600),
            max_bytes: 1 << 30,
            part: Duration::from_secs(3600),
        };
        let metrics = Metrics::default();
        let shelf = Shelf::of(&samples.to).expect("a shelf");
        let (keeper, door) = Keeper::new(shelf, samples, vec![shape], metrics.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let (stop, stopping) = watch::channel(false);
            door.offer(all.into_iter().map(|kept| (0, kept)).collect());
            let running = tokio::spawn(keeper.run(stopping));
            stop.send(true).expect("the keeper runs");
            running.await.expect("the keeper ends");
        });
        metrics
    }

    #[test]
    fn what_is_kept_reads_back_by_model_version_and_hour() {
        let folder = tempfile::tempdir().expect("a folder");
        let all = vec![
            kept("r-1", &[Cell::Number(30.0), Cell::Null], 0.25),
            kept("r-2", &[Cell::Text("old".into())], 0.75),
        ];
        keep(folder.path(), all);
        let hour = folder.path().join("model=census/version=v1/date=2026-11-27/hour=12");
        let files: Vec<_> = std::fs::read_dir(hour).expect("an hour").flatten().collect();
        assert_eq!(files.len(), 1);
        let table = Table::open(&files[0].path(), &Reading::default()).expect("Parquet");
        assert_eq!(table.names()[..2], ["request_id", "time"]);
        let positions: Vec<usize> = (0..table.names().len()).collect();
        let columns = table.columns(&positions, &mut |_| ()).expect("columns");
        let mut cells = vec![Vec::new(); columns.len()];
        let mut each =
            |at: usize, cell: crate::table::Cell<'_>| cells[at].push(format!("{cell:?}"));
        table.scan(&columns, &mut each, &mut |_| ()).expect("rows");
        let of = |name: &str| {
            let at = table.names().iter().position(|known| known == name).expect("a column");
            cells[at].join(" ")
        };
        assert_eq!(of("request_id"), r#"Text("r-1") Text("r-1") Text("r-2")"#);
        assert_eq!(of("row"), "Number(0.0) Number(1.0) Number(0.0)");
        assert_eq!(of("age"), "Number(30.0) Null Null");
        assert_eq!(of("score"), "Number(0.25) Number(0.25) Number(0.75)");
        assert!(of("time").starts_with("Text(\"2026-11-27T12:00:00"), "{}", of("time"));
    }

    #[test]
    fn what_the_storage_refuses_is_lost_and_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        // A file where a folder must be.
        std::fs::write(folder.path().join("model=census"), "").expect("a file");
        let metrics = keep(folder.path(), vec![kept("r-1", &[Cell::Number(30.0)], 0.5)]);
        let text = metrics.text();
        let lost = "tidegate_intake_samples_lost_total{reason=\"Unkept\"} 1";
        assert!(text.contains(lost), "{text}");
    }
}
