//! ONNX's own tests of its operators: none fails, and no fewer pass than `docs/conformance.md` says.

use escarp_tests::{
    conformance::{Outcome, Verdict, cases, check, document, passes, terminal, tsv},
    root, shared,
};

#[test]
fn no_case_fails_and_as_many_pass_as_the_page_says() {
    let Some(path) = shared("conformance/onnx-node.tar") else { return };
    let outcomes: Vec<Outcome> = cases(&path).unwrap().iter().map(check).collect();
    let failed: Vec<&Outcome> = outcomes.iter().filter(|o| o.failed()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
    let page = std::fs::read_to_string(root().join("docs/conformance.md")).unwrap();
    let told = passes(&page).expect("the page says how many pass");
    let count = |of: fn(&Outcome) -> &Verdict| outcomes.iter().filter(|o| *of(o) == Verdict::Passed).count();
    let found = [count(|o| &o.float), count(|o| &o.int8)];
    assert!(found[0] >= told[0] && found[1] >= told[1], "{found:?} pass, {told:?} in docs/conformance.md");
    let core: Vec<&Outcome> = outcomes.iter().filter(|o| o.group == "core").collect();
    let passed = core.iter().filter(|o| o.float == Verdict::Passed).count();
    assert!(passed * 100 >= core.len() * 95, "{passed} of the {} usual cases pass in float", core.len());
}

#[test]
fn a_table_says_what_was_found() {
    let outcome = |case: &str, float: Verdict, int8: Verdict| Outcome {
        case: case.into(),
        operator: "Abs".into(),
        group: "core".into(),
        float,
        int8,
    };
    let no = |reason: &str| Verdict::Unsupported(reason.into());
    let all = [
        outcome("test_a", Verdict::Passed, Verdict::Passed),
        outcome("test_b", Verdict::Passed, Verdict::Failed("3 steps".into())),
        outcome("test_c", no("too\tlarge"), no("not supported in float")),
    ];
    assert_eq!(passes(&document(&all)), Some([2, 1]));
    let text = terminal(&all);
    assert!(text.contains("FAILED test_b (int8): 3 steps") && text.contains("group core"), "{text}");
    assert_eq!(tsv(&all).lines().nth(3), Some("test_c\tAbs\tcore\tnot supported\tnot supported\ttoo large"));
}
