//! What training data looked like at each hour of the day, or of the week: what people do in the
//! morning is not held against what they do at night.
//!
//! A window is held against the rows of the hours that it touches, added up: what remains of a
//! season within an hour is drift to it. It does not know time zones: all hours are of UTC.

use serde::{Deserialize, Serialize};

use crate::reference::{Feature, Reference};

const HOUR_MS: i64 = 3_600_000;

/// Hours of a day and of a week.
const DAY: usize = 24;
const WEEK: usize = 168;

/// After how long a season begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// Each day is like the others.
    Day,
    /// Each week is like the others; it begins on Monday, 00:00 UTC.
    Week,
}

impl Period {
    /// Its hours.
    #[must_use]
    pub fn hours(self) -> usize {
        match self {
            Self::Day => DAY,
            Self::Week => WEEK,
        }
    }

    /// Which of its hours a time belongs to, in milliseconds since 1970.
    #[must_use]
    pub fn hour(self, unix_ms: i64) -> usize {
        self.of(unix_ms.div_euclid(HOUR_MS))
    }

    /// The same of a whole hour since 1970, which began on a Thursday.
    fn of(self, hour: i64) -> usize {
        (hour.rem_euclid(WEEK as i64) as usize + 3 * DAY) % self.hours()
    }

    /// The hours that a stretch of time touches, from `from_ms` on and before `to_ms`; that of its end
    /// where it is empty.
    #[must_use]
    pub fn touched(self, from_ms: i64, to_ms: i64) -> Hours {
        let last = to_ms.saturating_sub(1);
        let first = from_ms.min(last).div_euclid(HOUR_MS);
        let mut hours = Hours { period: self, is_in: vec![false; self.hours()] };
        // After a whole period there is nothing new.
        let last = last.div_euclid(HOUR_MS).min(first.saturating_add(self.hours() as i64));
        (first..=last).for_each(|hour| hours.is_in[self.of(hour)] = true);
        hours
    }
}

/// Some hours of a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hours {
    period: Period,
    is_in: Vec<bool>,
}

impl Hours {
    /// None of them.
    #[must_use]
    pub fn none(period: Period) -> Self {
        Hours { period, is_in: vec![false; period.hours()] }
    }

    /// Takes the hour of a time in, in milliseconds since 1970.
    pub fn take(&mut self, unix_ms: i64) {
        self.is_in[self.period.hour(unix_ms)] = true;
    }

    /// How many they are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.is_in.iter().filter(|is_in| **is_in).count()
    }

    /// Whether these are all hours of the period.
    #[must_use]
    pub fn are_all(&self) -> bool {
        self.is_in.iter().all(|is_in| *is_in)
    }
}

/// The features of training data by the hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seasons {
    /// When they begin anew.
    pub period: Period,
    /// For each hour of the period the features, in the order of the reference; none where no row was.
    pub hours: Vec<Vec<Feature>>,
}

impl Seasons {
    /// Without any rows.
    #[must_use]
    pub fn empty(period: Period) -> Self {
        Seasons { period, hours: vec![Vec::new(); period.hours()] }
    }

    /// Whether these can be the hours of rows of such features.
    #[must_use]
    pub fn fits<'a>(&self, all: impl IntoIterator<Item = &'a Feature>) -> bool {
        let all: Vec<&Feature> = all.into_iter().collect();
        let fit = |features: &Vec<Feature>| {
            features.is_empty()
                || features.len() == all.len()
                    && features.iter().zip(&all).all(|(of, all)| all.fits(of))
        };
        self.hours.len() == self.period.hours() && self.hours.iter().all(fit)
    }

    /// Of some of the features only, by their place.
    #[must_use]
    pub fn only(mut self, wanted: impl Fn(usize) -> bool) -> Self {
        for features in &mut self.hours {
            let mut at = 0..;
            features.retain(|_| at.next().is_some_and(&wanted));
        }
        self
    }

    /// Adds the rows that other training data had; `false`, and nothing changes, where they are by other
    /// hours or features.
    pub fn merge(&mut self, other: &Seasons) -> bool {
        let fit = |(here, there): (&Vec<Feature>, &Vec<Feature>)| {
            here.is_empty()
                || there.is_empty()
                || here.len() == there.len() && here.iter().zip(there).all(|(a, b)| a.fits(b))
        };
        if self.period != other.period || !self.hours.iter().zip(&other.hours).all(fit) {
            return false;
        }
        for (here, there) in self.hours.iter_mut().zip(&other.hours) {
            if here.is_empty() {
                here.clone_from(there);
            } else {
                here.iter_mut().zip(there).for_each(|(here, there)| here.merge(there));
            }
        }
        true
    }

    /// Makes each sketch fit into so many bytes when stored.
    pub fn condense(&mut self, bytes: usize) {
        self.hours.iter_mut().flatten().for_each(|feature| feature.condense(bytes));
    }

    /// What the rows of these hours looked like: all of `whole` where they are all, else their own
    /// features by the names and levels that `whole` has. What features do together is not known
    /// by the hour. Hours that training never saw are an empty reference, against which nothing
    /// can be said.
    #[must_use]
    pub fn reference(&self, whole: &Reference, hours: &Hours) -> Reference {
        if hours.are_all() {
            return Reference { joints: Vec::new(), ..whole.clone() };
        }
        let mut features: Vec<Feature> = whole.features.iter().map(|all| all.blank(0)).collect();
        for (rows, _) in self.hours.iter().zip(&hours.is_in).filter(|(_, is_in)| **is_in) {
            features.iter_mut().zip(rows).for_each(|(sum, feature)| sum.merge(feature));
        }
        features.iter_mut().for_each(Feature::settle);
        let rows = features.iter().map(|feature| feature.rows).max().unwrap_or(0);
        Reference::of(rows, features)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::finding::{Detector, Verdict};
    use crate::judge::{Rules, judge};
    use crate::reference::{Observation, Values};
    use crate::window::{Pane, Window};

    /// Monday, 2026-11-23, 00:00 UTC.
    const MONDAY: i64 = 1_795_392_000_000;

    /// By night numbers lie about 0 and "a" is frequent, by day (from 8 to 20 UTC) they lie about 4 and "b" is.
    fn row(hour: usize, at: u32) -> (f64, &'static str) {
        let by_day = (8..20).contains(&hour);
        let noise = f64::from(at.wrapping_mul(2_654_435_761) >> 8) / f64::from(1_u32 << 24);
        let often = at % 10 < 8;
        (noise + if by_day { 4.0 } else { 0.0 }, if often == by_day { "b" } else { "a" })
    }

    fn observe(feature: &mut [Feature], hour: usize, at: u32) {
        let (number, level) = row(hour, at);
        feature[0].observe(Observation::Number(number));
        feature[1].observe(Observation::Category(level));
    }

    fn blank() -> Vec<Feature> {
        vec![Feature::number("x"), Feature::category("level")]
    }

    fn training() -> (Reference, Seasons) {
        let (mut whole, mut seasons) = (blank(), Seasons::empty(Period::Day));
        for hour in 0..24 {
            seasons.hours[hour] = blank();
            for at in 0..1_000 {
                observe(&mut whole, hour, at);
                observe(&mut seasons.hours[hour], hour, at);
            }
        }
        whole.iter_mut().for_each(Feature::settle);
        (Reference::of(24_000, whole), seasons)
    }

    #[test]
    fn an_hour_is_held_against_its_own_rows() {
        let (whole, seasons) = training();
        let verdicts = |reference: &Reference, hour: usize| {
            let mut pane = Pane::new(&whole);
            for at in 5_000..5_600 {
                pane.count(1);
                let (number, level) = row(hour, at);
                pane.observe(0, Observation::Number(number));
                pane.observe(1, Observation::Category(level));
            }
            let window = Window::of(&whole, [&pane]);
            let findings = judge(reference, &window, &Rules::default());
            let values = |detector| findings.iter().find(|finding| finding.detector == detector);
            [Detector::KolmogorovSmirnov, Detector::ChiSquared]
                .map(|of| values(of).unwrap().verdict)
        };
        let at = |hour: i64| {
            let begin = MONDAY + hour * HOUR_MS;
            seasons.reference(&whole, &Period::Day.touched(begin, begin + 60_000))
        };
        assert_eq!(verdicts(&whole, 12), [Verdict::Alarm; 2], "noon is not like the whole day");
        assert_eq!(verdicts(&at(12), 12), [Verdict::Healthy; 2]);
        assert_eq!(verdicts(&at(36 + 24), 12), [Verdict::Healthy; 2], "nor is another day another");
        assert_eq!(
            verdicts(&at(3), 12),
            [Verdict::Alarm; 2],
            "what is fine at noon is not at night"
        );
    }

    #[test]
    fn hours_without_rows_are_no_reference_and_all_hours_are_the_whole() {
        let (whole, seasons) = training();
        let all = seasons.reference(&whole, &Period::Day.touched(MONDAY, MONDAY + 24 * HOUR_MS));
        assert_eq!(all, whole);
        let none = Seasons::empty(Period::Week);
        let none = none.reference(&whole, &Period::Week.touched(MONDAY, MONDAY + 1));
        assert_eq!((none.rows, none.features[0].rows), (0, 0));
        let Values::Category(levels) = &none.features[1].values else { panic!("a category") };
        assert_eq!(levels.counts().len(), 2, "it knows the levels all the same");
    }

    #[test]
    fn stretches_touch_the_hours_that_they_have_a_moment_in() {
        let hours = |period: Period, from: i64, to: i64| -> Vec<usize> {
            let touched = period.touched(MONDAY + from, MONDAY + to);
            (0..period.hours()).filter(|&hour| touched.is_in[hour]).collect()
        };
        assert_eq!(hours(Period::Week, 0, 1), [0]);
        assert_eq!(hours(Period::Week, 0, HOUR_MS), [0]);
        assert_eq!(hours(Period::Week, 0, HOUR_MS + 1), [0, 1]);
        assert_eq!(hours(Period::Week, -1, 1), [0, 167]);
        assert_eq!(hours(Period::Day, -1, 1), [0, 23]);
        assert_eq!(hours(Period::Day, 5, 5), [0]);
        assert_eq!(hours(Period::Day, 0, i64::MAX - MONDAY).len(), 24);
        assert_eq!(hours(Period::Week, 0, 30 * 24 * HOUR_MS).len(), 168);
        assert_eq!(Period::Week.hour(MONDAY + 25 * HOUR_MS), 25);
    }

    #[test]
    fn parts_add_up_and_strangers_do_not() {
        let (_, whole) = training();
        let mut sum = Seasons::empty(Period::Day);
        assert!(sum.merge(&whole));
        assert_eq!(sum, whole);
        assert!(sum.merge(&whole));
        assert_eq!(sum.hours[3][1].rows, 2_000);
        let before = sum.clone();
        assert!(!sum.merge(&Seasons::empty(Period::Week)));
        let mut other = Seasons::empty(Period::Day);
        other.hours[3] = vec![Feature::number("x")];
        assert!(!sum.merge(&other));
        assert_eq!(sum, before);
        assert!(sum.fits(&blank()) && !other.fits(&blank()));
        assert_eq!(sum.clone().only(|at| at == 1).hours[3], [sum.hours[3][1].clone()]);
        let text = serde_json::to_string(&sum).unwrap();
        assert_eq!(serde_json::from_str::<Seasons>(&text).unwrap().hours.len(), 24);
    }

    proptest! {
        #[test]
        fn every_time_has_its_hour(from in any::<i64>(), long in 0..1_000_000_000_i64) {
            for period in [Period::Day, Period::Week] {
                let to = from.saturating_add(long);
                let touched = period.touched(from, to);
                prop_assert!(touched.is_in[period.hour(to.saturating_sub(1))]);
                prop_assert!(long == 0 || touched.is_in[period.hour(from.min(to - 1))]);
            }
        }
    }
}
