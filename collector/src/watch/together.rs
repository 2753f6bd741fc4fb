//! A watch that others share: what each collector saw until the clock's next full hop is sent to all,
//! added up, and judged by each of them in the same way. Who decides is not known here.

use std::collections::VecDeque;

use tidegate_detectors::parcel::{FirstRows, Parcel};
use tidegate_detectors::reference::Reference;
use tidegate_detectors::window::{Exchanges, Pane};

use super::{Watch, time};
use crate::decision::UnixMillis;
use crate::judgement::Judgement;

/// What a watch has beside the pane that is being filled, when others share it.
#[derive(Debug)]
pub(super) struct Together {
    /// Of the pane that is being filled. The vigil sees these, and those of the others: all of them bet
    /// on the same rows in the same order, whoever decides.
    pub(super) rows: FirstRows,
    /// The panes of all, added up, by the number of their hop.
    hops: VecDeque<(u64, Pane)>,
}

impl Watch {
    /// From now on others share the watch: [`Watch::cut`] and [`Watch::join`] take the place of
    /// [`Watch::close`].
    pub fn share(&mut self) {
        let rows = FirstRows::new(self.sides.reference());
        self.together = Some(Together { rows, hops: VecDeque::new() });
    }

    /// Closes the pane that is being filled, to be sent to all.
    pub fn cut(&mut self) -> Parcel {
        let reference = self.sides.reference();
        let rows = FirstRows::new(reference);
        let rows = match &mut self.together {
            Some(together) => std::mem::replace(&mut together.rows, rows),
            None => rows,
        };
        Parcel::new(self.panes.cut(), rows)
    }

    /// Gives up the pane that is being filled, because it cannot be sent: its exchanges were seen, and
    /// its samples count as lost.
    pub fn lose(&mut self) {
        let counted = self.cut().pane.counted();
        let dropped = counted.dropped.saturating_add(counted.sampled);
        self.panes.newest().exchanges(Exchanges { dropped, sampled: 0, ..counted });
    }

    /// Takes the panes that all closed at the end of a hop, which was `now`, and judges the window that
    /// they complete.
    pub fn join(&mut self, hop: u64, parcels: &[Parcel], now: UnixMillis) -> Judgement {
        self.tell(now);
        let whole = self.added_up(parcels);
        let (seen, length) = (whole.counted().seen, self.panes.in_window() as u64);
        let mut hops = match &mut self.together {
            Some(together) => std::mem::take(&mut together.hops),
            None => VecDeque::new(),
        };
        hops.push_back((hop, whole));
        // A clock that was set back, or a long silence, must not leave what is no part of the window.
        hops.retain(|(of, _)| *of <= hop && hop - of < length);
        let panes: Vec<&Pane> = hops.iter().map(|(_, pane)| pane).collect();
        let closed = self.panes.closed(&panes, time(now));
        if let Some(together) = &mut self.together {
            together.hops = hops;
        }
        self.judge(closed, seen, now)
    }

    fn added_up(&mut self, parcels: &[Parcel]) -> Pane {
        let reference: &Reference = self.sides.reference();
        let mut whole = Pane::new(reference);
        for parcel in parcels {
            if whole.merge(&parcel.pane) {
                parcel.rows.replay(|feature, column| self.vigil.observe(feature, column));
            }
        }
        let counted = whole.counted();
        self.vigil.exchanges(counted.checked, counted.violating);
        whole.settle();
        whole
    }
}

#[cfg(test)]
mod tests {
    use tidegate_contract::columns::{Cell, Column, Columns};
    use tidegate_contract::contract::Contract;
    use tidegate_contract::protocol::Side;
    use tidegate_detectors::finding::Verdict;
    use tidegate_detectors::reference::{Feature, Observation, Reference};

    use super::Watch;
    use crate::fixture::{DIVERT, config};
    use crate::sides::Sides;
    use crate::watch::Counts;

    fn watch() -> Watch {
        let mut age = Feature::number("age");
        (0..9_000_u32).for_each(|row| age.observe(Observation::Number(f64::from(row * 37 % 90))));
        let reference = Reference::of(9_000, vec![age]);
        let none = Reference::of(0, Vec::new());
        let sides = Sides::of(&reference, &none);
        Watch::new(&config(DIVERT).models[0], &Contract::default(), sides, None)
    }

    fn shared() -> Watch {
        let mut watch = watch();
        watch.share();
        watch
    }

    fn rows(watch: &mut Watch, rows: impl Iterator<Item = u32>, shift: u32) {
        let rows: Vec<u32> = rows.collect();
        let number = rows.len() as u64;
        let exchanges = Counts { exchanges: number, checked: number, ..Counts::default() };
        // Each time a worker that was not heard before.
        watch.counts(rows[0].into(), "v1", Counts::default(), exchanges);
        watch.arrived(number, 0);
        for row in rows {
            // Mixed, so that no collector gets a pattern of its own.
            let age = row.wrapping_mul(2_654_435_761) >> 8;
            let cells = vec![Cell::Number(f64::from(age % 90 + shift))];
            let columns = vec![Column { name: "age".to_owned(), cells }];
            watch.rows(Side::Request, &[Columns { rows: 1, columns }]);
        }
    }

    #[test]
    fn three_collectors_judge_as_one_does() {
        for (shift, worst) in [(0, Verdict::Healthy), (25, Verdict::Alarm)] {
            let mut one = watch();
            let mut three = [shared(), shared(), shared()];
            for hop in 0..3_u32 {
                let now = u64::from(hop + 1) * 2_000;
                one.at(now);
                rows(&mut one, hop * 900..(hop + 1) * 900, shift);
                let alone = one.close(now);
                for (of, watch) in three.iter_mut().enumerate() {
                    let own = (hop * 900..(hop + 1) * 900).filter(|row| row % 3 == of as u32);
                    rows(watch, own, shift);
                }
                let parcels = three.each_mut().map(Watch::cut);
                let judged = three.each_mut().map(|watch| watch.join(hop.into(), &parcels, now));
                assert_eq!(judged[0], judged[1]);
                assert_eq!(judged[0], judged[2]);
                assert_eq!((judged[0].rows, judged[0].verdict), (alone.rows, alone.verdict));
                let effects = |judgement: &crate::judgement::Judgement| {
                    judgement.findings.iter().map(|f| f.effect).collect::<Vec<f64>>()
                };
                let far = effects(&judged[0]).into_iter().zip(effects(&alone));
                assert!(far.into_iter().all(|(a, b)| (a - b).abs() < 0.005), "{alone:?}");
                assert_eq!(alone.verdict, worst);
            }
        }
    }

    #[test]
    fn hops_of_another_time_are_no_part_of_the_window() {
        let mut watch = shared();
        let mut join = |hop: u64| {
            rows(&mut watch, 0..100, 0);
            let parcel = watch.cut();
            watch.join(hop, &[parcel], hop * 2_000).rows
        };
        // The window has five hops.
        assert_eq!((join(10), join(11), join(14)), (100, 200, 300));
        assert_eq!(join(18), 200);
        assert_eq!(join(3), 100);
    }

    #[test]
    fn a_pane_that_could_not_be_sent_is_told_as_lost() {
        let mut watch = shared();
        rows(&mut watch, 0..100, 0);
        watch.arrived(0, 2);
        watch.lose();
        rows(&mut watch, 100..200, 0);
        let parcel = watch.cut();
        let judged = watch.join(1, &[parcel], 2_000);
        assert_eq!((judged.rows, judged.exchanges, judged.dropped), (100, 200, 102));
    }
}
