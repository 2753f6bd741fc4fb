//! Threads that read the blocks of tables, each into surveys of its own, which are added up in the
//! order of the rows: what comes out depends on the data alone, not on how many threads there
//! were or which was quicker. It does not know what is learned.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_detectors::season::Period;

use crate::profile::hours;
use crate::profile::survey::Survey;
use crate::table::error::TableError;
use crate::table::{Block, Cell, Column, Guess, Progress, Table};

/// Blocks for each thread that wait to be read or to be added up: enough that none is idle, and
/// few enough for the memory.
const AHEAD: u64 = 3;

/// Between two looks at how far the threads have come.
const LOOK: Duration = Duration::from_millis(50);

/// What was read.
pub(super) struct Gathered {
    /// One for each column.
    pub(super) surveys: Vec<Survey>,
    /// What the cells of each column turned out to be, beside what was taken for granted.
    pub(super) guesses: Vec<Guess>,
    pub(super) rows: u64,
}

/// Makes a survey that has seen nothing, of a column whose next row and sparsity are given.
pub(super) type Blank<'a> = dyn Fn(&Column, Start) -> Survey + Sync + 'a;

/// Where a block begins.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Start {
    /// A number for its first row that no other block's rows have.
    pub(super) row: u64,
    /// How sparse the rows before have become that are drawn of all; see [`Survey::kept`].
    pub(super) bits: u32,
}

/// Rows of a file, at most, so that no two rows of a table have one number.
const ROWS_A_FILE: u64 = 1 << 40;

/// What the threads work at.
pub(super) struct Work<'a> {
    pub(super) tables: &'a [Table],
    pub(super) columns: &'a [Column],
    /// What the columns seemed to be.
    pub(super) guesses: Vec<Guess>,
    /// A survey that has seen nothing.
    pub(super) blank: &'a Blank<'a>,
    /// Where columns are learned by the hour: of which period, and the column that says when.
    pub(super) season: Option<(Period, &'a Column)>,
}

/// A block, where it stands among all, and the table it is of.
struct Task {
    at: u64,
    table: usize,
    block: Block,
}

/// What a block gave.
struct Part {
    surveys: Vec<Option<Survey>>,
    guesses: Option<Vec<Guess>>,
}

struct State {
    tasks: VecDeque<Task>,
    /// No more tasks will come.
    all: bool,
    parts: BTreeMap<u64, Part>,
    /// Blocks added up.
    added: u64,
    /// Whether a thread is adding up, and has `surveys` and `guesses`.
    adding: bool,
    surveys: Vec<Option<Survey>>,
    guesses: Vec<Guess>,
    /// The first in the order of the rows.
    fault: Option<(u64, TableError)>,
    /// How sparse drawn rows have become in every column that is added up.
    bits: u32,
    /// A thread ended by a panic.
    broken: bool,
    rows: u64,
    bytes: u64,
}

struct Crew<'a> {
    work: &'a Work<'a>,
    state: Mutex<State>,
    changed: Condvar,
}

/// Reads all tables with so many threads.
///
/// # Errors
/// The first fault in the order of the rows.
pub(super) fn gather(
    work: &Work<'_>,
    threads: usize,
    progress: &mut dyn FnMut(Progress),
) -> Result<Gathered, TableError> {
    let threads = threads.max(1);
    let crew = Crew { work, state: Mutex::new(State::of(work)), changed: Condvar::new() };
    let given = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| crew.labour());
        }
        crew.hand_out(AHEAD * threads as u64, progress)
    });
    let state = crew.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, fault)) = state.fault {
        return Err(fault);
    }
    given?;
    let State { surveys, guesses, rows, .. } = state;
    let seen = surveys.into_iter().zip(work.columns);
    let surveys =
        seen.map(|(seen, column)| seen.unwrap_or_else(|| (work.blank)(column, Start::default())));
    Ok(Gathered { surveys: surveys.collect(), guesses, rows })
}

impl State {
    fn of(work: &Work<'_>) -> Self {
        State {
            tasks: VecDeque::new(),
            all: false,
            parts: BTreeMap::new(),
            added: 0,
            adding: false,
            surveys: work.columns.iter().map(|_| None).collect(),
            guesses: work.guesses.clone(),
            fault: None,
            bits: 0,
            broken: false,
            rows: 0,
            bytes: 0,
        }
    }

    /// Whether nothing more needs to be read.
    fn is_over(&self) -> bool {
        self.fault.is_some() || self.broken
    }

    fn fail(&mut self, at: u64, fault: TableError) {
        if self.fault.as_ref().is_none_or(|(before, _)| at < *before) {
            self.fault = Some((at, fault));
        }
    }
}

impl Crew<'_> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        let (state, _) =
            self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner);
        state
    }

    /// Cuts the tables into tasks, never more than `ahead` of what is added up, and waits for the
    /// last.
    fn hand_out(&self, ahead: u64, progress: &mut dyn FnMut(Progress)) -> Result<(), TableError> {
        let all: u64 = self.work.tables.iter().map(Table::bytes).sum();
        let mut show = |state: &State| {
            let share = (state.bytes as f64 / all.max(1) as f64).min(1.0);
            progress(Progress { rows: state.rows, bytes: state.bytes, share });
        };
        let mut at = 0;
        let mut given = Ok(());
        for (table, from) in self.work.tables.iter().enumerate() {
            given = from.blocks(self.work.columns.len(), &mut |block| {
                let mut state = self.state();
                while at >= state.added + ahead && !state.is_over() {
                    state = self.wait(state);
                    show(&state);
                }
                state.tasks.push_back(Task { at, table, block });
                at += 1;
                self.changed.notify_all();
                !state.is_over()
            });
            if given.is_err() || self.state().is_over() {
                break;
            }
        }
        let mut state = self.state();
        state.all = true;
        self.changed.notify_all();
        while state.added < at && !state.is_over() {
            state = self.wait(state);
            show(&state);
        }
        // What the threads found in the rows before comes first.
        match (given, state.fault.is_some()) {
            (Err(_), true) => Ok(()),
            (given, _) => given,
        }
    }

    /// What each thread does: read blocks until there are no more.
    fn labour(&self) {
        let _leaving = Leaving(self);
        let mut own: Option<(usize, Table)> = None;
        loop {
            let mut state = self.state();
            let task = loop {
                match state.tasks.pop_front() {
                    // After a fault only what stands before it still matters.
                    Some(task) if state.fault.as_ref().is_none_or(|(at, _)| task.at < *at) => {
                        break task;
                    }
                    Some(_) => {}
                    None if state.all || state.is_over() => return,
                    None => state = self.wait(state),
                }
            };
            let bits = state.bits;
            drop(state);
            let at = task.at;
            match self.read(&mut own, &task, bits) {
                Ok((part, rows, bytes)) => self.hand_in(at, part, rows, bytes),
                Err(fault) => self.state().fail(at, fault),
            }
            self.changed.notify_all();
        }
    }

    fn read(
        &self,
        own: &mut Option<(usize, Table)>,
        task: &Task,
        bits: u32,
    ) -> Result<(Part, u64, u64), TableError> {
        let table = match own {
            Some((of, table)) if *of == task.table => table,
            _ => &mut own.insert((task.table, self.work.tables[task.table].again()?)).1,
        };
        let columns = self.work.columns;
        let row = task.table as u64 * ROWS_A_FILE + task.block.first_row();
        let start = Start { row, bits };
        let mut surveys: Vec<Option<Survey>> = columns.iter().map(|_| None).collect();
        let hours = self.hours(table, &task.block)?;
        let mut rows = vec![0; if hours.is_some() { columns.len() } else { 0 }];
        let told = table.read(columns, &task.block, &mut |at, cell: Cell<'_>| {
            let survey = surveys[at].get_or_insert_with(|| (self.work.blank)(&columns[at], start));
            match &hours {
                Some(hours) => {
                    survey.take_at(hours.get(rows[at]).copied().flatten(), cell);
                    rows[at] += 1;
                }
                None => survey.take(cell),
            }
        })?;
        Ok((Part { surveys, guesses: told.guesses }, told.rows, told.bytes))
    }

    /// Which hour each row of a block is of, where that is wanted; `None` of a row without a time.
    fn hours(
        &self,
        table: &Table,
        block: &Block,
    ) -> Result<Option<Vec<Option<usize>>>, TableError> {
        let Some((period, time)) = self.work.season else { return Ok(None) };
        let mut rows = Vec::new();
        table.read_beside(time, block, &mut |cell| {
            let ms = hours::of_cell(cell).map(|seconds| seconds.saturating_mul(1_000));
            rows.push(ms.map(|ms| period.hour(ms)));
        })?;
        Ok(Some(rows))
    }

    /// Hands a part in, and adds up what is next in order if no other thread is at it.
    fn hand_in(&self, at: u64, part: Part, rows: u64, bytes: u64) {
        let mut state = self.state();
        state.parts.insert(at, part);
        state.rows += rows;
        state.bytes += bytes;
        while !state.adding {
            let next = state.added;
            let Some(part) = state.parts.remove(&next) else { return };
            state.adding = true;
            let mut surveys = std::mem::take(&mut state.surveys);
            let mut guesses = std::mem::take(&mut state.guesses);
            drop(state);
            for (sum, survey) in surveys.iter_mut().zip(part.surveys) {
                match (sum, survey) {
                    (Some(sum), Some(survey)) => sum.merge(survey),
                    (sum @ None, survey) => *sum = survey,
                    (Some(_), None) => {}
                }
            }
            for (sum, guess) in guesses.iter_mut().zip(part.guesses.unwrap_or_default()) {
                sum.merge(guess);
            }
            let sparse = surveys.iter().map(|sum| sum.as_ref().map_or(0, |sum| sum.kept().bits()));
            let bits = sparse.min().unwrap_or(0);
            state = self.state();
            state.bits = bits;
            (state.surveys, state.guesses) = (surveys, guesses);
            state.adding = false;
            state.added += 1;
            self.changed.notify_all();
        }
    }
}

/// Tells the others when a thread ends by a panic, so that none waits for it.
struct Leaving<'c, 'w>(&'c Crew<'w>);

impl Drop for Leaving<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.state().broken = true;
            self.0.changed.notify_all();
        }
    }
}
