//! What is played with each shell of the filter, here with the first: the filter in WebAssembly.

#[path = "shells/modes.rs"]
mod modes;
#[path = "shells/rollout.rs"]
mod rollout;
#[path = "shells/segments.rs"]
mod segments;

use tidegate_tests::house::Plan;

fn plan(play: &str) -> Plan {
    Plan::of(play)
}
