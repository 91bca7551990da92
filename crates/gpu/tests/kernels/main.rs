//! The contract and every kernel on the first Vulkan device, against plain arithmetic and the CPU's references.
//!
//! Without a device the tests say so and pass. `other_subgroup_widths` runs them all again as software devices with
//! other numbers of lanes.

mod attention;
mod common;
mod greatest;
mod group;
mod matmul;
mod moe;
mod msl;
mod products;
mod runtime;
mod sequences;
mod small;

#[test]
fn other_subgroup_widths() {
    let Some(device) = common::device() else { return };
    if !device.info().software || common::other_width() {
        return;
    }
    for bits in ["128", "512"] {
        let mut command = std::process::Command::new(std::env::current_exe().expect("a test has a path"));
        command.env("LP_NATIVE_VECTOR_WIDTH", bits).env("OLIVINE_WIDTHS", "1");
        let output = command.output().expect("the test runs");
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "vectors of {bits} bits: {text}");
    }
}
