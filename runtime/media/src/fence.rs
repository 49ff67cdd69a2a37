//! Third-party code that may panic on hostile input, fenced off.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook},
    sync::Once,
};

thread_local! {
    /// How many fences this thread is inside of.
    static INSIDE: Cell<u32> = const { Cell::new(0) };
}

/// Counts a fence, and stops counting it however it is left.
struct Inside;

impl Inside {
    fn enter() -> Self {
        INSIDE.set(INSIDE.get().saturating_add(1));
        Inside
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        INSIDE.set(INSIDE.get().saturating_sub(1));
    }
}

/// Calls a library that was written by others: if it panics, the panic's message comes back instead of its result, and
/// nothing is printed. Our own code needs no fence: it must not panic.
///
/// What the closure was changing when it panicked may be half done: drop it. The first call wraps the process's panic hook in
/// one that says nothing of panics inside a fence; panics outside, on any thread, reach the hook that was there. Not caught:
/// stack overflow, a process that aborts on panics, and panics on other threads that the library starts.
///
/// # Errors
/// The message that the library panicked with.
///
/// ```
/// let first = |bytes: &[u8]| escarp_media::fence(|| bytes[0]);
/// assert_eq!(first(b"a"), Ok(b'a'));
/// assert!(first(b"").unwrap_err().contains("out of bounds"));
/// ```
pub fn fence<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    static QUIET: Once = Once::new();
    // A thread that is unwinding may not touch the hook; it is then as loud as it was.
    if !std::thread::panicking() {
        QUIET.call_once(|| {
            let loud = take_hook();
            set_hook(Box::new(move |panic| {
                if INSIDE.get() == 0 {
                    loud(panic);
                }
            }));
        });
    }
    let inside = Inside::enter();
    let result = catch_unwind(AssertUnwindSafe(call));
    drop(inside);
    result.map_err(|payload| match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload.downcast::<&str>().map_or_else(|_| "a panic without a message".into(), |m| (*m).into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panics_become_their_messages() {
        assert_eq!(fence(|| 3), Ok(3));
        assert_eq!(fence(|| -> u8 { panic!("as it stands") }), Err("as it stands".into()));
        let which = 7;
        assert_eq!(fence(|| -> u8 { panic!("made of {which}") }), Err("made of 7".into()));
        assert_eq!(fence(|| -> u8 { std::panic::panic_any(3) }), Err("a panic without a message".into()));
        assert_eq!(fence(|| fence(|| -> u8 { panic!("within") })), Ok(Err("within".into())));
        assert_eq!(INSIDE.get(), 0);
    }
}
