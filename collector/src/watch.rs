//! A watch: the windows of one model, filled by what was read from samples and judged when they
//! close. Pure: it is told when; it does not know where samples come from.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use tidegate_contract::columns::{Cell, Columns};
use tidegate_detectors::judge::{MinEffect, Rules, alpha_per_look, judge};
use tidegate_detectors::reference::{Observation, Reference, Values};
use tidegate_detectors::window::{Pane, Window};

use crate::config::model::Model;
use crate::decision::UnixMillis;
use crate::judgement::Judgement;

/// Workers whose counts are remembered; a worker is one thread of one Envoy.
const MAX_WORKERS: usize = 4096;

/// Counts for one model and version as one worker keeps them: since its start, only growing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Exchanges that were the model's.
    pub exchanges: u64,
    /// With a contract violation in the request.
    pub violating: u64,
    /// Sampled, then lost on the way.
    pub dropped: u64,
}

impl Counts {
    /// What came since `earlier`. A worker that started anew under its old name counts from zero.
    fn since(self, earlier: Self) -> Self {
        if self.exchanges < earlier.exchanges {
            return self;
        }
        Self {
            exchanges: self.exchanges - earlier.exchanges,
            violating: self.violating.saturating_sub(earlier.violating),
            dropped: self.dropped.saturating_sub(earlier.dropped),
        }
    }
}

/// The windows of one model.
#[derive(Debug)]
pub struct Watch {
    model: String,
    reference: Arc<Reference>,
    positions: HashMap<String, usize>,
    rules: Rules,
    /// Panes that make up a window, the oldest first; the newest is being filled.
    panes: VecDeque<Pane>,
    panes_in_window: usize,
    workers: BTreeMap<(u64, String), Counts>,
}

impl Watch {
    /// A watch over a model, against what its training data looked like.
    #[must_use]
    pub fn new(model: &Model, reference: Arc<Reference>) -> Self {
        let hop = model.window.hop.as_secs_f64();
        let least = model.detectors.min_effect;
        let rules = Rules {
            alpha: alpha_per_look(model.detectors.false_alarms_per_month, hop),
            min_effect: MinEffect { data_drift: least, ..Rules::default().min_effect },
            min_rows: model.window.min_rows,
            ..Rules::default()
        };
        let names = reference.features.iter().enumerate();
        let panes = model.window.length.as_millis() / model.window.hop.as_millis().max(1);
        Self {
            model: model.name.clone(),
            positions: names.map(|(at, feature)| (feature.name.clone(), at)).collect(),
            panes: VecDeque::from([Pane::new(&reference)]),
            panes_in_window: usize::try_from(panes).unwrap_or(1).max(1),
            reference,
            rules,
            workers: BTreeMap::new(),
        }
    }

    /// Takes one sample that reached the model, as rows.
    pub fn rows(&mut self, columns: &Columns) {
        let Some(pane) = self.panes.back_mut() else { return };
        let mut seen = vec![false; self.reference.features.len()];
        for column in &columns.columns {
            let Some(&at) = self.positions.get(&column.name) else { continue };
            let (Some(seen), Some(feature)) =
                (seen.get_mut(at), self.reference.features.get(at))
            else {
                continue;
            };
            *seen = true;
            for cell in &column.cells {
                observe(pane, at, &feature.values, cell);
            }
        }
        let absent = seen.iter().enumerate().filter(|(_, seen)| !**seen);
        for (at, _) in absent {
            for _ in 0..columns.rows {
                pane.observe(at, Observation::Missing);
            }
        }
        for _ in 0..columns.rows {
            pane.row();
        }
    }

    /// Counts samples that arrived, and how many of them were lost at our own door.
    pub fn arrived(&mut self, samples: u64, lost: u64) {
        if let Some(pane) = self.panes.back_mut() {
            pane.exchanges(0, 0, lost, samples);
        }
    }

    /// Takes a worker's counts. `with` are the samples that came in the same batch: of a worker
    /// that was not heard before, these are all that is known to belong to now.
    pub fn counts(&mut self, worker: u64, version: &str, counts: Counts, with: Counts) {
        let key = (worker, version.to_owned());
        let new = match self.workers.get(&key) {
            Some(earlier) => counts.since(*earlier),
            None => with,
        };
        if !self.workers.contains_key(&key) && self.workers.len() >= MAX_WORKERS {
            self.workers.pop_first();
        }
        self.workers.insert(key, counts);
        if let Some(pane) = self.panes.back_mut() {
            pane.exchanges(new.exchanges, new.violating, new.dropped, 0);
        }
    }

    /// Closes the pane that is being filled and judges the window that it completes.
    pub fn close(&mut self, now: UnixMillis) -> Judgement {
        let window = Window::of(&self.reference, &self.panes);
        let findings = judge(&self.reference, &window, &self.rules);
        let judgement = Judgement::of(
            &self.model,
            now,
            window.rows,
            window.exchanges.seen,
            window.exchanges.coverage(),
            findings,
        );
        self.panes.push_back(Pane::new(&self.reference));
        while self.panes.len() > self.panes_in_window {
            self.panes.pop_front();
        }
        judgement
    }
}

fn observe(pane: &mut Pane, at: usize, values: &Values, cell: &Cell) {
    let observation = match (values, cell) {
        (_, Cell::Null) => Observation::Missing,
        (Values::Number(_), Cell::Number(number)) => Observation::Number(*number),
        (Values::Category(_), Cell::Text(text)) => Observation::Category(text),
        (Values::Category(_), Cell::Bool(true)) => Observation::Category("true"),
        (Values::Category(_), Cell::Bool(false)) => Observation::Category("false"),
        (Values::Category(_), Cell::Number(number)) => {
            // A code, such as an industry's number, that the profile was told to treat as a category.
            return pane.observe(at, Observation::Category(&number.to_string()));
        }
        (Values::Number(_), Cell::Text(_) | Cell::Bool(_)) | (_, Cell::Nested) => {
            Observation::Foreign
        }
    };
    pane.observe(at, observation);
}
