//! A metric of its owner's: the mean of one value a row over a window, held against the limits that
//! its owner sets. It does not know how a value comes about, nor what it means.
//!
//! Values that are true or false are trials, whose tail is exact ([`crate::limit`]) and whose interval
//! is Wilson's. Of other numbers nothing is known but themselves: their mean is studentised,
//! `T = √n (x̄ − limit) / s`, which assumes that the values have a variance and that there are enough of
//! them for their mean to be nearly normal. What skewness leaves of that error at n rows, Hall's
//! transformation takes out ("On the removal of skewness by transformation", J. R. Statist. Soc. B 54,
//! 1992): `T + γ/√n (T²/3 + 1/6) + γ²/n T³/27`. The larger of both p-values counts, and the wider of
//! both intervals: at a lower limit and a level of 0.001, Student's test alone was wrong in 73 of 20,000
//! windows of 200 exponential values, this one in 24. A value that comes more seldom than once in the window, and is large, no such
//! interval can know of.

use serde::{Deserialize, Serialize};

use crate::finding::Direction;
use crate::gamma::upper_normal;
use crate::judge::short;
use crate::limit;
use crate::moments::Moments;
use crate::performance::interval::{STANDARD_ERRORS, wilson};
use crate::proportion::Rate;
use crate::scores::normal_quantile;
use crate::series::Series;

/// What the values of a metric can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// 0 or 1: the mean is a share of rows.
    Share,
    /// Any number.
    Number,
}

/// What an owner wants of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct CustomMetric {
    /// What people call it.
    pub name: String,
    /// How it is measured: values of another definition are those of another metric.
    pub definition: String,
    /// What its values can be.
    pub scale: Scale,
    /// The least that its mean may be.
    pub min: Option<f64>,
    /// The most that its mean may be.
    pub max: Option<f64>,
    /// Whether its values wait for labels: then a window without any says nothing.
    pub labelled: bool,
}

/// The value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// A number, 0 or 1 where the scale is [`Scale::Share`]; one that is not finite is undefined.
    Known(f64),
    /// The row lacks what is needed.
    Missing,
    /// There is none, such as of a division by zero.
    Undefined,
}

/// The values of some rows, as far as their mean needs them. Those of parts add up.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Values {
    moments: Moments,
    series: Series,
    missing: u64,
    undefined: u64,
}

impl Values {
    /// Takes in the value of a row.
    pub fn observe(&mut self, value: Value) {
        match value {
            Value::Known(value) if value.is_finite() => {
                self.moments.insert(value);
                self.series.number(value);
            }
            Value::Missing => self.missing += 1,
            Value::Known(_) | Value::Undefined => self.undefined += 1,
        }
    }

    /// Adds those of another stretch.
    pub fn merge(&mut self, other: &Self) {
        self.moments.merge(&other.moments);
        self.series.merge(&other.series);
        self.missing = self.missing.saturating_add(other.missing);
        self.undefined = self.undefined.saturating_add(other.undefined);
    }

    /// Says that no more rows come: what is only needed while they do is let go.
    pub fn settle(&mut self) {
        self.series.settle();
    }

    /// How many rows they are worth, which may depend on each other: at most as many as there are.
    fn worth(&self) -> f64 {
        self.moments.count() as f64 / self.series.clone().time().max(1.0)
    }
}

/// What a metric came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MetricStatus {
    /// What people call it.
    pub name: String,
    /// The mean; `None` without a row that counts.
    pub value: Option<f64>,
    /// Between what the true mean lies with a confidence of 95 %; `None` where nothing is known of
    /// it, as of the mean of one number.
    pub interval: Option<(f64, f64)>,
    /// Rows that count.
    pub rows: u64,
    /// Rows that lack a value that is needed.
    pub missing_rows: u64,
    /// Rows of which there is no value, such as of a division by zero.
    pub undefined_rows: u64,
    /// The least that the mean may be.
    pub min: Option<f64>,
    /// The most that the mean may be.
    pub max: Option<f64>,
}

/// A metric held against its limits.
pub(crate) struct Tested {
    /// The mean less the nearer limit.
    pub(crate) statistic: f64,
    /// How far the mean is beyond a limit, 0 to 1: of shares their difference; of numbers what normal
    /// values that moved by so many of their standard deviations would have as D, `2Φ(d/2) − 1`.
    pub(crate) effect: f64,
    /// Half the width of the interval, as an effect.
    pub(crate) doubt: f64,
    pub(crate) p_value: f64,
    pub(crate) detectable: f64,
    pub(crate) direction: Option<Direction>,
    pub(crate) rows: u64,
    pub(crate) was: String,
    pub(crate) now: String,
}

/// A limit on one side.
#[derive(Clone, Copy)]
enum Side {
    AtLeast(f64),
    AtMost(f64),
}

impl Side {
    fn excess(self, mean: f64) -> f64 {
        match self {
            Self::AtLeast(min) => min - mean,
            Self::AtMost(max) => mean - max,
        }
    }
}

impl CustomMetric {
    /// Whether it is held against anything.
    #[must_use]
    pub fn is_limited(&self) -> bool {
        self.min.is_some() || self.max.is_some()
    }

    /// What these values come to.
    #[must_use]
    pub fn status(&self, values: &Values) -> MetricStatus {
        MetricStatus {
            name: self.name.clone(),
            value: self.mean(values),
            interval: self.interval(values),
            rows: values.moments.count(),
            missing_rows: values.missing,
            undefined_rows: values.undefined,
            min: self.min,
            max: self.max,
        }
    }

    /// Holds values against the limits, as a test that looks at both of them at once; `None` where
    /// there is none. Without values nothing is beyond, and nothing could have been seen.
    pub(crate) fn test(&self, values: &Values, alpha: f64) -> Option<Tested> {
        let sides: Vec<Side> = [self.min.map(Side::AtLeast), self.max.map(Side::AtMost)]
            .into_iter()
            .flatten()
            .collect();
        let tests = sides.len() as f64;
        let mean = self.mean(values);
        let excess = |side: &Side| mean.map_or(f64::NEG_INFINITY, |mean| side.excess(mean));
        let nearer = *sides.iter().max_by(|a, b| excess(a).total_cmp(&excess(b)))?;
        let over = mean.map_or(0.0, |mean| nearer.excess(mean));
        let (statistic, direction) = match nearer {
            Side::AtLeast(_) => (-over, Direction::Lower),
            Side::AtMost(_) => (over, Direction::Higher),
        };
        let half = |mean: f64| {
            self.interval(values).map_or(1.0, |(low, high)| (mean - low).max(high - mean))
        };
        let p_value = |side: &Side| self.p_value(values, *side);
        let smallest = sides.iter().map(p_value).fold(1.0, f64::min);
        let least = |side: &Side| self.detectable(values, *side, alpha / tests);
        Some(Tested {
            statistic,
            effect: if over > 0.0 { self.effect(values, over) } else { 0.0 },
            doubt: mean.map_or(1.0, |mean| self.effect(values, half(mean))),
            p_value: (smallest * tests).min(1.0),
            detectable: sides.iter().map(least).fold(0.0, f64::max),
            direction: (over > 0.0).then_some(direction),
            rows: values.moments.count(),
            was: self.allowed(),
            now: mean.map_or_else(|| "no values".to_owned(), short),
        })
    }

    /// The mean; of trials free of what rounding left in the sum.
    fn mean(&self, values: &Values) -> Option<f64> {
        let (mean, rows) = (values.moments.mean()?, values.moments.count() as f64);
        Some(match self.scale {
            Scale::Share => ((mean * rows).round() / rows).clamp(0.0, 1.0),
            Scale::Number => mean,
        })
    }

    fn allowed(&self) -> String {
        match (self.min.map(short), self.max.map(short)) {
            (Some(min), Some(max)) => format!("{min} to {max} allowed"),
            (Some(min), None) => format!("at least {min} allowed"),
            (None, Some(max)) => format!("at most {max} allowed"),
            (None, None) => "anything allowed".to_owned(),
        }
    }

    /// How large a distance of means is.
    fn effect(&self, values: &Values, distance: f64) -> f64 {
        match self.scale {
            Scale::Share => distance.clamp(0.0, 1.0),
            Scale::Number => match deviation(values) {
                Some(deviation) => 1.0 - 2.0 * upper_normal(distance / deviation / 2.0),
                // Values that do not vary, or a single one: any distance is all of it.
                None => f64::from(u8::from(distance > 0.0)),
            },
        }
    }

    fn interval(&self, values: &Values) -> Option<(f64, f64)> {
        let (mean, worth) = (self.mean(values)?, values.worth());
        match self.scale {
            Scale::Share => Some(wilson(mean * worth, worth)),
            Scale::Number if values.moments.count() < 2 => None,
            Scale::Number => {
                let Some(deviation) = deviation(values) else { return Some((mean, mean)) };
                let error = deviation / worth.sqrt();
                let t = student_of(STANDARD_ERRORS, worth - 1.0);
                let skew = values.moments.skewness().unwrap_or(0.0) / worth.sqrt();
                let (down, up) = (t.max(untransformed(t, skew)), t.max(-untransformed(-t, skew)));
                let bounded = |bound: f64| bound.clamp(f64::MIN, f64::MAX);
                Some((bounded(mean - down * error), bounded(mean + up * error)))
            }
        }
    }

    /// The chance of a mean at least so far beyond a limit, where the truth is at it. 1 without values,
    /// and of a single number.
    fn p_value(&self, values: &Values, side: Side) -> f64 {
        let Some(mean) = self.mean(values) else { return 1.0 };
        let worth = values.worth();
        match self.scale {
            Scale::Share => {
                let trials = worth.round().max(1.0);
                let (share, most) = match side {
                    Side::AtLeast(min) => (1.0 - mean, 1.0 - min),
                    Side::AtMost(max) => (mean, max),
                };
                let hits = Rate::new((share * trials).round() as u64, trials as u64);
                limit::exceeds(hits, most)
            }
            Scale::Number if values.moments.count() < 2 => 1.0,
            Scale::Number => {
                let excess = side.excess(mean);
                let Some(deviation) = deviation(values) else {
                    // As if the limit were the median: each row is beyond it with a chance of a half.
                    return if excess > 0.0 { (-worth).exp2() } else { 1.0 };
                };
                let t = worth.sqrt() * excess / deviation;
                let skew = values.moments.skewness().unwrap_or(0.0) / worth.sqrt();
                let skew = match side {
                    Side::AtLeast(_) => -skew,
                    Side::AtMost(_) => skew,
                };
                let tail = |t: f64| upper_normal(normal_of(t, worth - 1.0));
                tail(t).max(tail(transformed(t, skew))).clamp(0.0, 1.0)
            }
        }
    }

    fn detectable(&self, values: &Values, side: Side, alpha: f64) -> f64 {
        let worth = values.worth();
        match (self.scale, side) {
            (Scale::Share, Side::AtLeast(min)) => {
                limit::detectable(1.0 - min, worth.round() as u64, alpha)
            }
            (Scale::Share, Side::AtMost(max)) => {
                limit::detectable(max, worth.round() as u64, alpha)
            }
            (Scale::Number, _) if values.moments.count() < 2 => 1.0,
            (Scale::Number, _) => {
                let errors = normal_quantile(1.0 - alpha.clamp(f64::EPSILON, 0.5));
                1.0 - 2.0 * upper_normal(errors / worth.sqrt() / 2.0)
            }
        }
    }
}

/// The standard deviation, where values vary by more than rounding.
fn deviation(values: &Values) -> Option<f64> {
    values.moments.skewness()?;
    values.moments.variance().map(f64::sqrt)
}

/// Hall's transformation, for a skewness that is divided by √n already.
fn transformed(t: f64, skew: f64) -> f64 {
    t + skew * (t * t / 3.0 + 1.0 / 6.0) + skew * skew * t.powi(3) / 27.0
}

/// What is transformed to this.
fn untransformed(x: f64, skew: f64) -> f64 {
    if skew.abs() < 1e-9 {
        return x;
    }
    ((1.0 + skew * (x - skew / 6.0)).cbrt() - 1.0) * 3.0 / skew
}

/// The normal deviate whose tail is that of a Student's t with so many degrees of freedom (Wallace,
/// "Bounds on normal approximations to Student's and the chi-square distributions", Ann. Math. Stat.
/// 30, 1959), within 0.02 from five degrees on. Below one degree nothing is unusual: 0.
fn normal_of(t: f64, degrees: f64) -> f64 {
    if degrees < 1.0 {
        return 0.0;
    }
    let scale = (8.0 * degrees + 1.0) / (8.0 * degrees + 3.0);
    t.signum() * scale * (degrees * f64::ln_1p(t * t / degrees)).sqrt()
}

/// The t that [`normal_of`] takes to this normal deviate; infinite below one degree of freedom.
fn student_of(z: f64, degrees: f64) -> f64 {
    if degrees < 1.0 {
        return f64::INFINITY;
    }
    let scale = (8.0 * degrees + 3.0) / (8.0 * degrees + 1.0);
    (degrees * f64::exp_m1((z * scale).powi(2) / degrees)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::random::Random;

    fn metric(scale: Scale, min: Option<f64>, max: Option<f64>) -> CustomMetric {
        let (name, definition) = ("big".to_owned(), "big".to_owned());
        CustomMetric { name, definition, scale, min, max, labelled: false }
    }

    fn of(values: impl IntoIterator<Item = f64>) -> Values {
        let mut all = Values::default();
        values.into_iter().for_each(|value| all.observe(Value::Known(value)));
        all
    }

    fn shares(hits: u32, of_all: u32) -> Values {
        // Mixed, so that no row depends on the one before.
        let mix = |row: u32| row.wrapping_mul(2_654_435_761) >> 8;
        let mut order: Vec<u32> = (0..of_all).collect();
        order.sort_by_key(|row| mix(*row));
        of(order.into_iter().map(|row| f64::from(u8::from(row < hits))))
    }

    #[test]
    fn a_share_beyond_its_limit_has_the_exact_tail_and_one_within_it_has_none() {
        let beyond = metric(Scale::Share, None, Some(0.05)).test(&shares(12, 100), 1e-3).unwrap();
        // The sum of fractions that the tests of `limit` have.
        assert!((beyond.p_value / 0.004_274_182_466_365_915 - 1.0).abs() < 1e-8);
        assert!(
            (beyond.effect - 0.07).abs() < 1e-12 && beyond.direction == Some(Direction::Higher)
        );
        assert_eq!((beyond.was.as_str(), beyond.now.as_str()), ("at most 0.05 allowed", "0.12"));
        let low = metric(Scale::Share, Some(0.2), Some(0.4));
        let below = low.test(&shares(100, 1_000), 1e-3).unwrap();
        assert!(below.p_value < 1e-15 && (below.statistic + 0.1).abs() < 1e-12);
        assert_eq!(
            (below.was.as_str(), below.direction),
            ("0.2 to 0.4 allowed", Some(Direction::Lower))
        );
        let within = low.test(&shares(300, 1_000), 1e-3).unwrap();
        assert_eq!((within.effect, within.p_value, within.direction), (0.0, 1.0, None));
    }

    #[test]
    fn the_distance_of_numbers_is_told_as_the_d_of_normals_that_moved_as_far() {
        // Standard deviation 1 (of the sample: √(100/99)), half a deviation beyond.
        let values = of((0..100).map(|row| f64::from(row * 7 % 2) * 2.0 - 1.0));
        let tested = metric(Scale::Number, None, Some(-0.5)).test(&values, 1e-3).unwrap();
        // 2Φ(¼) − 1 for one deviation; here √(99/100) of it.
        assert!((tested.effect - 0.196_4).abs() < 1e-3, "{}", tested.effect);
        assert!((tested.statistic - 0.5).abs() < 1e-12);
    }

    #[test]
    fn students_tail_is_that_of_the_tables() {
        // scipy 1.17: t.sf(2.0, 10), t.sf(5.0, 199), t.ppf(0.975, 30).
        for (t, degrees, expected) in [(2.0, 10.0, 0.036_694), (5.0, 199.0, 6.2e-7)] {
            let tail = upper_normal(normal_of(t, degrees));
            assert!((tail / expected - 1.0).abs() < 0.05, "{tail} {expected}");
        }
        assert!((student_of(STANDARD_ERRORS, 30.0) - 2.042_27).abs() < 2e-3);
        assert!((normal_of(student_of(2.5, 7.0), 7.0) - 2.5).abs() < 1e-12);
        for skew in [-0.3, 1e-12, 0.2] {
            assert!((transformed(untransformed(1.7, skew), skew) - 1.7).abs() < 1e-9, "{skew}");
        }
    }

    /// Exponential values, whose mean is 1 and whose skewness is 2.
    fn exponential(random: &mut Random) -> f64 {
        -f64::ln(1.0 - random.unit())
    }

    #[test]
    fn intervals_of_skewed_numbers_hold_the_mean_as_often_as_they_say() {
        let mut random = Random::seeded(31);
        let metric = metric(Scale::Number, None, None);
        for rows in [50, 300] {
            let held = (0..2_000).filter(|_| {
                let values = of((0..rows).map(|_| exponential(&mut random)));
                let (low, high) = metric.interval(&values).unwrap();
                (low..=high).contains(&1.0)
            });
            let held = held.count();
            // 95 % are 1,900, give or take ten; an interval that is wider than it says is no error.
            assert!((1_870..=1_990).contains(&held), "{held} of 2000 at {rows} rows");
        }
    }

    #[test]
    fn a_mean_at_its_limit_alarms_no_more_often_than_the_level_says_however_skewed() {
        let mut random = Random::seeded(32);
        for metric in
            [metric(Scale::Number, Some(1.0), None), metric(Scale::Number, None, Some(1.0))]
        {
            let wrong = (0..20_000).filter(|_| {
                let values = of((0..200).map(|_| exponential(&mut random)));
                metric.test(&values, 1e-3).unwrap().p_value <= 1e-3
            });
            let wrong = wrong.count();
            // 20 are expected; four standard deviations more are 38.
            assert!(wrong <= 38, "{wrong} of 20000 for {:?}", metric.min);
        }
    }

    #[test]
    fn rows_that_come_in_runs_are_worth_fewer() {
        let alone = shares(300, 1_000);
        let runs = of((0..1_000).map(|row| f64::from(u8::from(row / 50 % 10 < 3))));
        let width = |values: &Values| {
            let (low, high) = metric(Scale::Share, None, None).interval(values).unwrap();
            high - low
        };
        assert_eq!((alone.moments.count(), runs.moments.count()), (1_000, 1_000));
        assert!(width(&runs) > 2.0 * width(&alone));
    }

    #[test]
    fn nothing_one_row_and_values_that_do_not_vary_have_an_answer() {
        for scale in [Scale::Share, Scale::Number] {
            let metric = metric(scale, Some(0.5), Some(0.6));
            let none = metric.test(&Values::default(), 1e-6).unwrap();
            assert_eq!((none.p_value, none.effect, none.detectable), (1.0, 0.0, 1.0));
            assert_eq!((none.rows, none.now.as_str()), (0, "no values"));
            assert_eq!(metric.status(&Values::default()).interval, None);
            let one = metric.test(&of([1.0]), 1e-6).unwrap();
            assert!(one.p_value >= 0.4 && one.detectable == 1.0, "{}", one.p_value);
        }
        let same = metric(Scale::Number, None, Some(4.0));
        let beyond = same.test(&of([5.0; 300]), 1e-6).unwrap();
        assert!(beyond.p_value < 1e-9 && beyond.effect == 1.0);
        let within = same.test(&of([3.0; 300]), 1e-6).unwrap();
        assert_eq!((within.p_value, within.effect), (1.0, 0.0));
        assert_eq!(metric(Scale::Number, None, None).test(&of([1.0, 2.0]), 1e-6).map(|_| ()), None);
    }

    #[test]
    fn what_does_not_count_is_counted_as_such() {
        let mut values = of([1.0, f64::NAN, f64::INFINITY]);
        values.observe(Value::Missing);
        values.observe(Value::Undefined);
        let status = metric(Scale::Number, None, Some(2.0)).status(&values);
        assert_eq!((status.rows, status.missing_rows, status.undefined_rows), (1, 1, 3));
        let huge = metric(Scale::Number, None, Some(1.0)).status(&of([f64::MAX, f64::MIN, 1.0]));
        let (low, high) = huge.interval.unwrap();
        assert!(low.is_finite() && high.is_finite());
    }

    #[test]
    fn parts_add_up_to_the_whole_and_are_read_back_as_sent() {
        let all: Vec<f64> = (0..300).map(|row| f64::from(row * 37 % 101)).collect();
        let mut parts = of(all[..120].iter().copied());
        parts.settle();
        let mut rest = of(all[120..].iter().copied());
        rest.observe(Value::Undefined);
        let sent = serde_json::to_string(&rest).unwrap();
        parts.merge(&serde_json::from_str(&sent).unwrap());
        let (whole, parts) = (of(all).moments, (parts.moments, parts.undefined));
        assert!((whole.mean().unwrap() - parts.0.mean().unwrap()).abs() < 1e-9);
        assert_eq!((whole.count(), parts.1), (parts.0.count(), 1));
    }
}
