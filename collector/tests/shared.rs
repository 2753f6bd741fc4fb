//! Shared state before a real Redis that is killed, paused and emptied: one writer at a time, and
//! nothing that was acknowledged is lost or there twice. `cargo xtask test` tells where Redis is.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tidegate_collector::config::state::Redis;
use tidegate_collector::ledger::Event;
use tidegate_collector::state::shared::{Begun, Pace, Shared};
use tidegate_collector::state::{News, Sharing, Standing, StateError, Store};
use tidegate_detectors::parcel::{FirstRows, Parcel};
use tidegate_detectors::reference::{Feature, Observation, Reference};
use tidegate_detectors::window::Pane;
use tokio::sync::mpsc;

/// A Redis of one test.
struct Server {
    child: Option<Child>,
    folder: tempfile::TempDir,
    port: u16,
    keeps: bool,
}

impl Server {
    /// One that has every line on its disk before it answers.
    fn start() -> Self {
        Self::with(true)
    }

    fn with(keeps: bool) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let folder = tempfile::tempdir().unwrap();
        let mut server = Self { child: None, folder, port, keeps };
        server.run();
        server
    }

    fn run(&mut self) {
        let binary = std::env::var_os("TIDEGATE_REDIS").map(PathBuf::from).unwrap_or_default();
        assert!(binary.exists(), "TIDEGATE_REDIS names no file; run `cargo xtask test`");
        let mut command = Command::new(binary);
        command.current_dir(self.folder.path()).stdout(Stdio::null());
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", ""]);
        if self.keeps {
            command.args(["--appendonly", "yes", "--appendfsync", "always"]);
        }
        self.child = Some(command.spawn().unwrap());
        let answers = || self.say(&["PING"]).contains("PONG");
        until("Redis answers", || answers().then_some(()));
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// One command, and what Redis answers, as it is on the wire.
    fn say(&self, words: &[&str]) -> String {
        let Ok(mut wire) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return String::new();
        };
        wire.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut text = format!("*{}\r\n", words.len());
        words.iter().for_each(|word| text.push_str(&format!("${}\r\n{word}\r\n", word.len())));
        let mut answer = [0; 4096];
        let read = wire.write_all(text.as_bytes()).and_then(|()| wire.read(&mut answer));
        String::from_utf8_lossy(&answer[..read.unwrap_or(0)]).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How often Redis is killed.
const KILLS: usize = 200;

/// A collector's side of it.
struct Party {
    store: Shared,
    news: mpsc::Receiver<News>,
    /// What it knows of the log.
    known: Vec<String>,
    hops: Vec<(u64, Vec<Parcel>)>,
}

fn pace() -> Pace {
    let ms = Duration::from_millis;
    Pace { lease: ms(1_000), tend: ms(100), look: ms(10) }
}

impl Party {
    fn join(server: &Server, name: &str, pace: Pace) -> Self {
        let url = format!("redis://127.0.0.1:{}/0?prefix=test", server.port);
        let redis = Redis::parse(&url).unwrap();
        let (told, news) = mpsc::channel(64);
        let Begun { store, events, .. } = Shared::open(&redis, name, pace, told).unwrap();
        Self { store, news, known: events.iter().map(id).collect(), hops: Vec::new() }
    }

    /// Takes in what others did, as the mind does.
    fn listen(&mut self) {
        while let Ok(news) = self.news.try_recv() {
            match news {
                News::Standing => {}
                News::Lines { events, length } => {
                    let first = length as usize - events.len();
                    assert!(first <= self.known.len(), "lines are missing");
                    let new = events.iter().skip(self.known.len() - first).map(id);
                    self.known.extend(new.collect::<Vec<_>>());
                    self.store.took(self.known.len() as u64);
                }
                News::Rewritten { events, length } => {
                    self.known = events.iter().map(id).collect();
                    self.store.took(length);
                }
                News::Hop(hop) => self.hops.push((hop.number, hop.parcels)),
            }
        }
    }

    fn append(&mut self, number: usize) -> Result<(), StateError> {
        let done = self.store.append(&event(number));
        if done.is_ok() {
            self.known.push(number.to_string());
        }
        done
    }

    fn leads(&mut self) -> bool {
        self.listen();
        self.store.standing() == Standing::Leads
    }
}

fn event(number: usize) -> Event {
    Event::Refused { id: number.to_string(), why: "a line of a test".to_owned() }
}

fn id(event: &Event) -> String {
    match event {
        Event::Refused { id, .. } => id.clone(),
        other => panic!("not ours: {other:?}"),
    }
}

fn numbers(numbers: impl Iterator<Item = usize>) -> Vec<String> {
    numbers.map(|number| number.to_string()).collect()
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within 20 s");
        thread::sleep(Duration::from_millis(5));
    }
}

fn await_lead(party: &mut Party) {
    until("it leads", || party.leads().then_some(()));
}

/// The one of two that leads, once one does.
fn await_leader<'a>(ann: &'a mut Party, bob: &'a mut Party) -> &'a mut Party {
    let first = until("somebody leads", || {
        if ann.leads() { Some(true) } else { bob.leads().then_some(false) }
    });
    if first { ann } else { bob }
}

#[test]
fn one_decides_and_the_other_reads_along_and_knows_its_name() {
    let server = Server::start();
    let mut ann = Party::join(&server, "ann", pace());
    await_lead(&mut ann);
    let mut bob = Party::join(&server, "bob", pace());
    until("bob follows", || {
        let follows = Standing::Follows { leader: "ann".to_owned() };
        (bob.store.standing() == follows && bob.store.crew().members == 2).then_some(())
    });
    (0..3).for_each(|number| ann.append(number).unwrap());
    until("bob knows what ann wrote", || {
        bob.listen();
        (bob.known == numbers(0..3)).then_some(())
    });
    let refused = bob.append(3).unwrap_err();
    assert!(matches!(&refused, StateError::Fenced { leader } if leader == "ann"), "{refused}");
    // Who goes in peace gives the lease back at once; who is killed, when it runs out.
    drop(ann);
    await_lead(&mut bob);
    bob.append(3).unwrap();
    assert_eq!(Party::join(&server, "cat", pace()).known, numbers(0..4));
}

#[test]
fn who_still_believes_that_it_leads_writes_nothing() {
    let server = Server::start();
    // Ann looks at her lease once in ten seconds, and thinks that it lasts for a minute.
    let blind = Pace {
        lease: Duration::from_secs(60),
        tend: Duration::from_secs(10),
        look: Duration::from_millis(10),
    };
    let mut ann = Party::join(&server, "ann", blind);
    await_lead(&mut ann);
    ann.append(0).unwrap();
    // As if it had run out while she stood still.
    server.say(&["DEL", "{test}:lease"]);
    let mut bob = Party::join(&server, "bob", pace());
    await_lead(&mut bob);
    bob.append(1).unwrap();

    assert_eq!(ann.store.standing(), Standing::Leads, "two believe that they lead");
    // She may not have read what bob wrote, and may have: neither lets her write.
    for number in 2..10 {
        let refused = ann.append(number).unwrap_err();
        assert!(matches!(refused, StateError::Fenced { .. } | StateError::Behind), "{refused}");
        ann.listen();
    }
    assert_eq!(ann.store.standing(), Standing::Follows { leader: "bob".to_owned() });
    assert_eq!(Party::join(&server, "cat", pace()).known, numbers(0..2));
}

#[test]
fn a_line_whose_answer_was_lost_is_there_once_or_not_at_all() {
    let server = Server::start();
    let mut ann = Party::join(&server, "ann", pace());
    await_lead(&mut ann);
    let mut bob = Party::join(&server, "bob", pace());
    for round in 0..5 {
        let number = ann.known.len();
        server.signal("-STOP");
        let begun = Instant::now();
        let unsure = ann.append(number).unwrap_err();
        assert!(begun.elapsed() < Duration::from_secs(2), "the mind waited {:?}", begun.elapsed());
        assert!(matches!(unsure, StateError::Unsure { .. } | StateError::Away { .. }), "{unsure}");
        until("she knows that she is cut off", || {
            matches!(ann.store.standing(), Standing::Lost { .. }).then_some(())
        });
        let refused = ann.append(number).unwrap_err();
        assert!(matches!(refused, StateError::Away { .. }), "{round}: {refused}");
        server.signal("-CONT");
        let leader = await_leader(&mut ann, &mut bob);
        // Whoever it is knows whether the line was taken, and goes on from there.
        let next = leader.known.len();
        leader.append(next).unwrap();
        let both = leader.known.clone();
        assert_eq!(both, numbers(0..both.len()));
        // Ann leads again for the next round.
        for party in [&mut ann, &mut bob] {
            until("both know the same", || {
                party.listen();
                (party.known == both).then_some(())
            });
        }
        if !ann.leads() {
            server.say(&["DEL", "{test}:lease"]);
            drop(std::mem::replace(&mut bob, Party::join(&server, "bob", pace())));
            until("ann leads", || {
                if bob.leads() {
                    server.say(&["DEL", "{test}:lease"]);
                }
                ann.leads().then_some(())
            });
        }
    }
    assert_eq!(Party::join(&server, "cat", pace()).known, ann.known);
}

#[test]
fn redis_killed_at_random_moments_loses_nothing_that_was_acknowledged() {
    let mut server = Server::start();
    let ms = Duration::from_millis;
    let brisk = Pace { lease: ms(300), tend: ms(30), look: ms(10) };
    let mut ann = Party::join(&server, "ann", brisk);
    let mut dice = 1912_u64;
    let mut written = 0;
    for _ in 0..KILLS {
        await_lead(&mut ann);
        dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let after = Duration::from_micros(dice >> 33 & 0xffff);
        let pid = server.child.as_ref().unwrap().id().to_string();
        let killer = thread::spawn(move || {
            thread::sleep(after);
            Command::new("kill").args(["-KILL", &pid]).status().unwrap();
        });
        while ann.append(ann.known.len()).is_ok() {
            written += 1;
        }
        killer.join().unwrap();
        server.kill();
        server.run();
    }
    await_lead(&mut ann);
    // What was unsure has shown by now, or never will.
    assert_eq!(ann.known, numbers(0..ann.known.len()));
    assert!(ann.known.len() >= written && written > KILLS, "{written}");
    assert_eq!(Party::join(&server, "cat", pace()).known, ann.known);
}

#[test]
fn a_slow_redis_slows_and_one_that_is_too_slow_stops_decisions_until_it_is_back() {
    let server = Server::start();
    let mut ann = Party::join(&server, "ann", pace());
    await_lead(&mut ann);
    let mut slow = |ms: &str| {
        server.say(&["CLIENT", "PAUSE", ms, "ALL"]);
        ann.listen();
        let number = ann.known.len();
        let begun = Instant::now();
        let done = ann.append(number);
        assert!(begun.elapsed() < Duration::from_millis(1_700), "{:?}", begun.elapsed());
        let kept = done.is_ok();
        await_lead(&mut ann);
        kept
    };
    assert!((0..5).all(|_| slow("150")), "what is slow is no trouble");
    assert!(!slow("1200"), "nobody waits for ever");
    assert!((0..5).all(|_| slow("1")));
    let known = Party::join(&server, "cat", pace()).known;
    assert_eq!(known, numbers(0..known.len()));
    assert!(known.len() >= 10);
}

#[test]
fn all_keep_the_clock_of_redis_and_none_starts_without_it() {
    let mut server = Server::start();
    let ann = Party::join(&server, "ann", pace());
    until("she knows the time", || (ann.store.crew().members == 1).then_some(()));
    assert!(ann.store.ahead_ms().abs() < 500, "{}", ann.store.ahead_ms());
    server.kill();
    let redis = Redis::parse(&format!("redis://:secret@127.0.0.1:{}", server.port)).unwrap();
    let (told, _news) = mpsc::channel(1);
    let refused = Shared::open(&redis, "bob", pace(), told).unwrap_err().to_string();
    assert!(refused.contains("cannot be used") && !refused.contains("secret"), "{refused}");
}

#[test]
fn a_redis_that_forgot_all_gets_the_log_back_from_those_who_know_it() {
    let mut server = Server::with(false);
    let mut ann = Party::join(&server, "ann", pace());
    await_lead(&mut ann);
    let mut bob = Party::join(&server, "bob", pace());
    (0..40).for_each(|number| ann.append(number).unwrap());
    until("bob knows", || {
        bob.listen();
        (bob.known.len() == 40).then_some(())
    });
    server.kill();
    server.run();
    // Who led may not have noticed yet that its Redis is gone: what is refused then is in no log.
    until("a line is kept", || await_leader(&mut ann, &mut bob).append(40).ok());
    for party in [&mut ann, &mut bob] {
        until("both know the same", || {
            party.listen();
            (party.known == numbers(0..41)).then_some(())
        });
    }
    assert_eq!(Party::join(&server, "cat", pace()).known, numbers(0..41));
}

#[test]
fn a_log_that_cannot_be_given_back_stops_all_decisions_and_says_so() {
    let mut server = Server::with(false);
    let mut ann = Party::join(&server, "ann", pace());
    await_lead(&mut ann);
    // More than are remembered.
    for number in 0..1_100 {
        ann.listen();
        ann.append(number).unwrap();
    }
    until("she has read them", || {
        ann.listen();
        (ann.known.len() == 1_100).then_some(())
    });
    thread::sleep(Duration::from_millis(200));
    server.kill();
    server.run();
    let why = until("she says what is wrong", || {
        ann.listen();
        match ann.store.standing() {
            Standing::Lost { why } if why.contains("1100") => Some(why),
            _ => None,
        }
    });
    assert!(why.contains("restore it"), "{why}");
    assert!(matches!(ann.append(1_100), Err(StateError::Away { .. })));
    assert_eq!(ann.known.len(), 1_100, "what was decided stays in force");
}

#[test]
fn panes_of_all_meet_and_those_who_are_gone_are_not_waited_for() {
    let server = Server::start();
    let reference = Reference::of(0, vec![Feature::number("age")]);
    let parcel = |age: f64| {
        let (mut pane, mut rows) = (Pane::new(&reference), FirstRows::new(&reference));
        pane.count(1);
        pane.observe(0, Observation::Number(age));
        rows.observe(0, &[Observation::Number(age)]);
        Parcel::new(pane, rows)
    };
    let mut ann = Party::join(&server, "ann", pace());
    let mut bob = Party::join(&server, "bob", pace());
    for party in [&mut ann, &mut bob] {
        until("both are there", || (party.store.crew().members == 2).then_some(()));
    }
    let hop = Duration::from_secs(2);
    assert!(ann.store.publish("census", hop, 7, parcel(30.0)));
    assert!(bob.store.publish("census", hop, 7, parcel(40.0)));
    let met = [&mut ann, &mut bob].map(|party| {
        until("the panes meet", || {
            party.listen();
            party.hops.pop()
        })
    });
    assert_eq!(met[0], met[1]);
    assert_eq!((met[0].0, met[0].1.len()), (7, 2));

    drop(bob);
    until("bob is gone", || (ann.store.crew().members == 1).then_some(()));
    let begun = Instant::now();
    assert!(ann.store.publish("census", hop, 8, parcel(30.0)));
    let alone = until("the pane is there", || {
        ann.listen();
        ann.hops.pop()
    });
    assert_eq!((alone.0, alone.1.len()), (8, 1));
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
}
