//! Answers that wait for their labels, and labels that came before their answer. It does not know
//! what either is worth.
//!
//! Bounded in rows, bytes and age; the oldest go first, and are counted. An answer that was labelled
//! gives up what was said and keeps the label alone, so that the same label again is known to be the
//! same, and another one to conflict.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidegate_contract::columns::Cell;

use super::label::{Label, Truth};
use crate::decision::UnixMillis;

/// Bytes that the rows may have, for each row that may be there.
const BYTES_PER_ROW: usize = 512;
/// What an answer costs beside its rows: two handles to its id, its place in the queue and the map.
const ANSWER_BYTES: usize = 160;
/// Labels that may wait for their answer.
const MAX_EARLY: usize = 10_000;
/// How long they wait: samples come within seconds, or never.
const EARLY_MS: UnixMillis = 60_000;

/// The answer of one version to one request.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// Envoy's `x-request-id`.
    pub request_id: Box<str>,
    /// Which version answered, by its place in the configuration.
    pub version: usize,
    /// By row, the output that labels tell the truth of.
    pub rows: Vec<Cell>,
    /// By row, what metrics need beside it when the label comes; empty where they need nothing.
    pub beside: Vec<Box<[Cell]>>,
}

/// A row and its label.
#[derive(Debug, Clone, PartialEq)]
pub struct Joined {
    /// Which version answered.
    pub version: usize,
    /// What the model said.
    pub said: Cell,
    /// What metrics need beside it.
    pub beside: Box<[Cell]>,
    /// What was true.
    pub truth: Truth,
    /// When the answer arrived.
    pub answered: UnixMillis,
    /// When the truth was known.
    pub known: UnixMillis,
}

/// What became of labels, and of answers without one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelCounts {
    /// Labels that met their answer.
    pub joined: u64,
    /// Labels that were there already.
    pub repeated: u64,
    /// Labels that say otherwise than an earlier one, which stands.
    pub conflicting: u64,
    /// Labels of requests that are not known (any more), or of rows that they do not have.
    pub unknown: u64,
    /// Rows that were given up before their time because others came.
    pub dropped_rows: u64,
    /// Rows whose time passed without a label.
    pub expired_rows: u64,
}

/// What became of one label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// It met an answer.
    Joined,
    /// It was there already.
    Repeated,
    /// It says otherwise than an earlier one.
    Conflicting,
    /// It met none; it waits a little for one.
    Unknown,
}

#[derive(Debug)]
enum Place {
    Waits { said: Cell, beside: Box<[Cell]> },
    Has(Truth),
}

#[derive(Debug)]
struct Answer {
    version: usize,
    at: UnixMillis,
    bytes: usize,
    places: Vec<Place>,
}

impl Answer {
    /// What is known of its rows.
    fn labels<'a>(&'a self, id: &'a str) -> impl Iterator<Item = Label> + 'a {
        self.places.iter().zip(0..).filter_map(move |(place, row)| match place {
            Place::Waits { .. } => None,
            Place::Has(truth) => {
                Some(Label { request_id: id.into(), row, truth: truth.clone(), at: None })
            }
        })
    }
}

/// The answers of one model.
#[derive(Debug)]
pub struct Kept {
    by_id: HashMap<Arc<str>, Vec<Answer>>,
    /// In the order in which they came.
    order: VecDeque<(Arc<str>, usize)>,
    rows: usize,
    bytes: usize,
    max_rows: usize,
    horizon_ms: UnixMillis,
    early: HashMap<Box<str>, Vec<(UnixMillis, Label)>>,
    /// When each of them came, the oldest first; some are there no more.
    early_order: VecDeque<(UnixMillis, Box<str>)>,
    counts: LabelCounts,
}

impl Kept {
    /// Room for so many rows, for so long.
    #[must_use]
    pub fn new(max_rows: usize, horizon_ms: UnixMillis) -> Self {
        Self {
            by_id: HashMap::new(),
            order: VecDeque::new(),
            rows: 0,
            bytes: 0,
            max_rows,
            horizon_ms,
            early: HashMap::new(),
            early_order: VecDeque::new(),
            counts: LabelCounts::default(),
        }
    }

    /// Labels that wait for the answer to this request.
    pub fn early(&self, request_id: &str) -> impl Iterator<Item = &Label> {
        self.early.get(request_id).into_iter().flatten().map(|(_, label)| label)
    }

    /// How long answers are kept.
    #[must_use]
    pub fn horizon_ms(&self) -> UnixMillis {
        self.horizon_ms
    }

    /// Bytes that all rows may have.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        self.max_rows.saturating_mul(BYTES_PER_ROW)
    }

    /// Rows that are kept, labelled or not.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// What became of labels so far.
    #[must_use]
    pub fn counts(&self) -> LabelCounts {
        self.counts
    }

    /// Keeps an answer, and joins the labels that waited for it. Of several answers of one version
    /// to one request the first stands.
    pub fn keep(&mut self, answered: Answered, now: UnixMillis) -> Vec<Joined> {
        let Answered { request_id, version, rows, beside } = answered;
        if rows.is_empty() {
            return Vec::new();
        }
        let mut beside = beside.into_iter();
        let waits = |said| Place::Waits { said, beside: beside.next().unwrap_or_default() };
        let places: Vec<Place> = rows.into_iter().map(waits).collect();
        let bytes = cost(&request_id, &places);
        let mut labels: Vec<Label> = Vec::new();
        let id = match self.by_id.get_key_value(&*request_id) {
            None => Arc::from(request_id),
            Some((_, answers)) if answers.iter().any(|answer| answer.version == version) => {
                return Vec::new();
            }
            // What is known of another version's answer is known of this one, too.
            Some((id, answers)) => {
                labels.extend(answers.iter().flat_map(|answer| answer.labels(id)));
                Arc::clone(id)
            }
        };
        self.rows += places.len();
        self.bytes += bytes;
        let answer = Answer { version, at: now, bytes, places };
        self.by_id.entry(Arc::clone(&id)).or_default().push(answer);
        self.order.push_back((Arc::clone(&id), version));
        let mut joined: Vec<Joined> =
            labels.iter().flat_map(|label| self.meet(label, now).1).collect();
        for (_, label) in self.early.remove(&*id).unwrap_or_default() {
            self.counts.unknown -= 1;
            joined.extend(self.join(label, now).1);
        }
        while self.rows > self.max_rows || self.bytes > self.max_bytes() {
            let waited = self.forget_oldest();
            self.counts.dropped_rows += waited;
        }
        joined
    }

    /// Joins a label with every version's answer to its request.
    pub fn join(&mut self, label: Label, now: UnixMillis) -> (Met, Vec<Joined>) {
        let (met, joined) = self.meet(&label, now);
        match met {
            Met::Joined => self.counts.joined += 1,
            Met::Repeated => self.counts.repeated += 1,
            Met::Conflicting => self.counts.conflicting += 1,
            Met::Unknown => {
                self.counts.unknown += 1;
                self.wait(label, now);
            }
        }
        (met, joined)
    }

    /// Gives up what has waited too long.
    pub fn expire(&mut self, now: UnixMillis) {
        let oldest = now.saturating_sub(self.horizon_ms);
        while let Some((id, version)) = self.order.front() {
            let at = self.by_id.get(id).and_then(|answers| {
                answers.iter().find(|answer| answer.version == *version).map(|answer| answer.at)
            });
            if at.is_some_and(|at| at >= oldest) {
                break;
            }
            let waited = self.forget_oldest();
            self.counts.expired_rows += waited;
        }
        let oldest = now.saturating_sub(EARLY_MS);
        while self.early_order.front().is_some_and(|(came, _)| *came < oldest) {
            self.forget_early();
        }
    }

    /// Has a label wait for its answer.
    fn wait(&mut self, label: Label, now: UnixMillis) {
        let waiting = self.early.entry(label.request_id.clone()).or_default();
        if waiting.iter().any(|(_, other)| *other == label) {
            return;
        }
        self.early_order.push_back((now, label.request_id.clone()));
        waiting.push((now, label));
        while self.early_order.len() > MAX_EARLY {
            self.forget_early();
        }
    }

    fn forget_early(&mut self) {
        let Some((came, id)) = self.early_order.pop_front() else { return };
        let Some(waiting) = self.early.get_mut(&id) else { return };
        waiting.retain(|(other, _)| *other > came);
        if waiting.is_empty() {
            self.early.remove(&id);
        }
    }

    fn meet(&mut self, label: &Label, now: UnixMillis) -> (Met, Vec<Joined>) {
        let Some(answers) = self.by_id.get_mut(&*label.request_id) else {
            return (Met::Unknown, Vec::new());
        };
        let (mut met, mut joined) = (Met::Unknown, Vec::new());
        for answer in answers {
            let Some(place) = answer.places.get_mut(label.row as usize) else { continue };
            match std::mem::replace(place, Place::Has(label.truth.clone())) {
                Place::Waits { said, beside } => {
                    let freed = cost_of_waiting(&said, &beside);
                    answer.bytes = answer.bytes.saturating_sub(freed);
                    self.bytes = self.bytes.saturating_sub(freed);
                    joined.push(Joined {
                        version: answer.version,
                        said,
                        beside,
                        truth: label.truth.clone(),
                        answered: answer.at,
                        known: label.at.map_or(now, |at| at.min(now)).max(answer.at),
                    });
                    met = Met::Joined;
                }
                Place::Has(earlier) => {
                    if met != Met::Joined {
                        let same = earlier == label.truth;
                        met = if same { Met::Repeated } else { Met::Conflicting };
                    }
                    *place = Place::Has(earlier);
                }
            }
        }
        (met, joined)
    }

    /// Forgets the oldest answer; says how many of its rows had no label.
    fn forget_oldest(&mut self) -> u64 {
        let Some((id, version)) = self.order.pop_front() else {
            return 0;
        };
        let Some(answers) = self.by_id.get_mut(&id) else { return 0 };
        let Some(at) = answers.iter().position(|answer| answer.version == version) else {
            return 0;
        };
        let answer = answers.swap_remove(at);
        if answers.is_empty() {
            self.by_id.remove(&id);
        }
        self.rows -= answer.places.len();
        self.bytes = self.bytes.saturating_sub(answer.bytes);
        answer.places.iter().filter(|place| matches!(place, Place::Waits { .. })).count() as u64
    }
}

/// What an answer takes in memory, about.
fn cost(id: &str, places: &[Place]) -> usize {
    let of_place = |place: &Place| match place {
        Place::Waits { said, beside } => cost_of_waiting(said, beside),
        Place::Has(_) => 0,
    };
    let of_places: usize = places.iter().map(|place| size_of::<Place>() + of_place(place)).sum();
    ANSWER_BYTES + id.len() + of_places
}

/// What a row that waits takes beside its own place.
fn cost_of_waiting(said: &Cell, beside: &[Cell]) -> usize {
    let of_cells = beside.iter().map(|cell| size_of::<Cell>() + cost_beside(cell));
    cost_beside(said) + of_cells.sum::<usize>()
}

/// What a cell takes beside its own place.
fn cost_beside(cell: &Cell) -> usize {
    if let Cell::Text(text) = cell { text.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(id: &str, version: usize, scores: &[f64]) -> Answered {
        let rows = scores.iter().map(|score| Cell::Number(*score)).collect();
        Answered { request_id: id.into(), version, rows, beside: Vec::new() }
    }

    fn label(id: &str, row: u32, positive: bool) -> Label {
        Label { request_id: id.into(), row, truth: Truth::Positive(positive), at: None }
    }

    fn joined(rows: &[Joined]) -> Vec<(usize, Cell, Truth)> {
        rows.iter().map(|row| (row.version, row.said.clone(), row.truth.clone())).collect()
    }

    #[test]
    fn a_label_meets_its_row_once_however_often_it_comes() {
        let mut kept = Kept::new(100, 1_000);
        assert_eq!(kept.keep(answered("a", 0, &[0.1, 0.9]), 10), []);
        let (met, rows) = kept.join(label("a", 1, true), 20);
        assert_eq!(met, Met::Joined);
        assert_eq!(joined(&rows), [(0, Cell::Number(0.9), Truth::Positive(true))]);
        assert_eq!((rows[0].answered, rows[0].known), (10, 20));
        assert_eq!(kept.join(label("a", 1, true), 30), (Met::Repeated, vec![]));
        assert_eq!(kept.join(label("a", 1, false), 30), (Met::Conflicting, vec![]));
        assert_eq!(kept.join(label("a", 1, true), 30), (Met::Repeated, vec![]), "the first stands");
        assert_eq!(kept.join(label("a", 2, true), 30).0, Met::Unknown, "it has two rows");
        assert_eq!(kept.join(label("b", 0, true), 30).0, Met::Unknown);
        let expected = LabelCounts {
            joined: 1,
            repeated: 2,
            conflicting: 1,
            unknown: 2,
            ..LabelCounts::default()
        };
        assert_eq!(kept.counts(), expected);
    }

    #[test]
    fn a_label_that_is_quicker_than_its_answer_waits_for_it() {
        let mut kept = Kept::new(100, 1_000_000);
        assert_eq!(kept.join(label("a", 0, true), 0).0, Met::Unknown);
        assert_eq!(kept.join(label("a", 0, true), 0).0, Met::Unknown);
        let rows = kept.keep(answered("a", 0, &[0.4]), 500);
        assert_eq!(joined(&rows), [(0, Cell::Number(0.4), Truth::Positive(true))]);
        assert_eq!((kept.counts().joined, kept.counts().unknown), (1, 1), "the second was none");
        // But not for ever.
        kept.join(label("b", 0, true), 1_000);
        kept.expire(1_000 + EARLY_MS + 1);
        assert_eq!(kept.keep(answered("b", 0, &[0.4]), 70_000), []);
    }

    #[test]
    fn every_version_that_answered_gets_the_label_whichever_came_first() {
        let mut kept = Kept::new(100, 1_000);
        kept.keep(answered("a", 0, &[0.1]), 0);
        kept.keep(answered("a", 1, &[0.2]), 0);
        let (met, rows) = kept.join(label("a", 0, false), 5);
        assert_eq!((met, rows.len()), (Met::Joined, 2));
        let late = kept.keep(answered("a", 2, &[0.3]), 9);
        assert_eq!(joined(&late), [(2, Cell::Number(0.3), Truth::Positive(false))]);
        assert_eq!(kept.keep(answered("a", 2, &[0.7]), 9), [], "an answer counts once");
        assert_eq!(kept.counts().joined, 1);
    }

    #[test]
    fn no_more_is_kept_than_was_agreed_and_what_was_given_up_is_counted() {
        let mut kept = Kept::new(10, 1_000);
        for at in 0..8 {
            kept.keep(answered(&format!("r{at}"), 0, &[0.1, 0.2, 0.3]), at);
        }
        assert_eq!((kept.rows(), kept.counts().dropped_rows), (9, 15));
        assert_eq!(kept.join(label("r4", 0, true), 9).0, Met::Unknown);
        assert_eq!(kept.join(label("r5", 0, true), 9).0, Met::Joined);
        kept.expire(1_006);
        assert_eq!((kept.rows(), kept.counts().expired_rows), (6, 2), "one of r5 had a label");
        kept.expire(5_000);
        assert_eq!((kept.rows(), kept.bytes, kept.by_id.len()), (0, 0, 0));
        // Texts count, too: ten rows may have five kilobytes.
        let long = |id: &str| Answered {
            request_id: id.into(),
            version: 0,
            rows: vec![Cell::Text("x".repeat(2_000).into())],
            beside: Vec::new(),
        };
        (0..4).for_each(|at| drop(kept.keep(long(&format!("l{at}")), 5_000)));
        assert_eq!((kept.rows(), kept.counts().dropped_rows), (2, 17));
        // One that is too large for all of it goes at once.
        let huge = vec![Cell::Text("x".repeat(20_000).into())];
        let beside = vec![huge.into()];
        let rows = vec![Cell::Null];
        kept.keep(Answered { request_id: "huge".into(), version: 0, rows, beside }, 5_000);
        assert_eq!((kept.rows(), kept.bytes), (0, 0));
    }

    #[test]
    fn strangers_labels_take_bounded_room() {
        let mut kept = Kept::new(10, 1_000);
        for at in 0..30_000 {
            kept.join(label(&format!("s{at}"), 0, true), at);
            kept.join(label("one", at as u32, true), at);
        }
        assert_eq!(kept.early_order.len(), MAX_EARLY);
        let early: usize = kept.early.values().map(Vec::len).sum();
        assert!(early <= MAX_EARLY, "{early}");
        kept.expire(200_000);
        assert!(kept.early.is_empty() && kept.early_order.is_empty());
    }
}
