//! A watch: the windows of one model, filled by what was read from samples and judged when they
//! close. Pure: it is told when; it does not know where samples come from.

mod measured;
mod panes;
mod season;
mod taking;
mod together;

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tidegate_contract::columns::Columns;
use tidegate_contract::contract::{Contract, Field};
use tidegate_contract::protocol::Side;
use tidegate_detectors::custom_metric::Values as MetricValues;
use tidegate_detectors::joint::lens::Lens;
use tidegate_detectors::judge::{MinEffect, Rules, alpha_per_look, judge};
use tidegate_detectors::limit::{Limit, Limited};
use tidegate_detectors::reference::Reference;
use tidegate_detectors::vigil::Vigil;
use tidegate_detectors::volume::Volume;
use tidegate_detectors::window::Exchanges;

use crate::config::duration::millis;
use crate::config::model::Model;
use crate::custom_metrics::CustomMetrics;
use crate::decision::UnixMillis;
use crate::judgement::Judgement;
use crate::profile::hours::Hours;
use crate::sides::Sides;
use panes::{Closed, Panes};
use season::Season;
use taking::Taking;
use together::Together;

/// What false alarms are budgeted over: 30 days.
pub const MONTH_MS: u64 = 30 * 86_400_000;
/// The largest chance of a false alarm in a month that a bet of the vigil gets, however generous
/// the budget.
const MOST_OF_A_BET: f64 = 0.05;

/// Pairs of numbers whose sums the panes of a model hold at most, of 56 bytes each.
const PAIRS: usize = 30_000;

/// Workers whose counts are remembered; a worker is one thread of one Envoy.
const MAX_WORKERS: usize = 4096;

/// Counts for one model and version as one worker keeps them: since its start, only growing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Exchanges that were the model's.
    pub exchanges: u64,
    /// Whose request was held against the contract.
    pub checked: u64,
    /// Of these, with a violation.
    pub violating: u64,
    /// Sampled, then lost on the way.
    pub dropped: u64,
}

impl Counts {
    /// What came since `earlier`. Counts only grow; a batch that another one overtook brings nothing.
    fn since(self, earlier: Self) -> Self {
        Self {
            exchanges: self.exchanges.saturating_sub(earlier.exchanges),
            checked: self.checked.saturating_sub(earlier.checked),
            violating: self.violating.saturating_sub(earlier.violating),
            dropped: self.dropped.saturating_sub(earlier.dropped),
        }
    }

    fn highest(self, other: Self) -> Self {
        Self {
            exchanges: self.exchanges.max(other.exchanges),
            checked: self.checked.max(other.checked),
            violating: self.violating.max(other.violating),
            dropped: self.dropped.max(other.dropped),
        }
    }

    fn lowest(self, other: Self) -> Self {
        Self {
            exchanges: self.exchanges.min(other.exchanges),
            checked: self.checked.min(other.checked),
            violating: self.violating.min(other.violating),
            dropped: self.dropped.min(other.dropped),
        }
    }
}

/// What was heard of the counts of one worker and version.
#[derive(Debug)]
struct Heard {
    /// The first that arrived.
    first: Counts,
    /// Of what came before these, what may still arrive: batches that the first overtook.
    before: Counts,
    highest: Counts,
}

impl Heard {
    /// Of a worker that was not heard before, what came in the same batch is all that is known to belong
    /// to now.
    fn first(counts: Counts, with: Counts) -> Self {
        Self { first: counts, before: counts.since(with), highest: counts }
    }

    /// What these counts bring, which came with a batch.
    fn take(&mut self, counts: Counts, with: Counts) -> Counts {
        if counts.exchanges < self.first.exchanges {
            let overtaken = with.lowest(self.before);
            self.before = self.before.since(overtaken);
            return overtaken;
        }
        let new = counts.since(self.highest);
        self.highest = self.highest.highest(counts);
        new
    }
}

/// One worker: one thread of one Envoy, since its VM started.
#[derive(Debug, Default)]
struct Worker {
    /// When it was last heard, in batches.
    heard: u64,
    /// By version; the empty name is of exchanges that no version answered.
    counts: HashMap<String, Heard>,
}

/// The windows of one model.
#[derive(Debug)]
pub struct Watch {
    model: String,
    sides: Sides,
    rules: Rules,
    /// What the values of a row are seen through together, where training says what they did.
    lenses: Vec<Lens>,
    /// What remembers beyond the window.
    vigil: Vigil,
    /// What both hold rows against at this hour.
    season: Season,
    panes: Panes,
    /// How many exchanges are usual, where training says at which hours there are how many.
    volume: Option<Volume>,
    /// Exchanges since the last window closed; with others, their panes say it.
    seen: u64,
    /// Inputs whose values may be told to nobody.
    sensitive: HashSet<String>,
    /// The names of versions that count, and the empty one.
    versions: Vec<String>,
    workers: HashMap<u64, Worker>,
    batches: u64,
    /// What its owner measures it by, and what labels say of that.
    metrics: CustomMetrics,
    labelled: BTreeMap<String, MetricValues>,
    /// What there is beside where others share the watch.
    together: Option<Together>,
}

impl Watch {
    /// A watch over a model, against what its training data looked like. How many independent tests
    /// those of a window are worth, the profile knows.
    #[must_use]
    pub fn new(
        model: &Model,
        contract: &Contract,
        sides: Sides,
        effective_tests: Option<f64>,
    ) -> Self {
        let sides = sides.with_pairs(PAIRS / model.window.panes());
        let reference = sides.reference();
        let hop = model.window.hop.as_secs_f64();
        let least = model.detectors.min_effect;
        // Half of the budget is for the windows, half for the vigil.
        let budget = model.detectors.false_alarms_per_month / 2.0;
        let alpha = alpha_per_look(budget, hop);
        let of_a_bet = of_a_bet(model, bets(model, &sides));
        let rules = Rules {
            alpha,
            // A warning is never harder to get than an alarm.
            warning_alpha: Rules::default().warning_alpha.max(alpha),
            min_effect: MinEffect { data_drift: least, ..Rules::default().min_effect },
            min_rows: model.window.min_rows,
            limits: limits(contract),
            max_late_rate: model.window.time.as_ref().map(|time| time.max_late_rate),
            effective_tests: sides.effective_tests(effective_tests),
            ..Rules::default()
        };
        Self {
            model: model.name.clone(),
            lenses: Lens::all_of(reference),
            vigil: Vigil::new(Arc::clone(reference), of_a_bet, MONTH_MS),
            season: Season::default(),
            panes: Panes::new(reference, &model.window),
            volume: None,
            seen: 0,
            sides,
            rules,
            sensitive: contract
                .inputs
                .iter()
                .filter(|field| field.sensitive.is_some())
                .map(|field| field.name.clone())
                .collect(),
            versions: model.versions.iter().map(|version| version.name.clone()).collect(),
            workers: HashMap::new(),
            batches: 0,
            metrics: CustomMetrics::default(),
            labelled: BTreeMap::new(),
            together: None,
        }
    }

    /// The same watch, which also holds how many exchanges there are against those that training had at
    /// each hour of the week, where the model wants it.
    #[must_use]
    pub fn expecting(mut self, model: &Model, hours: Option<&Hours>) -> Self {
        let (hop_ms, panes) = (millis(model.window.hop), model.window.panes());
        let hours = hours.filter(|_| model.detectors.volume);
        self.volume = hours.and_then(|hours| Volume::new(&hours.rows, &hours.met, hop_ms, panes));
        self
    }

    /// Says that it is `now`; what is taken next is of now.
    pub fn at(&mut self, now: UnixMillis) {
        self.panes.at(time(now));
        // What others see too is of the time at which all closed it.
        if self.together.is_none() {
            self.tell(now);
        }
    }

    fn tell(&mut self, now: UnixMillis) {
        self.season.turn(&mut self.vigil, &self.sides, time(now));
        self.vigil.at(time(now));
    }

    /// Takes the rows of one side of samples that reached the model, in their order. An answer that has
    /// none of the outputs says nothing of them.
    pub fn rows<T: Borrow<Columns>>(&mut self, side: Side, tables: &[T]) {
        let Self { sides, lenses, vigil, panes, together, .. } = self;
        let mut taking = Taking { sides, lenses, vigil, together: together.as_mut() };
        let tables: Vec<&Columns> = tables.iter().map(Borrow::borrow).collect();
        match side {
            Side::Request => panes.place(&tables, |pane, tables| taking.inputs(pane, tables)),
            Side::Response => taking.outputs(panes.newest(), &tables),
        }
    }

    /// Counts samples that were read, and those lost at our own door or unreadable.
    pub fn arrived(&mut self, read: u64, lost: u64) {
        let counted = Exchanges { dropped: lost, sampled: read, ..Exchanges::default() };
        self.panes.newest().exchanges(counted);
    }

    /// Takes a worker's counts. `with` are the samples that came in the same batch: of a worker
    /// that was not heard before, these are all that is known to belong to now.
    pub fn counts(&mut self, worker: u64, version: &str, counts: Counts, with: Counts) {
        if !version.is_empty() && !self.versions.iter().any(|known| known == version) {
            return;
        }
        self.batches += 1;
        if !self.workers.contains_key(&worker) && self.workers.len() >= MAX_WORKERS {
            // Every VM that starts anew has a name of its own; the dead ones are heard no more.
            let silent = self.workers.iter().min_by_key(|(_, worker)| worker.heard);
            if let Some(silent) = silent.map(|(name, _)| *name) {
                self.workers.remove(&silent);
            }
        }
        let worker = self.workers.entry(worker).or_default();
        worker.heard = self.batches;
        let new = match worker.counts.get_mut(version) {
            Some(heard) => heard.take(counts, with),
            None => {
                worker.counts.insert(version.to_owned(), Heard::first(counts, with));
                with
            }
        };
        let Counts { exchanges: seen, checked, violating, dropped } = new;
        let counted = Exchanges { seen, checked, violating, dropped, sampled: 0 };
        self.panes.newest().exchanges(counted);
        if self.together.is_none() {
            self.seen = self.seen.saturating_add(seen);
            self.vigil.exchanges(checked, violating);
        }
    }

    /// When a change counts.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What windows are held against.
    #[must_use]
    pub fn reference(&self) -> &Reference {
        self.sides.reference()
    }

    /// Closes the pane that is being filled and judges the window that it completes.
    pub fn close(&mut self, now: UnixMillis) -> Judgement {
        let closed = self.panes.close(time(now));
        let seen = std::mem::take(&mut self.seen);
        self.judge(closed, seen, now)
    }

    /// Judges a window in whose last hop so many exchanges were seen.
    fn judge(&mut self, closed: Closed, seen: u64, now: UnixMillis) -> Judgement {
        let Closed { mut window, from_ms, to_ms } = closed;
        window.usual = self.volume.as_mut().and_then(|volume| volume.take(seen, time(now)));
        window.metrics.extend(self.labelled.clone());
        let reference = self.season.reference(&self.sides, from_ms, to_ms);
        let mut findings = judge(&reference, &window, &self.rules);
        self.vigil.close();
        self.vigil.weigh(&mut findings, &self.rules);
        self.sides.tell_apart(&mut findings, &window);
        // Of these only hashes arrive, which no request has.
        let hidden =
            |name: &Option<String>| name.as_ref().is_some_and(|name| self.sensitive.contains(name));
        for finding in findings.iter_mut().filter(|finding| hidden(&finding.feature)) {
            finding.excess = None;
        }
        let whole = self.sides.reference();
        let judgement =
            Judgement::of(&self.model, now, window.rows, window.exchanges, findings, whole);
        judgement.measured(self.metrics.status(&window))
    }
}

/// A time, as the detectors count it.
fn time(ms: UnixMillis) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// The bets that are made on a model: those of the vigil, and one on its errors where labels tell.
#[must_use]
pub fn bets(model: &Model, sides: &Sides) -> usize {
    Vigil::bets(sides.reference()) + usize::from(model.labels.is_some())
}

/// The chance of a false alarm in a month that each of so many bets gets: half of the budget is
/// theirs, the other half is for the windows.
#[must_use]
pub fn of_a_bet(model: &Model, bets: usize) -> f64 {
    let budget = model.detectors.false_alarms_per_month / 2.0;
    (budget / bets.max(1) as f64).min(MOST_OF_A_BET)
}

/// What the contract allows a window to have. Of sensitive fields nothing of the kind arrives.
#[must_use]
pub fn limits(contract: &Contract) -> Vec<Limit> {
    let fields = contract.inputs.iter().filter(|field| field.sensitive.is_none());
    let of_field = |field: &Field| {
        let limit = |what, most| Limit { feature: field.name.clone(), what, most };
        let missing = field.max_null_rate.map(|most| limit(Limited::Missing, most));
        let listed = || Limited::Unseen(field.categories.iter().cloned().collect());
        let unseen = (field.max_unseen_rate > 0.0).then(|| limit(listed(), field.max_unseen_rate));
        [missing, unseen]
    };
    fields.flat_map(of_field).flatten().collect()
}

#[cfg(test)]
mod tests {
    use tidegate_contract::columns::{Cell, Column, Columns};
    use tidegate_contract::contract::Contract;
    use tidegate_detectors::finding::{Detector, Finding, Kind, Verdict};
    use tidegate_detectors::joint::Joint;
    use tidegate_detectors::reference::{Feature, Observation, Reference};
    use tidegate_detectors::resampling::KeptColumn;
    use tidegate_detectors::season::{Period, Seasons};

    use super::{Counts, Judgement, Side, Sides, Watch};
    use crate::fixture::{DIVERT, config};

    /// Ages 0 to 89 evenly, and two classes of worker.
    fn sides() -> Sides {
        let mut age = Feature::number("age");
        let mut class = Feature::category("class");
        for row in 0..9_000_u32 {
            age.observe(Observation::Number(f64::from(row * 37 % 90)));
            class.observe(Observation::Category(if row % 3 == 0 { "Private" } else { "None" }));
        }
        let mut score = Feature::number("score");
        (0..9_000_u32).for_each(|row| score.observe(Observation::Number(f64::from(row % 100))));
        let outputs = Reference::of(9_000, vec![score]);
        Sides::of(&Reference::of(9_000, vec![age, class]), &outputs)
    }

    fn watch() -> Watch {
        Watch::new(&config(DIVERT).models[0], &Contract::default(), sides(), None)
    }

    /// One row as a sample brings it.
    fn person(age: Cell, class: &str) -> Columns {
        let column = |name: &str, cell| Column { name: name.to_owned(), cells: vec![cell] };
        let columns = vec![column("age", age), column("class", Cell::Text(class.into()))];
        Columns { rows: 1, columns }
    }

    fn people(watch: &mut Watch, ages: impl Iterator<Item = u32>) {
        for age in ages {
            let class = if age % 3 == 0 { "Private" } else { "None" };
            watch.rows(Side::Request, &[person(Cell::Number(f64::from(age)), class)]);
        }
    }

    fn exchanges(exchanges: u64) -> Counts {
        Counts { exchanges, checked: exchanges, ..Counts::default() }
    }

    fn drift(judgement: &Judgement, feature: &str) -> Verdict {
        let of = |kind: Kind, name: Option<&str>| kind == Kind::DataDrift && name == Some(feature);
        let finding = judgement.findings.iter().find(|f| of(f.kind, f.feature.as_deref()));
        finding.expect("every feature is judged").verdict
    }

    #[test]
    fn answers_are_judged_where_they_say_what_training_data_said() {
        let mut watch = watch();
        let kinds = |judgement: &Judgement| {
            let of_score = |f: &&Finding| f.feature.as_deref() == Some("score");
            let found = judgement.findings.iter().filter(of_score).map(|f| (f.kind, f.verdict));
            found.collect::<Vec<_>>()
        };
        let answers = |watch: &mut Watch, name: &str, from: u32| {
            people(watch, (0..1_800).map(|row| row * 37 % 90));
            for row in 0..1_800_u32 {
                let cells = vec![Cell::Number(f64::from(from + row * 37 % 100))];
                let columns = vec![Column { name: name.to_owned(), cells }];
                watch.rows(Side::Response, &[Columns { rows: 1, columns }]);
            }
            kinds(&watch.close(0))
        };
        assert_eq!(answers(&mut watch, "logits", 0), []);
        let found = answers(&mut watch, "score", 0);
        assert!(found.contains(&(Kind::OutputDrift, Verdict::Healthy)), "{found:?}");
        let found = answers(&mut watch, "score", 60);
        assert!(found.contains(&(Kind::OutputDrift, Verdict::Alarm)), "{found:?}");
    }

    #[test]
    fn answers_are_judged_together_where_training_data_had_several() {
        // No is what yes is not, or the same, and a little beside it.
        let pair = |row: u32, with: bool| {
            let yes = f64::from(row * 7_919 % 1_009) / 1_009.0;
            let beside = f64::from(row * 104_729 % 997) / 9_970.0;
            [yes, beside + if with { yes } else { 1.0 - yes }]
        };
        let mut outputs = Reference::of(9_000, vec![Feature::number("yes"), Feature::number("no")]);
        let mut kept = vec![KeptColumn::default(); 2];
        for row in 0..9_000 {
            for (at, value) in pair(row, false).into_iter().enumerate() {
                outputs.features[at].observe(Observation::Number(value));
                kept[at].take(Observation::Number(value));
            }
        }
        outputs.joints.extend(Joint::learn(&outputs, &kept));
        let inputs = Reference::of(9_000, sides().reference().features[..2].to_vec());
        let sides = Sides::of(&inputs, &outputs);
        let mut watch = Watch::new(&config(DIVERT).models[0], &Contract::default(), sides, None);
        let mut judged = |now: u64, answers: Option<bool>| {
            people(&mut watch, 0..600);
            let columns = |with: bool| {
                let value = |at: usize| (0..600).map(move |row| pair(row, with)[at]);
                let column = |(at, name): (usize, &str)| Column {
                    name: name.to_owned(),
                    cells: value(at).map(Cell::Number).collect(),
                };
                Columns {
                    rows: 600,
                    columns: ["yes", "no"].into_iter().enumerate().map(column).collect(),
                }
            };
            watch.rows(Side::Response, &Vec::from_iter(answers.map(columns)));
            let judgement = watch.close(now);
            let together = judgement
                .findings
                .into_iter()
                .filter(|finding| finding.kind == Kind::OutputDrift && finding.feature.is_none());
            together.map(|finding| (finding.detector, finding.verdict)).collect::<Vec<_>>()
        };
        assert_eq!(judged(2_000, None), [], "no answer was seen");
        let usual = judged(4_000, Some(false));
        assert!(usual.contains(&(Detector::Correlation, Verdict::Healthy)), "{usual:?}");
        assert!(usual.iter().all(|(_, verdict)| *verdict == Verdict::Healthy), "{usual:?}");
        let other = judged(60_000, Some(true));
        assert!(other.contains(&(Detector::Correlation, Verdict::Alarm)), "{other:?}");
    }

    #[test]
    fn what_is_usual_at_this_hour_is_no_alarm() {
        // By night all are old, by day all are young; training has as many of both.
        let hour_ms = 3_600_000;
        let mut seasons = Seasons::empty(Period::Day);
        let blank = || {
            let reference = sides().reference().features.clone();
            reference.iter().map(|feature| feature.blank(0)).collect::<Vec<_>>()
        };
        let (mut whole, score) = (blank(), 2);
        for hour in 0..24_u32 {
            let mut of_hour = blank();
            for row in 0..600_u32 {
                let age = row * 37 % 45 + if (6..18).contains(&hour) { 0 } else { 45 };
                let class = if age % 3 == 0 { "Private" } else { "None" };
                for feature in [&mut of_hour, &mut whole] {
                    feature[0].observe(Observation::Number(f64::from(age)));
                    feature[1].observe(Observation::Category(class));
                    feature[score].observe(Observation::Number(f64::from(row % 100)));
                }
            }
            seasons.hours[hour as usize] = of_hour;
        }
        let outputs = Reference::of(14_400, vec![whole.remove(score)]);
        let plain = Sides::of(&Reference::of(14_400, whole), &outputs);
        let verdict = |sides: &Sides, from: u64, young: bool| {
            let none = Contract::default();
            let mut watch = Watch::new(&config(DIVERT).models[0], &none, sides.clone(), None);
            let mut last = Verdict::Healthy;
            for hop in 0..5 {
                let now = from + hop * 2_000;
                watch.at(now);
                let ages = (0..200).map(|row| row * 37 % 45 + if young { 0 } else { 45 });
                people(&mut watch, ages);
                last = drift(&watch.close(now + 2_000), "age");
            }
            last
        };
        let by_hour = plain.clone().by_hour(Some(seasons));
        let noon = 20_000 * 24 * hour_ms + 12 * hour_ms;
        assert_eq!(verdict(&plain, noon, true), Verdict::Alarm);
        assert_eq!(verdict(&by_hour, noon, true), Verdict::Healthy);
        assert_eq!(verdict(&by_hour, noon, false), Verdict::Alarm);
        assert_eq!(verdict(&by_hour, noon + 12 * hour_ms, false), Verdict::Healthy);
    }

    #[test]
    fn what_the_contract_allows_a_window_is_held() {
        let contract = r#"{"inputs": [{"name": "class", "type": "text", "nullable": true,
            "max_null_rate": 0.05, "categories": ["Private", "None"], "max_unseen_rate": 0.1}]}"#;
        let contract = Contract::parse(contract).expect("a contract");
        let mut watch = Watch::new(&config(DIVERT).models[0], &contract, sides(), None);
        let mut verdicts = |foreign: u32| {
            for row in 0..1_800_u32 {
                let class = match row % 90 {
                    row if row < foreign => "Martian",
                    row if row % 3 == 0 => "Private",
                    _ => "None",
                };
                watch.rows(Side::Request, &[person(Cell::Number(f64::from(row * 37 % 90)), class)]);
            }
            let judgement = watch.close(0);
            let of_limits = |f: &&Finding| f.detector == Detector::Limit;
            let mut limits: Vec<_> = judgement.findings.iter().filter(of_limits).collect();
            limits.sort_by_key(|finding| finding.was.clone());
            limits.iter().map(|f| (f.was.clone(), f.verdict)).collect::<Vec<_>>()
        };
        let missing = ("missing 5 % allowed".to_owned(), Verdict::Healthy);
        let unseen = |verdict| ("not listed 10 % allowed".to_owned(), verdict);
        assert_eq!(verdicts(8), [missing.clone(), unseen(Verdict::Healthy)]);
        assert_eq!(verdicts(20), [missing, unseen(Verdict::Alarm)]);
    }

    #[test]
    fn the_same_population_is_no_alarm_and_an_older_one_is() {
        let mut watch = watch();
        people(&mut watch, (0..1_800).map(|row| row * 37 % 90));
        assert_eq!(drift(&watch.close(0), "age"), Verdict::Healthy);
        people(&mut watch, (0..1_800).map(|row| 60 + row * 37 % 30));
        assert_eq!(drift(&watch.close(0), "age"), Verdict::Alarm);
    }

    #[test]
    fn an_empty_window_is_inconclusive() {
        assert_eq!(watch().close(0).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn a_window_forgets_what_is_older_than_its_length() {
        let mut watch = watch();
        people(&mut watch, 0..10);
        let rows: Vec<u64> = (0..6).map(|_| watch.close(0).rows).collect();
        assert_eq!(rows, [10, 10, 10, 10, 10, 0], "five hops of 2 s make 10 s");
    }

    #[test]
    fn coverage_is_what_arrived_over_what_was_seen() {
        let mut watch = watch();
        watch.counts(7, "v1", exchanges(100), exchanges(0));
        watch.counts(7, "v1", exchanges(300), exchanges(50));
        watch.arrived(50, 0);
        let judgement = watch.close(0);
        assert_eq!((judgement.exchanges, judgement.coverage), (200, Some(0.25)));
    }

    #[test]
    fn of_a_worker_not_heard_before_only_the_batch_itself_belongs_to_now() {
        let mut watch = watch();
        watch.counts(7, "v1", exchanges(1_000_000), exchanges(20));
        assert_eq!(watch.close(0).exchanges, 20);
    }

    #[test]
    fn a_batch_that_another_one_overtook_brings_nothing_twice() {
        let mut watch = watch();
        watch.counts(7, "v1", exchanges(1_000), exchanges(0));
        watch.counts(7, "v1", exchanges(1_040), exchanges(0));
        watch.counts(7, "v1", exchanges(1_020), exchanges(0));
        watch.counts(7, "v1", exchanges(1_050), exchanges(0));
        assert_eq!(watch.close(0).exchanges, 50);
    }

    #[test]
    fn batches_that_the_first_one_overtook_count_once() {
        let mut watch = watch();
        watch.counts(7, "v1", exchanges(60), exchanges(20));
        watch.counts(7, "v1", exchanges(20), exchanges(20));
        watch.counts(7, "v1", exchanges(40), exchanges(20));
        watch.counts(7, "v1", exchanges(100), exchanges(20));
        // This one is in the counts of the one before.
        watch.counts(7, "v1", exchanges(80), exchanges(20));
        assert_eq!(watch.close(0).exchanges, 100);
    }

    #[test]
    fn a_version_that_is_not_configured_counts_nowhere() {
        let mut watch = watch();
        watch.counts(7, "stranger", exchanges(10), exchanges(10));
        watch.counts(7, "", exchanges(3), exchanges(3));
        assert_eq!(watch.close(0).exchanges, 3);
    }

    #[test]
    fn of_too_many_workers_the_one_not_heard_for_longest_is_forgotten() {
        let mut watch = watch();
        for worker in 0..=super::MAX_WORKERS as u64 {
            watch.counts(worker, "v1", exchanges(100), exchanges(0));
            watch.counts(3, "v1", exchanges(100), exchanges(0));
        }
        assert_eq!(watch.workers.len(), super::MAX_WORKERS);
        assert!(watch.workers.contains_key(&3) && !watch.workers.contains_key(&0));
    }

    #[test]
    fn a_field_that_is_gone_counts_as_missing_in_every_row() {
        let mut watch = watch();
        for _ in 0..500 {
            let mut columns = person(Cell::Number(30.0), "Private");
            columns.columns.retain(|column| column.name != "class");
            watch.rows(Side::Request, &[columns]);
        }
        let judgement = watch.close(0);
        let missing = judgement.findings.iter().find(|finding| {
            finding.kind == Kind::Completeness && finding.feature.as_deref() == Some("class")
        });
        assert_eq!(missing.unwrap().verdict, Verdict::Alarm);
    }
}
