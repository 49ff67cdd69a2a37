//! Imports go down only: between crates, between the rooms of a crate, and between files.

use escarp_tests::{
    rooms::{Crate, crates},
    root,
};

#[test]
fn no_import_runs_upwards_or_in_a_circle() {
    let members = crates::members(&root()).expect("Cargo.toml");
    assert!(members.len() >= 10, "{members:?}");
    for name in members {
        let faults = Crate::read(&root(), &name).expect("sources").faults();
        assert!(faults.is_empty(), "rules: tests/src/rooms.rs\n{}", faults.join("\n"));
    }
}

#[test]
fn no_crate_depends_on_one_above_it() {
    let rules = std::fs::read_to_string(root().join("CONTRIBUTING.md")).expect("the rules");
    let order = crates::Order::of(&rules).expect("CONTRIBUTING.md says which way arrows point");
    let faults = crates::faults(&root(), &order).expect("Cargo.toml");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
