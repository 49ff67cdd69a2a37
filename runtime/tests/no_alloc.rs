//! From parsing to running nothing allocates. The counter is the thread's own: the test harness allocates beside us.
#![expect(unsafe_code, reason = "a global allocator is an unsafe trait")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

use escarp_runtime::{Arena, Cpu, Model, Session, arena_len, include_model};

struct Counting;

thread_local! {
    // Made by the compiler and never dropped: reading it allocates nothing.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is passed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps to `alloc`'s contract, which is the same here.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `memory` came from `System.alloc` above with this layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static RESIDUAL: &[u8] = include_model!("data/residual.escarp");
static GRU: &[u8] = include_model!("data/gru.escarp");

#[test]
fn parse_new_and_run_do_not_allocate() {
    let mut residual_arena = Arena::<{ arena_len(RESIDUAL) }>::new();
    let mut gru_arena = Arena::<{ arena_len(GRU) }>::new();
    let count = || ALLOCATIONS.get();

    let before = count();
    drop(std::hint::black_box(Box::new(1u8)));
    assert_eq!(count(), before + 1, "the counter counts");

    for (file, arena) in [(RESIDUAL, &mut residual_arena[..]), (GRU, &mut gru_arena[..])] {
        let input = vec![7; Model::parse(file).unwrap().input().elements() as usize];
        let before = count();
        let model = Model::parse(file).unwrap();
        let mut session = Session::new(&model, arena, Cpu::compiled()).unwrap();
        for _ in 0..100 {
            session.run(&input).unwrap();
        }
        session.reset();
        let refused = session.run(&input[1..]);
        assert!(refused.is_err());
        assert_eq!(count(), before, "allocations");
    }
}
