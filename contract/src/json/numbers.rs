//! Runs of numbers, and of lists of numbers, sixty-four bytes at once: the whole grammar of JSON's numbers
//! (without exponents), of the commas and brackets between and the blanks around them, as arithmetic on sets of
//! places. It does not know what the numbers are for.
//!
//! A set of places moves one byte on by a shift, and through a run of a class by an addition, whose
//! carries ripple to the first place behind the run (Cameron et al., "Parabix: boosting the efficiency of text
//! processing on commodity processors", HPCA 2012). What leaves a block is carried into the next.

use super::block::{self, BYTES, Classes};
use super::decimal::{Bracketed, TENS};
use super::{Error, Expect, Inside, Lexer, MAX_DEPTH};
use crate::json::Plain;

/// What one block tells the next: what its last byte was, and which runs go on.
#[derive(Debug, Clone, Copy, Default)]
struct Carry {
    number: bool,
    minus: bool,
    point: bool,
    /// The last byte was a minus that began a number.
    signed: bool,
    /// The last byte was the zero that began a number.
    zero: bool,
    /// In the digits behind a point.
    fraction: bool,
    /// Behind a comma, or in the blanks after it.
    comma: bool,
    /// Behind a number, or in the blanks after it.
    end: bool,
    /// Behind a list, or in the blanks after it.
    closed: bool,
    /// Behind the comma after a list, or in the blanks after it.
    between: bool,
    /// All digits of the last block.
    digits: u64,
    /// Those of them that stand before a point, or in a number without one.
    wholes: u64,
    /// Whether there was a blank, or anything else that is rare.
    blanks: bool,
}

/// What stands in one block.
struct Found {
    /// What the grammar does not allow, and numbers that need a look.
    wrong: u64,
    /// What is no part of a run.
    other: u64,
    /// Those behind numbers.
    commas: u64,
    closings: u64,
    /// What tells that a number may be out of the range.
    unsure: u64,
}

/// Which numbers are in a range for sure, by how they are written.
#[derive(Debug, Clone, Copy)]
struct Sure {
    /// Those with at most so many digits before the point; with 0, those below one.
    digits: u32,
    /// Whether of those also the ones below zero.
    negative: bool,
}

impl Sure {
    /// `None` where no number is.
    fn of((least, greatest): (f64, f64)) -> Option<Self> {
        let tens = TENS.iter().take_while(|ten| **ten <= greatest).count().checked_sub(1)?;
        let negative = least <= -TENS[tens];
        (least <= 0.0).then_some(Self { digits: u32::try_from(tens).unwrap_or(0), negative })
    }
}

/// How far a run is passed beyond a number that may be out of the range, so that no byte is passed over
/// often where many are.
const FURTHER: usize = 1 << 10;

/// The set one byte on.
fn on(set: u64, carry: bool) -> u64 {
    set << 1 | u64::from(carry)
}

/// Whether the last place is in the set.
fn ends_in(set: u64) -> bool {
    set >> 63 == 1
}

/// From the marks on through the places of a class to the first that is not of it. True when a run
/// goes on beyond the block.
fn through(marks: u64, class: u64) -> (u64, bool) {
    let (sum, goes_on) = marks.overflowing_add(class);
    (sum & !class, goes_on)
}

/// The ends of all pieces of `most + 1` digits in a row, given the digits of the block before. `most` is
/// less than 64.
fn long_runs(digits: u64, before: u64, most: u32) -> u64 {
    // Two words by hand: WebAssembly has none of twice the width.
    let (mut runs, mut lower) = (digits, before);
    let mut length = 1;
    while length <= most {
        let step = length.min(most + 1 - length);
        runs &= runs << step | lower >> (64 - step);
        lower &= lower << step;
        length += step;
    }
    runs
}

impl Carry {
    /// Looks at the next block of a run.
    #[inline(always)]
    fn block<const LISTS: bool>(
        &mut self,
        block: &[u8; BYTES],
        plain: &Plain,
        sure: Option<Sure>,
    ) -> Found {
        // Most writers put a blank behind each comma, or none at all; that there is none is known where
        // this is compiled.
        if !self.blanks {
            match block::alone::<false, LISTS>(block) {
                Some(classes) => return self.look::<LISTS>(&classes, plain, sure),
                None => self.blanks = true,
            }
        }
        let classes = block::alone::<true, LISTS>(block);
        self.look::<LISTS>(&classes.unwrap_or_else(|| block::classify(block)), plain, sure)
    }

    /// Looks at a run of numbers, or with `LISTS` at a run of lists of numbers.
    #[inline(always)]
    fn look<const LISTS: bool>(
        &mut self,
        classes: &Classes,
        plain: &Plain,
        sure: Option<Sure>,
    ) -> Found {
        let Classes { digits, zeros, minuses, points, commas, blanks, openings, closings } =
            *classes;
        let numbers = digits | minuses | points;
        let starts = numbers & !on(numbers, self.number);
        // A minus only begins a number; digits stand behind it, and on both sides of a point.
        let mut wrong = minuses & !starts;
        wrong |= points & !on(digits, ends_in(self.digits));
        wrong |= (on(minuses, self.minus) | on(points, self.point)) & !digits;
        // A zero that begins a number is the whole of what stands before the point.
        let signed = starts & minuses;
        let leading = (starts | on(signed, self.signed)) & zeros;
        wrong |= on(leading, self.zero) & digits;
        // Behind the digits of a fraction comes no other point.
        let fractions = on(points, self.point) | u64::from(self.fraction);
        let (behind, fraction) = through(fractions, digits);
        wrong |= behind & points;
        // Behind a number comes a comma or the end of the list, and these nowhere else.
        let (after, end) =
            through(on(numbers, self.number) & !numbers | u64::from(self.end), blanks);
        wrong |= after & !(commas | closings);
        let mut other = !(numbers | commas | blanks);
        let (mut begins, mut closed, mut between) = (commas, false, false);
        if LISTS {
            // Behind a list comes a comma, and then the next list.
            let behind;
            (behind, closed) = through(on(closings, self.closed), blanks);
            wrong |= behind & !commas | closings & !after;
            let opens;
            (opens, between) = through(on(commas & behind, self.between), blanks);
            wrong |= opens ^ openings;
            wrong |= commas & !(after | behind);
            begins = commas & after | openings;
            closed |= ends_in(closings);
            between |= ends_in(commas & behind);
            other &= !(openings | closings);
        } else {
            wrong |= commas & !after;
        }
        // Behind the comma, and behind the bracket that begins a list, comes a number.
        let (value, comma) = through(on(begins, self.comma), blanks);
        wrong |= value & !starts;
        if plain.whole {
            wrong |= points;
        }
        if !plain.negative {
            wrong |= minuses;
        }
        if plain.max_digits < 64 {
            wrong |= long_runs(digits, self.digits, plain.max_digits);
        }
        let (mut unsure, mut wholes) = (0, 0);
        if let Some(sure) = sure {
            // The addition that passes through the digits behind points takes them away.
            wholes = digits & digits.wrapping_add(fractions);
            unsure = match sure.digits {
                0 => wholes & !zeros,
                most => long_runs(wholes, self.wholes, most),
            };
            if !sure.negative {
                unsure |= minuses;
            }
        }
        if numbers == u64::MAX {
            // So long a number could pass the range of a double.
            wrong |= 1;
        }
        *self = Self {
            number: ends_in(numbers),
            minus: ends_in(minuses),
            point: ends_in(points),
            signed: ends_in(signed),
            zero: ends_in(leading),
            fraction,
            comma: comma || ends_in(begins),
            end,
            closed,
            between,
            digits,
            wholes,
            blanks: self.blanks,
        };
        Found { wrong, other, commas: commas & after, closings, unsure }
    }
}

/// How far a run of numbers was passed.
#[derive(Debug, Clone, Copy, Default)]
struct Passed {
    bytes: usize,
    commas: u64,
    /// Whether it ends before the bracket that closes the list, and not behind a comma.
    closed: bool,
    /// Where the first number stands, at the earliest, that may be out of the range.
    unsure: usize,
}

/// A run while it is looked at, block by block.
struct Run<'a> {
    bytes: &'a [u8],
    plain: &'a Plain,
    sure: Option<Sure>,
    carry: Carry,
    /// Where the next block begins.
    next: usize,
    /// Where the first number stands, at the earliest, that may be out of the range.
    unsure: usize,
}

impl<'a> Run<'a> {
    fn of(bytes: &'a [u8], plain: &'a Plain, carry: Carry) -> Self {
        let sure = plain.range.and_then(Sure::of);
        let all = plain.range.is_none() || sure.is_some();
        Self { bytes, plain, sure, carry, next: 0, unsure: if all { usize::MAX } else { 0 } }
    }

    /// Where the next block begins, what stands in it, and how many of its bytes are good.
    #[inline(always)]
    fn block<const LISTS: bool>(&mut self) -> Option<(usize, Found, u32)> {
        let from = self.next;
        if from >= self.bytes.len() || from > self.unsure.saturating_add(FURTHER) {
            return None;
        }
        self.next += BYTES;
        // What lies behind the chunk is nothing that could stand here.
        let mut padded = [0xff; BYTES];
        let block = self.bytes[from..].first_chunk().unwrap_or_else(|| {
            padded[..self.bytes.len() - from].copy_from_slice(&self.bytes[from..]);
            &padded
        });
        let found = self.carry.block::<LISTS>(block, self.plain, self.sure);
        if found.unsure != 0 && self.unsure == usize::MAX {
            self.unsure = from + found.unsure.trailing_zeros() as usize;
        }
        let good = (found.wrong | found.other).trailing_zeros();
        Some((from, found, good))
    }
}

/// The first so many places.
fn first(places: u32) -> u64 {
    u64::MAX.checked_shr(64 - places).unwrap_or(0)
}

/// Passes over a run; `value` says that a value comes first, and not what follows one.
fn pass(bytes: &[u8], value: bool, plain: &Plain) -> Passed {
    let carry = Carry { comma: value, end: !value, ..Carry::default() };
    let mut run = Run::of(bytes, plain, carry);
    let mut passed = Passed::default();
    let mut commas = 0_u64;
    while let Some((from, found, good)) = run.block::<false>() {
        let before = found.commas & first(good);
        if before != 0 {
            passed.bytes = from + 64 - before.leading_zeros() as usize;
            passed.commas = commas + u64::from(before.count_ones());
        }
        if good < 64 {
            let bit = 1 << good;
            if found.closings & bit != 0 && found.wrong & bit == 0 {
                passed.bytes = from + good as usize;
                passed.closed = true;
            }
            break;
        }
        commas += u64::from(found.commas.count_ones());
    }
    Passed { unsure: run.unsure, ..passed }
}

/// Lists of numbers that were passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lists {
    /// How many they are.
    pub count: u64,
    /// How many numbers are in them.
    pub numbers: u64,
}

/// Passes over a run of lists, each with the comma before it, and with so many numbers in it where that is
/// asked. Gives how many bytes they are, and where the first number stands, at the earliest, that may be
/// out of the range.
fn pass_lists(bytes: &[u8], plain: &Plain, width: Option<u64>) -> (Lists, usize, usize) {
    let mut run = Run::of(bytes, plain, Carry { closed: true, ..Carry::default() });
    let (mut lists, mut passed) = (Lists::default(), 0);
    // Numbers of the list at hand that a comma ended.
    let mut numbers = 0;
    while let Some((from, found, good)) = run.block::<true>() {
        let within = first(good);
        let (mut commas, mut ends) = (found.commas & within, found.closings & within);
        while ends != 0 {
            let before = ends ^ (ends - 1);
            numbers += u64::from((commas & before).count_ones()) + 1;
            if width.is_some_and(|width| width != numbers) {
                return (lists, passed, run.unsure);
            }
            lists.count += 1;
            lists.numbers += numbers;
            passed = from + before.count_ones() as usize;
            numbers = 0;
            commas &= !before;
            ends &= !before;
        }
        if good < 64 {
            break;
        }
        numbers += u64::from(commas.count_ones());
    }
    (lists, passed, run.unsure)
}

/// The first number of a run that is out of a range, by where it begins and how many stand before it.
fn outside(bytes: &[u8], (least, greatest): (f64, f64)) -> Option<(usize, u64)> {
    let part_of_number = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let (mut at, mut before) = (0, 0);
    while let Some(skipped) = bytes[at..].iter().position(part_of_number) {
        let begins = at + skipped;
        let number = Bracketed::read(&bytes[begins..]);
        let within = number.least >= least && number.greatest <= greatest;
        // Only next to the range's ends do all digits matter.
        if !within && !number.is_within(&bytes[begins..], least, greatest) {
            return Some((begins, before));
        }
        before += 1;
        at = begins + number.length;
    }
    None
}

impl Lexer {
    /// Passes over numbers of the innermost open array that need no look, with the commas and
    /// blanks around them, and says how many they were. It stops, ready for [`Lexer::next`], before
    /// anything else: a value that is no number, a number that is not `plain`, a bracket, and what
    /// the chunk cuts in two.
    ///
    /// # Errors
    /// The error that the lexer met before; a new one is left to [`Lexer::next`].
    pub fn numbers(&mut self, chunk: &[u8], at: &mut usize, plain: &Plain) -> Result<u64, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let value = match self.expect {
            Expect::Value | Expect::FirstElement => true,
            Expect::CommaOrEnd => false,
            Expect::FirstKey | Expect::Key | Expect::Colon | Expect::Nothing => return Ok(0),
        };
        let in_list = self.depth > 0 && self.objects & 1 == 0 && self.inside == Inside::Nothing;
        let bytes = chunk.get(*at..).unwrap_or_default();
        let other = matches!(bytes.first(), Some(b']' | b'[' | b'{' | b'"') | None);
        if !in_list || other {
            return Ok(0);
        }
        let mut passed = pass(bytes, value, plain);
        if let Some(range) = plain.range
            && passed.unsure < passed.bytes
            && let Some((begins, before)) = outside(&bytes[..passed.bytes], range)
        {
            // Behind the last comma before it, if there is one.
            let comma = bytes[..begins].iter().rposition(|byte| *byte == b',');
            let commas = if value { before } else { before + u64::from(comma.is_some()) };
            let bytes = comma.map_or(0, |comma| comma + 1);
            passed = Passed { bytes, commas, closed: false, ..passed };
        }
        if passed.bytes == 0 {
            return Ok(0);
        }
        *at += passed.bytes;
        self.expect = if passed.closed { Expect::CommaOrEnd } else { Expect::Value };
        // Each comma ends a value, but for one that was told before; so does the bracket.
        Ok((passed.commas + u64::from(passed.closed)).saturating_sub(u64::from(!value)))
    }

    /// Behind a list in a list, passes over those that follow and hold only numbers that need no look, and
    /// so many of them where that is asked. It stops, ready for [`Lexer::next`], before the comma of any
    /// other value, and of what the chunk cuts in two.
    ///
    /// # Errors
    /// The error that the lexer met before; a new one is left to [`Lexer::next`].
    pub fn lists(
        &mut self,
        chunk: &[u8],
        at: &mut usize,
        plain: &Plain,
        width: Option<u64>,
    ) -> Result<Lists, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let in_list = self.objects & 1 == 0 && (1..MAX_DEPTH).contains(&self.depth);
        let bytes = chunk.get(*at..).unwrap_or_default();
        let follows = matches!(bytes, [b',', b'[', ..] | [b',', b' ', b'[', ..]);
        if self.expect != Expect::CommaOrEnd || !in_list || !follows {
            return Ok(Lists::default());
        }
        let (mut lists, mut passed, unsure) = pass_lists(bytes, plain, width);
        if let Some(range) = plain.range
            && unsure < passed
            && let Some((begins, _)) = outside(&bytes[..passed], range)
        {
            // What stands before it is known to be good.
            let plain = Plain { range: None, ..*plain };
            (lists, passed, _) = pass_lists(&bytes[..begins], &plain, width);
        }
        *at += passed;
        Ok(lists)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::ANY_NUMBER;

    #[test]
    fn what_follows_a_number_that_may_be_out_of_the_range_is_left_for_later() {
        let bytes = "5,".repeat(10_000).into_bytes();
        let read = |range| pass(&bytes, true, &Plain { range, ..ANY_NUMBER }).bytes;
        assert_eq!(read(None), bytes.len());
        assert_eq!(read(Some((0.0, 10.0))), bytes.len());
        assert!(read(Some((0.0, 6.0))) <= FURTHER + BYTES);
    }
}
