//! What the training data looked like, column by column: the side that every window is held against.
//!
//! It does not know the contract, nor where the rows came from; `tidegate profile` streams them in.

use crate::joint::Joint;
use crate::summary::{CategorySummary, NumberSummary};
use serde::{Deserialize, Serialize};

/// Rows that are taken in together.
const BLOCK: usize = 64;

/// A value as a column meets it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Observation<'a> {
    /// No value: null, or the field is absent.
    Missing,
    /// A number. NaN and infinities count as missing.
    Number(f64),
    /// A level of a category.
    Category(&'a str),
    /// A value of a type the column does not have; completeness treats it as missing.
    Foreign,
}

/// The reference: every feature of the training data.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Rows of the training data.
    pub rows: u64,
    /// Columns, in the order of the training data. Panes address them by this index.
    pub features: Vec<Feature>,
    /// What they did together, where that was learned: inputs among themselves, and outputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub joints: Vec<Joint>,
}

impl Reference {
    /// Of these features, one by one: what they did together is not known.
    #[must_use]
    pub fn of(rows: u64, features: Vec<Feature>) -> Self {
        Reference { rows, features, joints: Vec::new() }
    }

    /// The index of the feature called `name`.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.features.iter().position(|feature| feature.name == name)
    }
}

/// One column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Feature {
    /// The column's name, as contract and payload spell it.
    pub name: String,
    /// Observations, missing ones among them.
    pub rows: u64,
    /// Observations without a value.
    pub nulls: u64,
    /// Observations of a type that the column does not have.
    pub foreign: u64,
    /// The values.
    pub values: Values,
}

/// The values of a column, by its type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Values {
    /// A column of numbers.
    Number(NumberSummary),
    /// A column of categories.
    Category(CategorySummary),
}

impl Feature {
    /// An empty column of numbers.
    #[must_use]
    pub fn number(name: impl Into<String>) -> Self {
        Feature::empty(name.into(), Values::Number(NumberSummary::default()))
    }

    /// An empty column of categories.
    #[must_use]
    pub fn category(name: impl Into<String>) -> Self {
        Feature::empty(name.into(), Values::Category(CategorySummary::default()))
    }

    fn empty(name: String, values: Values) -> Self {
        Feature { name, rows: 0, nulls: 0, foreign: 0, values }
    }

    /// An empty column that counts what this one counts, with room for `more` unknown levels.
    #[must_use]
    pub fn blank(&self, more: usize) -> Self {
        let values = match &self.values {
            Values::Number(_) => Values::Number(NumberSummary::default()),
            Values::Category(known) => Values::Category(CategorySummary::knowing(known, more)),
        };
        Feature::empty(self.name.clone(), values)
    }

    /// Takes one row's value in. A value of the wrong type counts as [`Observation::Foreign`].
    pub fn observe(&mut self, observation: Observation<'_>) {
        self.rows += 1;
        match (observation, &mut self.values) {
            (Observation::Missing, _) => self.nulls += 1,
            (Observation::Number(value), Values::Number(numbers)) => numbers.insert(value),
            (Observation::Category(level), Values::Category(levels)) => levels.insert(level),
            _ => self.foreign += 1,
        }
    }

    /// Takes the values of some rows in, in their order: as [`Feature::observe`] does of one.
    pub fn observe_all(&mut self, column: &[Observation<'_>]) {
        let Values::Number(numbers) = &mut self.values else {
            return column.iter().for_each(|observation| self.observe(*observation));
        };
        self.rows += column.len() as u64;
        for block in column.chunks(BLOCK) {
            let (mut values, mut count) = ([0.0; BLOCK], 0);
            for observation in block {
                match *observation {
                    Observation::Number(value) => {
                        values[count] = value;
                        count += 1;
                    }
                    Observation::Missing => self.nulls += 1,
                    Observation::Category(_) | Observation::Foreign => self.foreign += 1,
                }
            }
            numbers.insert_all(&values[..count]);
        }
    }

    /// Adds everything that `other` saw. Whether both are the same column is the caller's
    /// to know; where their types differ, the values of `other` count as foreign.
    pub fn merge(&mut self, other: &Feature) {
        self.rows += other.rows;
        self.nulls += other.nulls;
        self.foreign += other.foreign;
        match (&mut self.values, &other.values) {
            (Values::Number(here), Values::Number(there)) => here.merge(there),
            (Values::Category(here), Values::Category(there)) => here.merge(there),
            _ => self.foreign += other.rows.saturating_sub(other.nulls + other.foreign),
        }
    }

    /// Rows without a usable value: null, of a foreign type, or not finite.
    #[must_use]
    pub fn missing(&self) -> u64 {
        let non_finite = match &self.values {
            Values::Number(numbers) => numbers.non_finite,
            Values::Category(_) => 0,
        };
        self.nulls + self.foreign + non_finite
    }

    /// Whether `other` is a column of the same name and type.
    #[must_use]
    pub fn fits(&self, other: &Feature) -> bool {
        self.name == other.name
            && matches!(
                (&self.values, &other.values),
                (Values::Number(_), Values::Number(_)) | (Values::Category(_), Values::Category(_))
            )
    }

    /// Makes a column of numbers fit into so many bytes when stored.
    pub fn condense(&mut self, bytes: usize) {
        if let Values::Number(numbers) = &mut self.values {
            numbers.condense(bytes);
        }
    }

    /// Folds buffered values in, so that many reads that follow are cheap.
    pub fn settle(&mut self) {
        if let Values::Number(numbers) = &mut self.values {
            numbers.settle();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_value_of_the_column_counts_as_missing() {
        let mut age = Feature::number("age");
        for observation in [
            Observation::Number(34.0),
            Observation::Missing,
            Observation::Category("10k"),
            Observation::Foreign,
            Observation::Number(f64::NAN),
        ] {
            age.observe(observation);
        }
        assert_eq!((age.rows, age.nulls, age.foreign, age.missing()), (5, 1, 2, 4));
        let mut work = Feature::category("work");
        work.observe(Observation::Number(1.0));
        work.merge(&age);
        assert_eq!((work.rows, work.missing()), (6, 6));
    }

    #[test]
    fn a_column_at_once_is_what_its_rows_are() {
        let value = |row: u32| match row % 9 {
            0 => Observation::Missing,
            1 => Observation::Category("x"),
            2 => Observation::Number(f64::INFINITY),
            _ => Observation::Number(f64::from(row * 37 % 101)),
        };
        let column: Vec<_> = (0..300).map(value).collect();
        for blank in [Feature::number("x"), Feature::category("x")] {
            let (mut at_once, mut one_by_one) = (blank.clone(), blank);
            at_once.observe_all(&column[..70]);
            at_once.observe_all(&column[70..]);
            column.iter().for_each(|value| one_by_one.observe(*value));
            let counts = |of: &Feature| (of.rows, of.nulls, of.foreign, of.missing());
            assert_eq!(counts(&at_once), counts(&one_by_one));
            match (&at_once.values, &one_by_one.values) {
                (Values::Number(one), Values::Number(other)) => {
                    assert_eq!(one.sketch(), other.sketch());
                    let (one, other) = (one.variance().unwrap(), other.variance().unwrap());
                    assert!((one / other - 1.0).abs() < 1e-12);
                }
                (one, other) => assert_eq!(one, other),
            }
        }
    }

    #[test]
    fn the_file_is_tagged_and_says_what_is_in_it() {
        let mut feature = Feature::category("work");
        feature.observe(Observation::Category("State"));
        let reference = Reference::of(1, vec![feature]);
        let text = serde_json::to_string(&reference).unwrap();
        assert_eq!(
            text,
            r#"{"rows":1,"features":[{"name":"work","rows":1,"nulls":0,"foreign":0,"values":{"type":"category","counts":{"State":1},"other":0,"limit":1000}}]}"#
        );
        assert_eq!(serde_json::from_str::<Reference>(&text).unwrap(), reference);
        assert_eq!(reference.position("work"), Some(0));
    }
}
