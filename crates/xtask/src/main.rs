//! Automation of the workspace: `cargo xtask check|cross|golden`.
fn main() {}
