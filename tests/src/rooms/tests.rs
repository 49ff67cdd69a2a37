//! Small crates that keep their rooms, and that do not.

use super::{Crate, HEAD};

/// What is wrong with a crate of these files, whose rooms are `rows`.
fn faults(rows: &[&str], files: &[(&str, &str)]) -> Vec<String> {
    let rows: String = rows.iter().map(|row| format!("//! | {row} | something |\n")).collect();
    let texts = files.iter().map(|(name, text)| {
        let text = match *name {
            "lib" => format!("//! A crate.\n//!\n{HEAD}\n//! |---|---|\n{rows}\n{text}"),
            _ => (*text).to_owned(),
        };
        (name.split('/').map(str::to_owned).collect(), text)
    });
    Crate::of("x", texts.collect()).faults()
}

const ROWS: [&str; 2] = ["[`high`]", "`low`, `other`"];
const LIB: (&str, &str) = ("lib", "pub mod high; mod low; mod other;");

/// A crate of three rooms with these files in place of empty ones, and more.
fn with(files: &[(&str, &str)]) -> Vec<String> {
    let mut all = vec![LIB];
    let named = |name: &str| files.iter().any(|(other, _)| *other == name);
    all.extend([("high", ""), ("low", ""), ("other", "")].into_iter().filter(|(name, _)| !named(name)));
    all.extend(files);
    faults(&ROWS, &all)
}

#[test]
fn a_crate_that_keeps_its_rooms_has_no_faults() {
    assert_eq!(
        with(&[("high", "use crate::{low::A, other};\nfn f() { other::g() }"), ("low", "pub struct A;")]),
        [""; 0]
    );
    // Of tests and in comments anything may stand.
    assert_eq!(with(&[("low", "//! [`crate::high`]\n#[cfg(test)]\nmod tests { use crate::high::A; }")]), [""; 0]);
}

#[test]
fn an_arrow_that_goes_up_is_found_however_it_is_written() {
    let said = "x/src/low.rs:2: `crate::high::A` is of `high`, which stands above `low`";
    for text in [
        "\nuse crate::high::A;",
        "\nuse crate::{high::{A}};",
        "\npub use crate::high::A as B;",
        "\nfn f() -> crate::high::A {}",
    ] {
        assert_eq!(with(&[("low", text), ("high", "pub struct A;")]), [said], "{text}");
    }
    assert_eq!(with(&[("low", "use super::high::A;")])[0], said.replace("2: `crate", "1: `super"));
    assert_eq!(with(&[("low", "macro_rules! m { () => { \"}\"; $crate::high::f() } }")]).len(), 1);
    assert_eq!(with(&[("low", "mod a;"), ("low/a", "fn f() { super::super::high::g() }")]).len(), 1);
}

#[test]
fn rooms_of_one_row_do_not_import_each_other() {
    let said = "x/src/low.rs:1: `crate::other::A` is of `other`, which stands in one row with `low`";
    assert_eq!(with(&[("low", "use crate::other::A;")]), [said]);
}

#[test]
fn what_is_shown_again_counts_where_it_is_defined() {
    let through = [
        ("lib", "mod high; mod low; mod other; pub use high::A;"),
        ("high", "mod a; pub use a::A;"),
        ("high/a", "pub struct A;"),
    ];
    let rest = [("low", "use crate::A;"), ("other", "")];
    let said = "x/src/low.rs:1: `crate::A` is of `high`, which stands above `low`";
    assert_eq!(faults(&ROWS, &[&through[..], &rest[..]].concat()), [said]);
    let own =
        [("lib", "mod high; mod low; mod other; pub struct A;"), ("high", ""), ("low", "use crate::A;"), ("other", "")];
    assert_eq!(faults(&ROWS, &own), ["x/src/low.rs:1: `crate::A` is of lib.rs, which stands above all rooms"]);
}

#[test]
fn the_table_has_every_room_once() {
    let files = [LIB, ("high", ""), ("low", ""), ("other", "")];
    assert_eq!(faults(&["`high`", "`low`"], &files), ["x: room `other` stands 0 times in the table"]);
    assert_eq!(faults(&["`high`", "`low`, `other`", "`low`"], &files), ["x: room `low` stands 2 times in the table"]);
    assert_eq!(faults(&["`high`", "`low`, `other`", "`more`"], &files), ["x: `more` in the table is no module"]);
    let program = [&files[..], &[("main", "")]].concat();
    assert_eq!(faults(&["`main`", "`high`", "`low`, `other`"], &program), [""; 0]);
    assert_eq!(faults(&["`main`", "`high`", "`low`, `other`"], &files), ["x: `main` in the table is no module"]);
    let bare = |main: &str, more: &[&str]| {
        let files = [("main", main)].into_iter().chain(more.iter().map(|name| (*name, "")));
        Crate::of("x", files.map(|(name, text)| (vec![name.to_owned()], text.to_owned())).collect()).faults()
    };
    assert_eq!(bare("mod a;", &["a"]), [format!("x/src/main.rs has no table of floors, which begins: {HEAD}")]);
    assert_eq!(bare(&format!("{HEAD}\n//! |---|---|\n//! | `a` | |\nmod a;"), &["a"]), [""; 0]);
    // Of one file there is nothing to tell.
    assert_eq!(bare("//! A program.", &[]), [""; 0]);
}

#[test]
fn files_that_import_each_other_are_a_circle() {
    let siblings = [
        ("low", "mod a; mod b;"),
        ("low/a", "use super::b::B;\npub struct A;"),
        ("low/b", "pub struct B(super::a::A);"),
    ];
    let said = "x: a circle of 2 files:\n    x/src/low/a.rs:1: `super::b::B`, x/src/low/b.rs\n    \
                x/src/low/b.rs:1: `super::a::A`, x/src/low/a.rs";
    assert_eq!(with(&siblings), [said]);
    // Through what the parent shows, and through what it defines.
    let shown = [
        ("low", "mod a; mod b; pub use b::B; use a::A;"),
        ("low/a", "use super::B;\npub struct A;"),
        ("low/b", "use super::A; pub struct B(A);"),
    ];
    assert_eq!(with(&shown).len(), 1);
    let cousins = [
        ("low", "mod a; mod b; pub struct L(b::B);"),
        ("low/a", "use super::L; pub struct A;"),
        ("low/b", "use super::a::A; pub struct B;"),
    ];
    assert_eq!(with(&cousins), [""; 0]);
}

#[test]
fn a_parent_may_be_put_together_from_children_that_build_on_it() {
    let files = [("low", "mod a;\nuse a::A;\npub struct L(A);"), ("low/a", "use super::L;\npub struct A;\nimpl L {}")];
    assert_eq!(with(&files), [""; 0]);
}

#[test]
fn every_file_is_somebodys() {
    assert_eq!(with(&[("low/lost", "")]), ["x/src/low/lost.rs: no module declares it"]);
    assert_eq!(with(&[("low", "mod gone;")]), ["x: `mod low::gone` has no file"]);
    assert_eq!(with(&[("low", "#[cfg(test)] mod t;"), ("low/t", "use crate::high::A;"), ("main", "mod z;")]), [""; 0]);
}
