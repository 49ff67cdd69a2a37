//! Whether somebody has asked the program to stop: one flag for the process, as a signal is for the process.
//!
//! A step on long sequences takes minutes, so the longest loops look at the flag too. A pass through a net that they cut
//! short has computed nothing of use and ends in [`NetError::Interrupted`](crate::nets::NetError::Interrupted): whoever
//! began it goes back to where he was before.

use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Asks; returns whether that was done before.
pub fn ask() -> bool {
    ASKED.swap(true, Ordering::Relaxed)
}

/// Whether it was asked.
pub fn asked() -> bool {
    ASKED.load(Ordering::Relaxed)
}
