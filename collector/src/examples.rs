//! Examples: some of the exchanges of the latest windows, so that a decision can name those that
//! weighed most. Bounded in number and in cells; the first of each pane are kept, the oldest go. It does
//! not know what is decided.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidegate_contract::columns::{Cell, Columns};
use tidegate_detectors::finding::{Excess, Finding};

use crate::wording::told;

/// Exchanges kept of each pane, at most.
const OF_A_PANE: usize = 64;
/// Exchanges kept at all.
const MAX_KEPT: usize = 512;
/// Cells that they may have together: 24 bytes each.
const MAX_CELLS: usize = 1 << 16;
/// Exchanges named for a finding.
const NAMED: usize = 3;
/// Findings that exchanges are named for.
const EXPLAINED: usize = 3;

/// An exchange that speaks for a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Weighed {
    /// Its request id, as the model server saw it.
    pub request_id: String,
    /// The row of the request, from 0.
    pub row: usize,
    /// The feature that the finding is about.
    pub feature: String,
    /// What the row says.
    pub value: String,
}

/// The exchanges that are kept.
#[derive(Debug, Default)]
pub struct Examples {
    kept: VecDeque<(Box<str>, Arc<Columns>)>,
    cells: usize,
    of_this_pane: usize,
}

impl Examples {
    /// Keeps the rows of a request, unless the pane has enough.
    pub fn take(&mut self, request_id: Box<str>, rows: Arc<Columns>) {
        let cost = rows.cost();
        if self.of_this_pane >= OF_A_PANE || cost > MAX_CELLS / 4 {
            return;
        }
        self.of_this_pane += 1;
        self.cells += cost;
        self.kept.push_back((request_id, rows));
        while self.kept.len() > MAX_KEPT || self.cells > MAX_CELLS {
            let gone = self.kept.pop_front().map_or(0, |(_, rows)| rows.cost());
            self.cells = self.cells.saturating_sub(gone);
        }
    }

    /// Another pane begins.
    pub fn close(&mut self) {
        self.of_this_pane = 0;
    }

    /// For the worst findings that can tell which values a window has too many of: exchanges that have
    /// them, the most extreme ones first, then the latest.
    #[must_use]
    pub fn weighed(&self, findings: &[Finding]) -> Vec<Weighed> {
        let told = findings
            .iter()
            .filter_map(|finding| Some((finding.feature.as_deref()?, finding.excess.as_ref()?)));
        told.take(EXPLAINED).flat_map(|(feature, excess)| self.of(feature, excess)).collect()
    }

    fn of(&self, feature: &str, excess: &Excess) -> Vec<Weighed> {
        let mut found: Vec<(f64, Weighed)> = Vec::new();
        for (id, rows) in self.kept.iter().rev() {
            let column = rows.columns.iter().find(|column| column.name == feature);
            let cells = column.into_iter().flat_map(|column| column.cells.iter().enumerate());
            let of_this = cells.filter_map(|(row, cell)| {
                let (request_id, feature) = (id.to_string(), feature.to_owned());
                let value = told(cell);
                let weight = weight(cell, excess)?;
                Some((weight, Weighed { request_id, row, feature, value }))
            });
            // One row tells of an exchange.
            found.extend(of_this.max_by(|a, b| a.0.total_cmp(&b.0)));
        }
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        found.truncate(NAMED);
        found.into_iter().map(|(_, weighed)| weighed).collect()
    }
}

/// How much a value speaks for an excess; `None` where it is none of it.
fn weight(cell: &Cell, excess: &Excess) -> Option<f64> {
    match (excess, cell) {
        (Excess::Missing, Cell::Null) => Some(0.0),
        (Excess::Levels(levels), Cell::Text(text)) => {
            levels.iter().any(|level| **level == **text).then_some(0.0)
        }
        (Excess::Range { above, upto }, Cell::Number(number)) => {
            let inside = above.is_none_or(|above| *number > above)
                && upto.is_none_or(|upto| *number <= upto);
            // Beyond an open end, the farther the more.
            let weight = match (above, upto) {
                (Some(_), None) => *number,
                (None, Some(_)) => -number,
                _ => 0.0,
            };
            inside.then_some(weight)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidegate_contract::columns::{Cell, Column, Columns};
    use tidegate_detectors::finding::{Excess, Verdict};

    use super::{Examples, MAX_CELLS, MAX_KEPT, OF_A_PANE, Weighed};
    use crate::fixture::judgement;

    fn ages(ages: &[f64]) -> Arc<Columns> {
        let cells = ages.iter().map(|age| Cell::Number(*age)).collect();
        let rows = ages.len();
        Arc::new(Columns { rows, columns: vec![Column { name: "age".to_owned(), cells }] })
    }

    fn named(examples: &Examples, excess: Excess) -> Vec<(String, usize, String)> {
        let mut finding = judgement(Verdict::Alarm).findings.remove(0);
        finding.excess = Some(excess);
        let weighed = examples.weighed(&[finding]).into_iter();
        weighed.map(|Weighed { request_id, row, value, .. }| (request_id, row, value)).collect()
    }

    #[test]
    fn the_farthest_out_are_named_one_row_an_exchange() {
        let mut examples = Examples::default();
        examples.take("a".into(), ages(&[30.0, 81.0, 80.0]));
        examples.take("b".into(), ages(&[40.0]));
        examples.take("c".into(), ages(&[90.0, f64::NAN]));
        let old = named(&examples, Excess::Range { above: Some(60.0), upto: None });
        assert_eq!(old, [("c".into(), 0, "90".into()), ("a".into(), 1, "81".into())]);
        let young = named(&examples, Excess::Range { above: None, upto: Some(60.0) });
        assert_eq!(young[0], ("a".into(), 0, "30".into()));
        assert!(named(&examples, Excess::Missing).is_empty());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut examples = Examples::default();
        for pane in 0..100 {
            for at in 0..1000 {
                examples.take(format!("{pane}-{at}").into(), ages(&[1.0; 20]));
            }
            assert!(examples.of_this_pane <= OF_A_PANE);
            examples.close();
        }
        assert!(examples.kept.len() <= MAX_KEPT && examples.cells <= MAX_CELLS);
        examples.take("large".into(), ages(&vec![1.0; MAX_CELLS]));
        assert!(!examples.kept.iter().any(|(id, _)| &**id == "large"));
    }
}
