//! `Session::run` on real models allocates nothing.
#![expect(unsafe_code, reason = "a global allocator is an unsafe impl")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use escarp_detect::detect;
use escarp_runtime::{Model, Session};
use escarp_tests::{program, root, shared, succeed};

thread_local! {
    /// Calls to the allocator by this thread: other tests and the harness have their own.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promise about `layout`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller's promise about `at` and `layout`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_run_allocates_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut files: Vec<_> = ["residual", "gru"].map(|n| root().join(format!("runtime/tests/data/{n}.escarp"))).into();
    for (onnx, samples) in [
        ("models/mlperf-tiny/resnet8-cifar10.onnx", "models/mlperf-tiny/resnet8-cifar10.in.npy"),
        ("models/rnn/gru-h128.onnx", "models/rnn/fsdd-calib100.features.npy"),
    ] {
        if let (Some(onnx), Some(samples)) = (shared(onnx), shared(samples)) {
            let out = folder.path().join(format!("{}.escarp", files.len()));
            let words = [onnx.as_os_str(), "--samples".as_ref(), samples.as_os_str(), "-o".as_ref(), out.as_os_str()];
            succeed(&program("escarp-convert"), words);
            files.push(out);
        }
    }
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let model = Model::parse(&bytes).unwrap();
        let mut arena = vec![0; model.buffer_len()];
        let input: Vec<i8> = (0..model.input().elements()).map(|i| (i * 37) as i8).collect();
        let mut session = Session::new(&model, &mut arena, detect()).unwrap();
        let before = CALLS.get();
        for _ in 0..3 {
            session.run(&input).unwrap();
        }
        session.reset();
        assert_eq!(CALLS.get() - before, 0, "{}", file.display());
        drop(vec![0u8; CALLS.get() % 2 + 1]);
        assert!(CALLS.get() > before, "the counter counts");
    }
}
