//! Reads one body a few times, for a profiler.
use tidegate_bench_reader::{body, reading};
fn main() {
    let name = std::env::args().nth(1).unwrap_or_default();
    let body = body::all().into_iter().find(|body| body.name == name).expect("a body's name");
    println!("{}", reading::read(&body, reading::Reading::Check, 3000));
}
