//! A vigil: bets on every feature of a model, row by row, that go on for as long as it is watched.
//!
//! A window is judged by its own rows and forgotten; a vigil remembers, so that its evidence holds
//! however often one looks, and says since when. Per feature it bets on the values (numbers: on
//! where they lie and how far they spread; categories: on the levels that came too often of late)
//! and on how often they are missing, and once on how often the contract is broken.
//!
//! It does not know the time: the caller says it. It does not judge how large a change is: a
//! finding does, and [`Vigil::weigh`] brings evidence and effect together.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::finding::{Detector, Evidence, Finding, Kind, Verdict};
use crate::judge::Rules;
use crate::quantile::RankTable;
use crate::reference::{Feature, Observation, Reference, Values};
use crate::sequential::Bettor;
use crate::summary::{CategorySummary, LEVEL_BYTES};
use crate::thinning::Thinning;

/// Standard errors of the reference that count as no change: 99 % of references are closer.
const STANDARD_ERRORS: f64 = 2.576;
/// Share of a period's money that is put in at the beginning.
const AT_ONCE: f64 = 1e-3;
/// Rows after which the levels that are bet on are chosen anew.
const CHOSEN_EVERY: u32 = 16;
/// Rows of a category before levels are chosen; from twice as many on the older count less.
const LEVELS_FROM: f64 = 32.0;
const LEVELS_LATEST: f64 = 2_048.0;
/// Rows that are taken in together.
const BLOCK: usize = 64;

/// All bets on one model.
#[derive(Debug, Clone)]
pub struct Vigil {
    reference: Arc<Reference>,
    lookouts: Vec<Lookout>,
    violations: Bettor,
    /// The evidence of an alarm: one over the level that each bet may spend in a period.
    enough: f64,
    period_ms: f64,
    last_ms: Option<i64>,
}

impl Vigil {
    /// A vigil against this reference. In each period of so many milliseconds every bet raises a
    /// false alarm with a chance of at most `alpha` (above 0), however often one looks.
    #[must_use]
    pub fn new(reference: Arc<Reference>, alpha: f64, period_ms: u64) -> Self {
        let enough = 1.0 / alpha.clamp(f64::MIN_POSITIVE, 1.0);
        let lookouts = reference.features.iter().map(|feature| Lookout::new(feature, enough));
        let lookouts = lookouts.collect();
        let violations = rate(0, reference.rows, enough);
        Self { reference, lookouts, violations, enough, period_ms: period_ms as f64, last_ms: None }
    }

    /// From now on rows are held against another reference of the same features, of another hour say.
    /// What is owned stays.
    pub fn turn(&mut self, reference: Arc<Reference>) {
        for (lookout, feature) in self.lookouts.iter_mut().zip(&reference.features) {
            lookout.turn(Lookout::new(feature, self.enough));
        }
        self.violations.turn(&rate(0, reference.rows, self.enough));
        self.reference = reference;
    }

    /// Bets that one vigil over this reference makes: what a budget is divided by.
    #[must_use]
    pub fn bets(reference: &Reference) -> usize {
        2 * reference.features.len() + 1
    }

    /// Says that it is `now`, in Unix milliseconds; what is observed next is of now. A clock that
    /// goes back counts as one that stands.
    pub fn at(&mut self, now_ms: i64) {
        let share = match self.last_ms {
            None => AT_ONCE,
            Some(last) => now_ms.saturating_sub(last).max(0) as f64 / self.period_ms.max(1.0),
        };
        self.last_ms = Some(self.last_ms.map_or(now_ms, |last| last.max(now_ms)));
        for lookout in &mut self.lookouts {
            lookout.put_in(share.min(1.0), now_ms);
        }
        self.violations.put_in(share.min(1.0), now_ms);
    }

    /// Takes in the values of a feature, by its index in the reference, of some rows in their order; an
    /// index that the reference lacks is ignored. Bets on one feature know nothing of another, so that it
    /// does not matter whether rows come one by one or features do.
    pub fn observe(&mut self, feature: usize, column: &[Observation<'_>]) {
        let known = self.reference.features.get(feature);
        if let (Some(known), Some(lookout)) = (known, self.lookouts.get_mut(feature)) {
            lookout.observe(known, column);
        }
    }

    /// Takes in exchanges that were held against the contract, of which some broke it.
    pub fn exchanges(&mut self, checked: u64, violating: u64) {
        let violating = violating.min(checked);
        self.violations.observe_rate(violating, checked - violating);
    }

    /// Says that a pane closed: how much values depend on each other is estimated anew.
    pub fn close(&mut self) {
        for lookout in &mut self.lookouts {
            lookout.values.thinning.estimate();
            lookout.absence.thinning.estimate();
        }
    }

    /// Gives findings their evidence. One with enough of it, with an effect that matters and rows to
    /// judge it by, becomes an alarm.
    pub fn weigh(&self, findings: &mut [Finding], rules: &Rules) {
        for finding in findings {
            let Some((value, since)) = self.evidence(finding) else { continue };
            finding.evidence = Some(Evidence {
                value,
                enough: self.enough,
                // Evidence below what nothing is worth dates nothing.
                since_unix_ms: (value > 1.0).then_some(since),
            });
            let matters = finding.effect >= finding.min_effect && finding.rows >= rules.min_rows;
            if matters && value >= self.enough {
                finding.verdict = Verdict::Alarm;
            }
        }
    }

    fn evidence(&self, finding: &Finding) -> Option<(f64, i64)> {
        if finding.detector == Detector::ViolationRate {
            return Some((self.violations.evidence(), self.violations.since()));
        }
        let lookout = self.lookouts.get(self.reference.position(finding.feature.as_deref()?)?)?;
        let bets: &[&Bettor] = match (finding.kind, &lookout.values.bets) {
            (Kind::DataDrift, Bets::Number { location, spread, .. }) => &[location, spread],
            (Kind::DataDrift, Bets::Category(levels)) => &[&levels.bettor],
            (Kind::Completeness, _) => &[&lookout.absence.bettor],
            _ => return None,
        };
        // The mean of e-values is one, whatever their dependence.
        let value = bets.iter().map(|bet| bet.evidence()).sum::<f64>() / bets.len() as f64;
        let richest = bets.iter().max_by(|a, b| a.evidence().total_cmp(&b.evidence()))?;
        Some((value, richest.since()))
    }
}

/// A bettor on a rate that was `hits` of `of` in the reference, give or take its own error
/// (Agresti & Coull's interval, Am. Stat. 52, 1998).
fn rate(hits: u64, of: u64, enough: f64) -> Bettor {
    let z2 = STANDARD_ERRORS * STANDARD_ERRORS;
    let trials = of as f64 + z2;
    let centre = (hits as f64 + z2 / 2.0) / trials;
    let error = STANDARD_ERRORS * (centre * (1.0 - centre) / trials).sqrt();
    let low = if hits == 0 { 0.0 } else { centre - error };
    let high = if hits == of && of > 0 { 1.0 } else { centre + error };
    Bettor::on_rate(low, high, enough)
}

/// The bets on one feature.
#[derive(Debug, Clone)]
struct Lookout {
    values: ValuesLookout,
    absence: Absence,
}

#[derive(Debug, Clone)]
struct ValuesLookout {
    thinning: Thinning,
    bets: Bets,
}

#[derive(Debug, Clone)]
struct Absence {
    thinning: Thinning,
    bettor: Bettor,
}

#[derive(Debug, Clone)]
enum Bets {
    /// Beside the rank of a value how far from the middle that is.
    Number {
        ranks: RankTable<(f64, f64)>,
        location: Bettor,
        spread: Bettor,
    },
    Category(Levels),
}

impl Lookout {
    fn new(feature: &Feature, enough: f64) -> Self {
        let bets = match &feature.values {
            Values::Number(numbers) => {
                // The mean rank of rows of the same distribution has the variance 1 / 12m; that
                // of the folded ranks too. A rank that is read from the sketch is in the middle of
                // an interval, so that it is off by at most half its width.
                let rows = numbers.count.max(1) as f64;
                let tolerance = STANDARD_ERRORS / (12.0 * rows).sqrt();
                let tolerance = tolerance + numbers.sketch().rank_error() / 2.0;
                Bets::Number {
                    ranks: RankTable::of(numbers.sketch(), |ranks| {
                        (f64::midpoint(ranks.0, ranks.1), folded(ranks))
                    }),
                    location: Bettor::on_ranks(tolerance, enough),
                    spread: Bettor::on_ranks(tolerance, enough),
                }
            }
            Values::Category(known) => Bets::Category(Levels::new(known, enough)),
        };
        Self {
            values: ValuesLookout { thinning: Thinning::default(), bets },
            absence: Absence {
                thinning: Thinning::default(),
                bettor: rate(feature.missing(), feature.rows, enough),
            },
        }
    }

    /// Goes on against what `other`, which has not seen anything, is against.
    fn turn(&mut self, other: Lookout) {
        match (&mut self.values.bets, other.values.bets) {
            (
                Bets::Number { ranks, location, spread },
                Bets::Number { ranks: now, location: of, spread: too },
            ) => {
                *ranks = now;
                location.turn(&of);
                spread.turn(&too);
            }
            // What came of late came against other shares.
            (Bets::Category(levels), Bets::Category(now)) => levels.turn(now),
            // A feature of another type is another feature, which has not been seen.
            (bets, now) => *bets = now,
        }
        self.absence.bettor.turn(&other.absence.bettor);
    }

    fn put_in(&mut self, share: f64, now_ms: i64) {
        match &mut self.values.bets {
            Bets::Number { location, spread, .. } => {
                location.put_in(share, now_ms);
                spread.put_in(share, now_ms);
            }
            Bets::Category(levels) => levels.bettor.put_in(share, now_ms),
        }
        self.absence.bettor.put_in(share, now_ms);
    }

    fn observe(&mut self, known: &Feature, column: &[Observation<'_>]) {
        for block in column.chunks(BLOCK) {
            let mut there = [false; BLOCK];
            self.values.observe(known, block, &mut there);
            for run in there[..block.len()].chunk_by(|one, next| one == next) {
                let absent = f64::from(u8::from(!run[0]));
                let taken = self.absence.thinning.takes_times(absent, run.len() as u64);
                self.absence.bettor.observe_times(absent, taken);
            }
        }
    }
}

impl ValuesLookout {
    /// Takes in at most [`BLOCK`] values, and says of each whether it is one.
    fn observe(&mut self, known: &Feature, block: &[Observation<'_>], there: &mut [bool; BLOCK]) {
        let Self { thinning, bets } = self;
        match (bets, &known.values) {
            (Bets::Number { ranks, location, spread }, Values::Number(was)) => {
                // First all ranks and then all bets: each alone is a short loop.
                let (mut found, mut count) = ([(0.0, 0.0); BLOCK], 0);
                for (there, observation) in there.iter_mut().zip(block) {
                    if let Observation::Number(value) = observation
                        && value.is_finite()
                    {
                        found[count] = ranks.at(*value);
                        count += 1;
                        *there = true;
                    }
                }
                if was.count == 0 {
                    return;
                }
                for &(rank, folded) in &found[..count] {
                    if thinning.takes(rank) {
                        location.observe(rank);
                        spread.observe(folded);
                    }
                }
            }
            (Bets::Category(levels), _) => {
                for (there, observation) in there.iter_mut().zip(block) {
                    let Observation::Category(level) = observation else { continue };
                    *there = true;
                    let level = levels.index(level);
                    if levels.total > 0.0 && thinning.takes(levels.ranks[level]) {
                        levels.observe(level);
                    }
                }
            }
            (Bets::Number { .. }, Values::Category(_)) => {}
        }
    }
}

/// How far from the middle, the mean of |2u − 1| over ranks u between these: its mean over the
/// reference is ½, ties or not.
fn folded((below, upto): (f64, f64)) -> f64 {
    // The integral of |2u − 1| from ½ to u.
    let area = |u: f64| (u - 0.5) * (u - 0.5).abs();
    let width = upto - below;
    if width < 1e-9 { (below + upto - 1.0).abs() } else { (area(upto) - area(below)) / width }
}

/// Bets that levels which came too often of late go on to. Which these are is chosen before each
/// row, so that the null hypothesis, no set of levels is more frequent than in the reference, is
/// betted against fairly; the total variation distance is the largest such excess.
#[derive(Debug, Clone)]
struct Levels {
    bettor: Bettor,
    names: BTreeMap<String, usize>,
    /// Shares in the reference; the last is of all levels it has no name for.
    shares: Vec<f64>,
    /// The middle of each level's shares, added up: a series to look for dependence in.
    ranks: Vec<f64>,
    /// Rows of the reference.
    total: f64,
    /// What came of late; older rows count less.
    latest: Vec<f64>,
    rows: f64,
    chosen: Vec<bool>,
    /// The share of the chosen in the reference, with its error; `None` while none is chosen.
    share_of_chosen: Option<f64>,
    since_choice: u32,
}

impl Levels {
    fn new(known: &CategorySummary, enough: f64) -> Self {
        let total = known.count() as f64;
        let counts = known.counts().values().copied().chain([known.other()]);
        let shares: Vec<f64> = counts.map(|count| count as f64 / total.max(1.0)).collect();
        let mut below = 0.0;
        let ranks = shares.iter().map(|share| {
            below += share;
            below - share / 2.0
        });
        Self {
            bettor: Bettor::on_rate(0.0, 1.0, enough),
            names: known.counts().keys().cloned().zip(0..).collect(),
            ranks: ranks.collect(),
            total,
            latest: vec![0.0; shares.len()],
            rows: 0.0,
            chosen: vec![false; shares.len()],
            shares,
            share_of_chosen: None,
            since_choice: 0,
        }
    }

    /// Goes on with what is owned, against the shares of `other`.
    fn turn(&mut self, other: Levels) {
        let mut bettor = self.bettor.clone();
        bettor.turn(&other.bettor);
        *self = Levels { bettor, ..other };
    }

    /// Where a level stands; those without a name stand together, last.
    fn index(&self, level: &str) -> usize {
        let name = &level[..level.floor_char_boundary(LEVEL_BYTES)];
        self.names.get(name).copied().unwrap_or(self.shares.len() - 1)
    }

    fn observe(&mut self, level: usize) {
        if let Some(share) = self.share_of_chosen {
            self.bettor.observe_at_most(self.chosen[level], share);
        }
        self.latest[level] += 1.0;
        self.rows += 1.0;
        if self.rows >= 2.0 * LEVELS_LATEST {
            self.latest.iter_mut().for_each(|count| *count /= 2.0);
            self.rows /= 2.0;
        }
        self.since_choice += 1;
        if self.since_choice >= CHOSEN_EVERY && self.rows >= LEVELS_FROM {
            self.since_choice = 0;
            self.choose();
        }
    }

    /// Chooses levels whose excess is more than a standard error.
    fn choose(&mut self) {
        let (mut share, mut favour) = (0.0, 0.0);
        for ((chosen, latest), was) in self.chosen.iter_mut().zip(&self.latest).zip(&self.shares) {
            let expected = self.rows * was;
            *chosen = latest - expected > (expected * (1.0 - was)).sqrt();
            if *chosen {
                share += was;
                // Those are chosen sooner that the reference has too few of: each by the mean of
                // the error's positive half, √(2/π) of its standard deviation.
                favour += (std::f64::consts::FRAC_2_PI * was * (1.0 - was) / self.total).sqrt();
            }
        }
        let error = STANDARD_ERRORS * (share * (1.0 - share).max(0.0) / self.total).sqrt();
        let bound = share + error + favour + STANDARD_ERRORS / self.total;
        self.share_of_chosen = self.chosen.contains(&true).then_some(bound);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::judge;
    use crate::summary::NumberSummary;
    use crate::window::{Exchanges, Pane, Window};

    const MONTH_MS: u64 = 30 * 86_400_000;

    struct Dice(u64);

    impl Dice {
        fn throw(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
        }

        fn normal(&mut self) -> f64 {
            (0..12).map(|_| self.throw()).sum::<f64>() - 6.0
        }
    }

    /// How rows differ from those of training.
    #[derive(Clone, Copy)]
    struct Way {
        shift: f64,
        scale: f64,
        phi: f64,
        /// The share of level "a", 0.3 in training.
        a: f64,
        missing: f64,
    }

    const TRAINING: Way = Way { shift: 0.0, scale: 1.0, phi: 0.0, a: 0.3, missing: 0.02 };

    /// A normal number, a number of three values, and a category of 40 rare levels and two others.
    fn row(dice: &mut Dice, last: &mut f64, way: Way, mut see: impl FnMut(usize, Observation<'_>)) {
        *last = way.phi * *last + (1.0 - way.phi * way.phi).sqrt() * dice.normal();
        let missing = dice.throw() < way.missing;
        let number = Observation::Number(*last * way.scale + way.shift);
        see(0, if missing { Observation::Missing } else { number });
        see(1, Observation::Number((dice.throw() * 3.0).floor()));
        let level = match dice.throw() {
            u if u < way.a => "a".to_owned(),
            u if u < 0.8 => "b".to_owned(),
            u => format!("rare {}", (u * 200.0) as u32 % 40),
        };
        see(2, Observation::Category(&level));
    }

    fn reference(rows: u64, seed: u64) -> Arc<Reference> {
        let names = ["x", "three", "level"];
        let features =
            vec![Feature::number(names[0]), Feature::number(names[1]), Feature::category(names[2])];
        let mut reference = Reference::of(rows, features);
        let (mut dice, mut last) = (Dice(seed), 0.0);
        for _ in 0..rows {
            row(&mut dice, &mut last, TRAINING, |at, value| reference.features[at].observe(value));
        }
        reference.features.iter_mut().for_each(Feature::settle);
        Arc::new(reference)
    }

    /// Watches `rows` rows, ten in a second and 50 in a pane, and gives all bets' most evidence.
    fn watch(vigil: &mut Vigil, dice: &mut Dice, way: Way, from: i64, rows: i64) -> Vec<f64> {
        let mut last = 0.0;
        let mut most = vec![0.0_f64; 7];
        for at in from..from + rows {
            if at % 10 == 0 {
                vigil.at(at * 100);
            }
            if at % 50 == 0 {
                vigil.close();
            }
            row(dice, &mut last, way, |feature, value| vigil.observe(feature, &[value]));
            let owned = vigil.lookouts.iter().flat_map(|lookout| {
                let bets = match &lookout.values.bets {
                    Bets::Number { location, spread, .. } => {
                        [location.evidence(), spread.evidence()]
                    }
                    Bets::Category(levels) => [levels.bettor.evidence(), 0.0],
                };
                [bets[0], bets[1], lookout.absence.bettor.evidence()]
            });
            for (most, owned) in most.iter_mut().zip(owned) {
                *most = most.max(owned);
            }
        }
        most
    }

    #[test]
    fn nothing_new_is_no_evidence_whatever_the_reference_is_off_by() {
        // A period as long as the play: each bet may reach 100 in one of a hundred plays.
        let mut reached = 0;
        for seed in 0..60 {
            let mut vigil = Vigil::new(reference(3_000, seed), 0.01, 500_000);
            let most = watch(&mut vigil, &mut Dice(seed << 40 | 1), TRAINING, 0, 5_000);
            reached += most.iter().filter(|most| **most >= 100.0).count();
        }
        assert!(reached <= 4, "{reached} of 420");
    }

    #[test]
    fn rows_that_depend_on_each_other_are_no_evidence() {
        let mut reached = 0;
        for seed in 0..30 {
            let mut vigil = Vigil::new(reference(3_000, 1), 0.01, 1_000_000);
            let way = Way { phi: 0.9, ..TRAINING };
            let most = watch(&mut vigil, &mut Dice(seed << 40 | 1), way, 0, 10_000);
            reached += most[..2].iter().filter(|most| **most >= 100.0).count();
        }
        assert!(reached <= 3, "{reached} of 60");
    }

    #[test]
    fn each_bet_sees_its_change_and_dates_it() {
        let ways = [
            ("x", Kind::DataDrift, Way { shift: 0.5, ..TRAINING }),
            ("x", Kind::DataDrift, Way { scale: 2.0, ..TRAINING }),
            ("level", Kind::DataDrift, Way { a: 0.5, ..TRAINING }),
            ("x", Kind::Completeness, Way { missing: 0.2, ..TRAINING }),
        ];
        for (name, kind, way) in ways {
            let reference = reference(5_000, 3);
            let mut vigil = Vigil::new(Arc::clone(&reference), 0.001, MONTH_MS);
            let mut dice = Dice(77);
            watch(&mut vigil, &mut dice, TRAINING, 0, 3_000);
            watch(&mut vigil, &mut dice, way, 3_000, 600);
            let mut pane = Pane::new(&reference);
            let mut last = 0.0;
            for _ in 0..600 {
                pane.count(1);
                row(&mut dice, &mut last, way, |at, value| pane.observe(at, value));
            }
            // No level at all: what alarms is the vigil alone.
            let rules = Rules { alpha: 0.0, ..Rules::default() };
            let mut findings = judge(&reference, &Window::of(&reference, [&pane]), &rules);
            vigil.weigh(&mut findings, &rules);
            let of = |f: &&Finding| f.kind == kind && f.feature.as_deref() == Some(name);
            let finding = findings.iter().find(of).unwrap();
            let evidence = finding.evidence.unwrap();
            assert_eq!(finding.verdict, Verdict::Alarm, "{name} {kind:?} {evidence:?}");
            let since = evidence.since_unix_ms.unwrap();
            assert!((280_000..330_000).contains(&since), "{name} {kind:?}: since {since}");
        }
    }

    #[test]
    fn an_hour_of_its_own_reference_is_no_evidence_and_what_is_owned_stays() {
        let night = reference(5_000, 3);
        let day = {
            let features =
                vec![Feature::number("x"), Feature::number("three"), Feature::category("level")];
            let mut reference = Reference::of(5_000, features);
            let (mut dice, mut last) = (Dice(5), 0.0);
            for _ in 0..5_000 {
                let way = Way { shift: 3.0, a: 0.6, ..TRAINING };
                row(&mut dice, &mut last, way, |at, value| reference.features[at].observe(value));
            }
            reference.features.iter_mut().for_each(Feature::settle);
            Arc::new(reference)
        };
        let most = |turning: bool| {
            let mut vigil = Vigil::new(Arc::clone(&night), 0.001, MONTH_MS);
            let mut dice = Dice(7);
            let mut most = vec![0.0_f64; 7];
            for hour in 0..6 {
                let by_day = hour % 2 == 1;
                if turning {
                    vigil.turn(Arc::clone(if by_day { &day } else { &night }));
                }
                let way = if by_day { Way { shift: 3.0, a: 0.6, ..TRAINING } } else { TRAINING };
                let now = watch(&mut vigil, &mut dice, way, hour * 2_000, 2_000);
                most.iter_mut().zip(now).for_each(|(most, now)| *most = most.max(now));
            }
            (vigil, most)
        };
        let (_, still) = most(false);
        assert!(still[0] > 1_000.0 && still[6] > 1_000.0, "{still:?}");
        let (mut vigil, turning) = most(true);
        assert!(turning.iter().all(|most| *most < 1_000.0), "{turning:?}");
        // A drift that began before the hour did is not forgotten when it ends.
        watch(&mut vigil, &mut Dice(9), Way { shift: 5.0, ..TRAINING }, 12_000, 300);
        let owned = |vigil: &Vigil| match &vigil.lookouts[0].values.bets {
            Bets::Number { location, .. } => location.evidence(),
            Bets::Category(_) => panic!("a number"),
        };
        let before = owned(&vigil);
        vigil.turn(night);
        assert_eq!(owned(&vigil), before);
        assert!(before > 1_000.0);
    }

    #[test]
    fn broken_contracts_are_evidence_and_small_effects_no_alarm() {
        let reference = reference(1_000, 3);
        let mut vigil = Vigil::new(Arc::clone(&reference), 0.001, MONTH_MS);
        let rules = Rules { alpha: 0.0, ..Rules::default() };
        let mut verdict = |violating: u64| {
            vigil.at(1_000);
            vigil.exchanges(1_000, violating);
            let mut pane = Pane::new(&reference);
            pane.exchanges(Exchanges { checked: 1_000, violating, ..Exchanges::default() });
            let mut findings = judge(&reference, &Window::of(&reference, [&pane]), &rules);
            vigil.weigh(&mut findings, &rules);
            (findings[6].verdict, findings[6].evidence.unwrap().value)
        };
        assert_ne!(verdict(1).0, Verdict::Alarm);
        assert_eq!(verdict(60).0, Verdict::Alarm);
        let (after, evidence) = verdict(15);
        assert!(evidence >= 1_000.0 && after != Verdict::Alarm, "{after:?} {evidence}");
    }

    #[test]
    fn a_value_alone_in_its_reference_is_in_the_middle() {
        let mut was = NumberSummary::default();
        (0..100).for_each(|_| was.insert(7.0));
        assert_eq!(was.sketch().ranks(7.0), (0.0, 1.0));
        assert_eq!(folded((0.0, 1.0)), 0.5);
        assert_eq!(folded((1.0, 1.0)), 1.0);
        assert!((folded((0.25, 0.75)) - 0.25).abs() < 1e-15);
    }
}
