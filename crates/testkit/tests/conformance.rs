//! Runs the conformance table on every SIMD tier of this processor, and makes sure that no op file is without cases.

use std::panic::AssertUnwindSafe;
use std::path::Path;

use olivine_kernels::cpu;
use olivine_testkit::{cases, conformance};

#[test]
fn every_case_in_every_dtype_layout_and_tier() {
    let table = cases::table();
    let mut failures = Vec::new();
    for tier in cpu::available() {
        cpu::force(tier);
        for threads in [1, 3] {
            olivine_array::set_threads(threads);
            for case in table.iter().flat_map(|(_, cases)| cases) {
                // Every case is tried, so that one report names all that is wrong.
                if std::panic::catch_unwind(AssertUnwindSafe(|| conformance::run(case))).is_err() {
                    failures.push(format!("{} ({tier:?}, {threads} threads)", case.name));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{} cases fail, details above: {failures:#?}", failures.len());
}

#[test]
fn every_op_file_has_cases() {
    let table = cases::table();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../array/src/ops");
    let mut missing = Vec::new();
    for entry in std::fs::read_dir(source).expect("the array crate lies beside this one") {
        let path = entry.expect("a readable folder").path();
        let name = path.file_stem().expect("a file name").to_string_lossy().into_owned();
        let is_machinery = matches!(name.as_str(), "mod" | "lanes");
        if !is_machinery && !table.iter().any(|(file, cases)| *file == name && !cases.is_empty()) {
            missing.push(name);
        }
    }
    assert!(missing.is_empty(), "op files without cases in testkit/src/cases: {missing:?}");
}
