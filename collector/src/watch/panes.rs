//! The panes of a model: which one a row goes into, and which of them make a window. It does not judge.
//!
//! Rows go by when they arrive, or by when they were where an input says it. By arrival one pane is
//! filled at a time. By their own time several are: a window is judged when it has waited for late
//! rows, and those that come later still count in the windows after it, while these hold their pane.

use std::collections::VecDeque;
use std::sync::Arc;

use tidegate_contract::columns::{Cell, Column, Columns};
use tidegate_detectors::proportion::Rate;
use tidegate_detectors::reference::Reference;
use tidegate_detectors::window::{Pane, Window};

use crate::config::duration::millis;
use crate::config::model;
use crate::profile::hours;

/// What a window is made of, and the stretch of time that it covers, in milliseconds since 1970.
pub(super) struct Closed {
    pub window: Window,
    pub from_ms: i64,
    pub to_ms: i64,
}

/// Panes, the oldest first.
#[derive(Debug)]
pub(super) struct Panes {
    reference: Arc<Reference>,
    held: VecDeque<Pane>,
    hop_ms: i64,
    in_window: usize,
    /// Of the panes of a window only the newest are taken that hold so many rows.
    rows: Option<u64>,
    own_time: Option<OwnTime>,
}

/// Rows go by when they were.
#[derive(Debug)]
struct OwnTime {
    /// The input that says it.
    input: String,
    lateness_ms: i64,
    now_ms: i64,
    /// Which hop since 1970 the oldest pane is of; `None` before the time is known.
    first: Option<i64>,
    /// Rows and those of them that were late, by the hop in which they arrived, of a window.
    arrived: VecDeque<(u64, u64)>,
}

impl Panes {
    pub(super) fn new(reference: &Arc<Reference>, window: &model::Window) -> Self {
        Self {
            reference: Arc::clone(reference),
            held: VecDeque::from([Pane::new(reference)]),
            hop_ms: i64::try_from(millis(window.hop)).unwrap_or(i64::MAX).max(1),
            in_window: window.panes(),
            rows: window.rows,
            own_time: window.time.as_ref().map(|time| OwnTime {
                input: time.input.clone(),
                lateness_ms: i64::try_from(millis(time.lateness)).unwrap_or(i64::MAX),
                now_ms: 0,
                first: None,
                arrived: VecDeque::from([(0, 0)]),
            }),
        }
    }

    pub(super) fn in_window(&self) -> usize {
        self.in_window
    }

    /// Says that it is `now`.
    pub(super) fn at(&mut self, now_ms: i64) {
        let Some(own) = &mut self.own_time else { return };
        let hop = now_ms.div_euclid(self.hop_ms);
        own.now_ms = now_ms;
        let most = self.in_window as i64 + own.lateness_ms / self.hop_ms + 2;
        let first = own.first.filter(|first| (*first..=first + 2 * most).contains(&hop));
        // After a long silence, or where the clock was set back, nothing that is held is part of a window.
        let first = first.unwrap_or_else(|| {
            self.held.clear();
            hop
        });
        own.first = Some(first);
        while first + (self.held.len() as i64) <= hop {
            self.held.push_back(Pane::new(&self.reference));
        }
    }

    /// The pane of what arrives now.
    pub(super) fn newest(&mut self) -> &mut Pane {
        if self.held.is_empty() {
            self.held.push_back(Pane::new(&self.reference));
        }
        let last = self.held.len() - 1;
        &mut self.held[last]
    }

    /// Takes the newest out, and begins another.
    pub(super) fn cut(&mut self) -> Pane {
        let fresh = Pane::new(&self.reference);
        std::mem::replace(self.newest(), fresh)
    }

    /// Gives the rows of some requests to `take`, those of one pane together. Rows that no window waits for
    /// any more are given to nobody; those that do not say when they were, or say that they are still to
    /// come, are of now.
    pub(super) fn place(
        &mut self,
        tables: &[&Columns],
        mut take: impl FnMut(&mut Pane, &[&Columns]),
    ) {
        if self.own_time.is_none() {
            return take(self.newest(), tables);
        }
        for table in tables {
            self.place_by_own_time(table, &mut |pane, rows| take(pane, &[rows]));
        }
    }

    fn place_by_own_time(&mut self, columns: &Columns, take: &mut dyn FnMut(&mut Pane, &Columns)) {
        let own = self.own_time.as_mut();
        let of_rows = own.and_then(|own| own.panes(columns, self.hop_ms, self.held.len()));
        let Some(of_rows) = of_rows else { return take(self.newest(), columns) };
        let mut at: Vec<usize> = of_rows.iter().flatten().copied().collect();
        at.sort_unstable();
        at.dedup();
        for pane in at {
            let Some(held) = self.held.get_mut(pane) else { continue };
            if of_rows.iter().all(|of| *of == Some(pane)) {
                return take(held, columns);
            }
            let rows: Vec<usize> =
                (0..columns.rows).filter(|row| of_rows.get(*row) == Some(&Some(pane))).collect();
            take(held, &only(columns, &rows));
        }
    }

    /// The window that is complete now, and begins the next pane.
    pub(super) fn close(&mut self, now_ms: i64) -> Closed {
        self.at(now_ms);
        let Some(own) = &mut self.own_time else {
            let closed = self.window(0..self.held.len(), now_ms);
            self.newest().settle();
            self.held.push_back(Pane::new(&self.reference));
            while self.held.len() > self.in_window {
                self.held.pop_front();
            }
            return closed;
        };
        let first = own.first.unwrap_or(0);
        // The hop that ends the window, which is not part of it.
        let end = (now_ms.saturating_sub(own.lateness_ms)).div_euclid(self.hop_ms);
        let late = own.close(self.in_window);
        let until = usize::try_from(end.saturating_sub(first)).unwrap_or(0).min(self.held.len());
        let mut closed = self.window(0..until, end.saturating_mul(self.hop_ms));
        closed.window.late = Some(late);
        // The next window begins a hop later.
        let leaving = end.saturating_sub(self.in_window as i64 - 1).saturating_sub(first);
        let leaving = usize::try_from(leaving).unwrap_or(0).min(self.held.len().saturating_sub(1));
        self.held.drain(..leaving);
        if let Some(own) = &mut self.own_time {
            own.first = Some(first + leaving as i64);
        }
        closed
    }

    fn window(&self, panes: std::ops::Range<usize>, end_ms: i64) -> Closed {
        let panes: Vec<&Pane> = self.held.range(panes).collect();
        let from = panes.len().saturating_sub(self.in_window);
        self.closed(&panes[from..], end_ms)
    }

    /// What these panes make, which are no more than a window's and ended at this time.
    pub(super) fn closed(&self, panes: &[&Pane], end_ms: i64) -> Closed {
        let panes = newest(panes, self.rows);
        let covered = self.hop_ms.saturating_mul(panes.len().max(1) as i64);
        Closed {
            window: Window::of(&self.reference, panes.iter().copied()),
            from_ms: end_ms.saturating_sub(covered),
            to_ms: end_ms,
        }
    }
}

impl OwnTime {
    /// For each row the place of its pane among so many that are held; `None` as a whole where no row says
    /// when it was.
    fn panes(&mut self, columns: &Columns, hop_ms: i64, held: usize) -> Option<Vec<Option<usize>>> {
        let first = self.first?;
        let times = columns.columns.iter().find(|column| column.name == self.input)?;
        let newest = held.saturating_sub(1);
        let mut of_row = |cell: &Cell| {
            let Some(ms) = time_of(cell) else { return Some(newest) };
            if let Some((rows, late)) = self.arrived.back_mut() {
                *rows += 1;
                *late += u64::from(self.now_ms.saturating_sub(ms) > self.lateness_ms);
            }
            let behind = ms.div_euclid(hop_ms).saturating_sub(first);
            usize::try_from(behind).ok().map(|at| at.min(newest))
        };
        let mut panes: Vec<Option<usize>> = times.cells.iter().map(&mut of_row).collect();
        panes.resize(columns.rows, Some(newest));
        Some(panes)
    }

    /// The rows of the hops of a window that was closed, and how many of them came late.
    fn close(&mut self, in_window: usize) -> Rate {
        let (rows, late) =
            self.arrived.iter().fold((0_u64, 0_u64), |(rows, late), of| (rows + of.0, late + of.1));
        self.arrived.push_back((0, 0));
        while self.arrived.len() > in_window {
            self.arrived.pop_front();
        }
        Rate::new(late, rows)
    }
}

/// The newest of these panes that together have so many rows; all of them where they do not, or none are
/// asked for.
fn newest<'a, 'b>(panes: &'b [&'a Pane], rows: Option<u64>) -> &'b [&'a Pane] {
    let Some(wanted) = rows else { return panes };
    let mut found = 0_u64;
    let from = panes.iter().rposition(|pane| {
        found = found.saturating_add(pane.rows());
        found >= wanted
    });
    &panes[from.unwrap_or(0)..]
}

/// When a row was, in milliseconds since 1970.
fn time_of(cell: &Cell) -> Option<i64> {
    let seconds = match cell {
        Cell::Text(text) => hours::of_text(text.trim_ascii()),
        Cell::Number(number) => hours::of_number(*number),
        Cell::Null | Cell::Bool(_) | Cell::Nested => None,
    };
    Some(seconds?.saturating_mul(1_000))
}

/// Some of the rows.
fn only(columns: &Columns, rows: &[usize]) -> Columns {
    let column = |column: &Column| {
        let cells = rows.iter().filter_map(|row| column.cells.get(*row).cloned()).collect();
        Column { name: column.name.clone(), cells }
    };
    Columns { rows: rows.len(), columns: columns.columns.iter().map(column).collect() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidegate_detectors::reference::Feature;

    use super::*;
    use crate::config::model::OwnTime as Time;

    const HOP_MS: i64 = 1_000;

    fn panes(rows: Option<u64>, lateness: Option<u64>) -> Panes {
        let reference = Arc::new(Reference::of(0, vec![Feature::number("x")]));
        let time = lateness.map(|seconds| Time {
            input: "at".to_owned(),
            lateness: Duration::from_secs(seconds),
            max_late_rate: 0.01,
        });
        let (length, hop) = (Duration::from_secs(3), Duration::from_secs(1));
        Panes::new(&reference, &model::Window { length, hop, min_rows: 1, rows, time })
    }

    /// A request whose rows were at these seconds.
    fn request(seconds: &[i64]) -> Columns {
        let cells = seconds.iter().map(|at| Cell::Number(*at as f64)).collect();
        let columns = vec![Column { name: "at".to_owned(), cells }];
        Columns { rows: seconds.len(), columns }
    }

    fn take(panes: &mut Panes, now: i64, seconds: &[i64]) {
        panes.at(now * HOP_MS);
        panes.place(&[&request(seconds)], |pane, tables| {
            tables.iter().for_each(|table| pane.count(table.rows as u64));
        });
    }

    fn close(panes: &mut Panes, now: i64) -> (u64, i64, i64) {
        let Closed { window, from_ms, to_ms } = panes.close(now * HOP_MS);
        (window.rows, from_ms / HOP_MS, to_ms / HOP_MS)
    }

    #[test]
    fn by_arrival_a_window_is_the_last_panes() {
        let mut panes = panes(None, None);
        for now in 100..104 {
            take(&mut panes, now, &[0; 10]);
            let rows = 10 * (now as u64 - 99).min(3);
            assert_eq!(close(&mut panes, now + 1).0, rows);
        }
        assert_eq!(close(&mut panes, 105), (20, 102, 105));
    }

    #[test]
    fn by_count_a_window_is_no_longer_than_it_takes() {
        let mut panes = panes(Some(25), None);
        take(&mut panes, 100, &[0; 30]);
        assert_eq!(close(&mut panes, 101), (30, 100, 101));
        take(&mut panes, 101, &[0; 10]);
        assert_eq!(close(&mut panes, 102), (40, 100, 102));
        take(&mut panes, 102, &[0; 26]);
        assert_eq!(close(&mut panes, 103), (26, 102, 103));
        assert_eq!(close(&mut panes, 104), (26, 102, 104));
        assert_eq!(close(&mut panes, 105), (26, 102, 105), "no longer than its length");
        assert_eq!(close(&mut panes, 106).0, 0);
    }

    #[test]
    fn by_their_own_time_rows_that_come_in_time_are_where_they_belong() {
        let mut panes = panes(None, Some(2));
        // Each row comes a second or two late, some of them with those of another second.
        take(&mut panes, 100, &[100]);
        take(&mut panes, 101, &[100, 99, 101]);
        take(&mut panes, 102, &[101]);
        assert_eq!(close(&mut panes, 103), (2, 100, 101), "99 was before anything was held");
        take(&mut panes, 103, &[102, 101]);
        assert_eq!(close(&mut panes, 104), (5, 100, 102));
        take(&mut panes, 104, &[]);
        assert_eq!(close(&mut panes, 105), (6, 100, 103));
        // Late for the window of 101, in time for that of 102 to 104.
        take(&mut panes, 105, &[102]);
        assert_eq!(close(&mut panes, 106), (5, 101, 104));
        take(&mut panes, 106, &[100]);
        assert_eq!(close(&mut panes, 107), (2, 102, 105), "nobody waits for it any more");
    }

    #[test]
    fn late_rows_are_counted_in_the_window_they_arrive_in() {
        let mut panes = panes(None, Some(2));
        take(&mut panes, 100, &[100, 99, 97, 5]);
        let late = |panes: &mut Panes, now: i64| panes.close(now * HOP_MS).window.late;
        assert_eq!(late(&mut panes, 101), Some(Rate::new(2, 4)));
        take(&mut panes, 101, &[101]);
        assert_eq!(late(&mut panes, 102), Some(Rate::new(2, 5)));
        assert_eq!(late(&mut panes, 103), Some(Rate::new(2, 5)));
        assert_eq!(late(&mut panes, 104), Some(Rate::new(0, 1)));
    }

    #[test]
    fn what_says_no_time_or_one_to_come_is_of_now_and_nothing_piles_up() {
        let mut panes = panes(None, Some(0));
        take(&mut panes, 100, &[1 << 40, 100, 103]);
        panes.place(&[&Columns { rows: 2, columns: Vec::new() }], |pane, tables| {
            tables.iter().for_each(|table| pane.count(table.rows as u64));
        });
        assert_eq!(close(&mut panes, 101).0, 5);
        for now in 101..400 {
            take(&mut panes, now, &[now]);
            close(&mut panes, now + 1);
            assert!(panes.held.len() <= 4, "{}", panes.held.len());
        }
        take(&mut panes, 1 << 30, &[1 << 30]);
        assert!(panes.held.len() <= 4);
        assert_eq!(close(&mut panes, (1 << 30) + 1).0, 1);
        // A clock that is set back.
        take(&mut panes, 50, &[50]);
        assert!(panes.held.len() <= 5);
        close(&mut panes, 51);
    }
}
