//! The recipes a person and CI run.
fn main() {}
